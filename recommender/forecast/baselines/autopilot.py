"""Autopilot's moving window recommenders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from recommender.forecast.baselines.buckets import ExponentialBuckets
from recommender.forecast.baselines.protocol import (
    BINS_PER_HOUR,
    DoubleArray,
    FloatArray,
    IntArray,
    Resource,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, pick, trailing_max
from recommender.forecast.baselines.row_histograms import decayed_percentiles

Estimator = Literal["average", "maximum", "load_percentile", "intermediate"]

# "About 400 buckets" is all the paper says; these are 391, 3 % wide.
CPU_BUCKETS: Final = ExponentialBuckets(first=3e-4, ratio=1.03, maximum=1e3)
MEMORY_BUCKETS: Final = ExponentialBuckets(first=3e6, ratio=1.03, maximum=1e13)

_HOLD_BACK = BINS_PER_HOUR  # the recommendation acted on is the largest of the last hour
_ROWS = 256


@dataclass(frozen=True)
class AutopilotWindow:
    """One of Autopilot's statistics over a decaying window, plus a margin.

    With weights w[tau] = 2^(-tau / half-life), half-life 12 h for CPU and 48 h for memory, s the
    five-minute usage and b the upper bounds of the histogram's buckets:

    - ``average``: S_avg = sum of w * mean usage / sum of w. The knob is the half-life in hours.
    - ``maximum``: S_max = highest non-empty bucket of the last N samples. The knob is N in hours;
      the paper gives none.
    - ``load_percentile``: S_pj = percentile j of the load-adjusted histogram
      h[k] = b[k] * sum of w * s[k]: the level below which j percent of the *load* lies, not of the
      time. The knob is j as a share. (CPU of services: 0.95 or 0.9; memory: 0.98.)
    - ``intermediate``: max(S_p60, 0.5 * S_max), for memory. The knob is N in hours.

    Then a margin of 10 to 15 %, less for large limits (here 15 % up to 1 core or 1 GiB, falling
    with the logarithm to 10 % at ten times that), and the maximum of the recommendations of the
    last hour. Source: Rzadca et al., "Autopilot: workload autoscaling at Google" (EuroSys 2020),
    section 3.2.1. The paper's CPU histograms hold one-second samples; recorded bins hold one each:
    the bin's peak, for ``average`` its mean.

    Attributes:
        estimator: which statistic.
        values: of the statistic's knob.
        unit: cores or bytes in one unit of the usage.
    """

    estimator: Estimator
    values: tuple[float, ...]
    resource: Resource = "cpu"
    unit: float = 1.0
    causal: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """``autopilot_`` and the statistic."""
        return f"autopilot_{self.estimator}"

    @property
    def knobs(self) -> tuple[float, ...]:
        """Half-lives, windows or percentiles; see the class."""
        return self.values

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        mean = observed(usage.mean)
        picked = checked(decisions, hold_bins, peak.shape[1])
        before = np.arange(_HOLD_BACK)
        needed = np.unique((picked[:, None] - before).ravel())
        needed = needed[needed >= 0]
        result = np.empty((len(self.values), peak.shape[0], len(picked)), dtype=np.float32)
        for start in range(0, peak.shape[0], _ROWS):
            part = slice(start, start + _ROWS)
            raw = self._statistic(peak[part], mean[part], needed)
            result[:, part] = self._acted_on(raw, needed, picked, peak.shape[1])
        return or_running_max(result, peak, picked)

    @property
    def _buckets(self) -> ExponentialBuckets:
        return CPU_BUCKETS if self.resource == "cpu" else MEMORY_BUCKETS

    def _acted_on(
        self, raw: FloatArray, needed: IntArray, decisions: IntArray, bins: int
    ) -> FloatArray:
        """Margin, then the maximum of the last hour; float32 ``[values, entities, decisions]``."""
        large = (1.0 if self.resource == "cpu" else 2.0**30) / self.unit
        with np.errstate(divide="ignore", invalid="ignore"):
            decades = np.clip(np.log10(raw / large), 0.0, 1.0)
        padded = raw * (1.15 - 0.05 * decades)
        shape = (raw.shape[1], bins)
        result = np.empty((*raw.shape[:2], len(decisions)), dtype=np.float32)
        for row in range(len(self.values)):
            spread = np.full(shape, np.nan, dtype=np.float32)
            spread[:, needed] = padded[row]
            result[row] = pick(trailing_max(spread, _HOLD_BACK), decisions)
        return result

    def _statistic(self, peak: FloatArray, mean: FloatArray, needed: IntArray) -> FloatArray:
        """float32 ``[values, entities, needed]`` before the margin."""
        if self.estimator == "average":
            found = [decayed_mean(mean, needed, hours * BINS_PER_HOUR) for hours in self.values]
            return np.stack(found)
        if self.estimator == "load_percentile":
            return self._load_percentiles(peak, needed, self.values)
        highest = [
            self._bucketed(pick(trailing_max(peak, round(hours * BINS_PER_HOUR)), needed))
            for hours in self.values
        ]
        if self.estimator == "maximum":
            return np.stack(highest)
        share = self._load_percentiles(peak, needed, (0.6,))
        larger: FloatArray = np.fmax(share, np.float32(0.5) * np.stack(highest))
        return larger

    def _bucketed(self, values: FloatArray) -> FloatArray:
        """Each value as the upper bound of its bucket."""
        buckets = self._buckets
        found = buckets.find(values.astype(np.float64) * self.unit)
        bounds = (buckets.ends / self.unit).astype(np.float32)
        return np.where(found >= 0, bounds[found], np.float32(np.nan)).astype(np.float32)

    def _load_percentiles(
        self, peak: FloatArray, needed: IntArray, levels: tuple[float, ...]
    ) -> FloatArray:
        buckets = self._buckets
        half_life_h = 12.0 if self.resource == "cpu" else 48.0
        members = buckets.find(peak.astype(np.float64) * self.unit)
        load: DoubleArray = buckets.ends[members]
        found = decayed_percentiles(
            members,
            load,
            buckets.count,
            needed,
            levels,
            half_life_bins=half_life_h * BINS_PER_HOUR,
        )
        bounds = (buckets.ends / self.unit).astype(np.float32)
        return np.where(found >= 0, bounds[found], np.float32(np.nan)).astype(np.float32)


def decayed_mean(values: FloatArray, decisions: IntArray, half_life_bins: float) -> FloatArray:
    """Mean of everything seen, a sample of age a weighing 2^(-a / half_life_bins).

    Args:
        values: float32 ``[entities, bins]``, NaN for gaps.
        decisions: ascending bin indices.
        half_life_bins: half-life of a weight.

    Returns:
        float32 ``[entities, decisions]``, NaN before the first sample.
    """
    entities = values.shape[0]
    keep = math.exp2(-1.0 / half_life_bins)
    valid = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values, nan=0.0).astype(np.float64)
    total, weight = np.zeros(entities), np.zeros(entities)
    result = np.full((entities, len(decisions)), np.nan, dtype=np.float32)
    start = 0
    for column, decision in enumerate(decisions.tolist()):
        fresh = slice(start, decision + 1)
        ages = np.arange(decision - start, -1, -1, dtype=np.float64)
        weights = keep**ages
        decay = keep ** (decision + 1 - start)
        total = total * decay + filled[:, fresh] @ weights
        weight = weight * decay + valid[:, fresh] @ weights
        start = decision + 1
        known = weight > 0
        result[known, column] = total[known] / weight[known]
    return result


def autopilot_windows(resource: Resource, unit: float = 1.0) -> tuple[AutopilotWindow, ...]:
    """All statistics that the paper uses for a resource, its first choice as the first knob."""
    if resource == "cpu":
        return (
            AutopilotWindow("average", (12.0, 48.0), resource, unit),
            AutopilotWindow("load_percentile", (0.95, 0.9, 0.98, 0.995), resource, unit),
            AutopilotWindow("maximum", (12.0, 48.0), resource, unit),
        )
    return (
        AutopilotWindow("load_percentile", (0.98, 0.9, 0.995), resource, unit),
        AutopilotWindow("maximum", (48.0, 168.0), resource, unit),
        AutopilotWindow("intermediate", (48.0, 168.0), resource, unit),
    )
