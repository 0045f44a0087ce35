"""LightGBM over the judged time, plain and behind the product's own tracker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.fingerprint.features import FeatureBatch, features
from recommender.forecast.calibration import CoverageTracker
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import HOUR_S, WindowBatch
from trainer.arena.fleet import Fleet
from trainer.arena.lightgbm_training import QuantileTrees
from trainer.arena.quantile_run import WARM_BINS, QuantileRun

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

HOURLY_TARGETS: Final = (
    ("cpu", 300),
    ("cpu", 900),
    ("cpu", 3600),
    ("cpu", 86400),
    ("memory", 3600),
    ("memory", 86400),
)
FINE_TARGETS: Final = (("cpu", 300), ("cpu", 900), ("cpu", 3600))
BLOCK: Final = 24
_BELOW_ALL: Final = np.float32(-60.0)


def hourly_bins(fleet: Fleet) -> IntArray:
    """Return the full hours from the trackers' warming up to the end of the judged time."""
    first = max(fleet.start - WARM_BINS, fleet.start % 12)
    return np.arange(first, fleet.source.bins - 1, 12, dtype=np.int64)


def predict(
    trees: QuantileTrees,
    fleet: Fleet,
    bins: IntArray,
    targets: tuple[tuple[str, int], ...],
    progress: Callable[[int], None] = lambda _: None,
) -> QuantileRun:
    """Run the trees at some bins.

    Args:
        trees: the models.
        fleet: whose windows are read.
        bins: int64 ``[n]``, decisions.
        targets: resource and horizon of what to predict.
        progress: called with the number of decisions done.
    """
    wanted = [target for target in targets if fleet.has(target[0])]
    resources = sorted({resource for resource, _ in wanted})
    shape = (len(bins), len(fleet), len(HORIZONS_S), len(LEVELS))
    found = {resource: np.full(shape, np.nan, np.float32) for resource in resources}
    clock = Clock()
    for first in range(0, len(bins), BLOCK):
        block = bins[first : first + BLOCK]
        parts = [_features(fleet.source.window(int(index), fleet.rows), clock) for index in block]
        for resource, horizon in wanted:
            column, place = RESOURCES.index(resource), HORIZONS_S.index(horizon)
            rows = np.concatenate([part.values[:, column] for part in parts])
            scale = np.stack([part.log_scale[:, column] for part in parts])
            relative = trees.predict(rows, resource, horizon)
            shaped = relative.reshape(len(block), len(fleet), len(LEVELS))
            floor = np.stack([part.log_floor[:, column] for part in parts])
            value = np.maximum(shaped + scale[..., None], floor[..., None])
            found[resource][first : first + len(block), :, place] = value
        progress(len(block))
    return QuantileRun(bins, HORIZONS_S, found)


def tracked(
    fleet: Fleet, hourly: QuantileRun, fine: QuantileRun | None
) -> tuple[QuantileRun, QuantileRun | None]:
    """Put both runs behind a :class:`recommender.forecast.calibration.CoverageTracker`.

    It learns at each full hour from what has matured, and corrects what is forecast until the
    next, as in the service.
    """
    tracker = CoverageTracker()
    rows = np.arange(len(fleet), dtype=np.int64)
    slow = {name: values.copy() for name, values in hourly.log_quantiles.items()}
    quick = {} if fine is None else {name: v.copy() for name, v in fine.log_quantiles.items()}
    fine_bins = np.zeros(0, np.int64) if fine is None else fine.bins
    for place, index in enumerate(hourly.bins.tolist()):
        batch: WindowBatch = fleet.source.window(index, fleet.rows)
        if batch.now_s % HOUR_S:
            raise ValueError("the tracker learns at full hours only")
        issued = _full(hourly, place)
        tracker.learn(batch, rows)
        tracker.issue(batch.now_s, rows, issued)
        _write(slow, place, tracker.correct(rows, issued))
        if fine is not None:
            begin, stop = np.searchsorted(fine_bins, [index, index + 12]).tolist()
            for spot in range(begin, stop):
                _write(quick, spot, tracker.correct(rows, _full(fine, spot)))
    corrected = QuantileRun(hourly.bins, hourly.horizons, slow)
    return corrected, None if fine is None else QuantileRun(fine.bins, fine.horizons, quick)


def _features(batch: WindowBatch, clock: Clock) -> FeatureBatch:
    return features(batch, clock.day_lags(batch.now_s))


def _full(run: QuantileRun, place: int) -> FloatArray:
    """Return ``[E, 4, horizons, levels]``; a horizon not run lies below all others."""
    entities = next(iter(run.log_quantiles.values())).shape[1]
    full = np.full((entities, len(RESOURCES), len(HORIZONS_S), len(LEVELS)), np.nan, np.float32)
    for resource, values in run.log_quantiles.items():
        # Peaks never shrink with the horizon, so a missing number would spoil the longer ones.
        ran = np.isfinite(values[place])
        full[:, RESOURCES.index(resource)] = np.where(ran, values[place], _BELOW_ALL)
    return full


def _write(found: dict[str, FloatArray], place: int, corrected: FloatArray) -> None:
    for resource, values in found.items():
        ran = np.isfinite(values[place])
        values[place] = np.where(ran, corrected[:, RESOURCES.index(resource)], values[place])
