"""``peakcast recommend --recorded``, and what it refuses."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from peakcast.cli import run
from peakcast.one_look import clock_of, parse_moment
from recommender.errors import SettingsError
from recommender.settings import ClockSettings
from recommender.telemetry.history import WorkloadKey
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated

START = 1_700_006_400  # 2023-11-15 00:00 UTC


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(6)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=6
    )
    return pack_network(
        tmp_path_factory.mktemp("store"), Network(NetworkShape(hidden=16, head=24)), provenance
    )


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Two days of two workloads; the second one ends after six hours."""
    times = START + 300 * np.arange(1, 577)
    draw = np.random.default_rng(8)
    short = times[:72]
    path = tmp_path_factory.mktemp("history") / "two.parquet"
    columns = {
        "entity": ["web-0"] * len(times) + ["job-0"] * len(short),
        "group": ["web"] * len(times) + ["job"] * len(short),
        "timestamp": np.concatenate((times, short)),
        "cpu": draw.lognormal(-1, 0.3, len(times) + len(short)),
        "net_rx": draw.lognormal(10, 0.3, len(times) + len(short)),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def recommend(history, bundle, capsys):
    def recommend(*options, code=0, path=history):
        arguments = ["recommend", "--recorded", str(path), "--bundle", str(bundle)]
        assert run([*arguments, *options]) == code
        return capsys.readouterr()

    return recommend


def lines_of(captured):
    return json.loads(captured.out)["recommendations"]


def test_who_was_seen_in_the_last_day(recommend):
    told = recommend("-o", "json")
    assert {line["container"] for line in lines_of(told)} == {"web-0"}
    assert {line["resource"] for line in lines_of(told)} == {"cpu", "net_rx"}
    early = recommend("-o", "json", "--at", "2023-11-15T06:00")
    assert {line["container"] for line in lines_of(early)} == {"web-0", "job-0"}
    assert json.loads(early.out)["now_s"] == START + 21600


def test_nothing_after_the_moment_counts(recommend, history, tmp_path):
    table = pq.read_table(history)
    until = START + 86400
    cut = tmp_path / "cut.parquet"
    pq.write_table(table.filter(pc.less_equal(table["timestamp"], until)), cut)
    whole = lines_of(recommend("-o", "json", "--at", "2023-11-16T00:00"))
    part = lines_of(recommend("-o", "json", path=cut))
    for one, other in zip(whole, part, strict=True):
        for horizon, peaks in one["peaks"].items():
            assert peaks == pytest.approx(other["peaks"][horizon], rel=1e-4)


def test_table_says_that_no_request_is_known(recommend):
    shown = recommend().out
    assert "web-0" in shown
    assert "net in" not in shown
    assert "it has no requests" in " ".join(shown.split())
    assert "net in" in recommend("-o", "wide").out


def test_csv_is_only_csv(recommend):
    told = recommend("-o", "csv")
    assert told.out.startswith("namespace,kind,workload")
    assert len(told.out.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--at", "tomorrow"), "not understood"),
        (("--at", "2020-01-01"), "--at"),
        (("-n", "nowhere"), "--namespace"),
        (("--fail-on", "everything"), "at-risk, too-large"),
        (("-o", "yaml"), "table, wide, json, csv"),
        (("--profile", "bold"), "cost, balanced, safe"),
        (("--config", "/nowhere.yaml"), "settings file"),
    ],
)
def test_refusals(recommend, options, told):
    error = recommend(*options, code=2).err
    assert told in error
    assert error.count("peakcast: ") == 1


def test_without_a_source(bundle, capsys, monkeypatch):
    monkeypatch.delenv("PEAKCAST_PROMETHEUS__URL", raising=False)
    assert run(["recommend", "--bundle", str(bundle)]) == 2
    assert "--recorded" in capsys.readouterr().err


def test_moments():
    assert parse_moment("1970-01-02") == 86400
    assert parse_moment("1970-01-01T01:00") == 3600
    assert parse_moment("1970-01-01T01:00+01:00") == 0
    assert parse_moment("1970-01-01T00:00Z") == 0
    with pytest.raises(SettingsError, match="not understood"):
        parse_moment("noon")


def test_the_more_precise_time_zone_wins():
    settings = ClockSettings(
        time_zone="Europe/Berlin", time_zones={"shop": "Asia/Tokyo", "shop/web": "Asia/Kathmandu"}
    )
    zones = [
        clock_of(settings, WorkloadKey(namespace, "Deployment", name, "app")).zone
        for namespace, name in (("shop", "web"), ("shop", "db"), ("other", "web"))
    ]
    assert zones == ["Asia/Kathmandu", "Asia/Tokyo", "Europe/Berlin"]
