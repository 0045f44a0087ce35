import csv
import io
import json
import math

import pytest

from peakcast.cli import run
from peakcast.samples import SAMPLES
from recommender.bundle import default_bundle
from recommender.fingerprint.schema import SCHEMA


@pytest.fixture(scope="module")
def ran(tmp_path_factory, bundle):
    """Run the demo once with JSON; return the parsed output and the report."""
    folder = tmp_path_factory.mktemp("demo")
    report = folder / "made" / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr("sys.stdout", out)
        assert run(["demo", "--bundle", str(bundle), "--out", str(report), "-o", "json"]) == 0
    return json.loads(out.getvalue()), report.read_text(encoding="utf-8")


def test_json_has_every_workload_and_its_resources(ran):
    told, _ = ran
    assert told["model_id"] == "tiny"
    assert told["report"].endswith("made/report.html")
    assert "assumed" in told["request"]
    lines = told["recommendations"]
    workloads = {(line["namespace"], line["workload"]) for line in lines}
    assert len(workloads) == 21
    resources = {(line["namespace"], line["resource"]) for line in lines}
    assert resources == {
        ("azure", "cpu"),
        *(
            (shop, resource)
            for shop in ("online-boutique", "train-ticket")
            for resource in ("cpu", "memory", "net_rx", "net_tx")
        ),
    }


def test_json_says_what_happened_next(ran):
    told = {(each["namespace"], each["resource"]): each for each in ran[0]["what_happened_next"]}
    assert len(told) == 5
    azure = told["azure", "cpu"]
    assert azure["peakcast"]["windows"] == azure["vpa_rule"]["windows"] == 12 * 40 * 12
    assert azure["vpa_rule"]["reserved_per_used"] > 0


def test_numbers_hold_together(ran):
    for line in ran[0]["recommendations"]:
        horizons = [line["peaks"][h] for h in ("300", "900", "3600", "21600", "86400")]
        for peaks in horizons:
            levels = list(peaks.values())
            assert levels == sorted(levels)
        for name in ("q500", "q950", "q995"):
            along = [peaks[name] for peaks in horizons]
            assert along == sorted(along)
        if line["resource"] in ("cpu", "memory"):
            assert line["lower"] <= line["target"] <= line["upper"]
            assert line["request_assumed"]
            assert line["request"] > 0
            assert math.isclose(line["change"], line["target"] / line["request"] - 1, abs_tol=1e-5)
        else:
            assert line["target"] is None
            assert not line["request_assumed"]
        assert line["reason"]


def test_report_needs_nothing_but_itself(ran):
    _, page = ran
    head = page[: page.index("<body>")]
    assert "default-src 'none'" in head
    for token in ("http://", "https://", "src=", "<link", "@import", "url("):
        assert token not in page.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in page
    assert "%%" not in page


def test_report_has_data_that_a_browser_can_read(ran):
    _, page = ran
    begin = page.index('id="data">') + len('id="data">')
    samples = json.loads(page[begin : page.index("</script>", begin)])
    assert [sample["namespace"] for sample in samples] == [each.namespace for each in SAMPLES]
    for sample in samples:
        for workload in sample["workloads"]:
            for name, series in workload["resources"].items():
                last = sample["first"] + sample["step"] * (len(series["usage"]) - 1)
                assert last > sample["now"], "what happened next is shown"
                assert len(series["ahead"]) == 5
                assert len(series["mean"]) == 24
                hours = len(series["band"][0])
                assert all(len(edge) == hours for edge in series["band"])
                if name in ("cpu", "memory"):
                    assert len(series["rule"]) == len(series["target"]) == hours
                    before = (sample["now"] - series["issued"]) // 3600
                    assert not any(series["target"][:before])
                    assert all(value is not None for value in series["target"][before:])


def test_report_says_what_is_assumed_and_where_the_data_come_from(ran):
    _, page = ran
    for words in ("assumption", "Azure Public Dataset V1 (CC-BY 4.0)", "Nezha (MIT)", "tiny"):
        assert words in page


@pytest.fixture
def short(monkeypatch):
    """Leave the long sample out."""
    monkeypatch.setattr("peakcast.commands.demo.SAMPLES", SAMPLES[1:])


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("form", ["table", "wide", "csv"])
def test_other_outputs(tmp_path, bundle, capsys, form):
    report = tmp_path / "report.html"
    assert run(["demo", "--bundle", str(bundle), "--out", str(report), "-o", form]) == 0
    shown, told = capsys.readouterr()
    assert report.is_file()
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(shown)))
        assert len(rows) == 9 * 4
        assert rows[0]["peak_24h_q950"]
        assert str(report) in told
        return
    for words in ("paymentservice", "ts-gateway-service", "Target", "24 h", "assumed", str(report)):
        assert words in shown
    assert "at risk" in shown
    assert "What happened next" in shown
    assert ("net in" in shown) == (form == "wide")
    assert "replaying sample traces" in told


def test_unknown_output(bundle, capsys):
    assert run(["demo", "--bundle", str(bundle), "-o", "xml"]) == 2
    assert "table, wide, json, csv" in capsys.readouterr().err


@pytest.mark.usefixtures("short")
def test_report_that_cannot_be_written(tmp_path, bundle, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "report.html"
    assert run(["demo", "--bundle", str(bundle), "--out", str(out)]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("short")
def test_shipped_model_is_used_where_none_is_named(tmp_path, capsys):
    out = tmp_path / "report.html"
    assert run(["demo", "--out", str(out), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model_id"] == default_bundle(SCHEMA).manifest.id
    assert told["model_id"] in out.read_text(encoding="utf-8")
