"""The coverage tracker: nominal coverage in the long run, learned from matured windows only."""

from math import erf, sqrt

import numpy as np
import pytest

from recommender.bundle.manifest import CalibrationTable
from recommender.forecast.calibration import MOST_OFFSET, CoverageTracker, GroupCalibration
from recommender.kpis import HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, WindowBatch

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR
CPU, THROTTLED = KPIS.index("cpu"), KPIS.index("cpu_throttled")
SHAPE = (len(RESOURCES), len(HORIZONS_S), len(LEVELS))
NORMAL = np.array([0.0, 0.8416, 1.2816, 1.6449, 2.0537, 2.3263, 2.5758], np.float32)
"""Standard normal quantiles at LEVELS."""


def window(now_s, recent=None, rows=1):
    """Windows whose CPU is ``recent`` (values, newest last; NaN missing)."""
    held = np.zeros((rows, len(KPIS), 2, RECENT_BINS), np.uint16)
    if recent is not None:
        held[:, CPU, 0, :] = codes.encode(np.asarray(recent, np.float64))
    hourly = np.zeros((rows, len(KPIS), 3, HOURLY_BINS), np.uint16)
    return WindowBatch(now_s, held, hourly, np.full(rows, RECENT_BINS))


def forecasts(rows, log_median=0.0, spread=0.1):
    found = np.full((rows, *SHAPE), np.nan, np.float32)
    found[:, 0] = np.float32(log_median) + np.float32(spread) * NORMAL
    return found


def norm_cdf(z):
    return np.array([0.5 * (1 + erf(x / sqrt(2))) for x in z])


def offsets(tracker, rows=1):
    return tracker._offset[:rows, 0]


def run(level_shift, *, spread=0.1, bias=0.0, rows=100, hours=900, seed=4):
    """Forecast each hour with a bias; return coverage of the hour's peak per level, by the hour."""
    rng = np.random.default_rng(seed)
    tracker, places = CoverageTracker(), np.arange(rows)
    covered = np.zeros((hours, len(LEVELS)))
    batch = window(START, rows=rows)
    issued = forecasts(rows, bias, spread)
    for hour in range(hours):
        batch = WindowBatch(START + HOUR * hour, batch.recent, batch.hourly, batch.age_bins)
        tracker.learn(batch, places)
        tracker.issue(batch.now_s, places, issued)
        corrected = tracker.correct(places, issued)[:, 0, HORIZONS_S.index(HOUR)]
        peak = spread * rng.normal(0, 1, rows) + level_shift(hour)
        covered[hour] = (peak[:, None] <= corrected).mean(axis=0)
        # What the next hour's windows show: only the last hour's bins are read for its peak.
        batch.recent[:, CPU, 0, -12:] = codes.encode(np.exp(peak))[:, None]
    return covered


@pytest.mark.parametrize("bias", [-0.1, 0.0, 0.1])
def test_coverage_of_a_biased_forecaster_is_nominal_in_the_long_run(bias):
    covered = run(lambda _: 0.0, bias=bias)[500:].mean(axis=0)
    np.testing.assert_allclose(covered, LEVELS, atol=0.012)


def test_coverage_holds_on_a_series_that_shifts_and_drifts():
    def shifting(hour):
        return 0.08 * np.sign(np.sin(hour / 16)) + 0.05 * np.sin(hour / 40)

    covered = run(shifting)[400:].mean(axis=0)
    assert (covered[2:6] >= np.array(LEVELS[2:6]) - 0.012).all()
    assert (covered <= np.array(LEVELS) + 0.03).all()
    # What is corrected was worth correcting: the same forecasts as issued.
    issued = np.mean([np.float32(norm_cdf(NORMAL - shifting(h) / 0.1)) for h in range(900)], axis=0)
    assert issued[3] < 0.9


def learn_one(tracker, issued_s, horizon, recent, *, now_s=None, bias=0.0):
    place = np.array([0])
    tracker.issue(issued_s, place, forecasts(1, bias))
    now = issued_s + max(horizon, HOUR) if now_s is None else now_s
    tracker.learn(window(now, recent), place)
    return offsets(tracker)[0, HORIZONS_S.index(horizon)].copy()


@pytest.mark.parametrize("horizon", HORIZONS_S)
def test_only_the_window_that_was_forecast_counts(horizon):
    """What came before it or, for short horizons, between it and now, changes nothing."""
    lag, span = max(horizon, HOUR) // 300, horizon // 300
    begin = RECENT_BINS - lag
    quiet = np.full(RECENT_BINS, 0.5)
    inside, outside = quiet.copy(), quiet.copy()
    inside[begin + span - 1] = 99
    outside[:begin] = outside[begin + span :] = 99
    down = learn_one(CoverageTracker(), START, horizon, quiet)
    assert (down < 0).all()
    assert (learn_one(CoverageTracker(), START, horizon, inside) > 0).all()
    np.testing.assert_array_equal(learn_one(CoverageTracker(), START, horizon, outside), down)


