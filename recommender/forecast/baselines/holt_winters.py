"""Triple exponential smoothing of hourly peaks."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.forecast.baselines.protocol import (
    BIN_S,
    DoubleArray,
    FloatArray,
    IntArray,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max

_SEASON = 24  # hours
_ERROR_HALF_LIFE_H = 72.0


@dataclass(frozen=True)
class HoltWinters:
    """Additive Holt-Winters with a daily season on hourly peaks, plus z standard errors.

    - level l = alpha (y - s[t - 24]) + (1 - alpha) (l + b)
    - trend b = beta (l - l before) + (1 - beta) b
    - season s[t] = gamma (y - l) + (1 - gamma) s[t - 24]
    - forecast k hours ahead: l + k b + s of that hour of the day.

    Source: Winters, "Forecasting sales by exponentially weighted moving averages" (Management
    Science, 1960). The limit is the largest forecast among the hours that it serves plus z times
    the root of the decayed mean square of past one-step errors (half-life 72 h). A small grid of
    parameters runs side by side and each entity follows the one whose one-step error is least so
    far. Level starts at the first hour's peak, trend and season at 0; an hour without samples
    changes nothing. The knob is z.

    Attributes:
        errors: values of z.
    """

    errors: tuple[float, ...] = (1.0, 0.0, 0.5, 1.5, 2.0, 3.0)
    alphas: tuple[float, ...] = (0.1, 0.3, 0.6, 0.9)
    betas: tuple[float, ...] = (0.0, 0.03)
    gammas: tuple[float, ...] = (0.1, 0.3)
    name: str = "holt_winters"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Values of z."""
        return self.errors

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        entities, bins = peak.shape
        picked = checked(decisions, hold_bins, bins)
        # The bin that ends at e lies in the clock's hour (e - 300) // 3600.
        first_hour = (usage.start_end_s - BIN_S) // 3600

        def hour_of(bin_index: IntArray) -> IntArray:
            """Hour of each bin, counted from the first bin's."""
            return (usage.start_end_s - BIN_S + BIN_S * bin_index) // 3600 - first_hour

        hourly = _hourly_peaks(peak, hour_of(np.arange(bins)))
        state = _Smoothing(entities, self.alphas, self.betas, self.gammas)
        result = np.full((len(self.errors), entities, len(picked)), np.nan, dtype=np.float32)
        sigmas = np.asarray(self.errors)[:, None]
        # An hour is over for a decision when the next bin belongs to a later one.
        over = hour_of(picked + 1)
        until = hour_of(picked + hold_bins)
        done = 0
        for column, (hours, last) in enumerate(zip(over.tolist(), until.tolist(), strict=True)):
            for hour in range(done, hours):
                state.update(hourly[:, hour], (first_hour + hour) % _SEASON)
            done = max(done, hours)
            ahead = np.arange(1, last - hours + 2)
            seasons = (first_hour + hours - 1 + ahead) % _SEASON
            forecast, error = state.forecast(ahead, seasons)
            result[:, :, column] = np.maximum(forecast + sigmas * error, 0.0)
        return or_running_max(result, peak, picked)


def _hourly_peaks(peak: FloatArray, hours: IntArray) -> FloatArray:
    """Maximum over each hour, float32 ``[entities, hours]``; NaN for an hour without samples."""
    if peak.shape[1] == 0:
        return peak
    starts = np.flatnonzero(np.diff(hours, prepend=-1))
    return np.fmax.reduceat(peak, starts, axis=1)


class _Smoothing:
    """State of all parameter sets for all entities: arrays ``[sets, entities]``."""

    def __init__(
        self,
        entities: int,
        alphas: tuple[float, ...],
        betas: tuple[float, ...],
        gammas: tuple[float, ...],
    ) -> None:
        grid = np.array(list(itertools.product(alphas, betas, gammas)))
        self._alpha, self._beta, self._gamma = grid.T[:, :, None]
        shape = (len(grid), entities)
        self._level = np.full(shape, np.nan)
        self._trend = np.zeros(shape)
        self._season = np.zeros((*shape, _SEASON))
        self._square = np.zeros(shape)  # decayed sum of squared errors
        self._weight = np.zeros(entities)
        self._keep = math.exp2(-1.0 / _ERROR_HALF_LIFE_H)
        self._entities = np.arange(entities)

    def update(self, values: FloatArray, hour: int) -> None:
        """Take in the peaks of one hour, float32 ``[entities]``, NaN for none."""
        seen = ~np.isnan(values)
        fresh = seen & np.isnan(self._level[0])
        known = seen & ~fresh
        y = values.astype(np.float64)
        season = self._season[:, :, hour]
        expected = self._level + self._trend
        error = y - (expected + season)
        level = self._alpha * (y - season) + (1 - self._alpha) * expected
        trend = self._beta * (level - self._level) + (1 - self._beta) * self._trend
        seasonal = self._gamma * (y - level) + (1 - self._gamma) * season
        self._square = np.where(known, self._square * self._keep + error**2, self._square)
        self._weight = np.where(known, self._weight * self._keep + 1.0, self._weight)
        self._level = np.where(known, level, np.where(fresh, y, self._level))
        self._trend = np.where(known, trend, self._trend)
        self._season[:, :, hour] = np.where(known, seasonal, season)

    def forecast(self, ahead: IntArray, seasons: IntArray) -> tuple[DoubleArray, DoubleArray]:
        """Largest forecast over some hours ahead, and the standard error of one step.

        Returns:
            Two float64 ``[entities]``; the first is NaN before the first hour.
        """
        best = self._square.argmin(axis=0), self._entities
        level, trend = self._level[best][:, None], self._trend[best][:, None]
        path = level + trend * ahead + self._season[best][:, seasons]
        error = np.sqrt(self._square[best] / np.maximum(self._weight, 1e-9))
        return path.max(axis=1), error
