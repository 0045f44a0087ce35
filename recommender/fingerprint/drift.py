"""Whether a workload has become another: how far its fingerprint has moved.

A fingerprint moves a little all the time. What is usual is learned from recorded histories: the
distances of fingerprints of the same workload at two times, over many workloads and pairs of
times. A move beyond the conformal quantile of those is rarer than chance allows, as far as the
histories go (Vovk, Gammerman, Shafer 2005: with ``n`` exchangeable distances, a further one is
beyond their ``ceil(level (n + 1))``-th smallest with probability at most ``1 - level``).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.fingerprint.neighbours import cosine_distance

FloatArray = NDArray[np.float32]

LEVEL: Final = 0.99
"""A day's move beyond the threshold that this level gives is reported: 1 in 100 by chance."""


def usual_moves(then: FloatArray, now: FloatArray) -> FloatArray:
    """Return the cosine distances, float32 ``[m]``, of pairs in which both sides are known.

    Args:
        then: float32 ``[..., d]``, fingerprints of some workloads at some times; NaN or zeros
            where a workload was not there.
        now: as ``then``, of the same workloads at the later times.
    """
    known = _known(then) & _known(now)
    return cosine_distance(then[known], now[known])


def drift_threshold(distances: FloatArray, level: float = LEVEL) -> float | None:
    """Return the distance beyond which a move is unusual; None: too few to tell at this level.

    Args:
        distances: ``[m]``, see :func:`usual_moves`.
        level: share of usual moves that must lie at or below it, above 0 and below 1.
    """
    rank = math.ceil(level * (len(distances) + 1))
    return float(np.sort(distances)[rank - 1]) if rank <= len(distances) else None


def _known(fingerprints: FloatArray) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.isfinite(fingerprints).all(axis=-1) & (fingerprints != 0).any(
        axis=-1
    )
    return found
