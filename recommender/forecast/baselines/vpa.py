"""The Vertical Pod Autoscaler's recommender, replayed over whole histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from recommender.forecast.baselines.decaying_histogram import CPU_BUCKETS, MEMORY_BUCKETS
from recommender.forecast.baselines.protocol import (
    BIN_S,
    BINS_PER_DAY,
    DoubleArray,
    FloatArray,
    IntArray,
    Resource,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max
from recommender.forecast.baselines.row_histograms import BucketArray, decayed_percentiles

_WINDOWS = 32  # daily peaks looked back on: the next one would weigh 2^-32
_CHUNK_ELEMENTS = 4_000_000
_UNBOUNDED = 1e14  # what upstream's arithmetic is clamped to when nothing is known yet


@dataclass(frozen=True)
class VpaBounds:
    """What a VPA's status would hold, each float32 ``[entities, decisions]``."""

    lower: FloatArray
    target: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Vpa:
    """Percentile of a decaying histogram, times 1.15.

    CPU: each sample weighs the same (0.1 upstream), decayed by a half-life of 24 h, in buckets from
    0.01 core that grow by 5 %. Memory: one sample a day, the peak of each 24 h window counted from
    the entity's first sample, stamped at the window's end, the running window's peak included;
    buckets from 10 MB. A percentile is the end of its bucket. target = (1 + margin) * P90,
    lower = (1 + margin) * P50 * (1 + 0.001 / c)^-2, upper = (1 + margin) * P95 * (1 + 1 / c),
    with c = min(days between first and last sample, samples / 1440), a five-minute bin counting as
    the five one-minute samples that it stands for. Floors are left out. Upstream keeps eight daily
    peaks of memory alive by default (older ones weigh 2^-8 and less and are never cut out of the
    histogram); here 32, which comes to the same.
    Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender: model/container.go,
    model/aggregations_config.go, logic/estimator.go, util/histogram.go. The knob is the percentile.

    Attributes:
        unit: cores or bytes in one unit of the usage, for sources in fractions of a machine:
            buckets are in cores and bytes. 1.0 takes the numbers as they are.
        series: which of a bin's numbers is the sample. Upstream sees averages of about a minute,
            which lie between the five-minute mean and the peak.
    """

    resource: Resource = "cpu"
    percentiles: tuple[float, ...] = (0.9,)
    margin: float = 0.15
    half_life_h: float = 24.0
    unit: float = 1.0
    series: Literal["peak", "mean"] = "peak"
    name: str = "vpa"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Percentiles of the target."""
        return self.percentiles

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        values = observed(usage.peak if self.series == "peak" else usage.mean)
        picked = checked(decisions, hold_bins, values.shape[1])
        return or_running_max(self._percentiles(values, picked, self.percentiles), values, picked)

    def bounds(self, usage: UsageMatrix, decisions: IntArray) -> VpaBounds:
        """Lower bound, target and upper bound as they would stand in the VPA's status.

        Args:
            usage: the whole history.
            decisions: int64 ``[decisions]``, ascending bin indices.

        Returns:
            Three float32 ``[entities, decisions]``; NaN before the first sample. With a single
            sample the confidence is 0: upper is 1e14 (unbounded, clamped as upstream), lower 0.

        Raises:
            ValueError: as :meth:`limits`.
        """
        values = observed(usage.peak if self.series == "peak" else usage.mean)
        picked = checked(decisions, 1, values.shape[1])
        lower, target, upper = self._percentiles(values, picked, (0.5, 0.9, 0.95))
        confidence = _confidence(values, picked)
        with np.errstate(divide="ignore"):
            doubt = 1.0 / confidence
        return VpaBounds(
            lower=(lower * (1.0 + 0.001 * doubt) ** -2).astype(np.float32),
            target=target,
            upper=np.minimum(upper * (1.0 + doubt), _UNBOUNDED).astype(np.float32),
        )

    def _percentiles(
        self, values: FloatArray, decisions: IntArray, levels: tuple[float, ...]
    ) -> FloatArray:
        """float32 ``[levels, entities, decisions]``, margin included."""
        if self.resource == "cpu":
            buckets, unit = CPU_BUCKETS, self.unit
            half_life_bins = self.half_life_h * 3600 / BIN_S
            found = decayed_percentiles(
                buckets.find(values.astype(np.float64) * unit),
                None,
                buckets.count,
                decisions,
                levels,
                half_life_bins=half_life_bins,
            )
        else:
            buckets, unit = MEMORY_BUCKETS, self.unit
            found = _daily_peak_percentiles(
                buckets.find(values.astype(np.float64) * unit),
                decisions,
                levels,
                self.half_life_h / 24.0,
            )
        ends = (buckets.ends * (1.0 + self.margin) / unit).astype(np.float32)
        return np.where(found >= 0, ends[found], np.float32(np.nan)).astype(np.float32)


def _confidence(values: FloatArray, decisions: IntArray) -> DoubleArray:
    """Days of evidence at each decision, float64 ``[entities, decisions]``; NaN before any."""
    seen = ~np.isnan(values)
    counts = np.cumsum(seen, axis=1)[:, decisions]
    bins = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(seen, bins, -1), axis=1)[:, decisions]
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), 0)[:, None]
    days = np.minimum((last - first) / BINS_PER_DAY, counts / BINS_PER_DAY)
    return np.where(counts > 0, days, np.nan)


def _daily_peak_percentiles(
    buckets: IntArray, decisions: IntArray, levels: tuple[float, ...], half_life_windows: float
) -> BucketArray:
    """Percentile buckets over decayed daily peaks.

    Args:
        buckets: int64 ``[entities, bins]``, -1 where there is no sample.
        decisions: ascending bin indices.
        levels: percentiles in (0, 1).
        half_life_windows: half-life in windows of 24 h.

    Returns:
        int16 ``[levels, entities, decisions]``; -1 where no sample was seen yet.
    """
    entities, bins = buckets.shape
    seen = buckets >= 0
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), bins)
    running, finished = _window_peaks(buckets, first)
    weights = np.exp2(-np.arange(_WINDOWS + 1) / half_life_windows)
    found = np.full((len(levels), entities, len(decisions)), -1, dtype=np.int16)
    step = max(1, _CHUNK_ELEMENTS // max(1, entities * (_WINDOWS + 1)))
    for start in range(0, len(decisions), step):
        part = decisions[start : start + step]
        window = (part[None, :] - first[:, None]) // BINS_PER_DAY  # [entities, part]
        back = window[:, :, None] - np.arange(1, _WINDOWS + 1)
        rows = np.arange(entities)[:, None, None]
        past = np.where(back >= 0, finished[rows, np.maximum(back, 0)], -1)
        peaks = np.concatenate([running[:, part][:, :, None], past], axis=2)
        order = np.argsort(peaks, axis=2, kind="stable")
        peaks = np.take_along_axis(peaks, order, axis=2)
        sums = np.cumsum(np.where(peaks >= 0, weights[order], 0.0), axis=2)
        for row, level in enumerate(levels):
            at = (sums < level * sums[:, :, -1:]).sum(axis=2, keepdims=True)
            at = np.minimum(at, _WINDOWS)
            found[row, :, start : start + step] = np.take_along_axis(peaks, at, axis=2)[:, :, 0]
    return found


def _window_peaks(buckets: IntArray, first: IntArray) -> tuple[BucketArray, BucketArray]:
    """Peak of the running window at each bin, and of each window when it is over.

    Returns:
        int16 ``[entities, bins]`` and int16 ``[entities, windows]``; -1 for no sample.
    """
    entities, bins = buckets.shape
    windows = max(1, -(-bins // BINS_PER_DAY))
    running = np.full((entities, bins), -1, dtype=np.int16)
    finished = np.full((entities, windows), -1, dtype=np.int16)
    for row, start in enumerate(first.tolist()):
        length = bins - start
        if length <= 0:
            continue
        count = -(-length // BINS_PER_DAY)
        padded = np.full(count * BINS_PER_DAY, -1, dtype=np.int16)
        padded[:length] = buckets[row, start:]
        peaks = np.maximum.accumulate(padded.reshape(count, BINS_PER_DAY), axis=1)
        running[row, start:] = peaks.reshape(-1)[:length]
        finished[row, :count] = peaks[:, -1]
    return running, finished
