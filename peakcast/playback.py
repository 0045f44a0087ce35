"""A sample, replayed: what was forecast and requested, hour by hour, and what happened next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from peakcast.recommendation import Recommendation, recommendations
from peakcast.samples import Sample, key_of
from peakcast.tally import Outcome, Tally
from recommender.bundle import Bundle
from recommender.forecast.baselines import UsageMatrix, Vpa
from recommender.forecast.calibration import CoverageTracker
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import BIN_S, HORIZONS_S, LEVELS, RESOURCES
from recommender.replay import Replay, Step
from recommender.sizing.policy import BALANCED, Policy
from recommender.sizing.sizer import SIZED
from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.recorded import RecordedHistory

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

EVERY_S: Final = 3600
_HOUR: Final = HORIZONS_S.index(3600)


@dataclass(frozen=True, slots=True)
class Issued:
    """What was issued at one hour.

    Attributes:
        now_s: when.
        hour_ahead: float32 ``[workloads, 4, levels]``, quantiles of the peak over the next hour;
            NaN where there was no forecast.
        target: float32 ``[workloads, 2]``, request from then on; NaN before the takeover.
    """

    now_s: int
    hour_ahead: FloatArray
    target: FloatArray

    def ahead_of(self, row: int, column: int) -> FloatArray:
        """Return float32 ``[levels]`` of one workload's resource."""
        ahead: FloatArray = self.hour_ahead[row, column]
        return ahead


@dataclass(slots=True)
class Playback:
    """A sample's whole story.

    Attributes:
        sample: what was replayed.
        history: what happened, one row per workload.
        rule: float32 ``[workloads, 2, bins]``, what the VPA rule would have set, on the history's
            bins; NaN before any sample.
        issued: hour by hour.
        at_now: the decision at the sample's ``now_s``; its rows are the history's.
        lines: the recommendation at ``now_s``, as a table shows it.
        outcomes: how the requests served from ``now_s`` on, by resource: peakcast's, the rule's.
    """

    sample: Sample
    history: RecordedHistory
    rule: FloatArray
    issued: list[Issued] = field(default_factory=list)
    at_now: Step | None = None
    lines: list[Recommendation] = field(default_factory=list)
    outcomes: dict[str, tuple[Outcome, Outcome]] = field(default_factory=dict)

    def bin(self, moment_s: int) -> int:
        """Return the place of the bin that ends at ``moment_s``."""
        return (moment_s - self.history.first_end_s) // BIN_S

    def key(self, row: int) -> WorkloadKey:
        """Return the key under which a row is shown."""
        return key_of(self.sample, self.history.entities[row])


def play(
    sample: Sample,
    history: RecordedHistory,
    bundle: Bundle,
    *,
    policy: Policy = BALANCED,
    progress: Callable[[int], None] = lambda _: None,
) -> Playback:
    """Replay a sample hourly; until its ``now_s`` requests are the VPA rule's, then peakcast's.

    Args:
        sample: what it is.
        history: its history, see :func:`peakcast.samples.load_sample`.
        bundle: the model.
        policy: how requests are sized.
        progress: called with the number of five-minute bins done.
    """
    told = Playback(sample, history, vpa_rule(history))
    replay = Replay(
        history,
        Forecaster(bundle, CoverageTracker()),
        EVERY_S,
        policy,
        progress=progress,
        in_force=lambda now: told.rule[:, :, told.bin(now)] if now == sample.now_s else None,
        decides_from_s=sample.now_s,
    )
    ours = {resource: Tally(history, resource) for resource in SIZED}
    theirs = {resource: Tally(history, resource, ratios=True) for resource in SIZED}
    everyone = np.arange(len(history.entities), dtype=np.int64)
    for step in replay.steps():
        told.issued.append(_issued(step, len(history.entities)))
        if step.now_s < sample.now_s:
            continue
        rule = told.rule[:, :, told.bin(step.now_s)]
        for place, resource in enumerate(SIZED):
            ours[resource].set(step.now_s, step.rows, step.sizing.target[:, place])
            theirs[resource].set(step.now_s, everyone, rule[:, place])
        if step.now_s == sample.now_s:
            told.at_now = step
            keys = [told.key(row) for row in step.rows.tolist()]
            told.lines = recommendations(
                keys, step.forecast, step.sizing, rule[step.rows], assumed=True
            )
    told.outcomes = {
        resource: (ours[resource].outcome(), theirs[resource].outcome())
        for resource in SIZED
        if resource in history.kpis
    }
    return told


def vpa_rule(history: RecordedHistory) -> FloatArray:
    """Return what the VPA's own recommender would have had as target at each bin, without floors.

    Returns:
        float32 ``[workloads, 2, bins]``, cpu in cores and memory in bytes; NaN before any sample
        and for a resource that the history does not have.
    """
    found = np.full((len(history.entities), len(SIZED), history.bins), np.nan, np.float32)
    hourly = np.flatnonzero((history.first_end_s + BIN_S * np.arange(history.bins)) % EVERY_S == 0)
    if not len(hourly):
        return found
    held = np.clip(np.searchsorted(hourly, np.arange(history.bins), side="right") - 1, 0, None)
    for place, resource in enumerate(SIZED):
        if resource not in history.kpis:
            continue
        kpi = history.kpis.index(resource)
        usage = UsageMatrix(history.first_end_s, history.peak[:, kpi], history.mean[:, kpi])
        target = Vpa("cpu" if resource == "cpu" else "memory").bounds(usage, hourly).target
        found[:, place] = target[:, held]
    found[:, :, : hourly[0]] = np.nan
    return found


def _issued(step: Step, workloads: int) -> Issued:
    ahead = np.full((workloads, len(RESOURCES), len(LEVELS)), np.nan, np.float32)
    target = np.full((workloads, len(SIZED)), np.nan, np.float32)
    ahead[step.rows] = step.forecast.quantiles[:, :, _HOUR]
    target[step.rows] = step.sizing.target
    return Issued(step.now_s, ahead, target)
