"""When a request is changed: raised ahead of need, lowered where it pays, within a budget."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SLOT_S: Final = 300
SLOTS: Final = 288
HOLD: Final = 0
RAISED: Final = 1
LOWERED: Final = 2
FIRST: Final = 3

RAISE_OVER: Final = 1.001
"""A need above the request by less than this is rounding, and no reason to spend a change."""


class HeldRequests:
    """The requests of many containers for one resource, changed only where it pays.

    A request is raised as soon as the peak until the next decision is forecast above it (by more
    than rounding), and then to what the coming hour needs. It is lowered only where that frees
    enough of it, and while the budget of changes in the last 24 hours leaves ``kept_for_raises``
    over; the share that counts as enough grows with the square of the share of the budget spent,
    so that the last changes go where they pay most. A raise is never refused.

    Args:
        rows: number of containers.
        lower_by: least share of the request that lowering must free with the budget untouched.
        lower_by_spent: the same with the budget all but spent; ``lower_by`` by default.
        changes_per_day: most changes in any 24 hours.
        kept_for_raises: changes that lowering must leave over.
    """

    def __init__(
        self,
        rows: int,
        *,
        lower_by: float,
        changes_per_day: int,
        kept_for_raises: int,
        lower_by_spent: float | None = None,
    ) -> None:
        self._lower_by = lower_by
        self._dearer = (lower_by if lower_by_spent is None else lower_by_spent) - lower_by
        # Of a budget no larger than what is kept, one change may still lower; of none, none.
        least = min(changes_per_day, 1)
        self._most_before_lowering = max(changes_per_day - kept_for_raises, least)
        self._slot: int | None = None
        self.applied = np.full(rows, np.nan, np.float32)
        self._changed = np.zeros((SLOTS, rows), np.uint8)
        self._used = np.zeros(rows, np.int32)

    def extend(self, rows: int) -> None:
        """Make room for ``rows`` containers in all."""
        more = rows - len(self.applied)
        if more > 0:
            self.applied = np.concatenate((self.applied, np.full(more, np.nan, np.float32)))
            self._changed = np.concatenate(
                (self._changed, np.zeros((SLOTS, more), np.uint8)), axis=1
            )
            self._used = np.concatenate((self._used, np.zeros(more, np.int32)))

    @property
    def changes_in_last_day(self) -> NDArray[np.int32]:
        """Changes of each row in the last 24 hours."""
        return self._used.copy()

    def decide(self, now_s: int, need: FloatArray, ahead: FloatArray) -> NDArray[np.uint8]:
        """Change what pays; the new requests are then in :attr:`applied`.

        Args:
            now_s: the time; one before the last call's counts as that.
            need: float32 ``[rows]``, what must be covered until the next decision; NaN: unknown,
                the row stays as it is.
            ahead: as ``need``, what a change goes to; at least ``need`` is taken.

        Returns:
            uint8 ``[rows]``: HOLD, RAISED, LOWERED or FIRST.
        """
        slot = self._forget(now_s)
        ahead = np.fmax(need, ahead)
        known = np.isfinite(need)
        first = known & ~np.isfinite(self.applied)
        with np.errstate(invalid="ignore"):
            raised = known & (need > self.applied * np.float32(RAISE_OVER))
            frees = (ahead <= self.applied * (1 - self._enough())) & (ahead < self.applied)
        lowered = known & frees & ~raised & (self._used < self._most_before_lowering)
        changed = first | raised | lowered
        self.applied = np.where(changed, ahead, self.applied).astype(np.float32)
        spent = raised | lowered
        self._changed[slot] += spent
        self._used += spent
        return np.select([first, raised, lowered], [FIRST, RAISED, LOWERED], HOLD).astype(np.uint8)

    def _enough(self) -> FloatArray:
        """Return the share of each request that lowering must free, float32 ``[rows]``."""
        spent = np.minimum(self._used / max(self._most_before_lowering, 1), 1)
        enough: FloatArray = (self._lower_by + self._dearer * spent**2).astype(np.float32)
        return enough

    def _forget(self, now_s: int) -> int:
        """Let changes of more than 24 hours ago age out; return now's slot."""
        now = now_s // SLOT_S
        if self._slot is None:
            self._slot = now
        now = max(now, self._slot)
        passed = min(now - self._slot, SLOTS)
        for back in range(passed):
            aged = (now - back) % SLOTS
            self._used -= self._changed[aged]
            self._changed[aged] = 0
        self._slot = now
        return now % SLOTS
