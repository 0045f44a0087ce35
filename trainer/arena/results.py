"""What a run of the arena found: one structure behind the table, JSON, CSV, plots and pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from recommender.errors import SettingsError, StoreError
from trainer.arena.bootstrap import Interval
from trainer.arena.figures import Figures, Point
from trainer.arena.methods import Kind

FORMAT_VERSION: Final = 1


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged of one source.

    Attributes:
        name: the source's name.
        sha256: of its file.
        entities: test entities.
        groups: test groups.
        populations: name to number of entities.
        first_s: first decision.
        days: served time.
        trained_on: LightGBM's training windows from this source.
        cpu_per_unit: cores that 1.0 of CPU in the file is taken for.
    """

    name: str
    sha256: str
    entities: int
    groups: int
    populations: dict[str, int]
    first_s: int
    days: float
    trained_on: int = 0
    cpu_per_unit: float = 1.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One method's figures; see :class:`trainer.arena.figures.Figures`.

    Attributes:
        table: ``frontier`` (CPU), ``memory`` (rates are OOM-equivalents per entity-week) or
            ``cold`` (CPU, ``cadence`` is the history that is left).
        source: name.
        population: name.
        cadence: name.
        method: name.
        kind: what the method is.
        ratio: reserved / used at each target rate; null where the method never gets there.
        interval: 95 % intervals.
        median: reserved / used of the median entity, at the same rates of the fleet.
        depth: usage above the request over usage, at the headline rate.
        changes: changes over 5 % per entity-day, there.
        most_in_a_day: most changes of one entity in 24 hours, there.
        gap_closed: share of the way from the VPA rule to the oracle, there.
        knob: setting there.
        multiplier: there.
        frontier: the lower envelope.
    """

    table: str
    source: str
    population: str
    cadence: str
    method: str
    kind: Kind
    ratio: tuple[float | None, ...]
    interval: tuple[Interval | None, ...]
    median: tuple[float | None, ...]
    depth: float | None
    changes: float | None
    most_in_a_day: int
    gap_closed: float | None
    knob: str
    multiplier: float | None
    frontier: tuple[Point, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A paired ratio of two methods' reserves at one rate.

    Attributes:
        table: as in :class:`Row`.
        source: name.
        population: name.
        cadence: of the first method.
        method: the first method.
        against: the second method, or ``own 1h``: the first method deciding each hour.
        what: role of the second: ``vpa``, ``best rule``, ``lightgbm``, ``own 1h``.
        rate: target rate.
        ratio: first over second; below 1 the first reserves less.
        interval: 95 % interval over groups.
    """

    table: str
    source: str
    population: str
    cadence: str
    method: str
    against: str
    what: str
    rate: float
    ratio: float | None
    interval: Interval | None


class CoverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Coverage of a method's quantiles; see :class:`trainer.arena.coverage.Coverage`."""

    source: str
    population: str
    method: str
    resource: str
    horizon_s: int
    levels: tuple[float, ...]
    interval: tuple[Interval | None, ...]
    tenth: float | None
    forecasts: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        format_version: of this structure.
        bundle: id of the forecaster's bundle; empty where none took part.
        targets: rates at which CPU is read, shares of violated windows.
        memory_targets: rates at which memory is read, OOM-equivalents per entity-week.
        levels: quantile levels of the coverage rows.
        rounds: of the bootstrap.
        sources: what was judged.
        rows: figures.
        comparisons: paired ratios.
        coverage: coverage rows.
        notes: what was left out, and why.
    """

    format_version: int
    bundle: str
    targets: tuple[float, ...]
    memory_targets: tuple[float, ...]
    levels: tuple[float, ...]
    rounds: int
    sources: tuple[SourceInfo, ...]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    coverage: tuple[CoverageRow, ...]
    notes: tuple[str, ...] = ()

    def select(
        self,
        table: str,
        source: str | None = None,
        population: str | None = None,
        cadence: str | None = None,
    ) -> list[Row]:
        """Return the rows of a table, narrowed down where asked."""
        return [
            row
            for row in self.rows
            if row.table == table
            and source in (None, row.source)
            and population in (None, row.population)
            and cadence in (None, row.cadence)
        ]


def to_row(
    found: Figures,
    *,
    table: str,
    source: str,
    population: str,
    cadence: str,
    method: str,
    kind: Kind,
    gap_closed: float | None,
) -> Row:
    """Return figures as a row."""
    return Row(
        table=table,
        source=source,
        population=population,
        cadence=cadence,
        method=method,
        kind=kind,
        ratio=tuple(number(value) for value in found.ratio),
        interval=found.interval,
        median=tuple(number(value) for value in found.median),
        depth=number(found.depth),
        changes=number(found.changes),
        most_in_a_day=found.most_in_a_day,
        gap_closed=gap_closed,
        knob=found.knob,
        multiplier=number(found.multiplier),
        frontier=found.frontier,
    )


def number(value: float) -> float | None:
    """Return a value for JSON; null stands for what is not there."""
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124


def to_json(results: Results) -> str:
    """Return the results as JSON."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1).decode()


def read_json(path: Path) -> Results:
    """Read results that :func:`to_json` wrote.

    Raises:
        StoreError: the file cannot be read or is not of this format.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{path}: cannot be read as results of the arena: {error}") from error


def merge(parts: Sequence[Results]) -> Results:
    """Put runs over different sources together, sources by name.

    Args:
        parts: at least one.

    Raises:
        SettingsError: they judged different bundles, or one source twice.
    """
    names = [source.name for part in parts for source in part.sources]
    if len(set(names)) < len(names):
        raise SettingsError("two of the runs judged the same source", fix="Leave one of them out")
    if len({(part.bundle, part.format_version, part.rounds) for part in parts}) > 1:
        raise SettingsError("the runs judged different bundles", fix="Run the arena anew")
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return msgspec.structs.replace(
        parts[0],
        sources=tuple(
            sorted((each for part in parts for each in part.sources), key=lambda each: each.name)
        ),
        rows=tuple(row for part in parts for row in part.rows),
        comparisons=tuple(each for part in parts for each in part.comparisons),
        coverage=tuple(each for part in parts for each in part.coverage),
        notes=tuple(notes),
    )


def to_csv(results: Results) -> str:
    """Return the rows as CSV, one per table, source, population, cadence and method."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            *("table", "source", "population", "cadence", "method", "kind", "rate"),
            *(
                "reserved_used",
                "low",
                "high",
                "median_entity",
                "depth",
                "changes_per_day",
                "gap_closed",
            ),
            *("knob", "multiplier"),
        )
    )
    for row in results.rows:
        targets = results.memory_targets if row.table == "memory" else results.targets
        for place, rate in enumerate(targets):
            bounds = row.interval[place]
            writer.writerow(
                (
                    *(row.table, row.source, row.population, row.cadence, row.method, row.kind),
                    *(rate, _cell(row.ratio[place])),
                    _cell(bounds.low if bounds else None),
                    _cell(bounds.high if bounds else None),
                    *(_cell(row.median[place]), _cell(row.depth), _cell(row.changes)),
                    *(_cell(row.gap_closed), row.knob, _cell(row.multiplier)),
                )
            )
    return out.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
