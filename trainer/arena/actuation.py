"""Decisions as they are applied: through the product's own holding and change budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import BIN_S
from recommender.sizing.holding import HeldRequests
from recommender.sizing.sizer import LEAST_CHANGE
from recommender.telemetry.window import RECENT_BINS
from trainer.arena.fleet import Fleet

FloatArray = NDArray[np.float32]

UNLIMITED: Final = 10**6
SIGNIFICANT: Final = 0.05
"""A change counts as one where it moves the request by more than this share."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often is decided, and what a change costs.

    Attributes:
        name: as shown.
        every_bins: bins from one decision to the next.
        changes_per_day: most changes in any 24 hours; None: each decision is applied as it is.
    """

    name: str
    every_bins: int
    changes_per_day: int | None = None

    @property
    def every_s(self) -> int:
        """Seconds from one decision to the next."""
        return self.every_bins * BIN_S

    @property
    def budgeted(self) -> bool:
        """Whether changes are spent from a budget."""
        return self.changes_per_day is not None


HOURLY: Final = Cadence("1h", 12)
FIVE_MINUTES: Final = Cadence("5m", 1)
QUARTER_HOUR: Final = Cadence("15m", 3)
DAILY: Final = Cadence("24h", 288)
BUDGET_24: Final = Cadence("24/day", 1, 24)
BUDGET_12: Final = Cadence("12/day", 1, 12)
CADENCES: Final = (HOURLY, QUARTER_HOUR, FIVE_MINUTES, DAILY, BUDGET_24, BUDGET_12)


@dataclass(frozen=True, slots=True)
class Thrift:
    """How changes are saved under a budget; see :class:`.HeldRequests`.

    Attributes:
        lower_by: least share of the request that lowering must free.
        lower_by_spent: the same when the budget is all but spent.
        kept_for_raises: changes that lowering must leave over.
    """

    lower_by: float
    lower_by_spent: float
    kept_for_raises: int

    def __str__(self) -> str:
        """Return a label."""
        if self.lower_by == self.lower_by_spent:
            return f"lower by {self.lower_by:.0%}"
        return f"lower by {self.lower_by:.0%} to {self.lower_by_spent:.0%}"


PLAIN: Final = Thrift(LEAST_CHANGE, LEAST_CHANGE, 0)
"""Without a budget: only what is not worth a patch is left as it is."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Requests in force, bin by bin.

    Attributes:
        limits: float32 ``[K, E, served]``; NaN before an entity's first decision.
        changes: float64 ``[K, E]``, changes of more than 5 % per day.
        most_in_a_day: int64 ``[K, E]``, most changes of any size in 24 hours.
    """

    limits: FloatArray
    changes: NDArray[np.float64]
    most_in_a_day: NDArray[np.int64]


def apply(
    fleet: Fleet, cadence: Cadence, need: FloatArray, ahead: FloatArray, thrift: Thrift = PLAIN
) -> Applied:
    """Run wanted requests through :class:`recommender.sizing.holding.HeldRequests`.

    All of it is homogeneous: twice the wanted requests are applied at twice the height, so a
    multiplier can be swept afterwards.

    Args:
        fleet: whose times are walked.
        cadence: when decisions fall.
        need: float32 ``[K, E, decisions]``, what must be covered until the next decision.
        ahead: as ``need``, what a change goes to.
        thrift: how changes are saved.
    """
    knobs, entities, decisions = need.shape
    held = HeldRequests(
        knobs * entities,
        lower_by=thrift.lower_by,
        lower_by_spent=thrift.lower_by_spent,
        changes_per_day=UNLIMITED if cadence.changes_per_day is None else cadence.changes_per_day,
        kept_for_raises=thrift.kept_for_raises,
    )
    wanted = np.ascontiguousarray(need.reshape(-1, decisions).T)
    target = wanted if ahead is need else np.ascontiguousarray(ahead.reshape(-1, decisions).T)
    applied = np.empty_like(wanted)
    most = np.zeros(knobs * entities, np.int64)
    for place, index in enumerate(fleet.decisions(cadence.every_bins).tolist()):
        held.decide(fleet.end_s(index), wanted[place], target[place])
        applied[place] = held.applied
        np.maximum(most, held.changes_in_last_day, out=most)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.abs(np.diff(applied, axis=0)) > SIGNIFICANT * applied[:-1]
    days = fleet.served / RECENT_BINS
    limits = np.repeat(applied, cadence.every_bins, axis=0)[: fleet.served]
    return Applied(
        np.ascontiguousarray(limits.T).reshape(knobs, entities, fleet.served),
        (moved.sum(axis=0) / days).reshape(knobs, entities),
        most.reshape(knobs, entities),
    )
