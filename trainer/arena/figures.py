"""From sweeps to the figures that are published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainer.arena.bootstrap import Interval, interval, weights
from trainer.arena.envelope import read
from trainer.arena.sweep import Sweep

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


POINTS: Final = 48
"""Points of a frontier that is reached at every rate."""


@dataclass(frozen=True, slots=True)
class Rates:
    """At which rates a frontier is read.

    Attributes:
        targets: rates at which methods are compared.
        headline: place of the rate at which depth, changes and knob are given.
        shown: lowest and highest rate of the plotted frontier.
    """

    targets: tuple[float, ...]
    headline: int
    shown: tuple[float, float]

    def grid(self) -> DoubleArray:
        """Return the rates at which a frontier is kept, float64 ``[POINTS]``, ascending."""
        return np.geomspace(*self.shown, POINTS)


VIOLATED: Final = Rates((0.02, 0.01, 0.005, 0.002), 1, (2e-4, 0.1))
"""Shares of violated windows."""

OOMS: Final = Rates((0.5, 0.2, 0.1), 1, (0.02, 5.0))
"""OOM-equivalents per entity-week."""

_WORTH_DRAWING: Final = (0.3, 4.0)
"""Multipliers beyond these factors of the wanted rates play no part in any interval."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a frontier.

    Attributes:
        violated: rate, such as the share of violated windows.
        ratio: sum of requests over sum of usage served.
        knob: the method's setting.
        multiplier: on top of it.
    """

    violated: float
    ratio: float
    knob: str
    multiplier: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A method's figures over one population at one cadence.

    Attributes:
        ratio: reserved / used over the fleet at each target rate; NaN: never gets there.
        interval: 95 % interval of each.
        median: the same ratio as the median over entities, at the fleet's rates.
        depth: usage above the request over usage, at the point that keeps the headline rate.
        changes: changes over 5 % per entity-day there.
        most_in_a_day: most changes of one entity in 24 hours there.
        knob: setting there.
        multiplier: there.
        frontier: the lower envelope, by rising rate.
        draws: float64 ``[rounds, targets]``, the ratio in each round of the bootstrap.
    """

    ratio: tuple[float, ...]
    interval: tuple[Interval | None, ...]
    median: tuple[float, ...]
    depth: float
    changes: float
    most_in_a_day: int
    knob: str
    multiplier: float
    frontier: tuple[Point, ...]
    draws: DoubleArray


def figures(sweep: Sweep, members: BoolArray, group: IntArray, rates: Rates = VIOLATED) -> Figures:
    """Read a sweep over some entities.

    Args:
        sweep: of all entities.
        members: bool ``[E]``, which of them.
        group: int64 ``[E]``, what the bootstrap draws.
        rates: where to read.
    """
    windows, used = sweep.windows[members], sweep.used[members]
    reserved = sweep.reserved[members]
    rate = sweep.violated[members].sum(axis=0) / windows.sum()
    ratio = reserved.sum(axis=0) / used.sum()
    busy = used > 0
    typical = np.median(reserved[busy] / used[busy, None, None], axis=0)
    targets = np.array(rates.targets)
    least = 0.5 / float(windows.sum())
    found = read(rate, ratio, targets, least)
    draws = _draws(sweep, members, group, rate, targets)
    groups = len(np.unique(group[members]))
    knob, place = int(found.knob[rates.headline]), int(found.multiplier[rates.headline])
    reached = knob >= 0
    missed = sweep.missed[members, knob, place].sum() / used.sum()
    return Figures(
        tuple(found.value.tolist()),
        tuple(interval(draws[:, target], groups) for target in range(len(targets))),
        tuple(read(rate, typical, targets, least).value.tolist()),
        float(missed) if reached else float("nan"),
        float(sweep.changes[members, knob].mean()) if reached else float("nan"),
        int(sweep.most_in_a_day[knob]) if reached else 0,
        sweep.labels[knob] if reached else "",
        float(sweep.multipliers[place]) if reached else float("nan"),
        _frontier(sweep, rate, ratio, least, rates),
        draws,
    )


def _draws(
    sweep: Sweep, members: BoolArray, group: IntArray, rate: DoubleArray, targets: DoubleArray
) -> DoubleArray:
    """Return the ratio at each target in each round, float64 ``[rounds, targets]``."""
    part = _near(rate, targets)
    draw = weights(group[members])
    windows = draw @ sweep.windows[members]
    used = draw @ sweep.used[members]
    # Ratios of sums: sums first, over the entities drawn.
    rates = np.tensordot(draw, sweep.violated[members][:, :, part], 1) / windows[:, None, None]
    costs = np.tensordot(draw, sweep.reserved[members][:, :, part], 1) / used[:, None, None]
    return read(rates, costs, targets, 0.5 / float(windows.mean())).value


def _near(rate: DoubleArray, targets: DoubleArray) -> slice:
    """Return the multipliers that can matter to an interval; ``rate`` is ``[knobs, M]``."""
    dear = (rate < targets.min() * _WORTH_DRAWING[0]).all(axis=0)
    cheap = (rate > targets.max() * _WORTH_DRAWING[1]).all(axis=0)
    first = max(int(cheap.sum()) - 1, 0)
    last = rate.shape[1] - int(dear.sum())
    return slice(first, last + 1)


def _frontier(
    sweep: Sweep, rate: DoubleArray, ratio: DoubleArray, least: float, rates: Rates
) -> tuple[Point, ...]:
    shown = rates.grid()
    found = read(rate, ratio, shown, least)
    return tuple(
        Point(float(at), float(value), sweep.labels[knob], float(sweep.multipliers[place]))
        for at, value, knob, place in zip(
            shown, found.value, found.knob, found.multiplier, strict=True
        )
        if knob >= 0
    )
