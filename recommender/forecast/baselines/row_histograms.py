"""One weighted histogram per entity, and percentiles of all of them at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.baselines.protocol import DoubleArray, IntArray

BucketArray = NDArray[np.int16]

_RESCALE_EXPONENT = 64  # growing weights are brought back by this power of two, exactly


class RowHistograms:
    """Weighted histograms side by side, in two levels of about sqrt(buckets) each.

    A search sums the blocks first and then one block only, so that it costs the square root of
    the number of buckets.

    Args:
        rows: how many histograms.
        buckets: how many buckets in each.
    """

    def __init__(self, rows: int, buckets: int) -> None:
        self._width = math.isqrt(max(buckets - 1, 0)) + 1
        blocks = -(-buckets // self._width)
        self._blocks = np.zeros((rows, blocks))
        self._fine = np.zeros((rows, blocks, self._width))
        self._rows = np.arange(rows)[:, None]

    def add(self, rows: IntArray, buckets: IntArray, weights: DoubleArray) -> None:
        """Add weights (negative to take away); three vectors of one length."""
        blocks, width = self._blocks.shape[1], self._width
        np.add.at(self._fine.reshape(-1), rows * (blocks * width) + buckets, weights)
        np.add.at(self._blocks.reshape(-1), rows * blocks + buckets // width, weights)

    def scale(self, factor: float) -> None:
        """Multiply every weight."""
        self._fine *= factor
        self._blocks *= factor

    def clear(self) -> None:
        """Forget everything."""
        self._fine[:] = 0
        self._blocks[:] = 0

    def totals(self) -> DoubleArray:
        """Sum of the weights of each row, float64 ``[rows]``."""
        return np.asarray(self._blocks.sum(axis=1))

    def find(self, thresholds: DoubleArray) -> IntArray:
        """First bucket in which the cumulative weight reaches each threshold.

        Args:
            thresholds: float64 ``[rows, levels]``, above 0 and at most the row's total.

        Returns:
            int64 ``[rows, levels]``; meaningless for an empty row.
        """
        sums = np.cumsum(self._blocks, axis=1)
        block = (sums[:, None, :] < thresholds[:, :, None]).sum(axis=2)
        block = np.minimum(block, self._last(self._blocks)[:, None])
        before = np.where(block > 0, sums[self._rows, block - 1], 0.0)
        fine = self._fine[self._rows, block]  # [rows, levels, width]
        rest = (thresholds - before)[:, :, None]
        inside = (np.cumsum(fine, axis=2) < rest).sum(axis=2)
        over = inside >= self._width
        if over.any():  # the two levels round differently when a threshold is exactly a sum
            inside = np.where(over, self._last(fine), inside)
        return np.asarray(block * self._width + inside, dtype=np.int64)

    @staticmethod
    def _last(weights: DoubleArray) -> IntArray:
        """Index of the last weight above 0 along the last axis; the last index when none is."""
        return np.asarray(weights.shape[-1] - 1 - (weights[..., ::-1] > 0).argmax(axis=-1))


def decayed_percentiles(
    buckets: IntArray,
    weights: DoubleArray | None,
    bucket_count: int,
    decisions: IntArray,
    levels: tuple[float, ...],
    *,
    half_life_bins: float,
) -> BucketArray:
    """Percentile buckets of exponentially decayed histograms at each decision.

    A sample in bin t weighs ``weight * 2^(t / half_life_bins)``; only ratios matter, so the
    weights grow instead of the old ones shrinking, and are rescaled by 2^-64 before they overflow.

    Args:
        buckets: int64 ``[entities, bins]``, -1 where there is no sample.
        weights: float64 ``[entities, bins]`` before the decay; None for 1.
        bucket_count: how many buckets there are.
        decisions: ascending bin indices.
        levels: percentiles in (0, 1).
        half_life_bins: half-life of a weight.

    Returns:
        int16 ``[levels, entities, decisions]``; -1 where no sample was seen yet.
    """
    entities = buckets.shape[0]
    rows = RowHistograms(entities, bucket_count)
    wanted = np.asarray(levels, dtype=np.float64)
    found = np.full((len(levels), entities, len(decisions)), -1, dtype=np.int16)
    reference, start = 0.0, 0
    for column, decision in enumerate(decisions.tolist()):
        while (decision - reference) / half_life_bins > _RESCALE_EXPONENT:
            rows.scale(2.0**-_RESCALE_EXPONENT)
            reference += _RESCALE_EXPONENT * half_life_bins
        fresh = buckets[:, start : decision + 1]
        row, offset = np.nonzero(fresh >= 0)
        factor = np.exp2((start + offset - reference) / half_life_bins)
        if weights is not None:
            factor *= weights[row, start + offset]
        rows.add(row, fresh[row, offset], factor)
        start = decision + 1
        totals = rows.totals()
        at = rows.find(totals[:, None] * wanted)
        found[:, :, column] = np.where(totals[:, None] > 0, at, -1).T
    return found
