"""From forecasts to requests: bounds that hold, reasons that are true, state kept by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.forecast.forecaster import Forecast
from recommender.kpis import HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.sizing.policy import BALANCED, POLICIES
from recommender.sizing.sizer import SIZED, Sizer, undecided
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, WindowBatch

START = 1_699_999_200
SHAPE = (len(RESOURCES), len(HORIZONS_S), len(LEVELS))


def forecast(log_peaks, now_s=START, spread=0.2):
    """Forecasts whose medians are ``log_peaks`` ``[n, 2]`` of cpu and memory; NaN: never seen."""
    log_peaks = np.atleast_2d(np.float32(log_peaks))
    n = len(log_peaks)
    rise = np.float32(spread) * np.linspace(0, 2, len(LEVELS), dtype=np.float32)
    longer = np.float32(0.1) * np.arange(len(HORIZONS_S), dtype=np.float32)
    found = np.full((n, *SHAPE), np.nan, np.float32)
    found[:, :2] = log_peaks[:, :, None, None] + longer[:, None] + rise
    scale = found[:, :, 0, 0]
    nothing = np.zeros((n, len(RESOURCES), 24), np.float32)
    return Forecast(
        now_s,
        found,
        found,
        scale,
        nothing,
        nothing,
        np.zeros((n, 64), np.float32),
        np.zeros(n, int),
    )


def decide(sizer, log_peaks, now_s=START, rows=None):
    made = forecast(log_peaks, now_s)
    n = len(made)
    batch = WindowBatch(
        now_s,
        np.zeros((n, len(KPIS), 2, RECENT_BINS), np.uint16),
        np.zeros((n, len(KPIS), 3, HOURLY_BINS), np.uint16),
        np.ones(n, np.int64),
    )
    return sizer.decide(batch, np.arange(n) if rows is None else np.array(rows), made)


def reason(sizing, row=0, resource="cpu"):
    return sizing.reasons[sizing.reason[row, SIZED.index(resource)]].partition(":")[0]


def test_first_held_raised_lowered():
    sizer = Sizer(BALANCED, 300)
    seen = [decide(sizer, [[peak, 20.0]], START + 300 * i) for i, peak in enumerate((0, 0, 1, -1))]
    assert [reason(s) for s in seen] == ["first", "held", "raised", "lowered"]
    assert [reason(s, 0, "memory") for s in seen] == ["first", "held", "held", "held"]
    cpu = [float(s.target[0, 0]) for s in seen]
    assert cpu[0] == cpu[1] < cpu[2]
    assert cpu[3] < cpu[0]


def test_the_target_covers_the_peak_at_more_than_its_median():
    for every_s in (300, 900, 3600, 86400):
        found = decide(Sizer(BALANCED, every_s), [[0.0, 20.0]])
        median = np.exp(0.1 * np.flatnonzero(np.array(HORIZONS_S) >= every_s)[0])
        assert found.target[0, 0] > median


def test_what_was_never_seen_gets_no_number():
    found = decide(Sizer(BALANCED, 3600), [[0.0, np.nan], [np.nan, np.nan]])
    assert np.isfinite(found.target[0, 0])
    for values in (found.target, found.lower, found.upper):
        assert np.isnan(values[0, 1])
        assert np.isnan(values[1]).all()
    assert reason(found, 0, "memory") == reason(found, 1) == "no number"


def test_what_is_no_longer_seen_keeps_its_request_within_its_bounds():
    sizer = Sizer(BALANCED, 3600)
    before = decide(sizer, [[0.0, 20.0]])
    after = decide(sizer, [[0.0, np.nan]], START + 3600)
    assert after.target[0, 1] == after.lower[0, 1] == after.upper[0, 1] == before.target[0, 1]
    assert reason(after, 0, "memory") == "kept"


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from([300, 900, 3600, 7200, 86400]),
    st.integers(0, 2**32),
)
def test_lower_target_upper_are_in_order_always(profile, every_s, seed):
    rng = np.random.default_rng(seed)
    sizer, rows = Sizer(POLICIES[profile], every_s), 6
    for step in range(30):
        peaks = rng.normal([0, 20], rng.choice([0.01, 1.0, 8.0]), (rows, 2))
        peaks[rng.random(peaks.shape) < 0.2] = np.nan
        found = decide(sizer, peaks, START + every_s * step)
        known = np.isfinite(found.target)
        for values in (found.lower, found.upper):
            np.testing.assert_array_equal(np.isfinite(values), known)
            assert values.dtype == np.float32
        assert (found.lower[known] <= found.target[known]).all()
        assert (found.target[known] <= found.upper[known]).all()
        assert (found.lower[known] > 0).all()
        assert (known | ~np.isfinite(peaks)).all()
        assert ((found.reason >= 0) & (found.reason < len(found.reasons))).all()


@pytest.mark.parametrize("every_s", [300, 900, 3600])
def test_changes_stay_within_the_budget_of_a_day(every_s):
    """Usage that swings all day: no more than 24 changes, save for raises against danger."""
    rng = np.random.default_rng(5)
    sizer, rows, steps = Sizer(BALANCED, every_s), 20, 2 * 86400 // every_s
    targets = np.empty((steps, rows))
    for step in range(steps):
        peaks = rng.normal([0, 20], 0.7, (rows, 2))
        targets[step] = decide(sizer, peaks, START + every_s * step).target[:, 0]
    changed = targets[1:] != targets[:-1]
    day = 86400 // every_s
    lowered = targets[1:] < targets[:-1]
    for begin in range(0, len(changed) - day, 7):
        assert lowered[begin : begin + day].sum(axis=0).max() <= 24
        if every_s == 3600:
            assert changed[begin : begin + day].sum(axis=0).max() <= 24


def test_a_constant_workload_is_left_alone():
    rng = np.random.default_rng(6)
    sizer = Sizer(BALANCED, 300)
    first = decide(sizer, [[0.0, 20.0]]).target
    for step in range(1, 300):
        noise = rng.normal(0, 1e-6, (1, 2))
        found = decide(sizer, np.array([[0.0, 20.0]]) + noise, START + 300 * step)
        np.testing.assert_array_equal(found.target, first)


def test_state_is_kept_by_row():
    together, apart = Sizer(BALANCED, 300), Sizer(BALANCED, 300)
    rng = np.random.default_rng(7)
    for step in range(20):
        now, peaks = START + 300 * step, rng.normal([0, 20], 1, (5, 2))
        whole = decide(together, peaks, now)
        for rows in ([3, 1], [4, 0, 2]):
            part = decide(apart, peaks[rows], now, rows)
            for name in ("target", "lower", "upper", "reason"):
                np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])


def test_requests_that_a_cluster_reports_are_taken_as_they_are():
    sizer = Sizer(BALANCED, 300)
    sizer.assume(np.array([0, 1]), np.float32([[50, np.nan], [1e-3, 1e6]]))
    found = decide(sizer, [[0.0, 20.0], [0.0, 20.0]])
    assert [reason(found, row) for row in (0, 1)] == ["lowered", "raised"]
    assert [reason(found, row, "memory") for row in (0, 1)] == ["first", "raised"]


def test_nobody_and_nothing():
    assert decide(Sizer(BALANCED, 300), np.zeros((0, 2))).target.shape == (0, 2)
    nothing = undecided(3)
    assert np.isnan(nothing.target).all()
    assert reason(nothing) == "no number"
