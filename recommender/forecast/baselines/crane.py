"""Crane's DSP predictor: repeat a filtered period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from recommender.forecast.baselines.periodicity import dominant_period
from recommender.forecast.baselines.protocol import (
    BIN_S,
    BINS_PER_DAY,
    BINS_PER_HOUR,
    DoubleArray,
    FloatArray,
    IntArray,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, pick, trailing_max

_WEEK: Final = 7 * BINS_PER_DAY
_HISTORY_DAYS: Final = 15
_FILTERS: Final = ((3, 1.0), (50, 0.05))  # least spectrum lines kept, amplitude kept at least
_MARGINS: Final = (0.01, 0.10, 0.15, 0.20)
_MOST_LINES: Final = 100
_FLOOR: Final = 0.01


@dataclass(frozen=True)
class CraneDsp:
    """Forecast a period by the low-pass filtered last one; only for daily and weekly patterns.

    1. Everything before a gap of more than an hour is dropped, shorter gaps are filled with a
       line, values outside [P0.1, P99.9] repeat the one before. 15 days of history at most.
    2. The period, see :func:`.periodicity.dominant_period`, over the last two weeks or, with less,
       all whole days; only exactly one day or seven days count.
    3. Eight estimators: a spectrum without its weak lines of high frequency (less than an amplitude
       that keeps at least 3 or 50 and at most 100 lines, above 1/3600 Hz), its last period taken,
       0.01 for what is not above 0, times 1.01, 1.10, 1.15 or 1.20.
    4. Chosen by the least error on the last period, held out: mean of (p - a) / a above the truth
       a, -ln(p / a) / ln 1.25 below it, |p - a| where a < 0.001.
    5. The limit is the forecast's maximum over the time that it serves; a forecast repeats until
       the next one.

    Source: gocrane/crane, pkg/prediction/dsp (prediction.go, preprocessing.go, estimators.go).
    The code compares the mirrored upper half of the spectrum with the same frequency bound, so a
    weak line of low frequency loses its mirror image and keeps half its amplitude; so it does here.
    Crane recomputes each 12 h on one-minute samples; here once a day (at the end of each 24 h since
    the first bin) on five-minute peaks. Where there is no forecast, Crane has none: the maximum of
    the last 24 h stands in. The knob multiplies the result.

    Attributes:
        unit: cores or bytes in one unit of the usage; the amplitudes 1.0 and 0.05 and the floor of
            0.01 are in that unit.
    """

    factors: tuple[float, ...] = (1.0,)
    unit: float = 1.0
    name: str = "crane_dsp"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Multipliers."""
        return self.factors

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        entities, bins = peak.shape
        picked = checked(decisions, hold_bins, bins)
        filled, runs, last = _without_gaps(peak)
        limits = pick(trailing_max(peak, BINS_PER_DAY), picked)
        updates = np.arange(BINS_PER_DAY - 1, bins, BINS_PER_DAY)
        columns = np.searchsorted(picked, np.append(updates, bins))
        for number, update in enumerate(updates.tolist()):
            served = slice(columns[number], columns[number + 1])
            if served.start == served.stop:
                continue
            end = last[:, update]
            length = np.where(end >= 0, end + 1 - runs[np.arange(entities), np.maximum(end, 0)], 0)
            days = np.minimum(length // BINS_PER_DAY, _HISTORY_DAYS)
            days[update - end >= BINS_PER_DAY] = 0
            for count in np.unique(days[days >= 2]).tolist():
                rows = np.flatnonzero(days == count)
                window = np.arange(1 - count * BINS_PER_DAY, 1)
                history = filled[rows[:, None], end[rows, None] + window] * self.unit
                for chosen, forecast in forecast_periods(history):
                    members = rows[chosen]
                    ahead = picked[served] - end[members, None]
                    held = _cyclic_max(forecast / self.unit, hold_bins)
                    at = (ahead + hold_bins - 1) % held.shape[1]
                    limits[members, served] = np.take_along_axis(held, at, axis=1)
        factors = np.asarray(self.factors, dtype=np.float32)[:, None, None]
        return or_running_max(factors * limits, peak, picked)


def forecast_periods(history: DoubleArray) -> list[tuple[IntArray, DoubleArray]]:
    """Forecast what is periodic.

    Args:
        history: float64 ``[signals, bins]`` of whole days without gaps, at least two.

    Returns:
        For each kind of period (day, week): indices of the signals that have it, and their next
        period, float64 ``[those, period]``.
    """
    clean = _without_outliers(history)
    days = clean.shape[1] // BINS_PER_DAY
    looked_at = clean[:, -2 * _WEEK :] if days >= 14 else clean
    period = dominant_period(looked_at)
    found = []
    for cycle in (BINS_PER_DAY, _WEEK):
        chosen = np.flatnonzero(period == cycle)
        cycles = clean.shape[1] // cycle
        if chosen.size and cycles >= 2:
            found.append((chosen, _best_estimate(clean[chosen, -cycles * cycle :], cycle)))
    return found


def _best_estimate(signals: DoubleArray, cycle: int) -> DoubleArray:
    """Next period by the estimator that forecast the last one best."""
    history, actual = signals[:, :-cycle], signals[:, -cycle:]
    margins = np.asarray(_MARGINS)
    errors = []
    for least, amplitude in _FILTERS:
        tried = low_pass(history, cycle, least, amplitude)
        errors += [prediction_error(actual, tried * (1 + margin)) for margin in _MARGINS]
    best = np.stack(errors).argmin(axis=0)
    kind, margin = np.divmod(best, len(_MARGINS))
    result = np.empty((len(signals), cycle))
    for number, (least, amplitude) in enumerate(_FILTERS):
        rows = kind == number
        if rows.any():
            result[rows] = low_pass(signals[rows], cycle, least, amplitude)
    return np.asarray(result * (1 + margins[margin])[:, None])


def low_pass(signals: DoubleArray, cycle: int, least: int, amplitude: float) -> DoubleArray:
    """Last period of each signal without its weak lines of high frequency.

    Args:
        signals: float64 ``[signals, N]``, N even.
        cycle: bins of a period.
        least: how many of the strongest lines stay whatever their amplitude.
        amplitude: below which a line is weak.

    Returns:
        float64 ``[signals, cycle]``, above 0.
    """
    samples = signals.shape[1]
    spectrum = np.fft.rfft(signals, axis=1)
    size = np.abs(spectrum) / samples
    strongest = -np.sort(-size[:, 1 : samples // 2], axis=1)
    most = min(_MOST_LINES, strongest.shape[1])
    bound = np.maximum(strongest[:, most - 1], amplitude)
    if strongest.shape[1] >= least:
        bound = np.minimum(bound, strongest[:, least - 1])
    weak = size < bound[:, None]
    weak[:, 0] = False
    slow = np.arange(size.shape[1]) * BINS_PER_HOUR <= samples  # at most 1/3600 Hz
    factor = np.where(weak, np.where(slow, 0.5, 0.0), 1.0)
    smooth = np.fft.irfft(spectrum * factor, n=samples, axis=1)[:, -cycle:]
    return np.where(smooth > 0, smooth, _FLOOR)


def prediction_error(actual: DoubleArray, predicted: DoubleArray) -> DoubleArray:
    """Crane's asymmetric error: too little costs more than too much; float64 ``[signals]``."""
    tiny = actual < 1e-3
    truth = np.where(tiny, 1.0, actual)
    over = (predicted - truth) / truth
    under = -np.log(predicted / truth) / np.log(1.25)
    relative = np.where(predicted >= truth, over, under)
    return np.asarray(np.where(tiny, np.abs(predicted - actual), relative).mean(axis=1))


def _without_gaps(peak: FloatArray) -> tuple[DoubleArray, IntArray, IntArray]:
    """Fill gaps of at most an hour and find where each unbroken run starts.

    A bin inside a gap is filled from both of its ends; whoever reads up to the last sample before
    a decision reads nothing after it.

    Returns:
        float64 ``[entities, bins]`` filled; int64, first bin of the run each sample belongs to;
        int64, the last bin with a sample up to each bin, -1 before any.
    """
    entities, bins = peak.shape
    seen = ~np.isnan(peak)
    last = np.maximum.accumulate(np.where(seen, np.arange(bins), -1), axis=1)
    filled = np.zeros((entities, bins))
    runs = np.zeros((entities, bins), dtype=np.int64)
    for row in range(entities):
        at = np.flatnonzero(seen[row])
        if at.size:
            filled[row] = np.interp(np.arange(bins), at, peak[row, at])
            broken = np.diff(at, prepend=at[0]) * BIN_S > 3600
            runs[row, at] = np.maximum.accumulate(np.where(broken, at, at[0]))
    return filled, runs, last


def _without_outliers(signals: DoubleArray) -> DoubleArray:
    """Replace values outside [P0.1, P99.9] by the one before; the first one stays."""
    low, high = _rank_percentile(signals, 0.001), _rank_percentile(signals, 0.999)
    outside = (signals < low[:, None]) | (signals > high[:, None])
    outside[:, 0] = False
    index = np.maximum.accumulate(np.where(outside, 0, np.arange(signals.shape[1])), axis=1)
    return np.take_along_axis(signals, index, axis=1)


def _rank_percentile(signals: DoubleArray, share: float) -> DoubleArray:
    """Percentile as Crane's statistics library has it: the midpoint between two ranks."""
    samples = signals.shape[1]
    position = share * samples
    upper = min(int(position), samples - 1)
    lower = max(upper - 1, 0)
    part = np.partition(signals, (lower, upper), axis=1)
    if position == int(position):
        return np.asarray(part[:, lower])
    return np.asarray((part[:, lower] + part[:, upper]) / 2)


def _cyclic_max(period: DoubleArray, hold_bins: int) -> FloatArray:
    """Maximum over the ``hold_bins`` that end at each bin of a repeating period."""
    cycle = period.shape[1]
    repeats = -(-hold_bins // cycle) + 1
    tiled = np.tile(period.astype(np.float32), (1, repeats))
    return trailing_max(tiled, hold_bins)[:, -cycle:]
