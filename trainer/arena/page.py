"""One self-contained HTML page: every frontier, to look into."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from trainer.arena.figures import POINTS
from trainer.arena.judging import COLD, FRONTIER, MEMORY, RATES
from trainer.arena.names import ordered, title
from trainer.arena.plots import shown_rows
from trainer.arena.results import Results, Row, SourceInfo

_PARTS: Final = ("style.css", "chart.js")
_TABLES: Final = (FRONTIER, COLD, MEMORY)


def to_page(results: Results) -> str:
    """Return the page; it needs no other file and no network."""
    folder = resources.files("trainer.arena").joinpath("assets")
    style, script = (folder.joinpath(part).read_text(encoding="utf-8") for part in _PARTS)
    data = json.dumps(_data(results), separators=(",", ":"), allow_nan=False)
    values = {
        "style": style,
        "script": script,
        "data": data.replace("<", "\\u003c"),  # nothing in it can close the script element
        "bundle": f"Model: <code>{html.escape(results.bundle)}</code>." if results.bundle else "",
        "notes": "".join(f'<p class="note">{html.escape(note)}.</p>' for note in results.notes),
    }
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    # Split once at the placeholders, so that nothing filled in is ever searched for another.
    pieces = page.split("%%")
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _data(results: Results) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for source in results.sources:
        for table in _TABLES:
            for population in source.populations:
                part = results.select(table, source.name, population)
                for cadence in dict.fromkeys(row.cadence for row in part):
                    same = [row for row in part if row.cadence == cadence]
                    headline = RATES[table].headline
                    leading = {row.method for row in shown_rows(same, headline)}
                    rows.extend(
                        _row(row, lead=row.method in leading) for row in ordered(same, headline)
                    )
    return {
        "sources": [_source(source) for source in results.sources],
        "cpu": _scale(FRONTIER, "violated five-minute windows (fewer to the left)"),
        "memory": _scale(MEMORY, "OOM-equivalents per entity-week (fewer to the left)"),
        "rows": rows,
    }


def _scale(table: str, name: str) -> dict[str, Any]:
    """Return the rates at which the curves of a table stand."""
    rates = RATES[table]
    return {
        "rates": [float(f"{rate:.6g}") for rate in rates.grid()],
        "targets": list(rates.targets),
        "headline": rates.headline,
        "name": name,
    }


def _source(source: SourceInfo) -> dict[str, Any]:
    first = datetime.fromtimestamp(source.first_s, UTC)
    return {
        "name": source.name,
        "populations": source.populations,
        "about": f"{source.entities} test entities in {source.groups} groups, "
        f"{source.days:.1f} days from {first:%Y-%m-%d %H:%M} UTC.",
    }


def _row(row: Row, *, lead: bool) -> dict[str, Any]:
    knobs = list(dict.fromkeys(point.knob for point in row.frontier))
    # A frontier that begins late has no low rates: the curve is filled up from the left.
    missing = [None] * (POINTS - len(row.frontier))
    return {
        "source": row.source,
        "population": row.population,
        "cadence": _cadence(row),
        "method": row.method,
        "title": title(row.method),
        "kind": row.kind,
        "lead": lead,
        "ratio": [_short(value) for value in row.ratio],
        "interval": [
            None if bounds is None else [_short(bounds.low), _short(bounds.high)]
            for bounds in row.interval
        ],
        "median": [_short(value) for value in row.median],
        "depth": row.depth,
        "changes": row.changes,
        "gap": row.gap_closed,
        "setting": row.knob,
        "factor": _short(row.multiplier),
        "curve": [*missing, *(_short(point.ratio) for point in row.frontier)],
        "knobs": knobs,
        "knob": [*missing, *(knobs.index(point.knob) for point in row.frontier)],
        "multiplier": [*missing, *(_short(point.multiplier) for point in row.frontier)],
    }


def _cadence(row: Row) -> str:
    if row.table == COLD:
        return f"cold, {row.cadence}"
    return f"memory, {row.cadence}" if row.table == MEMORY else row.cadence


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
