"""Which quantile to pay for: misses are spent where they save most.

A fixed level misses equally often everywhere, whatever a miss saves. On a container whose peaks
hardly scatter, the step from the 95th to the 99.5th percentile costs next to nothing; on one with
a heavy tail it may double the request. So the request is the one that minimises

    request + price * size**power * reference**(1 - power) * P(peak > request),

the newsvendor's rule with a penalty that grows more slowly than the container: small ones are
guarded well, since that is cheap. With power 1 every container would be treated alike relative to
its size; with 0 a miss would cost the same everywhere. A container of the reference size whose
peaks scatter as usual gets the nominal level that the price was derived from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import LEVELS

FloatArray = NDArray[np.float32]

USUAL_SPREAD: Final = 0.15
"""Relative growth of the quantile for each e-fold of rarity, as usual on recorded workloads."""

_DEPTH: Final = -np.log(1 - np.array(LEVELS))
_GRID: Final = np.concatenate(
    (np.linspace(_DEPTH[0], _DEPTH[-1], 25), _DEPTH[-1] + np.array((0.35, 0.7, 1.4, 2.1)))
)
_RARITY: Final = np.exp(-_GRID).astype(np.float32)


def price_of(level: float) -> float:
    """Return the price at which a usual container gets ``level``."""
    return USUAL_SPREAD / (1 - level)


def choose(log_quantiles: FloatArray, level: float, reference: float, power: float) -> FloatArray:
    """Return the request worth paying for.

    Args:
        log_quantiles: float32 ``[n, levels]``, ascending; NaN rows give NaN.
        level: nominal, between 0.5 and 1.
        reference: the size, in the resource's unit, at which ``level`` holds as it is.
        power: how the penalty grows with the size, 0 to 1.

    Returns:
        float32 ``[n]``, in the resource's unit.
    """
    curve = _curve(log_quantiles)
    limit = np.exp(curve)
    log_size = log_quantiles[:, 1]
    weight = np.exp(power * log_size + (1 - power) * np.float32(np.log(reference)))
    price = np.float32(price_of(level)) * weight
    cost = limit + price[:, None] * _RARITY
    best = np.argmin(np.where(np.isfinite(cost), cost, np.inf), axis=1)
    return np.take_along_axis(limit, best[:, None], axis=1)[:, 0]


def _curve(log_quantiles: FloatArray) -> FloatArray:
    """Return the quantiles on a finer grid, straight in rarity's logarithm, with a tail beyond."""
    found = np.empty((len(log_quantiles), len(_GRID)), np.float32)
    last = len(_DEPTH) - 1
    slope = (log_quantiles[:, last] - log_quantiles[:, last - 2]) / np.float32(
        _DEPTH[last] - _DEPTH[last - 2]
    )
    for place, depth in enumerate(_GRID):
        if depth > _DEPTH[last]:
            found[:, place] = log_quantiles[:, last] + slope * np.float32(depth - _DEPTH[last])
            continue
        below = min(int(np.searchsorted(_DEPTH, depth, side="right")) - 1, last - 1)
        share = np.float32((depth - _DEPTH[below]) / (_DEPTH[below + 1] - _DEPTH[below]))
        found[:, place] = (1 - share) * log_quantiles[:, below] + share * log_quantiles[
            :, below + 1
        ]
    return found
