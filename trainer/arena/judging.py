"""Judging methods on one fleet: sweep, read, compare in pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer.arena.actuation import HOURLY, Cadence, apply
from trainer.arena.bootstrap import interval
from trainer.arena.figures import OOMS, VIOLATED, Figures, Rates, figures
from trainer.arena.fleet import Fleet
from trainer.arena.least import least_sweep
from trainer.arena.methods import Kind, Method
from trainer.arena.oom import oom_sweep
from trainer.arena.results import Comparison, Row, number, to_row
from trainer.arena.sweep import FLOORS, Sweep, sweep

DoubleArray = NDArray[np.float64]

VPA: Final = "vpa"
LIGHTGBM: Final = "lightgbm"
LEAST: Final = "least_possible"
OWN_HOURLY: Final = "own 1h"
FRONTIER, MEMORY, COLD = "frontier", "memory", "cold"
RATES: Final[dict[str, Rates]] = {FRONTIER: VIOLATED, MEMORY: OOMS, COLD: VIOLATED}


@dataclass(frozen=True, slots=True)
class Judged:
    """Figures of one method at one cadence, per population."""

    table: str
    cadence: str
    method: str
    kind: Kind
    figures: dict[str, Figures]


def judge(method: Method, fleet: Fleet, cadence: Cadence, cpu: str = "cpu") -> Judged | None:
    """Sweep a method's CPU requests at a cadence; None where it has no answer."""
    peak = fleet.served_peak(cpu, cadence.every_bins)
    parts = []
    for wanted in method.wanted(fleet, cpu, cadence):
        applied = apply(fleet, cadence, wanted.need, wanted.ahead, wanted.thrift)
        parts.append(sweep(applied, peak, wanted.labels, FLOORS[cpu]))
    return judged(FRONTIER, cadence.name, method.name, method.kind, fleet, parts)


def judge_least(fleet: Fleet, cadence: Cadence) -> Judged | None:
    """Return the least that anybody could reserve for CPU at a fixed cadence."""
    peak = fleet.served_peak("cpu", cadence.every_bins)
    part = least_sweep(peak, cadence.every_bins, FLOORS["cpu"])
    return judged(FRONTIER, cadence.name, LEAST, "bound", fleet, [part])


def judge_memory(method: Method, fleet: Fleet) -> Judged | None:
    """Count OOM-equivalents of a method's hourly memory requests; None where it has no answer."""
    peak = fleet.served_peak("memory", HOURLY.every_bins)
    parts = []
    for wanted in method.wanted(fleet, "memory", HOURLY):
        applied = apply(fleet, HOURLY, wanted.need, wanted.ahead, wanted.thrift)
        parts.append(
            oom_sweep(applied.limits, applied.changes, peak, wanted.labels, FLOORS["memory"])
        )
    return judged(MEMORY, HOURLY.name, method.name, method.kind, fleet, parts)


def judged(
    table: str, cadence: str, method: str, kind: Kind, fleet: Fleet, parts: Sequence[Sweep]
) -> Judged | None:
    """Read sweeps of one method, whose knobs stand side by side, over each population."""
    if not parts:
        return None
    whole = parts[0] if len(parts) == 1 else joined(parts)
    found = {
        name: figures(whole, members, fleet.group, RATES[table])
        for name, members in fleet.populations.items()
        if whole.used[members].sum() > 0
    }
    return Judged(table, cadence, method, kind, found)


def joined(parts: Sequence[Sweep]) -> Sweep:
    """Put sweeps of the same windows side by side along the knobs."""
    first = parts[0]
    return Sweep(
        tuple(label for part in parts for label in part.labels),
        first.multipliers,
        first.windows,
        first.used,
        np.concatenate([part.violated for part in parts], axis=1),
        np.concatenate([part.reserved for part in parts], axis=1),
        np.concatenate([part.missed for part in parts], axis=1),
        np.concatenate([part.changes for part in parts], axis=1),
        np.concatenate([part.most_in_a_day for part in parts]),
    )


def rows(source: str, found: Sequence[Judged]) -> list[Row]:
    """Return rows, with the gap closed between the VPA rule and the oracle."""
    result = []
    for each in found:
        headline = RATES[each.table].headline
        for population, values in each.figures.items():
            rule = _named(found, each, population, lambda other: other.method == VPA)
            oracle = _named(found, each, population, lambda other: other.kind == "oracle")
            closed = None
            if rule is not None and oracle is not None:
                top, bottom = rule.ratio[headline], oracle.ratio[headline]
                if top > bottom:
                    closed = number((top - values.ratio[headline]) / (top - bottom))
            result.append(
                to_row(
                    values,
                    table=each.table,
                    source=source,
                    population=population,
                    cadence=each.cadence,
                    method=each.method,
                    kind=each.kind,
                    gap_closed=closed,
                )
            )
    return result


def comparisons(source: str, fleet: Fleet, found: Sequence[Judged]) -> list[Comparison]:
    """Compare each learned method with the VPA rule, the best rule, LightGBM and itself."""
    result = []
    for each in found:
        if each.kind not in ("learned", "ours", "ablation"):
            continue
        for population, values in each.figures.items():
            groups = len(np.unique(fleet.group[fleet.populations[population]]))
            for place, rate in enumerate(RATES[each.table].targets):
                for what, other in _opponents(found, each, population, place):
                    theirs = other.figures[population]
                    draws = _over(values.draws[:, place], theirs.draws[:, place])
                    result.append(
                        Comparison(
                            table=each.table,
                            source=source,
                            population=population,
                            cadence=each.cadence,
                            method=each.method,
                            against=other.method,
                            what=what,
                            rate=rate,
                            ratio=number(values.ratio[place] / theirs.ratio[place]),
                            interval=interval(draws, groups),
                        )
                    )
    return result


def _opponents(
    found: Sequence[Judged], each: Judged, population: str, place: int
) -> Iterable[tuple[str, Judged]]:
    peers = [
        other
        for other in found
        if (other.table, other.cadence) == (each.table, each.cadence)
        and population in other.figures
        and other.method != each.method
    ]
    for name in (VPA, LIGHTGBM):
        yield from ((name, other) for other in peers if other.method == name)
    rules = [other for other in peers if other.kind == "rule"]
    reached = [other for other in rules if np.isfinite(other.figures[population].ratio[place])]
    if reached:
        yield "best rule", min(reached, key=lambda other: other.figures[population].ratio[place])
    if each.table == FRONTIER and each.cadence != HOURLY.name:
        yield from (
            (OWN_HOURLY, other)
            for other in found
            if (other.table, other.cadence, other.method) == (FRONTIER, HOURLY.name, each.method)
            and population in other.figures
        )


def _over(first: DoubleArray, second: DoubleArray) -> DoubleArray:
    """Return paired ratios; a method that never gets there is infinitely dear."""
    known = np.isfinite(first) & np.isfinite(second)
    ratio = np.where(known, first / np.where(known, second, 1), np.nan)
    # Where neither gets there, nothing is known of the two: the draw is left out.
    ratio = np.where(np.isfinite(first) & ~np.isfinite(second), 0.0, ratio)
    return np.asarray(ratio[np.isfinite(first) | np.isfinite(second)], np.float64)


def _named(
    found: Sequence[Judged], each: Judged, population: str, wanted: Callable[[Judged], bool]
) -> Figures | None:
    for other in found:
        same = (other.table, other.cadence) == (each.table, each.cadence)
        if same and wanted(other) and population in other.figures:
            return other.figures[population]
    return None
