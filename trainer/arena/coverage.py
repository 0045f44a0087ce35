"""How often the peak stays below its quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.baselines.rolling import trailing_max
from recommender.kpis import BIN_S, LEVELS
from trainer.arena.bootstrap import Interval, interval, weights
from trainer.arena.fleet import Fleet
from trainer.arena.quantile_run import QuantileRun
from trainer.arena.sweep import TOLERANCE
from trainer.dataset import LEAST_SEEN

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LEAST_LABELS: Final = 24
"""Entities with fewer judged forecasts have no coverage of their own."""

TENTH_AT: Final = 0.95


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of one resource and horizon over one population.

    Attributes:
        levels: share of peaks at or below each quantile of :data:`recommender.kpis.LEVELS`.
        interval: 95 % interval of each, over groups.
        tenth: 10th percentile over entities of the coverage at q95; NaN without entities enough.
        forecasts: judged forecasts.
    """

    levels: tuple[float, ...]
    interval: tuple[Interval | None, ...]
    tenth: float
    forecasts: int


def future_peak(peak: FloatArray, bins: IntArray, span: int) -> FloatArray:
    """Return float32 ``[E, len(bins)]``: the peak over the ``span`` bins after each of ``bins``.

    NaN where the future is not over, or less than 70 % of it was recorded.
    """
    total = peak.shape[1]
    whole = bins + span < total
    ends = np.minimum(bins + span, total - 1)
    top = trailing_max(peak, span)[:, ends]
    seen = np.cumsum(np.isfinite(peak), axis=1)
    share = (seen[:, ends] - seen[:, ends - span]) / span
    return np.where(whole & (share >= LEAST_SEEN), top, np.nan).astype(np.float32)


def coverage(
    run: QuantileRun, fleet: Fleet, resource: str, horizon_s: int, members: BoolArray
) -> Coverage | None:
    """Return the coverage of hourly forecasts; None where nothing can be judged."""
    if not run.has(resource, horizon_s):
        return None
    bins = run.bins[(run.bins >= fleet.start) & (run.bins < fleet.source.bins - 1)]
    peak = future_peak(fleet.usage(resource).peak, bins, horizon_s // BIN_S)[members]
    quantiles = np.exp(run.at(resource, horizon_s, bins)[:, members]).transpose(1, 0, 2)
    judged = np.isfinite(peak) & np.isfinite(quantiles).all(axis=-1)
    if not judged.any():
        return None
    below = (peak[..., None] <= quantiles * (1 + TOLERANCE)) & judged[..., None]
    held, count = below.sum(axis=1).astype(np.float64), judged.sum(axis=1).astype(np.float64)
    group = fleet.group[members]
    draw = weights(group)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (draw @ held) / (draw @ count)[:, None]
    enough = count >= LEAST_LABELS
    own = held[enough, LEVELS.index(TENTH_AT)] / count[enough]
    groups = len(np.unique(group[count > 0]))
    return Coverage(
        tuple((held.sum(axis=0) / count.sum()).tolist()),
        tuple(interval(drawn[:, level], groups) for level in range(len(LEVELS))),
        float(np.quantile(own, 0.1)) if len(own) else float("nan"),
        int(count.sum()),
    )
