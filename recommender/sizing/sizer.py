"""From forecasts to requests: target, bounds and the reason for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.forecaster import Forecast
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from recommender.sizing.holding import HeldRequests
from recommender.sizing.policy import Policy, ResourcePolicy
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
    "no number: nothing was seen of this resource",
)
_NO_NUMBER: Final = len(REASONS) - 1


@dataclass(frozen=True, slots=True)
class Sizing:
    """Decisions for some containers.

    Attributes:
        target: float32 ``[n, 2]``, request for cpu (cores) and memory (bytes) from now on; NaN
            where there is no number to give.
        lower: as ``target``; a request below it should be raised.
        upper: as ``target``; a request above it should be lowered.
        reason: int64 ``[n, 2]``, place in ``reasons``.
        reasons: the texts.
    """

    target: FloatArray
    lower: FloatArray
    upper: FloatArray
    reason: IntArray
    reasons: tuple[str, ...] = REASONS


class Sizer:
    """Sizes containers, remembering what is applied and what was changed when.

    Args:
        policy: how cautious.
        every_s: time until the next decision.
    """

    def __init__(self, policy: Policy, every_s: int) -> None:
        self._policy = policy
        self._every_s = every_s
        self._held = {
            resource: HeldRequests(
                0,
                lower_by=rule.lower_by,
                changes_per_day=policy.changes_per_day,
                kept_for_raises=policy.kept_for_raises,
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
        """Decide for the containers of a forecast.

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
            lower[:, place] = np.minimum(need, applied)
            # Above this request, lowering to what the forecast asks for would pay.
            upper[:, place] = np.maximum(applied, ahead / (1 - rule.lower_by))
            reason[known, place] = change[known]
        return Sizing(target, lower, upper, reason)

    def _wanted(
        self, forecast: Forecast, rule: ResourcePolicy, resource: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return what must be covered until the next decision, and what a change goes to."""
        until = _horizon(self._every_s)
        further = _horizon(max(self._every_s, rule.ahead_s))
        quantiles = forecast.log_quantiles[:, resource]
        need_level = rule.ahead_level if until == further else rule.need_level
        need = np.exp(quantiles[:, until, LEVELS.index(need_level)]) * rule.margin
        ahead = np.exp(quantiles[:, further, LEVELS.index(rule.ahead_level)]) * rule.margin
        return need, np.fmax(need, ahead)


def _horizon(span_s: int) -> int:
    """Return the place of the shortest horizon that covers ``span_s``; the longest if none does."""
    for place, horizon in enumerate(HORIZONS_S):
        if horizon >= span_s:
            return place
    return len(HORIZONS_S) - 1
