"""How cautious a recommendation is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

Profile = Literal["cost", "balanced", "safe"]


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """How one resource is sized.

    Attributes:
        need_level: quantile level of the peak until the next decision, which the request covers.
        ahead_level: quantile level of the peak over ``ahead_s``, to which a change goes.
        margin: factor on both.
        lower_by: a request is lowered only where that frees at least this share of it.
        ahead_s: how far ahead a change looks; at least the time until the next decision.
    """

    need_level: float
    ahead_level: float
    margin: float
    lower_by: float
    ahead_s: int = 3600


@dataclass(frozen=True, slots=True)
class Policy:
    """How a container is sized.

    Attributes:
        cpu: rules for CPU.
        memory: rules for memory.
        changes_per_day: most changes of each resource in any 24 hours.
        kept_for_raises: changes of that budget which lowering must leave over.
    """

    cpu: ResourcePolicy
    memory: ResourcePolicy
    changes_per_day: int = 24
    kept_for_raises: int = 4


BALANCED: Final = Policy(
    cpu=ResourcePolicy(need_level=0.98, ahead_level=0.95, margin=1.0, lower_by=0.2),
    memory=ResourcePolicy(
        need_level=0.995, ahead_level=0.99, margin=1.05, lower_by=0.1, ahead_s=21600
    ),
)

POLICIES: Final[dict[Profile, Policy]] = {
    "cost": replace(
        BALANCED, cpu=replace(BALANCED.cpu, need_level=0.95, ahead_level=0.9)
    ),
    "balanced": BALANCED,
    "safe": replace(
        BALANCED,
        cpu=replace(BALANCED.cpu, need_level=0.995, ahead_level=0.99, margin=1.1),
        memory=replace(BALANCED.memory, margin=1.2, ahead_s=86400),
    ),
}
