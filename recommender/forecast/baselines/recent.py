"""Rules that look at the maximum of a recent or a seasonal window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.forecast.baselines.protocol import (
    BINS_PER_DAY,
    BINS_PER_HOUR,
    FloatArray,
    IntArray,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, pick, trailing_max


@dataclass(frozen=True)
class RecentMax:
    """Maximum of the last hours: q(t) = max of u(s) over s in (t - W, t].

    Source: the persistence rule of every reactive autoscaler; the knob is W in hours.
    """

    hours: tuple[float, ...] = (6.0, 1.0, 2.0, 24.0, 168.0)
    name: str = "recent_max"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Window lengths, hours."""
        return self.hours

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        found = [
            pick(trailing_max(peak, round(hours * BINS_PER_HOUR)), picked) for hours in self.hours
        ]
        return or_running_max(np.stack(found), peak, picked)


@dataclass(frozen=True)
class RecentAndYesterdayMax:
    """Maximum of the last hours and of the same time yesterday.

    q(t, h) = max( max u over (t - W, t], max u over (t - 24 h - A, t - 24 h + h + A] ), with h the
    time the limit holds for and A a slack around yesterday's window that forgives a pattern which
    comes a little early or late. Source: the best rule that is not learned of the project's first
    measurements; the seasonal part is the maxValue estimator of Crane DSP with one period.
    The knob is W in hours.

    Attributes:
        around_h: A, hours.
    """

    hours: tuple[float, ...] = (6.0, 1.0, 2.0, 3.0, 12.0)
    around_h: float = 1.0
    name: str = "recent_and_yesterday_max"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Window lengths, hours."""
        return self.hours

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        around = round(self.around_h * BINS_PER_HOUR)
        # Where yesterday's window would end after now, it ends now.
        ends = np.minimum(picked - BINS_PER_DAY + hold_bins + around, picked)
        starts = picked - BINS_PER_DAY - around
        yesterday = _window_max(peak, starts, ends)
        found = [
            np.fmax(pick(trailing_max(peak, round(hours * BINS_PER_HOUR)), picked), yesterday)
            for hours in self.hours
        ]
        return or_running_max(np.stack(found), peak, picked)


@dataclass(frozen=True)
class SeasonalMax:
    """Maximum of the same window one to J periods back.

    q(t, h) = max over j = 1..J of max u(s - j P) for s in (t, t + h]. Crane DSP's maxValue
    estimator generalised to any window; the knob is J. A window that reaches beyond now (h > P)
    is taken from the first whole number of periods that lies in the past.

    Attributes:
        period_bins: P in bins, a day or a week.
        periods: values of J.
    """

    period_bins: int = BINS_PER_DAY
    periods: tuple[int, ...] = (1, 2, 3, 5, 7, 14)
    name: str = "seasonal_max_day"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Numbers of periods, J."""
        return tuple(float(count) for count in self.periods)

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        held = trailing_max(peak, hold_bins)
        skipped = -(-hold_bins // self.period_bins) - 1
        best = np.full((peak.shape[0], len(picked)), np.nan, dtype=np.float32)
        found: dict[int, FloatArray] = {}
        for back in range(1, max(self.periods) + 1):
            ends = picked + hold_bins - (back + skipped) * self.period_bins
            best = np.fmax(best, pick(held, ends))
            found[back] = best
        return or_running_max(np.stack([found[count] for count in self.periods]), peak, picked)


def _window_max(values: FloatArray, starts: IntArray, ends: IntArray) -> FloatArray:
    """Maximum over the bins ``start + 1 .. end``, at most two window lengths among all windows."""
    result = np.full((values.shape[0], len(ends)), np.nan, dtype=np.float32)
    lengths = ends - starts
    for length in np.unique(lengths).tolist():
        same = lengths == length
        result[:, same] = pick(trailing_max(values, length), ends[same])
    return result
