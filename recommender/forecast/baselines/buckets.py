"""How values fall into the buckets of a histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from recommender.forecast.baselines.protocol import DoubleArray, IntArray


@dataclass(frozen=True)
class ExponentialBuckets:
    """Buckets that grow by a constant ratio, as in the Vertical Pod Autoscaler.

    Bucket 0 is ``[0, first)``; bucket n starts at ``first * (ratio^n - 1) / (ratio - 1)``. The
    last one starts at or above ``maximum`` and takes everything beyond it.
    Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender/util/
    histogram_options.go, ``NewExponentialHistogramOptions``.

    Attributes:
        first: width of the first bucket, in the unit of the values.
        ratio: growth from one bucket to the next, above 1.
        maximum: largest value to tell apart.
    """

    first: float
    ratio: float
    maximum: float

    def __post_init__(self) -> None:
        if self.first <= 0 or self.maximum <= 0 or self.ratio <= 1:
            raise ValueError(f"buckets need first, maximum > 0 and ratio > 1: {self}")

    @cached_property
    def count(self) -> int:
        """How many buckets there are."""
        reach = self.maximum * (self.ratio - 1) / self.first + 1
        return math.ceil(math.log(reach) / math.log(self.ratio)) + 1

    @cached_property
    def starts(self) -> DoubleArray:
        """Start of each bucket, float64 ``[count]``."""
        powers = np.power(self.ratio, np.arange(self.count, dtype=np.float64))
        return np.asarray(self.first * (powers - 1) / (self.ratio - 1), dtype=np.float64)

    @cached_property
    def ends(self) -> DoubleArray:
        """What a percentile in each bucket is reported as, float64 ``[count]``.

        The start of the next bucket; the last bucket has no end and reports its start.
        """
        return np.append(self.starts[1:], self.starts[-1])

    def find(self, values: ArrayLike) -> IntArray:
        """Bucket of each value, int64 of the same shape; NaN gives -1, negatives give 0."""
        numbers = np.asarray(values, dtype=np.float64)
        missing = np.isnan(numbers)
        safe = np.where(missing | (numbers < 0), 0.0, numbers)
        steps = np.log(safe * (self.ratio - 1) / self.first + 1) / math.log(self.ratio)
        found = np.minimum(steps, self.count - 1)
        found = np.where(missing, -1, np.where(safe < self.first, 0, found))
        return np.asarray(found, dtype=np.int64)
