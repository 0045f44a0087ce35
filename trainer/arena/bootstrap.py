"""Confidence intervals: whole groups are drawn again, since their entities are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROUNDS: Final = 400
SEED: Final = 20260101
LEAST_GROUPS: Final = 5
"""With fewer groups an interval would say more than is known."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A central 95 % interval.

    Attributes:
        low: lower end.
        high: upper end; None where the method may never get to the rate.
    """

    low: float
    high: float | None


def weights(group: IntArray, rounds: int = ROUNDS, seed: int = SEED) -> DoubleArray:
    """Return how often each entity counts in each round.

    Args:
        group: int64 ``[E]``, the entities' groups; all of a group are drawn together.
        rounds: number of draws.
        seed: the same one gives the same draws, so that methods are compared in pairs.

    Returns:
        float64 ``[rounds, E]``.
    """
    names, member = np.unique(group, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
    return drawn[:, member].astype(np.float64)


def interval(values: DoubleArray, groups: int) -> Interval | None:
    """Return the central 95 % of ``values``; None where too few groups or draws can tell.

    A draw in which a method never gets to the wanted rate counts as infinitely dear, not as
    absent.
    """
    if groups < LEAST_GROUPS or len(values) == 0:
        return None
    filled = np.where(np.isnan(values), np.inf, values)
    low, high = np.quantile(filled, (0.025, 0.975), method="inverted_cdf")
    if not np.isfinite(low):
        return None
    return Interval(float(low), float(high) if np.isfinite(high) else None)