@pytest.mark.parametrize("horizon", [21600, 86400])
def test_nothing_is_learned_before_a_window_has_passed(horizon):
    hot = np.full(RECENT_BINS, 99.0)
    for early in range(HOUR, horizon, HOUR):
        tracker = CoverageTracker()
        assert (learn_one(tracker, START, horizon, hot, now_s=START + early) == 0).all()


@pytest.mark.parametrize("horizon", HORIZONS_S)
def test_steps_are_those_of_the_pinball_loss(horizon):
    quiet, hot = np.full(RECENT_BINS, 0.5), np.full(RECENT_BINS, 99.0)
    step = 0.04 * min(1, HOUR / horizon) ** 0.5
    up = learn_one(CoverageTracker(), START, horizon, hot)
    down = learn_one(CoverageTracker(), START, horizon, quiet)
    np.testing.assert_allclose(up, step * np.array(LEVELS), rtol=1e-5)
    np.testing.assert_allclose(down, -step * (1 - np.array(LEVELS)), rtol=1e-4)


def test_only_the_horizon_that_matured_and_the_resource_that_was_seen_move():
    tracker = CoverageTracker()
    learn_one(tracker, START, HOUR, np.full(RECENT_BINS, 99.0))
    moved = tracker._offset[0] != 0
    assert moved[0, :3].all()
    assert not moved[0, 3:].any()
    assert not moved[1:].any()


@pytest.mark.parametrize(("gone", "learns"), [(3, True), (4, False), (12, False)])
def test_a_window_with_gaps_teaches_little(gone, learns):
    recent = np.full(RECENT_BINS, 99.0)
    recent[RECENT_BINS - gone :] = np.nan
    moved = learn_one(CoverageTracker(), START, HOUR, recent)
    assert (moved > 0).all() if learns else (moved == 0).all()


def throttled(now_s, recent, share):
    batch = window(now_s, recent)
    batch.recent[:, THROTTLED, 0, -5] = codes.encode(share)
    return batch


@pytest.mark.parametrize(("share", "lowers"), [(0.5, False), (0.06, False), (0.02, True)])
def test_a_throttled_window_never_lowers_but_may_raise(share, lowers):
    for value, above in ((0.5, False), (99.0, True)):
        tracker, place = CoverageTracker(), np.array([0])
        tracker.issue(START, place, forecasts(1))
        tracker.learn(throttled(START + HOUR, np.full(RECENT_BINS, value), share), place)
        moved = offsets(tracker)[0, HORIZONS_S.index(HOUR)]
        if above:
            assert (moved > 0).all()
        else:
            assert (moved < 0).all() if lowers else (moved == 0).all()


def test_throttling_says_nothing_of_memory():
    tracker, place = CoverageTracker(), np.array([0])
    issued = forecasts(1)
    issued[:, 1] = issued[:, 0]
    tracker.issue(START, place, issued)
    batch = throttled(START + HOUR, np.full(RECENT_BINS, 0.5), 0.9)
    batch.recent[:, KPIS.index("memory"), 0] = codes.encode(0.5)
    tracker.learn(batch, place)
    hour = HORIZONS_S.index(HOUR)
    assert (tracker._offset[0, 0, hour] == 0).all()
    assert (tracker._offset[0, 1, hour] < 0).all()


def test_learning_twice_from_one_hour_is_learning_once():
    recent = np.full(RECENT_BINS, 99.0)
    once, twice = CoverageTracker(), CoverageTracker()
    wanted = learn_one(once, START, HOUR, recent)
    learn_one(twice, START, HOUR, recent)
    twice.learn(window(START + HOUR, recent), np.array([0]))
    np.testing.assert_array_equal(offsets(twice)[0, HORIZONS_S.index(HOUR)], wanted)


def test_rows_in_parts_are_as_rows_together():
    rng = np.random.default_rng(8)
    rows = 6
    together, apart = CoverageTracker(), CoverageTracker()
    parts = [np.array([4, 0]), np.array([1, 5]), np.array([2, 3])]
    for hour in range(40):
        now = START + HOUR * hour
        batch = window(now, rows=rows)
        batch.recent[:, CPU, 0] = codes.encode(np.exp(rng.normal(0, 1, (rows, RECENT_BINS))))
        issued = forecasts(rows) + rng.normal(0, 0.1, (rows, 1, 1, 1)).astype(np.float32)
        everyone = np.arange(rows)
        together.learn(batch, everyone)
        together.issue(now, everyone, issued)
        for part in parts:
            apart.learn(batch.take(part), part)
            apart.issue(now, part, issued[part])
        np.testing.assert_array_equal(apart._offset, together._offset)
        np.testing.assert_array_equal(
            apart.correct(parts[0], issued[parts[0]]), together.correct(everyone, issued)[parts[0]]
        )
    assert (together._offset[:, 0] != 0).any(axis=(0, 2)).all()


