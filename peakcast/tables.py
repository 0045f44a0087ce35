"""Recommendations for people and for programs: a table in colour, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from peakcast.recommendation import UNITS, Recommendation, Severity
from recommender.errors import SettingsError
from recommender.quantities import format_cpu, format_memory
from recommender.sizing.sizer import SIZED

Output = Literal["table", "wide", "json", "csv"]
OUTPUTS: Final[tuple[Output, ...]] = ("table", "wide", "json", "csv")

STYLES: Final = {
    Severity.AT_RISK: "bold red",
    Severity.MUCH: "bold yellow",
    Severity.LARGE: "yellow",
    Severity.FITS: "green",
    Severity.UNKNOWN: "cyan",
    Severity.FORECAST: "dim",
}
SHOWN_LEVEL: Final = 0.95
_WIDTH: Final = 120
_WIDE: Final = 200
_NOTHING: Final = "–"
_WITHOUT_NOISE: Final = 1 - 2e-7  # a float32's last bits must not round up to the next unit
_NAMES: Final = {"cpu": "cpu", "memory": "memory", "net_rx": "net in", "net_tx": "net out"}


def parse_output(text: str) -> Output:
    """Return the output format of this name.

    Raises:
        SettingsError: there is none.
    """
    for known in OUTPUTS:
        if text == known:
            return known
    raise SettingsError(f"output {text!r} is unknown", fix=f"Use one of {', '.join(OUTPUTS)}")


def stdout_console(*, wide: bool = False) -> Console:
    """Return the console for results: as wide as the terminal; without one, 120 columns or 200."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE if wide else _WIDTH)


def table(lines: Iterable[Recommendation], *, wide: bool = False) -> Table:
    """Return the table that a terminal shows.

    Args:
        lines: what to show, workloads of one namespace together.
        wide: include what is forecast only (network), and whole reasons.

    The peaks are those that the forecast expects not to be passed in :data:`SHOWN_LEVEL` of cases.
    """
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("Workload, [dim]container[/]", overflow="fold")
    shown.add_column("Resource", no_wrap=True)
    shown.add_column("Now", justify="right", no_wrap=True)
    shown.add_column("Target", justify="right", no_wrap=True)
    shown.add_column("Change", justify="right", no_wrap=True)
    shown.add_column("Lower – upper", no_wrap=True)
    shown.add_column("Peak 1 h", justify="right", no_wrap=True)
    shown.add_column("24 h", justify="right", no_wrap=True)
    shown.add_column("Why", no_wrap=not wide, overflow="fold" if wide else "ellipsis")
    last: tuple[str, str] | None = None
    for line in lines:
        if line.resource not in SIZED and not wide:
            continue
        workload = (line.key.namespace, line.key.name)
        if last is None or last[0] != workload[0]:
            shown.add_section()
            shown.add_row(Text(line.key.namespace, "bold"))
        fresh = workload != last
        last = workload
        shown.add_row(
            Text.assemble(f" {line.key.name} ", (line.key.container, "dim")) if fresh else "",
            _NAMES[line.resource],
            amount(line.resource, line.request),
            Text(amount(line.resource, line.target), STYLES[line.severity]),
            _change(line),
            _bounds(line),
            _peak(line, 3600),
            _peak(line, 86400),
            Text(line.reason if wide else _brief(line.reason), "dim"),
        )
    return shown


def legend() -> Text:
    """Return what the colours mean."""
    meanings = (
        (Severity.AT_RISK, "a peak is forecast above the request"),
        (Severity.MUCH, "0.5 cores or 500 MiB too large, or more"),
        (Severity.LARGE, "too large"),
        (Severity.FITS, "fits"),
    )
    parts: list[Any] = []
    for severity, meaning in meanings:
        parts.extend((("● ", STYLES[severity]), f"{meaning}   "))
    return Text.assemble(*parts)


def as_json(lines: Iterable[Recommendation], **facts: Any) -> str:
    """Return one JSON object: ``facts`` and the list ``recommendations``."""
    found = [line.as_json() for line in lines]
    return json.dumps({**facts, "recommendations": found}, indent=2)


def as_csv(lines: Iterable[Recommendation]) -> str:
    """Return CSV with a header, numbers in cores, bytes and bytes/s."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    level = f"q{round(1000 * SHOWN_LEVEL)}"
    heads = ("namespace", "kind", "workload", "container", "resource", "unit", "request")
    tail = ("target", "lower", "upper", "change", "severity", "reason")
    peaks = {f"peak_1h_{level}": "3600", f"peak_24h_{level}": "86400"}
    writer.writerow((*heads, "request_assumed", *peaks, *tail))
    for line in lines:
        flat = line.as_json()
        writer.writerow(
            (
                *(_cell(flat[head]) for head in heads),
                str(flat["request_assumed"]).lower(),
                *(_cell(flat["peaks"][horizon][level]) for horizon in peaks.values()),
                *(_cell(flat[name]) for name in tail),
            )
        )
    return text.getvalue()


def totals(lines: Sequence[Recommendation]) -> Text:
    """Return one sentence: how many are at risk, and what the requests add up to."""
    sized = [line for line in lines if line.resource in SIZED and line.target is not None]
    parts = []
    for resource in SIZED:
        known = [line for line in sized if line.resource == resource and line.request is not None]
        if known:
            before = sum(line.request or 0 for line in known)
            after = sum(line.target or 0 for line in known)
            percent = f" ({after / before - 1:+.0%})" if before else ""
            parts.append(
                f"{resource} requests {amount(resource, before)} → "
                f"{amount(resource, after)}{percent}"
            )
    if not any(line.request is not None for line in sized):
        return Text(f"{len(sized)} recommendations; no request is known", STYLES[Severity.UNKNOWN])
    risky = sum(line.severity is Severity.AT_RISK for line in sized)
    return Text.assemble(
        (f"{risky} at risk", STYLES[Severity.AT_RISK if risky else Severity.FITS]),
        f" of {len(sized)}; ",
        "; ".join(parts),
    )


def amount(resource: str, value: float | None) -> str:
    """Write an amount of a resource for people."""
    if value is None:
        return _NOTHING
    value *= _WITHOUT_NOISE
    if resource == "cpu":
        return format_cpu(value)
    if resource == "memory":
        return format_memory(value)
    for unit in ("B/s", "kB/s", "MB/s"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB/s"


def unit_of(resource: str) -> str:
    """Return the unit of a resource's numbers in JSON and CSV."""
    return UNITS[resource]


def _brief(reason: str) -> str:
    """Return a reason's first word where the rest explains it."""
    return reason.partition(":")[0]


def _change(line: Recommendation) -> Text:
    change = line.change
    if change is None:
        return Text(_NOTHING, "dim")
    if change == 0:
        return Text("=", STYLES[line.severity])
    sign = "▲" if change > 0 else "▼"
    return Text(f"{sign} {abs(change):.0%}", STYLES[line.severity])


def _bounds(line: Recommendation) -> str:
    if line.lower is None or line.upper is None:
        return _NOTHING
    return f"{amount(line.resource, line.lower)} – {amount(line.resource, line.upper)}"


def _peak(line: Recommendation, horizon_s: int) -> str:
    return amount(line.resource, line.peaks[horizon_s][SHOWN_LEVEL])


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
