"""From irregular samples to the five-minute grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import BIN_S

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bins:
    """Maximum and mean of one series inside consecutive bins.

    Attributes:
        first_end_s: end of the first bin, a multiple of the bin width.
        peak: float32 ``[bins]``, NaN where a bin has no valid sample.
        mean: as ``peak``.
    """

    first_end_s: int
    peak: FloatArray
    mean: FloatArray


def bin_end(timestamp_s: IntArray, bin_s: int = BIN_S) -> IntArray:
    """Return the end of the right-closed bin ``(end - bin_s, end]`` that holds each timestamp."""
    return -(-timestamp_s // bin_s) * bin_s


def to_bins(
    timestamp_s: IntArray,
    value: NDArray[np.floating],
    first_end_s: int,
    bins: int,
    peak_value: NDArray[np.floating] | None = None,
    bin_s: int = BIN_S,
) -> Bins:
    """Place the samples of one series on the grid.

    Samples may come in any order and more than once; invalid ones (NaN, infinite, negative) and
    those outside the grid are left out.

    Args:
        timestamp_s: int64 ``[samples]``, seconds since the epoch.
        value: ``[samples]``, in the KPI's unit.
        first_end_s: end of the grid's first bin.
        bins: the grid's length.
        peak_value: ``[samples]``, the maximum inside each sample's own interval, where the
            source has one; otherwise the sample itself.
        bin_s: width of a bin.
    """
    slot = (bin_end(timestamp_s, bin_s) - first_end_s) // bin_s
    good = (slot >= 0) & (slot < bins) & np.isfinite(value) & (value >= 0)
    top = value if peak_value is None else np.where(np.isfinite(peak_value), peak_value, value)
    slot, kept, top = slot[good], value[good].astype(np.float64), top[good].astype(np.float32)
    count = np.bincount(slot, minlength=bins)
    total = np.bincount(slot, weights=kept, minlength=bins)
    peak = np.full(bins, -np.inf, np.float32)
    np.maximum.at(peak, slot, top)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return Bins(first_end_s, np.where(count > 0, peak, np.float32(np.nan)), mean)
