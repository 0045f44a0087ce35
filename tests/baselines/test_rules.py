"""Golden vectors of the rules on windows: maxima, KRR, N-sigma, static request and oracle."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.forecast.baselines import (
    KrrSimple,
    MaxPredictor,
    NSigma,
    Oracle,
    RecentAndYesterdayMax,
    RecentMax,
    SeasonalMax,
    StaticRequest,
    UsageMatrix,
)

NAN = np.nan


def usage_of(peak):
    peak = np.atleast_2d(np.asarray(peak, dtype=np.float32))
    return UsageMatrix(1_600_000_200, peak, peak)


def at(baseline, peak, decision, hold=12):
    return baseline.limits(usage_of(peak), np.array([decision]), hold)[:, 0, 0]


def ramp(bins=3000, **spikes):
    peak = np.full(bins, 1.0)
    for position, value in spikes.items():
        peak[int(position[1:])] = value
    return peak


def test_recent_max_ends_with_its_window():
    peak = ramp(b100=5.0)
    rule = RecentMax((1.0, 6.0))
    np.testing.assert_array_equal(at(rule, peak, 111), [5, 5])
    np.testing.assert_array_equal(at(rule, peak, 112), [1, 5])
    np.testing.assert_array_equal(at(rule, peak, 171), [1, 5])
    np.testing.assert_array_equal(at(rule, peak, 172), [1, 1])


def test_recent_max_falls_back_when_its_window_is_empty():
    peak = np.full(100, NAN)
    peak[3:6] = [2.0, 7.0, 1.0]
    np.testing.assert_array_equal(at(RecentMax((1.0,)), peak, 90), [7])


def test_yesterday_counts_an_hour_to_either_side():
    rule = RecentAndYesterdayMax((1.0,))
    # Decision 1000 serves 1001..1012; yesterday's window is 713..724, with the slack 701..736.
    for spike, expected in ((700, 1), (701, 9), (736, 9), (737, 1)):
        np.testing.assert_array_equal(at(rule, ramp(**{f"b{spike}": 9.0}), 1000), [expected])
    # A limit that holds for a day reaches up to now and no further.
    np.testing.assert_array_equal(at(rule, ramp(b1000=9.0), 1000, hold=288), [9])
    np.testing.assert_array_equal(at(rule, ramp(b1001=9.0), 1000, hold=288), [1])


def test_seasonal_max_takes_the_served_window_of_each_period_back():
    rule = SeasonalMax(288, (1, 2, 3))
    peak = ramp(b1000=2.0, b720=3.0, b430=4.0)
    # Decision 1290 serves 1291..1302: 1003..1014, 715..726, 427..438.
    np.testing.assert_array_equal(at(rule, peak, 1290), [1, 3, 4])
    # Decision 1287 serves 1288..1299; one day back: 1000..1011.
    np.testing.assert_array_equal(at(rule, peak, 1287), [2, 3, 4])


def test_seasonal_max_of_a_hold_longer_than_its_period_looks_at_whole_periods():
    rule = SeasonalMax(288, (1,))
    peak = ramp(b1000=2.0, b500=3.0)
    # Decision 1000 for two days serves 1001..1576; the last two whole periods are 425..1000.
    np.testing.assert_array_equal(at(rule, peak, 1000, hold=576), [3])


def test_seasonal_max_without_a_period_yet_is_the_running_maximum():
    np.testing.assert_array_equal(at(SeasonalMax(288, (1, 2)), ramp(b5=2.0), 100), [2, 2])


def test_krr_is_the_quantile_of_two_weeks():
    rng = np.random.default_rng(0)
    peak = rng.random(5000).astype(np.float32)
    found = at(KrrSimple("cpu", (0.95, 0.5)), peak, 4900)
    np.testing.assert_allclose(found, np.quantile(peak[4901 - 4032 : 4901], [0.95, 0.5]), rtol=1e-5)


def test_krr_by_hand():
    peak = np.arange(1, 102, dtype=float)  # position 0.95 * 100 = 95, the 96th value
    np.testing.assert_allclose(at(KrrSimple("cpu", (0.95,)), peak, 100), [96.0])


def test_krr_with_too_few_points_is_the_running_maximum():
    peak = np.full(100, 0.1)
    peak[0] = 1.0
    found = KrrSimple("cpu", (0.95,)).limits(usage_of(peak), np.array([23, 24]), 12)
    np.testing.assert_allclose(found[0, 0], [1.0, 0.1])


def test_krr_memory_is_the_maximum_of_two_weeks_and_a_buffer():
    peak = ramp(5000, b10=50.0, b1000=20.0)
    np.testing.assert_allclose(at(KrrSimple("memory"), peak, 4900), [23.0], rtol=1e-6)


def test_n_sigma_by_hand():
    # 2, 4, 4, 4, 5, 5, 7, 9 has mean 5 and population deviation 2.
    found = at(NSigma((5.0, 1.0)), [2, 4, 4, 4, 5, 5, 7, 9], 7)
    np.testing.assert_allclose(found, [15.0, 7.0], rtol=1e-6)


def test_n_sigma_forgets_after_ten_hours():
    np.testing.assert_allclose(at(NSigma((5.0,)), ramp(b0=100.0), 120), [1.0])
    assert at(NSigma((5.0,)), ramp(b0=100.0), 119)[0] > 40


def test_max_predictor_is_the_larger_of_both():
    peak = np.concatenate([np.zeros(119), [10.0]])
    sigma = 10 / 120 + 10 * np.sqrt(1 / 120 - 1 / 120**2)  # N = 1: 0.99
    share = np.quantile(peak, 0.99)  # position 117.81: 0
    assert share < sigma
    np.testing.assert_allclose(at(MaxPredictor((1.0,)), peak, 119), [sigma], rtol=1e-5)
    steady = np.concatenate([np.zeros(60), np.full(60, 10.0)])
    np.testing.assert_allclose(at(MaxPredictor((0.0,)), steady, 119), [10.0])


def test_oracle_is_the_maximum_of_the_served_bins_only():
    peak = ramp(100, b20=3.0, b21=4.0, b33=9.0, b34=99.0)
    assert at(Oracle(), peak, 20) == [4]
    assert at(Oracle(), peak, 21) == [9]
    assert at(Oracle(), peak, 33) == [99]
    assert at(Oracle(), peak, 99) == [99]  # nothing after: what was seen


def test_static_request():
    usage = usage_of(np.ones((2, 10)))
    found = StaticRequest(np.array([3.0, NAN], np.float32), (1.0, 2.0)).limits(
        usage, np.array([4]), 1
    )
    np.testing.assert_array_equal(found[:, :, 0], [[3, 1], [6, 1]])
    np.testing.assert_array_equal(
        StaticRequest(0.5).limits(usage, np.array([4]), 1), [[[0.5], [0.5]]]
    )
    with pytest.raises(ValueError, match="requests"):
        StaticRequest(np.ones(3, np.float32)).limits(usage, np.array([4]), 1)
