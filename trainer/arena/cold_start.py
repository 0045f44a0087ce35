"""Cold start: what a method makes of only so much history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.fingerprint.features import MODEL_KPIS, features
from recommender.forecast.baselines import Baseline, UsageMatrix
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import BIN_S, HORIZONS_S, RESOURCES
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import BINS_PER_HOUR, RECENT_BINS, WindowBatch
from trainer.arena.actuation import Applied
from trainer.arena.fleet import Fleet
from trainer.arena.lightgbm_training import QuantileTrees
from trainer.arena.sweep import Sweep, sweep
from trainer.dataset import truncate

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

HISTORIES_S: Final = (900, 3600, 21600, 86400)
"""How much history is left, seconds."""

STARTS: Final = 48
"""Moments, evenly over the judged time, at which every entity starts anew."""

HOLD: Final = BINS_PER_HOUR
HORIZON_S: Final = HOLD * BIN_S


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """Moments at which entities start anew, and what is served in the hour after.

    Attributes:
        fleet: whose entities.
        resource: which is judged.
        bins: int64 ``[S]``, decisions, on full hours.
    """

    fleet: Fleet
    resource: str
    bins: IntArray

    def matrix(self, history_s: int) -> UsageMatrix:
        """Return ``[E * S, 300]``: up to 24 h before each start, and the hour after.

        What lies further back than ``history_s`` is taken away.
        """
        usage = self.fleet.usage(self.resource)
        back = np.arange(-RECENT_BINS + 1, HOLD + 1)
        columns = self.bins[:, None] + back
        inside = (columns >= 0) & (back > -(history_s // BIN_S))
        columns = np.maximum(columns, 0)
        peak = np.where(inside, usage.peak[:, columns], np.nan).astype(np.float32)
        mean = np.where(inside, usage.mean[:, columns], np.nan).astype(np.float32)
        # All starts fall on full hours, so one start time keeps the minute of the hour right.
        start_s = self.fleet.end_s(int(self.bins[0])) - (RECENT_BINS - 1) * BIN_S
        size = back.size
        return UsageMatrix(start_s, peak.reshape(-1, size), mean.reshape(-1, size))

    def judged(self, matrix: UsageMatrix) -> FloatArray:
        """Return float32 ``[E, S * 12]``: the peaks that are served, NaN where none counts."""
        known = np.isfinite(matrix.peak[:, :RECENT_BINS]).any(axis=1, keepdims=True)
        served = np.where(known, matrix.peak[:, RECENT_BINS:], np.nan).astype(np.float32)
        return served.reshape(len(self.fleet), -1)

    def sweep(
        self, wanted: FloatArray, peak: FloatArray, labels: tuple[str, ...], floor: float
    ) -> Sweep:
        """Sweep requests ``[K, E, S]``, each held for its hour."""
        knobs, entities, _ = wanted.shape
        nothing = np.zeros((knobs, entities))
        limits = np.repeat(wanted, HOLD, axis=2)
        return sweep(Applied(limits, nothing, nothing.astype(np.int64)), peak, labels, floor)


def cold_starts(fleet: Fleet, resource: str, starts: int = STARTS) -> ColdStarts:
    """Choose full hours evenly over the judged time."""
    hours = fleet.decisions(BINS_PER_HOUR)
    hours = hours[hours + HOLD < fleet.source.bins]
    chosen = np.unique(np.linspace(0, len(hours) - 1, min(starts, len(hours))).round())
    return ColdStarts(fleet, resource, hours[chosen.astype(np.int64)])


def rule_requests(starts: ColdStarts, baseline: Baseline, matrix: UsageMatrix) -> FloatArray:
    """Return what a baseline asks for, float32 ``[knobs, E, S]``."""
    last = np.array([RECENT_BINS - 1], np.int64)
    limits = baseline.limits(matrix, last, HOLD)[..., 0]
    shape = (len(baseline.knobs), len(starts.fleet), len(starts.bins))
    found: FloatArray = limits.reshape(shape)
    return found


def quantiles(
    starts: ColdStarts,
    history_s: int,
    predict: Callable[[WindowBatch], FloatArray],
    progress: Callable[[int], None] = lambda _: None,
) -> FloatArray:
    """Return log quantiles of the coming hour's peak, float32 ``[E, S, levels]``.

    Args:
        starts: the moments.
        history_s: how much history is left.
        predict: from windows to log quantiles of the coming hour's peak, ``[E, levels]``.
        progress: called with the number of starts done.
    """
    fleet = starts.fleet
    kept = np.ones((len(fleet), len(MODEL_KPIS)), bool)
    found = []
    for index in starts.bins.tolist():
        batch = fleet.source.window(index, fleet.rows)
        age = np.minimum(batch.age_bins, history_s // BIN_S)
        found.append(predict(truncate(batch, age, kept)))
        progress(1)
    stacked: FloatArray = np.stack(found, axis=1)
    return stacked


def trees_predictor(trees: QuantileTrees, resource: str) -> Callable[[WindowBatch], FloatArray]:
    """Return LightGBM as a predictor for :func:`quantiles`."""
    clock, column = Clock(), RESOURCES.index(resource)

    def predict(batch: WindowBatch) -> FloatArray:
        found = features(batch, clock.day_lags(batch.now_s))
        relative = trees.predict(found.values[:, column], resource, HORIZON_S)
        value = relative + found.log_scale[:, column, None]
        floored: FloatArray = np.maximum(value, found.log_floor[:, column, None])
        return floored.astype(np.float32, copy=False)

    return predict


def forecaster_predictor(bundle: Bundle, resource: str) -> Callable[[WindowBatch], FloatArray]:
    """Return the forecaster as a predictor; a fresh workload has no tracker of its own yet."""
    forecaster, clock = Forecaster(bundle), Clock()
    column, place = RESOURCES.index(resource), HORIZONS_S.index(HORIZON_S)

    def predict(batch: WindowBatch) -> FloatArray:
        rows = np.arange(len(batch), dtype=np.int64)
        found: FloatArray = forecaster.forecast(batch, rows, clock).log_quantiles
        return found[:, column, place].copy()

    return predict
