"""Exact quantiles of a trailing window, for all entities at once."""

from __future__ import annotations

import numpy as np

from recommender.forecast.baselines.protocol import FloatArray, IntArray
from recommender.forecast.baselines.row_histograms import RowHistograms

_ROWS = 128  # of one chunk: its counts, one per entity and bin, stay within some 30 MB


def trailing_quantiles(
    values: FloatArray, decisions: IntArray, window: int, levels: tuple[float, ...]
) -> tuple[FloatArray, IntArray]:
    """Quantiles of the last ``window`` bins at each decision, linear between order statistics.

    The same as ``numpy.nanquantile`` and as PromQL's ``quantile_over_time``: with n samples the
    quantile q lies at position q * (n - 1) of the sorted window. Each row keeps counts over the
    ranks of its values, added as they enter the window and taken away as they leave. A rank needs
    the whole row, but only orders values that the window holds, so nothing later is read.

    Args:
        values: float32 ``[entities, bins]``, NaN for gaps.
        decisions: ascending bin indices.
        window: bins in the window, at least 1.
        levels: quantiles in [0, 1].

    Returns:
        float32 ``[levels, entities, decisions]``, NaN where the window is empty, and int64
        ``[entities, decisions]``, the number of samples in each window.
    """
    entities = values.shape[0]
    found = np.full((len(levels), entities, len(decisions)), np.nan, dtype=np.float32)
    counts = np.zeros((entities, len(decisions)), dtype=np.int64)
    for first in range(0, entities, _ROWS):
        part = slice(first, first + _ROWS)
        found[:, part], counts[part] = _of_chunk(values[part], decisions, window, levels)
    return found, counts


def _of_chunk(
    values: FloatArray, decisions: IntArray, window: int, levels: tuple[float, ...]
) -> tuple[FloatArray, IntArray]:
    entities, bins = values.shape
    order = np.argsort(values, axis=1, kind="stable")  # NaN last
    ordered = np.take_along_axis(values, order, axis=1).astype(np.float64)
    ranks = np.empty((entities, bins), dtype=np.int64)
    np.put_along_axis(ranks, order, np.arange(bins)[None, :], axis=1)
    ranks[np.isnan(values)] = -1

    rows = RowHistograms(entities, bins)
    wanted = np.asarray(levels, dtype=np.float64)
    found = np.full((len(levels), entities, len(decisions)), np.nan, dtype=np.float32)
    counts = np.zeros((entities, len(decisions)), dtype=np.int64)
    low, high = 0, 0  # the window holds the bins low .. high - 1
    for column, decision in enumerate(decisions.tolist()):
        next_low, next_high = max(0, decision + 1 - window), decision + 1
        if next_low >= high:
            rows.clear()
            low = high = next_low
        _shift(rows, ranks, low, next_low, -1.0)
        _shift(rows, ranks, high, next_high, 1.0)
        low, high = next_low, next_high
        count = rows.totals()
        position = np.maximum(count - 1, 0)[:, None] * wanted
        below = np.floor(position)
        above = np.minimum(below + 1, np.maximum(count - 1, 0)[:, None])
        at = rows.find(np.concatenate([below, above], axis=1) + 1)
        at = np.minimum(at, bins - 1)
        pair = np.take_along_axis(ordered, at, axis=1)
        lower, upper = pair[:, : len(levels)], pair[:, len(levels) :]
        quantile = lower + (upper - lower) * (position - below)
        found[:, :, column] = np.where(count[:, None] > 0, quantile, np.nan).T
        counts[:, column] = count
    return found, counts


def _shift(rows: RowHistograms, ranks: IntArray, start: int, end: int, weight: float) -> None:
    moved = ranks[:, start:end]
    row, offset = np.nonzero(moved >= 0)
    rows.add(row, moved[row, offset], np.full(len(row), weight))
