"""The tables that a terminal shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trainer.arena.figures import OOMS, VIOLATED
from trainer.arena.judging import COLD, FRONTIER, MEMORY
from trainer.arena.names import ORDER, ordered, rate_name, title
from trainer.arena.results import CoverageRow, Results, Row, SourceInfo

STYLES: Final = {
    "ours": "bold green",
    "learned": "cyan",
    "ablation": "green",
    "oracle": "dim",
    "bound": "dim",
}
NOTHING: Final = "–"
SHOWN_HORIZONS: Final = (300, 3600, 86400)
_JUDGED_LEVELS: Final = (0.9, 0.95, 0.98, 0.99)


def render(results: Results) -> Iterator[RenderableType]:
    """Yield what a terminal shows, source by source."""
    for source in results.sources:
        yield Text.assemble(
            "\n",
            (source.name, "bold"),
            f"  {source.entities} test entities in {source.groups} groups, "
            f"{source.days:.1f} days from the last quarter",
        )
        population = headline_population(source, FRONTIER)
        hourly = results.select(FRONTIER, source.name, population, "1h")
        if hourly:
            yield _hourly(results, source, population, hourly)
        yield from _at_headline(results, source, population, FRONTIER, "CPU, by cadence")
        yield from _at_headline(results, source, population, COLD, "CPU, hourly, cold start")
        kept = headline_population(source, MEMORY)
        memory = results.select(MEMORY, source.name, kept)
        if memory:
            yield _memory(results, source, kept, memory)
        covered = [
            row
            for row in results.coverage
            if row.source == source.name and row.population == population and row.resource == "cpu"
        ]
        if covered:
            yield _coverage(covered, results.levels)
    for note in results.notes:
        yield Text(note, "dim")


def headline_population(source: SourceInfo, table: str) -> str:
    """Return the population that a source's first table shows."""
    if table == MEMORY:
        return "all"
    return "active" if "active" in source.populations else "all"


def _hourly(results: Results, source: SourceInfo, population: str, rows: list[Row]) -> Table:
    shown = _table(f"CPU, decided hourly ({population}: {source.populations[population]})")
    shown.add_column("Method", no_wrap=True)
    for rate in results.targets:
        shown.add_column(rate_name(rate, FRONTIER), justify="right")
    for head in ("95 % at 1 %", "Median", "Depth", "Changes", "Gap closed"):
        shown.add_column(head, justify="right", no_wrap=True)
    for row in ordered(rows, VIOLATED.headline):
        bounds = row.interval[VIOLATED.headline]
        shown.add_row(
            title(row.method),
            *(_ratio(value) for value in row.ratio),
            NOTHING if bounds is None else f"{bounds.low:.2f}–{_ratio(bounds.high)}",
            _ratio(row.median[VIOLATED.headline]),
            NOTHING if row.depth is None else f"{row.depth:.2%}",
            NOTHING if row.changes is None else f"{row.changes:.1f}",
            NOTHING if row.gap_closed is None else f"{row.gap_closed:.0%}",
            style=STYLES.get(row.kind),
        )
    return shown


def _at_headline(
    results: Results, source: SourceInfo, population: str, table: str, caption: str
) -> Iterator[Table]:
    """Yield one column per cadence or length of history, read at 1 %."""
    rows = results.select(table, source.name, population)
    columns = list(dict.fromkeys(row.cadence for row in rows))
    if not columns or (table == FRONTIER and columns == ["1h"]):
        return
    shown = _table(f"{caption}, reserved / used at 1 % ({population})")
    shown.add_column("Method", no_wrap=True)
    for column in columns:
        shown.add_column(column, justify="right")
    cells = {(row.method, row.cadence): row.ratio[VIOLATED.headline] for row in rows}
    first = [row for row in rows if row.cadence == ("1h" if "1h" in columns else columns[0])]
    for row in ordered(first, VIOLATED.headline):
        shown.add_row(
            title(row.method),
            *(_ratio(cells.get((row.method, column))) for column in columns),
            style=STYLES.get(row.kind),
        )
    yield shown


def _memory(results: Results, source: SourceInfo, population: str, rows: list[Row]) -> Table:
    shown = _table(
        f"Memory, decided hourly, OOM-equivalents per entity-week "
        f"({population}: {source.populations[population]})"
    )
    shown.add_column("Method", no_wrap=True)
    for rate in results.memory_targets:
        shown.add_column(rate_name(rate, MEMORY), justify="right")
    shown.add_column("95 % at 0.2", justify="right", no_wrap=True)
    for row in ordered(rows, OOMS.headline):
        bounds = row.interval[OOMS.headline]
        shown.add_row(
            title(row.method),
            *(_ratio(value) for value in row.ratio),
            NOTHING if bounds is None else f"{bounds.low:.2f}–{_ratio(bounds.high)}",
            style=STYLES.get(row.kind),
        )
    return shown


def _coverage(rows: Sequence[CoverageRow], levels: Sequence[float]) -> Table:
    shown = _table("CPU, coverage of hourly forecasts, %")
    shown.add_column("Method", no_wrap=True)
    shown.add_column("Horizon", justify="right")
    for level in _JUDGED_LEVELS:
        shown.add_column(f"q{1000 * level:.0f}", justify="right")
    shown.add_column("10th percentile of entities at q950", justify="right")
    for row in rows:
        if row.horizon_s not in SHOWN_HORIZONS:
            continue
        shown.add_row(
            title(row.method),
            horizon_name(row.horizon_s),
            *(_covered(row.levels[list(levels).index(level)], level) for level in _JUDGED_LEVELS),
            NOTHING if row.tenth is None else f"{100 * row.tenth:.1f}",
        )
    return shown


def horizon_name(horizon_s: int) -> str:
    """Return a horizon as text."""
    return f"{horizon_s // 3600} h" if horizon_s >= 3600 else f"{horizon_s // 60} min"


def kinds_first(rows: Iterable[Row]) -> list[Row]:
    """Return rows by kind of method, ours first."""
    return sorted(rows, key=lambda row: ORDER.index(row.kind))


def _table(caption: str) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=caption, title_justify="left", title_style="bold"
    )


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _covered(value: float, level: float) -> Text:
    return Text(f"{100 * value:.1f}", "green" if abs(value - level) <= 0.01 else "yellow")
