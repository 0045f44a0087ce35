"""From forecasts to requests: target, bounds and the reason for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.forecaster import Forecast
from recommender.kpis import HORIZONS_S, RESOURCES
from recommender.sizing.holding import HeldRequests
from recommender.sizing.policy import Policy, ResourcePolicy
from recommender.sizing.price import choose
from recommender.telemetry.window import WindowBatch

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SIZED: Final = ("cpu", "memory")
"""The resources that a request exists for; network is forecast only."""

REASONS: Final = (
    "held: the forecast peak fits and lowering would free too little",
    "raised: the peak until the next decision is forecast above the request",
    "lowered: the forecast peak is well below the request",
    "first: no request was known",
    "kept: nothing was seen of this resource for 15 days",
    "no number: nothing was seen of this resource",
)
_KEPT: Final = len(REASONS) - 2
DAY_S: Final = 86400
LEAST_CHANGE: Final = 0.02
"""Smaller changes are not worth the patch."""

_NO_NUMBER: Final = len(REASONS) - 1


@dataclass(frozen=True, slots=True)
class Sizing:
    """Decisions for some containers.

    Attributes:
        target: float32 ``[n, 2]``, request for cpu (cores) and memory (bytes) from now on; NaN
            where there is no number to give.
        lower: as ``target`` and never above it; a request below it should be raised.
        upper: as ``target`` and never below it; a request above it should be lowered.
        reason: int64 ``[n, 2]``, place in ``reasons``.
        reasons: the texts.
    """

    target: FloatArray
    lower: FloatArray
    upper: FloatArray
    reason: IntArray
    reasons: tuple[str, ...] = REASONS


def undecided(n: int) -> Sizing:
    """Return the sizing of ``n`` containers about which nothing was decided."""
    nothing = np.full((n, len(SIZED)), np.nan, np.float32)
    return Sizing(nothing, nothing, nothing, np.full((n, len(SIZED)), _NO_NUMBER, np.int64))


class Sizer:
    """Sizes containers, remembering what is applied and what was changed when.

    Args:
        policy: how cautious.
        every_s: time until the next decision.
    """

    def __init__(self, policy: Policy, every_s: int) -> None:
        self._policy = policy
        self._every_s = every_s
        # Decisions no more frequent than the budget allows cannot overspend it.
        free = every_s * policy.changes_per_day >= DAY_S
        self._held = {
            resource: HeldRequests(
                0,
                lower_by=LEAST_CHANGE if free else rule.lower_by,
                lower_by_spent=LEAST_CHANGE if free else rule.lower_by_spent,
                changes_per_day=policy.changes_per_day + (1 if free else 0),
                kept_for_raises=0 if free else policy.kept_for_raises,
            )
            for resource, rule in (("cpu", policy.cpu), ("memory", policy.memory))
        }

    def assume(self, rows: IntArray, requests: FloatArray) -> None:
        """Take requests as they are in force, such as a cluster reports them.

        They cost no change of the budget.

        Args:
            rows: int64 ``[n]``, where each container's state is kept.
            requests: float32 ``[n, 2]``, cpu (cores) and memory (bytes); NaN where unknown, which
                leaves what is remembered.
        """
        for place, resource in enumerate(SIZED):
            held = self._held[resource]
            held.extend(int(rows.max(initial=-1)) + 1)
            known = np.isfinite(requests[:, place])
            held.applied[rows[known]] = requests[known, place]

    def decide(self, batch: WindowBatch, rows: IntArray, forecast: Forecast) -> Sizing:
        """Decide for the containers of a forecast, at the time it was made.

        Args:
            batch: the windows that the forecast was made from.
            rows: int64 ``[n]``, where each container's state is kept.
            forecast: of the same containers.
        """
        n = len(rows)
        size = int(rows.max(initial=-1)) + 1
        target, lower, upper = (np.full((n, len(SIZED)), np.nan, np.float32) for _ in range(3))
        reason = np.full((n, len(SIZED)), _NO_NUMBER, np.int64)
        for place, resource in enumerate(SIZED):
            rule: ResourcePolicy = getattr(self._policy, resource)
            held = self._held[resource]
            held.extend(size)
            need, ahead = self._wanted(forecast, rule, RESOURCES.index(resource))
            all_need = np.full(len(held.applied), np.nan, np.float32)
            all_ahead = all_need.copy()
            all_need[rows], all_ahead[rows] = need, ahead
            change = held.decide(batch.now_s, all_need, all_ahead)[rows]
            applied = held.applied[rows]
            known = np.isfinite(applied)
            target[:, place] = applied
            lower[:, place] = np.where(known, np.fmin(need, applied), np.nan)
            # Above this request, lowering to what the forecast asks for would pay.
            most = np.fmax(applied, ahead / (1 - rule.lower_by))
            upper[:, place] = np.where(known, most, np.nan)
            reason[known, place] = np.where(np.isfinite(need), change, _KEPT)[known]
        return Sizing(target, lower, upper, reason)

    def _wanted(
        self, forecast: Forecast, rule: ResourcePolicy, resource: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return what must be covered until the next decision, and what a change goes to."""
        until = _horizon(self._every_s)
        further = _horizon(max(self._every_s, rule.ahead_s))
        quantiles = forecast.log_quantiles[:, resource]
        ahead = _choose(quantiles[:, further], rule.ahead_level, rule)
        if until == further:
            return ahead, ahead
        need = _choose(quantiles[:, until], rule.need_level, rule)
        return need, np.fmax(need, ahead)


def _choose(log_quantiles: FloatArray, level: float, rule: ResourcePolicy) -> FloatArray:
    return choose(log_quantiles, level, rule.reference, rule.power) * np.float32(rule.margin)


def _horizon(span_s: int) -> int:
    """Return the place of the shortest horizon that covers ``span_s``; the longest if none does."""
    for place, horizon in enumerate(HORIZONS_S):
        if horizon >= span_s:
            return place
    return len(HORIZONS_S) - 1
