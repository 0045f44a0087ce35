"""Quantiles that never cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def monotone(quantiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``[..., horizons, levels]`` with running maxima along levels, then along horizons.

    A higher level's quantile is never lower, nor is a longer window's peak. The running maximum
    along the second axis keeps the order along the first.
    """
    rising = np.maximum.accumulate(quantiles, axis=-1)
    return np.maximum.accumulate(rising, axis=-2)
