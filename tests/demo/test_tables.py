import json
import math

import pytest
from rich.console import Console

from peakcast.recommendation import Recommendation, Severity
from peakcast.tables import amount, as_csv, as_json, table, totals
from recommender.kpis import HORIZONS_S, LEVELS
from recommender.telemetry.history import WorkloadKey

MIB = 2.0**20


def line(resource="cpu", request=1.0, target=0.5, lower=0.4, upper=0.7, **changes):
    peaks = {horizon: dict.fromkeys(LEVELS, 0.45) for horizon in HORIZONS_S}
    fields = {
        "key": WorkloadKey("shop", "Deployment", "cart", "app"),
        "resource": resource,
        "peaks": peaks,
        "request": request,
        "assumed": False,
        "target": target,
        "lower": lower,
        "upper": upper,
        "reason": "lowered: well below",
    }
    return Recommendation(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"request": 0.3, "target": 0.5}, Severity.AT_RISK),
        ({"request": 0.3, "target": 0.3, "lower": 0.35}, Severity.AT_RISK),
        ({"request": 1.0, "target": 0.5}, Severity.MUCH),
        ({"request": 0.9, "target": 0.5}, Severity.LARGE),
        ({"request": 0.5, "target": 0.5}, Severity.FITS),
        ({"request": None}, Severity.UNKNOWN),
        ({"target": None}, Severity.FORECAST),
        ({"resource": "net_rx", "target": None, "request": None}, Severity.FORECAST),
        ({"resource": "memory", "request": 900 * MIB, "target": 300 * MIB}, Severity.MUCH),
        ({"resource": "memory", "request": 700 * MIB, "target": 300 * MIB}, Severity.LARGE),
    ],
)
def test_severity(changes, severity):
    assert line(**changes).severity is severity


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 0.25, "250m"),
        ("cpu", 0.36000001430511475, "360m"),  # a float32's noise is not rounded up
        ("cpu", 2.0, "2"),
        ("memory", 512 * MIB, "512Mi"),
        ("net_rx", 900.0, "900 B/s"),
        ("net_rx", 1.5e6, "1.5 MB/s"),
        ("net_tx", 2e12, "2e+03 GB/s"),
        ("cpu", None, "–"),
    ],
)
def test_amounts(resource, value, text):
    assert amount(resource, value) == text


def test_change_needs_both_sides():
    assert line(request=None).change is None
    assert line(request=0.0).change is None
    assert line(target=None).change is None
    assert math.isclose(line(request=2.0, target=0.5).change, -0.75)


def rendered(shown, width=120):
    console = Console(width=width, file=None, record=True, no_color=True)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_table_names_a_namespace_and_a_workload_once():
    other = WorkloadKey("shop", "Deployment", "web", "app")
    lines = [line(), line("memory", 300 * MIB, 300 * MIB), line(key=other)]
    text = rendered(table(lines))
    assert text.count("shop") == 1
    assert text.count("cart") == 1
    assert text.count("web") == 1
    assert "▼ 50%" in text
    assert "=" in text


def test_wide_table_has_network_and_whole_reasons():
    lines = [line(), line("net_rx", None, None, None, None, reason="forecast only")]
    assert "net in" not in rendered(table(lines))
    wide = rendered(table(lines, wide=True), 160)
    assert "net in" in wide
    assert "lowered: well below" in wide


def test_markup_in_names_is_text():
    key = WorkloadKey("[red]ns", "Deployment", "[bold]x[/]", "[/]")
    text = rendered(table([line(key=key)]))
    assert "[red]ns" in text
    assert "[bold]x[/] [/]" in text


def test_totals():
    told = totals([line(request=0.2), line(request=1.8)]).plain
    assert told == "1 at risk of 2; cpu requests 2 → 1 (-50%)"
    assert totals([line(request=None)]).plain == "1 recommendations; no request is known"
    assert totals([]).plain == "0 recommendations; no request is known"


def test_json_and_csv_leave_the_unknown_empty():
    lines = [line(request=None, target=None, lower=None, upper=None)]
    (told,) = json.loads(as_json(lines, model_id="m"))["recommendations"]
    assert told["request"] is None
    assert told["change"] is None
    head, row = as_csv(lines).splitlines()
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert cells["request"] == cells["target"] == cells["change"] == ""
    assert cells["peak_1h_q950"] == "0.45"
