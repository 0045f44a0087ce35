"""What is compared: rules and learned methods, each giving the requests it wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.baselines import Baseline
from recommender.kpis import HORIZONS_S, LEVELS
from recommender.sizing.policy import BALANCED
from recommender.sizing.price import choose
from recommender.telemetry.window import BINS_PER_HOUR, HOUR_S
from trainer.arena.actuation import PLAIN, Cadence, Thrift
from trainer.arena.fleet import Fleet
from trainer.arena.quantile_run import QuantileRun

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

Kind = Literal["rule", "oracle", "bound", "learned", "ours", "ablation"]

SHIPPED: Final = Thrift(
    BALANCED.cpu.lower_by, BALANCED.cpu.lower_by_spent, BALANCED.kept_for_raises
)
THRIFTS: Final = (SHIPPED, Thrift(0.2, 0.2, 4), Thrift(0.35, 0.35, 4))
"""Ways of saving changes, swept under a budget for every method alike."""

RATIOS: Final = (0.8, 1.0, 1.25)
"""Factors on what a rule needs now, against what it goes to, swept under a budget."""

SWEPT_LEVELS: Final = LEVELS[1:]
RULES: Final = {"cpu": BALANCED.cpu, "memory": BALANCED.memory}
_SHIPPED_LEVELS: Final = {rule.need_level for rule in RULES.values()}
NOMINAL_LEVELS: Final = tuple(
    sorted({0.9, 0.94, 0.96, 0.975, 0.985, 0.9925, 0.997, 0.999} | _SHIPPED_LEVELS)
)
"""Levels of the product's own rule that are swept; the shipped ones among them."""

AHEAD_BINS: Final = BINS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Wanted:
    """Requests that a method wants, for some of its knobs.

    Attributes:
        labels: ``K`` knobs, as text.
        need: float32 ``[K, E, decisions]``, what must be covered until the next decision.
        ahead: as ``need``, what a change goes to.
        thrift: how changes are saved.
    """

    labels: tuple[str, ...]
    need: FloatArray
    ahead: FloatArray
    thrift: Thrift = PLAIN


class Method(Protocol):
    """Anything that can be swept.

    Attributes:
        name: unique.
        kind: what it is.
        identity: all that its requests depend on, beside the source and the code; empty where
            they must not be kept.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def kind(self) -> Kind: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def wanted(self, fleet: Fleet, resource: str, cadence: Cadence) -> Iterator[Wanted]:
        """Yield what the method wants at a cadence; nothing where it has no answer."""
        ...


@dataclass(slots=True)
class Rule:
    """A baseline of :mod:`recommender.forecast.baselines`.

    Under a budget it needs its limit for the next five minutes and goes to its limit for the
    coming hour.
    """

    baseline: Baseline
    _kept: dict[tuple[str, str, int, int], FloatArray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The baseline's name."""
        return self.baseline.name

    @property
    def kind(self) -> Kind:
        """An oracle where it reads the future."""
        return "rule" if self.baseline.causal else "oracle"

    @property
    def identity(self) -> str:
        """The baseline with all its settings."""
        return repr(self.baseline)

    def wanted(self, fleet: Fleet, resource: str, cadence: Cadence) -> Iterator[Wanted]:
        """See :class:`Method`."""
        knobs = tuple(f"{knob:g}" for knob in self.baseline.knobs)
        need = self._limits(fleet, resource, cadence.every_bins, cadence.every_bins)
        if not cadence.budgeted:
            yield Wanted(knobs, need, need)
            return
        ahead = self._limits(fleet, resource, cadence.every_bins, AHEAD_BINS)
        for thrift, ratio in product(THRIFTS, RATIOS):
            labels = tuple(f"{knob}, need x{ratio:g}, {thrift}" for knob in knobs)
            yield Wanted(labels, need * np.float32(ratio), ahead, thrift)

    def _limits(self, fleet: Fleet, resource: str, every: int, hold: int) -> FloatArray:
        """Return float32 ``[knobs, E, decisions]``, computed once per fleet and cadence."""
        which = (fleet.name, resource, every, hold)
        if which not in self._kept:
            if any(name != fleet.name for name, *_ in self._kept):
                self._kept.clear()
            usage = fleet.usage(resource)
            self._kept[which] = self.baseline.limits(usage, fleet.decisions(every), hold)
        return self._kept[which]


