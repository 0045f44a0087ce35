"""Robusta KRR's ``simple`` strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.forecast.baselines.order_statistics import trailing_quantiles
from recommender.forecast.baselines.protocol import (
    BINS_PER_DAY,
    FloatArray,
    IntArray,
    Resource,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, pick, trailing_max


@dataclass(frozen=True)
class KrrSimple:
    """Percentile of two weeks for CPU, maximum of two weeks with a buffer for memory.

    CPU request = ``quantile_over_time(0.95, ...[14d])``; memory request = 1.15 * maximum over 14 d.
    Fewer than 100 points of its 75-second step (125 minutes, so 25 of ours) and it gives no
    number: the running maximum stands in. Its floors (10 m, 100 MiB) are left out, as all floors
    are in the arena. Source: robusta-dev/krr, robusta_krr/strategies/simple.py.
    The knob is the percentile for CPU, 1 + buffer for memory.

    Attributes:
        history_bins: length of the history, 14 days.
        least_samples: bins with a sample below which there is no recommendation.
    """

    resource: Resource = "cpu"
    percentiles: tuple[float, ...] = (0.95, 0.9, 0.98, 0.99, 1.0)
    buffers: tuple[float, ...] = (1.15,)
    history_bins: int = 14 * BINS_PER_DAY
    least_samples: int = 25
    name: str = "krr_simple"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Percentiles (CPU) or factors on the maximum (memory)."""
        return self.percentiles if self.resource == "cpu" else self.buffers

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        if self.resource == "memory":
            highest = pick(trailing_max(peak, self.history_bins), picked)
            factors = np.asarray(self.buffers, dtype=np.float32)[:, None, None]
            return or_running_max(factors * highest, peak, picked)
        found, counts = trailing_quantiles(peak, picked, self.history_bins, self.percentiles)
        enough = np.where(counts >= self.least_samples, found, np.float32(np.nan))
        return or_running_max(enough.astype(np.float32), peak, picked)
