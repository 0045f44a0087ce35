"""Memory: what would have been killed, and what it costs to be killed seldom."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.telemetry.window import RECENT_BINS
from trainer.arena.sweep import TOLERANCE, Sweep

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]

OOM_MULTIPLIERS: Final[DoubleArray] = np.exp(0.05 * np.arange(-16, 61))
"""0.45 to 20, 5 % apart, 1.0 among them."""

BUMP_FACTOR: Final = 1.2
BUMP_BYTES: Final = 100.0 * 2**20
FLOOR_BINS: Final = RECENT_BINS
WEEK_BINS: Final = 7 * RECENT_BINS


def oom_sweep(
    limits: FloatArray,
    changes: DoubleArray,
    peak: FloatArray,
    labels: tuple[str, ...],
    floor: float,
) -> Sweep:
    """Count OOM-equivalents for every knob and multiplier.

    Usage above the request is an OOM kill; one event per episode, which lasts as long as bins
    without interruption are above it. Each bin of it lifts a floor to ``max(1.2 x, x + 100 MiB)``
    of the larger of request and usage, and the floor holds for 24 hours after the last. Since the
    floor answers what happened, a multiplier has to be walked through time of its own.

    Args:
        limits: float32 ``[K, E, served]``, requests in force before the multiplier.
        changes: float64 ``[K, E]``, changes over 5 % per day.
        peak: float32 ``[E, served]``, NaN where a bin does not count.
        labels: of the knobs.
        floor: least request before the multiplier.

    Returns:
        A sweep whose ``windows`` are entity-weeks, ``violated`` events, ``reserved`` includes the
        floors, and ``missed`` is zero.
    """
    knobs, entities, bins = limits.shape
    places = len(OOM_MULTIPLIERS)
    shape = (knobs, places, entities)
    counts = np.isfinite(peak)
    factor = OOM_MULTIPLIERS.astype(np.float32)[None, :, None]
    lifted = np.zeros(shape, np.float32)
    until = np.full(shape, -1, np.int32)
    above = np.zeros(shape, bool)
    events, reserved = np.zeros(shape), np.zeros(shape)
    tolerance = np.float32(1 + TOLERANCE)
    for index in range(bins):
        here = counts[:, index]
        usage = np.where(here, peak[:, index], 0).astype(np.float32)
        wanted = np.fmax(limits[:, None, :, index], np.float32(floor)) * factor
        lifted = np.where(until >= index, lifted, np.float32(0))
        request = np.maximum(wanted, lifted)
        killed = here & (usage > request * tolerance)
        events += killed & ~above
        # A bin without a sample neither ends an episode nor begins one.
        above = np.where(here, killed, above)
        reserved += np.where(here, request, 0)
        if killed.any():
            larger = np.maximum(request, usage)
            bumped = np.maximum(larger * np.float32(BUMP_FACTOR), larger + np.float32(BUMP_BYTES))
            lifted = np.where(killed, bumped, lifted)
            until = np.where(killed, index + FLOOR_BINS, until)
    return Sweep(
        labels,
        OOM_MULTIPLIERS,
        counts.sum(axis=1) / WEEK_BINS,
        np.where(counts, peak, 0).sum(axis=1, dtype=np.float64),
        events.transpose(2, 0, 1),
        reserved.transpose(2, 0, 1),
        np.zeros((entities, knobs, places)),
        changes.T.copy(),
        np.zeros(knobs, np.int64),
    )
