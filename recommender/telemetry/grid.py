"""From irregular samples to the five-minute grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import BIN_S

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

LARGEST = float(np.finfo(np.float32).max)
"""A reading above this is a fault of the source, as a negative one is."""


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

    Samples may come in any order and more than once; invalid ones (NaN, infinite, negative, above
    :data:`LARGEST`) and those outside the grid are left out. Where only one of ``value`` and
    ``peak_value`` is valid, it stands for both; a maximum below its own value is not believed.

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
    middle = _valid(value)
    if peak_value is None:
        top = middle
    else:
        top = np.fmax(middle, _valid(peak_value))
        middle = np.where(np.isnan(middle), top, middle)
    good = (slot >= 0) & (slot < bins) & ~np.isnan(middle)
    slot, middle, top = slot[good], middle[good], top[good]
    count = np.bincount(slot, minlength=bins)
    total = np.bincount(slot, weights=middle, minlength=bins)
    peak = np.full(bins, -np.inf)
    np.maximum.at(peak, slot, top)
    seen = count > 0
    return Bins(
        first_end_s,
        np.where(seen, peak, np.nan).astype(np.float32),
        np.where(seen, total / np.maximum(count, 1), np.nan).astype(np.float32),
    )


def _valid(value: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the values as float64, NaN where no KPI can have such a one."""
    wide = value.astype(np.float64)
    return np.where((wide >= 0) & (wide <= LARGEST), wide, np.nan)
