"""Crane's DSP predictor: period, filter, choice."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.forecast.baselines import CraneDsp, UsageMatrix
from recommender.forecast.baselines.crane import (
    _without_gaps,
    _without_outliers,
    forecast_periods,
    low_pass,
    prediction_error,
)
from recommender.forecast.baselines.periodicity import dominant_period

DAY, WEEK = 288, 2016
NAN = np.nan


def daily(days, noise=0.1, seed=0, level=2.0):
    rng = np.random.default_rng(seed)
    bins = np.arange(days * DAY)
    return level + np.sin(2 * np.pi * bins / DAY) + noise * rng.standard_normal(len(bins))


def weekly(days, seed=0):
    rng = np.random.default_rng(seed)
    bins = np.arange(days * DAY)
    return 2 + np.sin(2 * np.pi * bins / WEEK) + 0.1 * rng.standard_normal(len(bins))


def usage_of(peak):
    peak = np.atleast_2d(np.asarray(peak, dtype=np.float32))
    return UsageMatrix(1_600_000_200, peak, peak)


def test_periods_of_a_day_a_week_and_none():
    rng = np.random.default_rng(1)
    signals = np.stack([daily(14), weekly(14), rng.standard_normal(14 * DAY), np.ones(14 * DAY)])
    assert dominant_period(signals).tolist() == [DAY, WEEK, -1, -1]
    assert dominant_period(np.ones((2, 4))).tolist() == [-1, -1]


def test_a_strong_period_of_twelve_hours_is_no_day():
    bins = np.arange(14 * DAY)
    signal = 2 + np.sin(2 * np.pi * bins / 144)
    assert dominant_period(signal[None]).tolist() == [144]
    assert forecast_periods(signal[None]) == []


def test_threshold_is_what_permutations_give():
    rng = np.random.default_rng(2)
    signal = np.exp(rng.standard_normal(4 * DAY))  # heavy-tailed, as usage is
    signal -= signal.mean()
    samples = len(signal)
    maxima = []
    for _ in range(30):
        hundred = np.abs(np.fft.rfft([rng.permutation(signal) for _ in range(100)], axis=1))
        maxima.append(np.sort(hundred[:, 1 : samples // 2].max(axis=1))[98])
    frequencies = samples // 2 - 1
    reach = -np.log(1 - (99 / 101) ** (1 / frequencies))
    assert np.sqrt(samples * signal.var() * reach) == pytest.approx(np.mean(maxima), rel=0.03)


def slow_filter(signal, cycle, least, amplitude):
    """The estimator's loop over the whole, mirrored spectrum."""
    samples = len(signal)
    spectrum = np.fft.fft(signal)
    size = np.abs(spectrum) / samples
    strongest = sorted(size[1 : samples // 2], reverse=True)
    bound = strongest[min(100, len(strongest)) - 1]
    bound = max(bound, amplitude)
    # The weakest line kept has a mirror image that rounding must not tell from it.
    bound = min(bound, strongest[least - 1]) * (1 - 1e-9)
    for k in range(samples):
        if size[k] < bound and 3600 * k > 300 * samples:  # above 1/3600 Hz
            spectrum[k] = 0
    smooth = np.fft.ifft(spectrum).real[-cycle:]
    return np.where(smooth <= 0, 0.01, smooth)


@pytest.mark.parametrize(("least", "amplitude"), [(3, 1.0), (50, 0.05), (3, 0.001)])
def test_filter_is_the_loop_over_the_mirrored_spectrum(least, amplitude):
    signals = np.stack([daily(4, 0.5), daily(4, 1.5, seed=1, level=0.5)])
    found = low_pass(signals, DAY, least, amplitude)
    for row in range(2):
        expected = slow_filter(signals[row], DAY, least, amplitude)
        np.testing.assert_allclose(found[row], expected, rtol=1e-9)


def test_error_punishes_too_little_more():
    actual = np.array([[1.0, 1.0, 0.0005, 2.0]])
    predicted = np.array([[1.25, 0.8, 0.25, 2.0]])
    # 0.25 above; -ln 0.8 / ln 1.25 = 1 below; 0.2495 absolute; 0.
    np.testing.assert_allclose(prediction_error(actual, predicted), [(0.25 + 1 + 0.2495) / 4])


def test_outliers_repeat_the_value_before():
    signal = np.full((1, 3 * DAY), 1.0) + np.arange(3 * DAY) * 1e-6
    signal[0, [100, 101]] = [50.0, 60.0]
    clean = _without_outliers(signal)
    # P99.9 of 864 values lies between the two largest: 60 goes, 50 stays.
    assert clean[0, 101] == clean[0, 100] == 50.0
    assert clean[0, 0] == signal[0, 0]


def test_gaps_of_an_hour_are_filled_and_longer_ones_cut():
    peak = np.ones((1, 60), dtype=np.float32)
    peak[0, 10:21] = NAN  # eleven missing bins: 60 minutes from sample to sample
    peak[0, 21] = 13.0
    peak[0, 30:42] = NAN  # twelve: 65 minutes
    filled, runs, last = _without_gaps(peak)
    np.testing.assert_allclose(filled[0, 9:22], np.arange(1, 14))
    assert runs[0, 29] == 0
    assert runs[0, 42] == runs[0, 59] == 42
    assert last[0, 35] == 29


def test_limit_is_the_forecast_maximum_over_the_hold():
    peak = daily(10, noise=0.02)
    decisions = np.array([9 * DAY + 5 * 12, 9 * DAY + 17 * 12])
    found = CraneDsp().limits(usage_of(peak), decisions, 12)[0, 0]
    for limit, decision in zip(found, decisions, strict=True):
        truth = peak[decision + 1 : decision + 13].max()
        assert truth * 0.97 < limit < truth * 1.25
    # 05:00 is close to the daily peak, 17:00 to the trough.
    assert found[0] > 2 * found[1]


def test_a_hold_of_a_day_reaches_the_daily_peak():
    peak = daily(10, noise=0.02)
    found = CraneDsp().limits(usage_of(peak), np.array([9 * DAY + 200]), DAY)[0, 0]
    assert 2.9 < found[0] < 3.8


def test_without_a_period_the_maximum_of_a_day_stands_in():
    rng = np.random.default_rng(5)
    peak = rng.random(6 * DAY)
    found = CraneDsp().limits(usage_of(peak), np.array([1500]), 12)[0, 0, 0]
    assert found == np.float32(peak[1501 - DAY : 1501].max())


def test_a_weekly_pattern_is_forecast_from_a_week_ago():
    peak = weekly(16)
    found = CraneDsp().limits(usage_of(peak), np.array([15 * DAY + 100]), 12)[0, 0, 0]
    assert found == pytest.approx(peak[8 * DAY + 101 : 8 * DAY + 113].max(), rel=0.3)


def test_long_histories_with_gaps_stay_causal():
    peak = np.stack([daily(18, 0.2), daily(18, 0.2, seed=4)]).astype(np.float32)
    peak[0, 7 * DAY - 4 : 7 * DAY + 3] = NAN
    peak[1, 9 * DAY - 30 : 9 * DAY + 40] = NAN
    for cut in (7 * DAY, 9 * DAY + 10, 15 * DAY + 7):
        decisions = np.arange(11, cut, 12)
        whole = CraneDsp().limits(usage_of(peak), decisions, 12)
        np.testing.assert_array_equal(
            CraneDsp().limits(usage_of(peak[:, :cut]), decisions, 12), whole
        )
