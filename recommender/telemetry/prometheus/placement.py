"""From decoded series to rectangles on the grid, and from replicas to workloads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.telemetry.prometheus.decode import Matrix

FloatArray = NDArray[np.float32]

LARGEST = float(np.finfo(np.float32).max)
_SLACK_S = 0.01  # servers write times in milliseconds


def place(matrix: Matrix, first_end_s: int, step_s: int, bins: int) -> FloatArray:
    """Place each series of an answer on the grid.

    Samples may come in any order. NaN, infinities, negative values and times outside the grid are
    left out; of several samples in one bin the largest counts.

    Args:
        matrix: the answer.
        first_end_s: end of the first bin.
        step_s: width of a bin; a sample at ``t`` belongs to the bin ``(e - step_s, e]`` with t.
        bins: the grid's length.

    Returns:
        float32 ``[series, bins]``, NaN where nothing was placed.
    """
    grid = np.full((len(matrix), bins), np.nan, np.float32)
    if bins == 0 or len(matrix.value) == 0:
        return grid
    slot = _slots(matrix.timestamp_s, first_end_s, step_s, bins)
    with np.errstate(invalid="ignore"):
        good = (slot >= 0) & (slot < bins) & (matrix.value >= 0) & (matrix.value <= LARGEST)
    row_start = np.repeat(np.arange(len(matrix), dtype=np.int64) * bins, np.diff(matrix.starts))
    flat, value = row_start + slot, matrix.value
    if not good.all():
        flat, value = flat[good], value[good]
    value32 = value.astype(np.float32)
    target = grid.reshape(-1)
    if (flat[1:] > flat[:-1]).all():
        target[flat] = value32
    else:
        np.fmax.at(target, flat, value32)
    return grid


def combine(rows: FloatArray, owner: NDArray[np.int64], owners: int) -> FloatArray:
    """Return the maximum over the rows of each owner.

    Args:
        rows: float32 ``[rows, bins]``.
        owner: int64 ``[rows]``, in ``0 .. owners - 1``.
        owners: number of owners.

    Returns:
        float32 ``[owners, bins]``; NaN where none of an owner's rows has a value.
    """
    out = np.full((owners, rows.shape[1]), np.nan, np.float32)
    if len(rows):
        order, present, begin = _grouped(owner)
        out[present] = np.fmax.reduceat(rows[order], begin, axis=0)
    return out


def moments(
    rows: FloatArray, owner: NDArray[np.int64], owners: int
) -> tuple[FloatArray, FloatArray, NDArray[np.uint16]]:
    """Return sum, sum of squares and number of the rows of each owner that have a value.

    Returns:
        float32, float32 and uint16 ``[owners, bins]``; 0 where none has.
    """
    shape = (owners, rows.shape[1])
    total, squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    count = np.zeros(shape, np.uint16)
    if len(rows):
        order, present, begin = _grouped(owner)
        ordered = rows[order].astype(np.float64)
        seen = np.isfinite(ordered)
        ordered[~seen] = 0.0
        total[present] = np.minimum(np.add.reduceat(ordered, begin, axis=0), LARGEST)
        squared = np.add.reduceat(np.square(ordered), begin, axis=0)
        squares[present] = np.minimum(squared, LARGEST)
        count[present] = np.add.reduceat(seen.astype(np.uint16), begin, axis=0)
    return total, squares, count


def _slots(
    timestamp_s: NDArray[np.int64] | NDArray[np.float64], first_end_s: int, step_s: int, bins: int
) -> NDArray[np.int64]:
    # Clipped first: a hostile time must not wrap around.
    low, high = first_end_s - 2 * step_s, first_end_s + bins * step_s
    if timestamp_s.dtype.kind == "i":
        whole: NDArray[np.int64] = np.clip(timestamp_s, low, high).astype(np.int64, copy=False)
        slots: NDArray[np.int64] = -((first_end_s - whole) // step_s)
        return slots
    near = np.clip(np.nan_to_num(timestamp_s.astype(np.float64), nan=low), low, high)
    upper: NDArray[np.int64] = np.ceil((near - _SLACK_S - first_end_s) / step_s).astype(np.int64)
    return upper


def _grouped(
    owner: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(owner, kind="stable")
    present, begin = np.unique(owner[order], return_index=True)
    return order, present, begin
