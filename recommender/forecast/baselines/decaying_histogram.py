"""The Vertical Pod Autoscaler's decaying histogram, as a live object."""

from __future__ import annotations

import math

import numpy as np

from recommender.forecast.baselines.buckets import ExponentialBuckets

EPSILON = 1e-4  # weight below which a bucket counts as empty
MAX_DECAY_EXPONENT = 100  # half-lives after which the reference time moves

CPU_BUCKETS = ExponentialBuckets(first=0.01, ratio=1.05, maximum=1000.0)
MEMORY_BUCKETS = ExponentialBuckets(first=1e7, ratio=1.05, maximum=1e12)


class DecayingHistogram:
    """A histogram in which a sample loses half of its weight with each half-life.

    A sample at time t weighs ``weight * 2^((t - reference) / half_life)``. The reference is a whole
    multiple of the half-life and moves forward once the exponent passes 100; buckets that fall
    below 1e-4 then count as empty at either end. A percentile is the end of its bucket.
    Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender/util/
    decaying_histogram.go and histogram.go. Upstream's weights: 0.1 for a CPU sample, 1 for the
    memory peak of a day; 24 h half-life for both.

    Args:
        buckets: how values fall into buckets.
        half_life_s: half-life of a weight, seconds, above 0.
    """

    def __init__(self, buckets: ExponentialBuckets, half_life_s: float = 86400.0) -> None:
        if half_life_s <= 0:
            raise ValueError(f"the half-life must be above 0 s, not {half_life_s}")
        self._buckets = buckets
        self._half_life_s = half_life_s
        self._weights = np.zeros(buckets.count)
        self._total = 0.0
        self._reference_s: float | None = None
        self._first = buckets.count - 1  # first and last bucket that are not empty
        self._last = 0

    @property
    def is_empty(self) -> bool:
        """Whether no bucket weighs enough to count."""
        return bool(self._weights[self._first] < EPSILON)

    @property
    def total_weight(self) -> float:
        """Sum of all weights, relative to the reference time."""
        return self._total

    def add_sample(self, value: float, weight: float, time_s: float) -> None:
        """Add a sample; what is no measurement (NaN, infinite, negative) is passed over.

        Args:
            value: in the unit of the buckets.
            weight: before the decay, not negative.
            time_s: when it was measured, seconds since the epoch.

        Raises:
            ValueError: when the weight is negative.
        """
        if weight < 0:
            raise ValueError(f"a sample's weight must not be negative, not {weight}")
        if not math.isfinite(value) or value < 0:
            return
        decayed = weight * self._decay_factor(time_s)
        bucket = int(self._buckets.find(value))
        self._weights[bucket] += decayed
        self._total += decayed
        if self._weights[bucket] >= EPSILON:
            self._first = min(self._first, bucket)
            self._last = max(self._last, bucket)

    def subtract_sample(self, value: float, weight: float, time_s: float) -> None:
        """Take back a sample that :meth:`add_sample` was given with the same arguments.

        Raises:
            ValueError: when the weight is negative.
        """
        if weight < 0:
            raise ValueError(f"a sample's weight must not be negative, not {weight}")
        if not math.isfinite(value) or value < 0:
            return
        decayed = weight * self._decay_factor(time_s)
        bucket = int(self._buckets.find(value))
        if decayed > self._weights[bucket] - EPSILON:
            decayed = float(self._weights[bucket])
        self._weights[bucket] -= decayed
        self._total -= decayed
        self._narrow()

    def percentile(self, level: float) -> float:
        """End of the bucket in which the cumulative weight reaches ``level`` of the total.

        Args:
            level: between 0 and 1.

        Returns:
            In the unit of the buckets; 0.0 when empty, as upstream. The last bucket has no end and
            gives its start.
        """
        if self.is_empty:
            return 0.0
        sums = np.cumsum(self._weights[self._first : self._last])
        reached = int(np.searchsorted(sums, level * self._total, side="left"))
        return float(self._buckets.ends[self._first + reached])

    def _decay_factor(self, time_s: float) -> float:
        newest = -math.inf if self._reference_s is None else self._newest_s(self._reference_s)
        if self._reference_s is None or time_s > newest:
            self._move_reference(time_s)
        reference_s = 0.0 if self._reference_s is None else self._reference_s
        return float(2.0 ** ((time_s - reference_s) / self._half_life_s))

    def _newest_s(self, reference_s: float) -> float:
        return reference_s + MAX_DECAY_EXPONENT * self._half_life_s

    def _move_reference(self, time_s: float) -> None:
        moved = math.floor(time_s / self._half_life_s + 0.5) * self._half_life_s
        if self._reference_s is not None:
            exponent = math.floor((self._reference_s - moved) / self._half_life_s + 0.5)
            factor = math.ldexp(1.0, exponent)
            self._weights[self._first : self._last + 1] *= factor
            self._total *= factor
            self._narrow()
        self._reference_s = moved

    def _narrow(self) -> None:
        while self._weights[self._first] < EPSILON and self._first < self._buckets.count - 1:
            self._first += 1
        while self._weights[self._last] < EPSILON and self._last > 0:
            self._last -= 1