def test_new_rows_start_uncorrected_and_leave_the_others():
    tracker = CoverageTracker()
    learn_one(tracker, START, HOUR, np.full(RECENT_BINS, 99.0))
    before = offsets(tracker).copy()
    later = START + HOUR
    tracker.issue(later, np.array([0, 1, 2]), forecasts(3))
    np.testing.assert_array_equal(tracker._offset[:1, 0], before)
    assert (tracker._offset[1:] == 0).all()
    batch = window(later + HOUR, rows=4)
    batch.recent[:, CPU, 0] = codes.encode(99.0)
    tracker.learn(batch, np.arange(4))  # row 3 was never forecast
    assert (tracker._offset[1:3, 0, :3] > 0).all()
    assert (tracker._offset[3] == 0).all()


def test_a_row_that_was_not_forecast_at_an_hour_does_not_learn_from_it():
    tracker = CoverageTracker()
    tracker.issue(START, np.array([0, 1]), forecasts(2))
    tracker.issue(START + HOUR, np.array([1]), forecasts(1))
    batch = window(START + 2 * HOUR, rows=2)
    batch.recent[:, CPU, 0] = codes.encode(99.0)
    tracker.learn(batch, np.array([0, 1]))
    assert (tracker._offset[0] == 0).all()
    assert (tracker._offset[1, 0, :3] > 0).all()


def test_unknown_forecasts_stay_unknown_and_teach_nothing():
    tracker, place = CoverageTracker(), np.array([0])
    issued = np.full((1, *SHAPE), np.nan, np.float32)
    tracker.issue(START, place, issued)
    tracker.learn(window(START + HOUR, np.full(RECENT_BINS, 99.0)), place)
    assert (tracker._offset == 0).all()
    assert np.isnan(tracker.correct(place, issued)).all()


def test_hours_without_a_forecast_and_a_long_silence():
    tracker, place = CoverageTracker(), np.array([0])
    tracker.issue(START, place, forecasts(1))
    hot = np.full(RECENT_BINS, 99.0)
    for hours in (2, 30, 500):
        tracker.learn(window(START + HOUR * hours, hot), place)
        assert (tracker._offset[0, 0, :3] == 0).all()
        tracker.issue(START + HOUR * hours, place, forecasts(1))
    assert len(tracker._pending) == 1  # what can no longer mature is gone


def test_an_offset_is_bounded():
    tracker, place = CoverageTracker(), np.array([0])
    for hour in range(200):
        tracker.learn(window(START + HOUR * hour, np.full(RECENT_BINS, 1e6)), place)
        tracker.issue(START + HOUR * hour, place, forecasts(1))
    assert offsets(tracker).max() == MOST_OFFSET
    corrected = tracker.correct(place, forecasts(1))
    assert np.isfinite(corrected[0, 0]).all()


def test_what_is_waiting_takes_little_memory():
    tracker, rows = CoverageTracker(), 100
    for hour in range(60):
        tracker.issue(START + HOUR * hour, np.arange(rows), forecasts(rows))
    held = sum(a.nbytes for p in tracker._pending.values() for a in p.log_quantiles.values())
    assert held / rows < 5000


def test_corrected_quantiles_never_cross():
    rng = np.random.default_rng(2)
    tracker = CoverageTracker()
    tracker.issue(START, np.arange(9), forecasts(9))
    tracker._offset[:] = rng.normal(0, 1, tracker._offset.shape)
    corrected = tracker.correct(np.arange(9), forecasts(9))[:, 0]
    assert (np.diff(corrected, axis=-1) >= 0).all()
    assert (np.diff(corrected, axis=-2) >= 0).all()


def test_groups_are_chosen_by_the_nearest_centre():
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 1, (3, 64))
    table = CalibrationTable(
        centres=centres.tolist(),
        offsets=rng.normal(0, 1, (3, *SHAPE)).tolist(),
        counts=[[1] * len(RESOURCES)] * 3,
    )
    groups = GroupCalibration(table)
    near = np.float32(centres[[2, 0, 1, 1]] + 0.1 * rng.normal(0, 1, (4, 64)))
    np.testing.assert_array_equal(groups.nearest(near), [2, 0, 1, 1])
    assert groups.nearest(near).dtype == np.int64
    assert groups.nearest(near[:0]).shape == (0,)
    np.testing.assert_allclose(
        groups.offsets(np.array([1, 1])), np.float32([table.offsets[1]] * 2), rtol=1e-6
    )
