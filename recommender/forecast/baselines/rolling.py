"""Trailing windows over matrices with gaps: maxima, means, standard deviations.

All take float32 ``[entities, bins]`` with NaN for gaps and skip the gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from recommender.forecast.baselines.protocol import FloatArray, IntArray

_WINDOW_ELEMENTS = 4_000_000  # of one chunk of expanded windows: 32 MB in float64


def running_max(values: FloatArray) -> FloatArray:
    """Maximum of everything up to and including each bin; NaN before the first sample."""
    return np.fmax.accumulate(values, axis=1)


def trailing_max(values: FloatArray, window: int) -> FloatArray:
    """Maximum of the last ``window`` bins, the bin itself included.

    By doubling: after step k each bin holds the maximum of its last 2^k bins; two overlapping spans
    make any window. So log2(window) passes, whatever the data.

    Returns:
        float32 ``[entities, bins]``; NaN where the window holds no sample.

    Raises:
        ValueError: when ``window`` is less than 1.
    """
    if window < 1:
        raise ValueError(f"a window must hold at least one bin, not {window}")
    result = values.copy()
    window = min(window, values.shape[1])
    span = 1
    while span < window:
        shift = min(span, window - span)
        # The right-hand side is a new array: shifting in place would read what was just written.
        result[:, shift:] = np.fmax(result[:, shift:], result[:, :-shift])
        span += shift
    return result


def pick(values: FloatArray, bins: IntArray) -> FloatArray:
    """Take columns; NaN where an index lies outside the matrix.

    Returns:
        float32 ``[entities, len(bins)]``.
    """
    total = values.shape[1]
    inside = (bins >= 0) & (bins < total)
    if total == 0:
        return np.full((values.shape[0], len(bins)), np.nan, dtype=np.float32)
    taken = values[:, np.where(inside, bins, 0)]
    return np.where(inside, taken, np.float32(np.nan)).astype(np.float32)


def or_running_max(limits: FloatArray, values: FloatArray, decisions: IntArray) -> FloatArray:
    """Fill what a method could not say with the maximum seen so far.

    Args:
        limits: float32 ``[..., entities, decisions]``.
        values: the usage that the decisions see.
        decisions: int64 ``[decisions]``.

    Returns:
        float32 like ``limits``, NaN only before an entity's first sample.
    """
    seen = pick(running_max(values), decisions)
    filled = np.where(np.isfinite(limits), limits, seen)
    return np.where(np.isnan(seen), np.float32(np.nan), filled).astype(np.float32)


def trailing_mean_std(
    values: FloatArray, decisions: IntArray, window: int
) -> tuple[FloatArray, FloatArray]:
    """Mean and population standard deviation of the last ``window`` bins at each decision.

    In two passes over each window and not from running sums, so that one absurd value (1e12) does
    not spoil the digits of every window after it.

    Returns:
        Two float32 ``[entities, decisions]``; NaN where the window holds no sample.
    """
    entities, _ = values.shape
    shape = (entities, len(decisions))
    mean = np.full(shape, np.nan, dtype=np.float32)
    std = np.full(shape, np.nan, dtype=np.float32)
    rows = max(1, _WINDOW_ELEMENTS // max(1, len(decisions) * window))
    for first in range(0, entities, rows):
        part = values[first : first + rows]
        padded = np.pad(part, ((0, 0), (window - 1, 0)), constant_values=np.nan)
        windows = sliding_window_view(padded, window, axis=1)[:, decisions].astype(np.float64)
        valid = ~np.isnan(windows)
        windows[~valid] = 0.0
        count = valid.sum(axis=2)
        centre = windows.sum(axis=2) / np.maximum(count, 1)
        windows -= centre[:, :, None]
        windows[~valid] = 0.0
        spread = np.sqrt(np.einsum("edw,edw->ed", windows, windows) / np.maximum(count, 1))
        empty = count == 0
        mean[first : first + rows] = np.where(empty, np.nan, centre)
        std[first : first + rows] = np.where(empty, np.nan, spread)
    return mean, std
