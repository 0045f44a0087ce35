"""Sixteen-bit logarithmic codes: the window's half-precision number format.

IEEE half floats overflow at 65,504 and lose small values beside large ones, so they can hold
neither bytes nor a workload that grows a thousandfold. A logarithmic code keeps one relative
error (at most 0.05 %) from 1e-9 to 2.9e19, orders like the value (so maxima and quantiles are
taken on codes), and gives the logarithm, which the forecaster works in, for free.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

CodeArray = NDArray[np.uint16]

MISSING: Final = 0
ZERO: Final = 1
STEP: Final = 0.001
SMALLEST: Final = 1e-9
LOG_SMALLEST: Final = float(np.log(SMALLEST))

_VALUES: Final = np.concatenate(
    ([np.nan, 0.0], np.exp(LOG_SMALLEST + STEP * np.arange(1, 65535, dtype=np.float64)))
).astype(np.float32)


def encode(values: ArrayLike) -> CodeArray:
    """Return the codes of ``values`` (any shape).

    NaN, infinities and negative values become :data:`MISSING`: no KPI can be below zero, so a
    negative reading is a fault of the source and never evidence of usage.
    """
    value = np.asarray(values, dtype=np.float64)
    good = np.isfinite(value) & (value >= 0)
    safe = np.where(good, np.maximum(value, SMALLEST), SMALLEST)
    code = np.rint((np.log(safe) - LOG_SMALLEST) / STEP) + ZERO
    return np.where(good, np.clip(code, ZERO, 65535), MISSING).astype(np.uint16)


def decode(codes: CodeArray) -> NDArray[np.float32]:
    """Return the values of ``codes`` as float32; NaN where missing."""
    return np.take(_VALUES, codes)


def logarithm(codes: CodeArray) -> NDArray[np.float32]:
    """Return the natural logarithm of the coded values as float32.

    Zero gives ``log(1e-9)``, missing gives NaN.
    """
    log = (codes.astype(np.float32) - ZERO) * np.float32(STEP) + np.float32(LOG_SMALLEST)
    return np.where(codes == MISSING, np.float32(np.nan), log)
