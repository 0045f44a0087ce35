"""The least that anybody could reserve: knowing the future, and which windows to give up.

The oracle of the tables never violates anything, so where some violations are allowed it is no
bound: giving up one rare spike can be cheaper than covering it. This is the bound. With a price on
each violated window, every decision picks the request that costs least over the windows that it
serves; sweeping the price gives the convex hull of all that can be reached at a fixed cadence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer.arena.sweep import Sweep

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PRICES: Final[DoubleArray] = np.geomspace(1e-6, 1e5, 220)
"""Cores times windows that a violated window is worth."""


def least_sweep(peak: FloatArray, hold: int, floor: float) -> Sweep:
    """Return the hull as a sweep whose multipliers are the prices.

    Args:
        peak: float32 ``[E, served]``, NaN where a bin does not count.
        hold: bins that a request has to hold for.
        floor: least request.
    """
    entities, bins = peak.shape
    decisions = -(-bins // hold)
    padded = np.full((entities, decisions * hold), np.nan)
    padded[:, :bins] = peak
    windows = padded.reshape(entities, decisions, hold)
    counts = np.isfinite(windows)
    served = counts.sum(axis=-1, keepdims=True).astype(np.float64)
    # Giving up the k highest windows leaves the next one to cover; beyond the last, the floor.
    falling = -np.sort(np.where(counts, -windows, 0.0), axis=-1)
    nothing = np.zeros((entities, decisions, 1))
    cover = np.maximum(np.concatenate((falling, nothing), axis=-1), floor)
    given_up = np.minimum(np.arange(hold + 1), served)
    violated, reserved = (np.empty((entities, 1, len(PRICES))) for _ in range(2))
    for place, price in enumerate(PRICES.tolist()):
        best = (served * cover + price * given_up).argmin(axis=-1)[..., None]
        request = np.take_along_axis(cover, best, -1)
        reserved[:, 0, place] = (served * request).sum(axis=(1, 2))
        violated[:, 0, place] = (counts & (windows > request)).sum(axis=(1, 2))
    return Sweep(
        ("price",),
        PRICES,
        counts.sum(axis=(1, 2)).astype(np.float64),
        np.where(counts, windows, 0).sum(axis=(1, 2)),
        violated,
        reserved,
        np.zeros_like(violated),
        np.zeros((entities, 1)),
        np.zeros(1, np.int64),
    )
