"""``peakcast replay``: what would have been recommended over a recorded history."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from peakcast.bundles import find_bundle, parse_profile
from peakcast.durations import format_duration, parse_interval
from peakcast.progress import bars
from peakcast.tally import Tally
from recommender.errors import SettingsError, StoreError
from recommender.forecast.calibration import CoverageTracker
from recommender.forecast.forecaster import Forecaster
from recommender.replay import Replay, Step, write_replay
from recommender.sizing.policy import POLICIES
from recommender.sizing.sizer import SIZED
from recommender.telemetry.clock import Clock, parse_holidays
from recommender.telemetry.recorded import RecordedHistory, read_recorded


def replay(
    *,
    traces: Annotated[
        Path, typer.Option(help="Recorded history, Parquet.", metavar="FILE", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option(help="Replay file to write.", metavar="FILE", show_default=False)
    ],
    every: Annotated[
        str, typer.Option(help="Time between decisions: 5m, 15m, 1h, 24h.", metavar="DURATION")
    ] = "1h",
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle, or a folder of them. The shipped one if not given."),
    ] = None,
    profile: Annotated[str, typer.Option(help="cost, balanced or safe.")] = "balanced",
    cpu_per_unit: Annotated[
        float, typer.Option(help="Cores that 1.0 of CPU in the file stands for.")
    ] = 1.0,
    memory_per_unit: Annotated[
        float, typer.Option(help="Bytes that 1.0 of memory in the file stands for.")
    ] = 1.0,
    timezone: Annotated[str, typer.Option(help="IANA name of the cluster's local time.")] = "UTC",
    holidays: Annotated[
        list[str] | None,
        typer.Option(help="Days of rest, YYYY-MM-DD, separated by commas.", metavar="DATES"),
    ] = None,
) -> None:
    """Write what would have been forecast and recommended, decision by decision.

    Each decision uses what was recorded until then and nothing later; the path is the service's
    own: rolling window, model bundle, calibration, sizing, change budget. The file needs columns
    entity and timestamp (seconds) and at least one of the KPIs; any regular step from 10 s to
    5 min will do. Output, one row per entity, decision, resource and horizon, is in the input's
    units.
    """
    begun = time.monotonic()
    every_s = parse_interval(every)
    clock = Clock(timezone, holidays=parse_holidays(_dates(holidays or [])))
    policy = POLICIES[parse_profile(profile)]
    units = Units(
        _positive(cpu_per_unit, "--cpu-per-unit"), _positive(memory_per_unit, "--memory-per-unit")
    )
    _check_out(out, traces)
    model = find_bundle(bundle)
    with bars(counted=True) as shown:
        with shown.spinner(f"reading {traces.name}"):
            history = read_recorded(
                traces, cpu_per_unit=units.cpu_cores, memory_per_unit=units.memory_bytes
            )
        counts = _Counts(history)
        run = Replay(
            history,
            Forecaster(model, CoverageTracker()),
            every_s,
            policy,
            clock,
            progress=shown.start("replaying 5-minute bins", history.bins),
        )
        try:
            rows = write_replay(
                run,
                out,
                cpu_per_unit=units.cpu_cores,
                memory_per_unit=units.memory_bytes,
                watch=counts.add,
            )
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {error.strerror or error}") from error
    _summarise(counts, rows, out, model.manifest.id, every_s, time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class Units:
    """What 1.0 stands for in a file."""

    cpu_cores: float
    memory_bytes: float


class _Counts:
    """What the summary says."""

    def __init__(self, history: RecordedHistory) -> None:
        self.history = history
        self.decisions = 0
        self.tallies = {resource: Tally(history, resource) for resource in SIZED}

    def add(self, step: Step) -> None:
        self.decisions += 1
        for place, tally in enumerate(self.tallies.values()):
            tally.set(step.now_s, step.rows, step.sizing.target[:, place])


def _summarise(
    counts: _Counts, rows: int, out: Path, model_id: str, every_s: int, seconds: float
) -> None:
    console = Console()
    history = counts.history
    console.print(f"wrote {out}", soft_wrap=True, highlight=False)
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("entities", f"{len(history.entities):,}")
    facts.add_row("decisions", f"{counts.decisions:,}, every {format_duration(every_s)}")
    facts.add_row("rows", f"{rows:,}")
    facts.add_row("model", model_id)
    facts.add_row("seconds", f"{seconds:.1f}")
    for resource, tally in counts.tallies.items():
        outcome = tally.outcome()
        if outcome.windows:
            facts.add_row(
                resource,
                f"{outcome.violated_share:.2%} of {outcome.windows:,} five-minute windows above "
                f"the target in force; {outcome.reserved_per_used:.2f} reserved per used",
            )
    console.print(facts)


def _dates(given: list[str]) -> list[str]:
    return [day for text in given for day in text.split(",") if day.strip()]


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"{name} must be above zero, not {value}")
    return value


def _check_out(out: Path, traces: Path) -> None:
    """Find out before the work whether its result could be written."""
    if out.is_dir():
        raise SettingsError(f"--out {out} is a folder", fix="Name a file in it")
    if not out.parent.is_dir():
        raise SettingsError(f"--out {out}: folder {out.parent} does not exist", fix="Make it first")
    if traces.exists() and out.exists() and out.samefile(traces):
        raise SettingsError(
            f"--out {out} is the recorded history itself", fix="Name another file; it would be lost"
        )
