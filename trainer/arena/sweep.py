"""What requests reserve and what they miss, for every knob and multiplier at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.telemetry.window import RECENT_BINS
from trainer.arena.actuation import Applied

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_STEP: Final = 0.025
MULTIPLIERS: Final[DoubleArray] = np.exp(_STEP * np.arange(-110, 151))
"""0.064 to 43, 2.5 % apart, 1.0 among them."""

TOLERANCE: Final = 1e-3
"""A window counts as violated where its peak is more than 0.1 % above the request."""

FLOORS: Final[dict[str, float]] = {"cpu": 1e-3, "memory": float(2**20)}
"""The least that anybody can ask for (cores, bytes); requests start from here for every method."""

_CHUNK: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sums over the served windows of each entity, for every knob and multiplier.

    Attributes:
        labels: ``K`` knobs, as text.
        multipliers: float64 ``[M]``.
        windows: float64 ``[E]``, served windows.
        used: float64 ``[E]``, sum of their peaks.
        violated: float64 ``[E, K, M]``, windows above the request.
        reserved: float64 ``[E, K, M]``, sum of requests.
        missed: float64 ``[E, K, M]``, sum of peak minus request over the violated windows.
        changes: float64 ``[E, K]``, changes of more than 5 % per day.
        most_in_a_day: int64 ``[K]``, most changes of an entity in any 24 hours.
    """

    labels: tuple[str, ...]
    multipliers: DoubleArray
    windows: DoubleArray
    used: DoubleArray
    violated: DoubleArray
    reserved: DoubleArray
    missed: DoubleArray
    changes: DoubleArray
    most_in_a_day: IntArray

    @property
    def days(self) -> DoubleArray:
        """Served time of each entity, days; float64 ``[E]``."""
        return self.windows / RECENT_BINS


def sweep(applied: Applied, peak: FloatArray, labels: tuple[str, ...], floor: float) -> Sweep:
    """Sweep a multiplier over applied requests.

    With ``r`` a window's peak over its request, a multiplier ``m`` violates the windows with
    ``r > m``: one histogram of ``r`` per entity and knob answers for all multipliers.

    Args:
        applied: requests in force.
        peak: float32 ``[E, served]``, NaN where a bin does not count.
        labels: of the knobs.
        floor: least request before the multiplier.

    Raises:
        ValueError: a request is not a number where a window counts.
    """
    knobs, entities, bins = applied.limits.shape
    counts = np.isfinite(peak)
    usage = np.where(counts, peak, 0).astype(np.float64)
    places = len(MULTIPLIERS)
    violated, missed = (np.zeros((entities, knobs, places)) for _ in range(2))
    base = np.zeros((entities, knobs))
    rows = max(1, _CHUNK // max(1, entities * bins))
    for first in range(0, knobs, rows):
        part = slice(first, min(first + rows, knobs))
        limit = np.maximum(applied.limits[part].astype(np.float64), floor)
        if not np.isfinite(limit[:, counts]).all():
            raise ValueError("a method gave no number for a window that counts")
        limit = np.where(counts, limit, 0)
        over = _multipliers_below(usage, limit, counts)
        cell = np.arange(limit.shape[0] * entities)[:, None] * (places + 1)
        flat = (over.reshape(-1, bins) + cell).ravel()
        size = limit.shape[0] * entities * (places + 1)
        shape = (limit.shape[0], entities, places + 1)

        def above(weights: DoubleArray | None) -> DoubleArray:
            """Sum over the windows that each multiplier violates."""
            histogram = np.bincount(flat, weights, size).reshape(shape)  # noqa: B023
            tail = np.cumsum(histogram[..., :0:-1], axis=-1)[..., ::-1]
            return np.asarray(tail.transpose(1, 0, 2), np.float64)

        violated[:, part] = above(None)
        peaks = above(np.broadcast_to(usage, limit.shape).ravel())
        missed[:, part] = peaks - MULTIPLIERS * above(limit.ravel())
        base[:, part] = limit.sum(axis=-1).T
    return Sweep(
        labels,
        MULTIPLIERS,
        counts.sum(axis=1).astype(np.float64),
        usage.sum(axis=1),
        violated,
        base[:, :, None] * MULTIPLIERS,
        np.maximum(missed, 0),
        applied.changes.T.copy(),
        applied.most_in_a_day.max(axis=1, initial=0),
    )


def _multipliers_below(usage: DoubleArray, limit: DoubleArray, counts: BoolArray) -> IntArray:
    """Return how many multipliers are too small for each window, ``[K, E, bins]``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(usage / limit) - np.log1p(TOLERANCE)
    ratio = np.where(counts & (usage > 0), ratio, -np.inf)
    # The first multiplier at or above the ratio; a limit of nothing is beyond every multiplier.
    place = np.ceil((ratio - np.log(MULTIPLIERS[0])) / _STEP)
    found: IntArray = np.clip(place, 0, len(MULTIPLIERS)).astype(np.int64)
    return found