@dataclass(frozen=True, slots=True)
class QuantileMethod:
    """A method that forecasts quantiles: of the horizon that a decision serves.

    Under a budget it needs a level of the next five minutes' peak and goes to a level of the
    coming hour's. Where the product's own rule chooses, it looks as far ahead as that rule does,
    with and without a budget.

    Attributes:
        name: unique.
        kind: what it is.
        hourly: quantiles at each full hour.
        fine: quantiles at each five minutes; None: hourly and daily decisions only.
        priced: levels are nominal and the product's own rule chooses
            (:mod:`recommender.sizing.price`); otherwise the same quantile serves everywhere.
        identity: see :class:`Method`.
    """

    name: str
    kind: Kind
    hourly: QuantileRun
    fine: QuantileRun | None = None
    priced: bool = False
    identity: str = ""

    def wanted(self, fleet: Fleet, resource: str, cadence: Cadence) -> Iterator[Wanted]:
        """See :class:`Method`."""
        run = self.hourly if cadence.every_bins % BINS_PER_HOUR == 0 else self.fine
        horizon = served_horizon(cadence.every_s)
        if run is None or not run.has(resource, horizon):
            return
        bins = fleet.decisions(cadence.every_bins)
        need = self._by_level(run, resource, horizon, bins)
        names = knob_names(priced=self.priced)
        further = self._further(run, resource, cadence)
        if further == horizon:
            yield Wanted(names, need, need)
            return
        ahead = self._by_level(run, resource, further, bins)
        thrifts = (PLAIN,) if not cadence.budgeted else (SHIPPED,) if self.priced else THRIFTS
        lower = 2 if self.priced else 4
        for first in range(len(names)):
            # What a change goes to is at most the level that is needed at once, or one above.
            others = range(max(first - lower, 0), min(first + 2, len(names)))
            for thrift in thrifts:
                yield Wanted(
                    tuple(f"need {names[first]}, go to {names[to]}, {thrift}" for to in others),
                    np.repeat(need[first][None], len(others), axis=0),
                    ahead[others.start : others.stop],
                    thrift,
                )

    def _further(self, run: QuantileRun, resource: str, cadence: Cadence) -> int:
        """Return the horizon that a change looks at: as far as the product's rule does."""
        horizon = served_horizon(cadence.every_s)
        if cadence.budgeted:
            wanted = RULES[resource].ahead_s if self.priced else HOUR_S
        elif self.priced and cadence.every_s >= HOUR_S:
            wanted = RULES[resource].ahead_s
        else:
            return horizon
        further = served_horizon(max(cadence.every_s, wanted))
        return further if run.has(resource, further) else horizon

    def _by_level(
        self, run: QuantileRun, resource: str, horizon_s: int, bins: IntArray
    ) -> FloatArray:
        """Return float32 ``[levels, E, decisions]``, in cores or bytes."""
        found = run.at(resource, horizon_s, bins).transpose(1, 0, 2)
        return priced_requests(found, resource) if self.priced else level_requests(found)


@dataclass(frozen=True, slots=True)
class GivenLimits:
    """Requests computed elsewhere, for one cadence.

    Attributes:
        name: unique.
        kind: what it is.
        resource: what they are for.
        every_bins: bins from one decision to the next.
        labels: ``K`` knobs.
        limits: float32 ``[K, E, decisions]``.
        identity: see :class:`Method`.
    """

    name: str
    kind: Kind
    resource: str
    every_bins: int
    labels: tuple[str, ...]
    limits: FloatArray
    identity: str = ""

    def wanted(self, fleet: Fleet, resource: str, cadence: Cadence) -> Iterator[Wanted]:  # noqa: ARG002
        """See :class:`Method`."""
        if resource == self.resource and cadence.every_bins == self.every_bins:
            yield Wanted(self.labels, self.limits, self.limits)


def served_horizon(span_s: int) -> int:
    """Return the shortest horizon that covers ``span_s``; the longest if none does."""
    return next((horizon for horizon in HORIZONS_S if horizon >= span_s), HORIZONS_S[-1])


def level_requests(log_quantiles: FloatArray) -> FloatArray:
    """Return each of :data:`SWEPT_LEVELS` as a request, from log quantiles ``[..., levels]``.

    Returns:
        float32 ``[swept levels, ...]``, in cores or bytes.
    """
    return np.exp(np.moveaxis(log_quantiles[..., 1:], -1, 0))


def priced_requests(log_quantiles: FloatArray, resource: str) -> FloatArray:
    """Return what the product's own rule chooses at each of :data:`NOMINAL_LEVELS`.

    Returns:
        float32 ``[nominal levels, ...]``, in cores or bytes.
    """
    rows = log_quantiles.reshape(-1, len(LEVELS))
    shape = log_quantiles.shape[:-1]
    rule = RULES[resource]
    return np.stack(
        [choose(rows, level, rule.reference, rule.power).reshape(shape) for level in NOMINAL_LEVELS]
    )


def knob_names(*, priced: bool) -> tuple[str, ...]:
    """Return the names of the levels that are swept."""
    levels = NOMINAL_LEVELS if priced else SWEPT_LEVELS
    return tuple(f"q{1000 * level:.4g}" for level in levels)
