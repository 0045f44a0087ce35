"""The frontier of a method: the least it reserves for each rate of violations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the lower envelope stands at some rates.

    Attributes:
        value: float64 ``[..., targets]``, cost at each rate; NaN where the method never gets
            there.
        knob: int64 ``[..., targets]``, the knob whose curve is lowest there; -1 where none is.
        multiplier: as ``knob``, the multiplier of that curve that reserves least and keeps the
            rate.
    """

    value: DoubleArray
    knob: IntArray
    multiplier: IntArray


def read(rate: DoubleArray, cost: DoubleArray, targets: DoubleArray, least: float) -> Reading:
    """Read the lower envelope of a method's curves at some rates.

    Each knob gives one curve along its multipliers. What a multiplier reaches, a dearer one
    reaches too, and where a dearer one turns out to reserve less, it stands for the cheaper one as
    well. Between two neighbouring multipliers the cost is interpolated along the logarithm of the
    rate; the envelope is the lowest curve at each rate.

    Args:
        rate: float64 ``[..., knobs, multipliers]``, such as the share of violated windows.
        cost: as ``rate``, such as reserved / used.
        targets: float64 ``[targets]``, rates at which to read.
        least: stands for a rate of zero, where the logarithm ends: half an event.
    """
    reached = np.minimum.accumulate(rate, axis=-1)
    logs = np.log(np.maximum(reached, least))
    priced = np.minimum.accumulate(cost[..., ::-1], axis=-1)[..., ::-1]
    lead, multipliers = rate.shape[:-2], rate.shape[-1]
    value = np.full((*lead, len(targets)), np.nan)
    knob = np.full(value.shape, -1, np.int64)
    multiplier = np.full(value.shape, -1, np.int64)
    for place, target in enumerate(targets.tolist()):
        above = (reached > target).sum(axis=-1, keepdims=True)
        known = above < multipliers
        here = np.minimum(above, multipliers - 1)
        before = np.maximum(here - 1, 0)
        at, at_before = np.take_along_axis(logs, here, -1), np.take_along_axis(logs, before, -1)
        price, cheaper = (
            np.take_along_axis(priced, here, -1),
            np.take_along_axis(priced, before, -1),
        )
        apart = at_before - at
        share = np.clip(
            (at_before - np.log(max(target, least))) / np.where(apart > 0, apart, 1), 0, 1
        )
        # The cheapest multiplier may keep the rate already: then there is nothing below it.
        mixed = np.where(above > 0, cheaper + share * (price - cheaper), price)
        curve = np.where(known, mixed, np.inf)[..., 0]
        best = curve.argmin(axis=-1)
        lowest = np.take_along_axis(curve, best[..., None], -1)[..., 0]
        found = np.isfinite(lowest)
        value[..., place] = np.where(found, lowest, np.nan)
        knob[..., place] = np.where(found, best, -1)
        wanted = np.take_along_axis(price[..., 0], best[..., None], -1)
        curve_cost = np.take_along_axis(cost, best[..., None, None], -2)[..., 0, :]
        usable = np.arange(multipliers) >= np.take_along_axis(here[..., 0], best[..., None], -1)
        chosen = (usable & (curve_cost == wanted)).argmax(axis=-1)
        multiplier[..., place] = np.where(found, chosen, -1)
    return Reading(value, knob, multiplier)
