"""The whole run: sources one after the other, every table of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from recommender.errors import MalformedHistory, SettingsError
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from recommender.telemetry.window import RECENT_BINS
from trainer.arena.actuation import CADENCES, HOURLY, Cadence
from trainer.arena.bootstrap import ROUNDS
from trainer.arena.cache import file_digest
from trainer.arena.cold_judging import judge_cold
from trainer.arena.coverage import coverage
from trainer.arena.figures import OOMS, VIOLATED
from trainer.arena.fleet import NOT_SCORED, Fleet, fleet_of
from trainer.arena.judging import (
    FRONTIER,
    LEAST,
    MEMORY,
    Judged,
    comparisons,
    judge,
    judge_least,
    judge_memory,
    rows,
)
from trainer.arena.lightgbm_training import QuantileTrees, Recipe, recipe_key, train
from trainer.arena.lineup import LEARNED, Contender, Lineup, Progress, wanted
from trainer.arena.methods import QuantileMethod, Rule
from trainer.arena.results import (
    FORMAT_VERSION,
    Comparison,
    CoverageRow,
    Results,
    Row,
    SourceInfo,
    number,
)
from trainer.arena.shelf import Shelf
from trainer.traces import UNITS, Source, Units, read_source


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        traces: folder of Parquet files.
        cache: folder.
        sources: names; empty: all that may be scored.
        cadences: which.
        patterns: method names, with ``*`` and ``?``; empty: all.
        ours: the forecaster's bundle; None leaves it out.
        ablations: further bundles.
        recipe: how LightGBM is trained.
        progress: called with what is being done, steps done and steps in all.
    """

    traces: Path
    cache: Path
    sources: tuple[str, ...] = ()
    cadences: tuple[Cadence, ...] = CADENCES
    patterns: tuple[str, ...] = ()
    ours: Contender | None = None
    ablations: tuple[Contender, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    progress: Progress = lambda *_: None


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    sources: list[SourceInfo] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    coverage: list[CoverageRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def trace_files(folder: Path, names: Sequence[str] = ()) -> dict[str, Path]:
    """Return name to file of the sources in a folder, in the order asked for, else by name.

    Raises:
        SettingsError: there is no such folder, it has no Parquet file, or not the one asked for.
    """
    if not folder.is_dir():
        raise SettingsError(f"no folder of traces at {folder}", fix="Name one with --traces")
    files = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    if not files:
        raise SettingsError(f"{folder} has no Parquet file", fix="See docs/results.md")
    unknown = [name for name in names if name not in files]
    if unknown:
        raise SettingsError(
            f"{folder} has no source {unknown[0]!r}", fix=f"It has {', '.join(files)}"
        )
    return {name: files[name] for name in names} if names else files


def run_arena(plan: Plan) -> Results:
    """Run the arena.

    Raises:
        SettingsError: see :func:`trace_files`; or nothing is left to judge.
        MalformedHistory: a file is not in the traces' schema.
        MissingExtra: LightGBM is wanted and not installed.
    """
    files = trace_files(plan.traces, plan.sources)
    digests = {name: file_digest(path) for name, path in files.items()}
    found = _Found()
    lineup = _lineup(plan, found)
    for name, path in files.items():
        if name in NOT_SCORED and not plan.sources:
            found.notes.append(f"Not judged: {name}, {NOT_SCORED[name]}")
            continue
        try:
            fleet = fleet_of(read_source(path))
        except MalformedHistory as error:
            if len(files) == 1:
                raise
            found.notes.append(f"Not judged: {error.cause}")
            continue
        _judge_source(plan, lineup, fleet, digests[name], found)
    if not found.sources:
        raise SettingsError("no source could be judged", fix="; ".join(found.notes))
    return Results(
        format_version=FORMAT_VERSION,
        bundle="" if plan.ours is None else plan.ours.bundle.manifest.id,
        targets=VIOLATED.targets,
        memory_targets=OOMS.targets,
        levels=LEVELS,
        rounds=ROUNDS,
        sources=tuple(found.sources),
        rows=tuple(found.rows),
        comparisons=tuple(found.comparisons),
        coverage=tuple(found.coverage),
        notes=tuple(found.notes),
    )


def _lineup(plan: Plan, found: _Found) -> Lineup:
    """Train or read LightGBM; it learns from every source of the folder, judged or not."""
    trees: QuantileTrees | None = None
    name = ""
    if any(wanted(method, plan.patterns) for method in LEARNED):
        files = trace_files(plan.traces)
        digests = {source: file_digest(path) for source, path in files.items()}
        readers: Mapping[str, Callable[[], Source]] = {
            source: partial(read_source, path) for source, path in files.items()
        }
        trees = train(plan.recipe, readers, digests, plan.cache, plan.progress)
        name = recipe_key(plan.recipe, digests)
    if plan.ours is None:
        found.notes.append("The forecaster took no part: there was no bundle")
    fine = any(cadence.every_bins % 12 for cadence in plan.cadences)
    return Lineup(plan.patterns, trees, name, plan.ours, plan.ablations, plan.cache, fine)


def _judge_source(plan: Plan, lineup: Lineup, fleet: Fleet, sha256: str, found: _Found) -> None:
    unit = UNITS.get(fleet.name, Units())
    found.sources.append(
        SourceInfo(
            name=fleet.name,
            sha256=sha256,
            entities=len(fleet),
            groups=fleet.groups,
            populations={name: int(mask.sum()) for name, mask in fleet.populations.items()},
            first_s=fleet.end_s(fleet.start),
            days=fleet.served / RECENT_BINS,
            trained_on=0 if lineup.trees is None else lineup.trees.trained_on.get(fleet.name, 0),
            cpu_per_unit=unit.cpu_cores,
        )
    )
    shelf = Shelf(plan.cache, sha256)
    learned = lineup.methods(fleet, sha256, plan.progress)
    results: list[Judged | None] = []
    if fleet.has("cpu"):
        rules = [Rule(baseline) for baseline in lineup.rules("cpu")]
        steps = [(method, cadence) for method in (*rules, *learned) for cadence in plan.cadences]
        for done, (method, cadence) in enumerate(steps):
            plan.progress(f"{fleet.name}: judging CPU", done, len(steps))
            judging = partial(judge, method, fleet, cadence)
            results.append(shelf.take(method.identity, FRONTIER, cadence.name, judging))
        plan.progress(f"{fleet.name}: judging CPU", len(steps), len(steps))
        if lineup.wants(LEAST):
            results.extend(judge_least(fleet, each) for each in plan.cadences if not each.budgeted)
        results.extend(judge_cold(lineup, fleet, shelf, plan.progress))
    if fleet.has("memory"):
        methods = (*(Rule(baseline) for baseline in lineup.rules("memory")), *learned)
        for done, method in enumerate(methods):
            plan.progress(f"{fleet.name}: judging memory", done, len(methods))
            judging = partial(judge_memory, method, fleet)
            results.append(shelf.take(method.identity, MEMORY, HOURLY.name, judging))
        plan.progress(f"{fleet.name}: judging memory", len(methods), len(methods))
    judgements = [each for each in results if each is not None]
    found.rows.extend(rows(fleet.name, judgements))
    found.comparisons.extend(comparisons(fleet.name, fleet, judgements))
    for method in learned:
        if isinstance(method, QuantileMethod) and method.name not in _SAME_QUANTILES:
            found.coverage.extend(_coverage(method, fleet))


_SAME_QUANTILES: Final = ("lightgbm_sized", "peakcast_one_level", "peakcast_next_bin")
"""Methods that share the quantiles of another one, or have none of the horizon."""


def _coverage(method: QuantileMethod, fleet: Fleet) -> list[CoverageRow]:
    found = []
    for resource in RESOURCES:
        if not fleet.has(resource):
            continue
        for horizon in HORIZONS_S:
            for population, members in fleet.populations.items():
                part = coverage(method.hourly, fleet, resource, horizon, members)
                if part is not None:
                    found.append(
                        CoverageRow(
                            source=fleet.name,
                            population=population,
                            method=method.name,
                            resource=resource,
                            horizon_s=horizon,
                            levels=part.levels,
                            interval=part.interval,
                            tenth=number(part.tenth),
                            forecasts=part.forecasts,
                        )
                    )
    return found
