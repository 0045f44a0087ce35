"""Autopilot's second recommender: an ensemble of rules that each pick the cheapest limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recommender.forecast.baselines.buckets import ExponentialBuckets
from recommender.forecast.baselines.protocol import (
    BINS_PER_HOUR,
    DoubleArray,
    FloatArray,
    IntArray,
    Resource,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max

# Each candidate limit is tried at each step, so the buckets are coarser than the window's.
CPU_BUCKETS: Final = ExponentialBuckets(first=1e-3, ratio=1.08, maximum=1e3)
MEMORY_BUCKETS: Final = ExponentialBuckets(first=1e6, ratio=1.08, maximum=1e12)

_ROWS = 64  # of one chunk: keeps the candidates' costs inside the processor's cache


@dataclass(frozen=True)
class AutopilotEnsemble:
    """Online argmin ensemble, "ML" in the paper.

    A model m has a decay d_m and a margin M_m. With s[t][j] the share of the step's samples in
    bucket j and b[j] the candidate limits:

    - overrun o(L) = (1 - d_m) o(L) + d_m * sum of s[t][j] over b[j] > L, underrun u(L) likewise
      over b[j] < L;
    - L'_m = argmin over L of w_o o(L) + w_u u(L) + w_dL * [L != L'_m of the step before];
      L_m = L'_m + M_m;
    - c_m = d (w_o o_m(L_m) + w_u u_m(L_m) + w_dL [L_m changed]) + (1 - d) c_m;
    - L = argmin over m of c_m + w_dm [m != m before] + w_dL [L != L_m].

    Source: Rzadca et al., "Autopilot" (EuroSys 2020), section 3.2.2. The paper tunes its five
    weights, decays and margins offline and does not print them. Here w_u = 1, the rest is a rough
    choice on the first 60 % of two recorded sources (dearer changes and longer memories reserve
    more), and the knob is w_o: how many underruns an overrun is worth. Margins are numbers of
    buckets, so factors. A step is an hour of five-minute peaks (trying every limit each five
    minutes costs twelve times as much), so within an hour the recommendation stands.

    Attributes:
        half_lives_h: of the decays d_m.
        margins: values of M_m, in buckets of 8 %.
        cost_half_life_h: of the models' own costs (d).
        unit: cores or bytes in one unit of the usage.
    """

    resource: Resource = "cpu"
    overruns: tuple[float, ...] = (30.0, 10.0, 100.0, 300.0)
    half_lives_h: tuple[float, ...] = (1.0, 6.0, 24.0)
    margins: tuple[int, ...] = (0, 1, 2, 4)
    underrun: float = 1.0
    limit_change: float = 0.001
    model_change: float = 0.001
    cost_half_life_h: float = 24.0
    unit: float = 1.0
    name: str = "autopilot_ensemble"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Weights of an overrun, w_o."""
        return self.overruns

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        buckets = CPU_BUCKETS if self.resource == "cpu" else MEMORY_BUCKETS
        members = buckets.find(peak.astype(np.float64) * self.unit)
        # Steps end at full hours of the clock; the first one may be short.
        offset = (usage.start_end_s // 300 - 1) % BINS_PER_HOUR
        ends = np.arange(BINS_PER_HOUR - 1 - offset, peak.shape[1], BINS_PER_HOUR)
        bounds = (buckets.ends / self.unit).astype(np.float32)
        latest = np.searchsorted(ends, picked, side="right")  # steps over by each decision
        result = np.full((len(self.overruns), peak.shape[0], len(picked)), np.nan, np.float32)
        for start in range(0, peak.shape[0], _ROWS):
            part = slice(start, start + _ROWS)
            for row, overrun in enumerate(self.overruns):
                chosen = self._run(members[part], ends, buckets.count, overrun)
                at = chosen[:, latest]
                result[row, part] = np.where(at >= 0, bounds[at], np.float32(np.nan))
        return or_running_max(result, peak, picked)

    def _run(self, members: IntArray, ends: IntArray, count: int, overrun: float) -> IntArray:
        """Replay all steps.

        Args:
            members: int64 ``[entities, bins]``, bucket of each sample or -1.
            ends: last bin of each step.
            count: how many buckets there are.
            overrun: w_o.

        Returns:
            int64 ``[entities, steps + 1]``: the chosen bucket after so many steps; -1 before any
            step with a sample.
        """
        entities = members.shape[0]
        decays = np.array([1 - math.exp2(-1 / hours) for hours in self.half_lives_h])
        margins = np.asarray(self.margins)
        decay_of = np.repeat(np.arange(len(decays)), len(margins))  # of each model
        margin_of = np.tile(margins, len(decays))
        cost_decay = 1 - math.exp2(-1 / self.cost_half_life_h)
        rows = np.arange(entities)
        share = np.zeros((len(decays), entities, count))  # decayed share of samples per bucket
        raw = np.full((len(decays), entities), -1)  # L'_m, one for each decay
        limit = np.full((len(margin_of), entities), -1)  # L_m
        cost = np.zeros((len(margin_of), entities))
        model = np.full(entities, -1)
        chosen = np.full((entities, len(ends) + 1), -1)
        start = 0
        for step, end in enumerate(ends.tolist()):
            fresh = _shares(members[:, start : end + 1], count)
            start = end + 1
            seen = fresh.any(axis=1)
            share[:, seen] *= (1 - decays)[:, None, None]
            share[:, seen] += decays[:, None, None] * fresh[seen]
            prices = self._prices(share, overrun)

            biased = prices.copy()
            index = np.nonzero(raw >= 0)
            biased[(*index, raw[index])] -= self.limit_change  # the same as adding it elsewhere
            raw = np.where(seen, biased.argmin(axis=2), raw)

            moved = np.minimum(raw[decay_of] + margin_of[:, None], count - 1)
            paid = np.take_along_axis(prices[decay_of], moved[:, :, None], axis=2)[:, :, 0]
            paid += self.limit_change * (moved != limit)
            cost = np.where(seen, cost_decay * paid + (1 - cost_decay) * cost, cost)
            limit = np.where(seen, moved, limit)

            before = chosen[:, step]
            total = cost + self.limit_change * (limit != before)
            total += self.model_change * (np.arange(len(margin_of))[:, None] != model)
            model = np.where(seen, total.argmin(axis=0), model)
            chosen[:, step + 1] = np.where(seen, limit[np.maximum(model, 0), rows], before)
        return chosen

    def _prices(self, share: DoubleArray, overrun: float) -> DoubleArray:
        """w_o o(L) + w_u u(L) for each candidate, float64 ``[decays, entities, buckets]``."""
        upto = np.cumsum(share, axis=2)
        total = upto[:, :, -1:]
        prices = upto * -overrun
        prices += overrun * total
        upto -= share  # now strictly below
        upto *= self.underrun
        prices += upto
        return prices


def _shares(members: IntArray, count: int) -> DoubleArray:
    """Share of the samples in each bucket, float64 ``[entities, buckets]``; zeros without any."""
    entities = members.shape[0]
    row, column = np.nonzero(members >= 0)
    flat = row * count + members[row, column]
    counts = np.bincount(flat, minlength=entities * count).reshape(entities, count)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
