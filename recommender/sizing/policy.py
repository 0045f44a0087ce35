"""How cautious a recommendation is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

Profile = Literal["cost", "balanced", "safe"]


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """How one resource is sized.

    Levels are nominal: what a container of the reference size with peaks that scatter as usual
    gets (:mod:`recommender.sizing.price`).

    Attributes:
        need_level: level of the peak until the next decision, which the request covers.
        ahead_level: level of the peak over ``ahead_s``, to which a change goes.
        margin: factor on both.
        reference: the size at which levels hold as they are, in cores or bytes.
        power: how much more a miss on a larger container weighs, 0 to 1.
        lower_by: a request is lowered only where that frees at least this share of it, while the
            budget of changes is untouched.
        lower_by_spent: the same when the budget is all but spent.
        ahead_s: how far ahead a change looks; at least the time until the next decision.
    """

    need_level: float
    ahead_level: float
    margin: float
    reference: float
    power: float
    lower_by: float
    lower_by_spent: float
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
    kept_for_raises: int = 2


BALANCED: Final = Policy(
    cpu=ResourcePolicy(
        need_level=0.985,
        ahead_level=0.985,
        margin=1.0,
        reference=1.0,
        power=0.5,
        lower_by=0.1,
        lower_by_spent=0.9,
    ),
    memory=ResourcePolicy(
        need_level=0.99,
        ahead_level=0.99,
        margin=1.05,
        reference=2.0**30,
        power=0.5,
        lower_by=0.1,
        lower_by_spent=0.9,
        ahead_s=21600,
    ),
)

POLICIES: Final[dict[Profile, Policy]] = {
    "cost": replace(BALANCED, cpu=replace(BALANCED.cpu, need_level=0.96, ahead_level=0.96)),
    "balanced": BALANCED,
    "safe": replace(
        BALANCED,
        cpu=replace(BALANCED.cpu, need_level=0.997, ahead_level=0.997, margin=1.1),
        memory=replace(BALANCED.memory, margin=1.2, ahead_s=86400),
    ),
}
