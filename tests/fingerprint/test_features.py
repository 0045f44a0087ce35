"""Features: relative, causal, honest about what is missing, and on the wall clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.features import FLOORS, MODEL_KPIS, features
from recommender.kpis import KPIS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, WindowBatch

UTC = Clock()
START = 1_700_000_000 // 86400 * 86400  # a midnight
CPU = KPIS.index("cpu")


def batch_of(recent, hourly, now_s=START, kpi=CPU, age=HOURLY_BINS * 12):
    """Windows of one KPI: ``recent`` ``[n, 288]`` and ``hourly`` ``[n, 360]``, peak equals mean."""
    recent, hourly = np.atleast_2d(recent), np.atleast_2d(hourly)
    n = len(recent)
    r = np.zeros((n, len(KPIS), 2, RECENT_BINS), np.uint16)
    h = np.zeros((n, len(KPIS), 3, HOURLY_BINS), np.uint16)
    r[:, kpi] = codes.encode(recent)[:, None]
    h[:, kpi] = codes.encode(hourly)[:, None]
    return WindowBatch(now_s, r, h, np.full(n, age, np.int64))


def noisy(seed, n=1, scale=1.0, missing=0.0):
    rng = np.random.default_rng(seed)
    recent = scale * np.exp(rng.normal(0, 0.7, (n, RECENT_BINS)))
    hourly = scale * np.exp(rng.normal(0.7, 0.7, (n, HOURLY_BINS)))
    recent[rng.random(recent.shape) < missing] = np.nan
    hourly[rng.random(hourly.shape) < missing] = np.nan
    return recent, hourly


def of(batch, clock=UTC, row=0, resource=0):
    found = features(batch, clock.day_lags(batch.now_s))
    return dict(zip(FEATURES, found.values[row, resource].tolist(), strict=True))


def logs(value, scale):
    return pytest.approx(np.log(np.float64(value) / scale), abs=1.2e-3)


def test_names_are_unique_and_as_many_as_the_values():
    assert len(set(FEATURES)) == len(FEATURES)
    assert FEATURES[-1] == "resource"  # the network reads the resource's number there
    found = features(batch_of(*noisy(1, 5)), UTC.day_lags(START))
    assert found.values.shape == (5, len(RESOURCES), len(FEATURES))
    assert found.values.dtype == found.log_scale.dtype == found.log_floor.dtype == np.float32
    np.testing.assert_array_equal(found.values[..., -1], [[0, 1, 2, 3]] * 5)


def test_values_against_their_definitions():
    recent, hourly = noisy(2)
    now = START + 600  # ten minutes into an hour
    found = of(batch_of(recent, hourly, now))
    r, h, top = recent[0], hourly[0], recent.max()
    batch = features(batch_of(recent, hourly, now), UTC.day_lags(now))
    assert batch.log_scale[0, 0] == pytest.approx(np.log(top), abs=1e-3)
    for lag in (0, 5, 11):
        assert found[f"peak_lag_{lag}"] == logs(r[-1 - lag], top)
    for span in (2, 12, 216):
        assert found[f"peak_max_{span}"] == logs(r[-span:].max(), top)
    for level, name in ((0.25, "day_q25"), (0.9, "day_q90"), (0.99, "day_q99")):
        assert found[name] == logs(np.sort(r)[int(level * 287)], top)
    assert found["three_hours_q90"] == logs(np.sort(r[-36:])[int(0.9 * 35)], top)
    for span in (1, 3, 72):
        assert found[f"yesterday_next_{span}"] == logs(r[:span].max(), top)
    # Ten minutes into the hour, the hour to come has parts of two clock hours of each earlier day.
    assert found["same_hour_1d"] == logs(h[360 - 24 : 360 - 22].max(), top)
    assert found["same_hour_7d"] == logs(h[360 - 168 : 360 - 166].max(), top)
    assert found["same_six_hours_14d"] == logs(h[360 - 336 : 360 - 329].max(), top)
    both = np.array([h[360 - 24 * d : 362 - 24 * d].max() for d in range(1, 15)])
    assert found["same_hour_max_3d"] == logs(both[:3].max(), top)
    assert found["same_hour_max_14d"] == logs(both.max(), top)
    assert found["same_hour_median_7d"] == logs(np.sort(both[:7])[3], top)
    assert found["yesterday_around"] == logs(h[360 - 25 : 360 - 22].max(), top)
    assert found["day_max_1"] == logs(h[-24:].max(), top)
    assert found["day_max_7"] == logs(h[-168:-144].max(), top)
    assert found["max_7d"] == logs(h[-168:].max(), top)
    assert found["max_15d"] == logs(h.max(), top)
    assert found["hour_peak_2"] == logs(h[-2], top)
    assert found["hour_peak_13"] == logs(h[-13], top)
    tops = np.array([r[288 - 12 * back : 291 - 12 * back].max() for back in range(1, 7)])
    assert found["same_minute_3_max"] == logs(tops.max(), top)
    assert found["same_minute_3_mid"] == logs(np.sort(tops)[2], top)
    assert found["same_minute_3_last"] == logs(tops[0], top)
    assert found["mean_15m"] == logs(r[-3:].mean(), top)
    assert found["mean_3h"] == logs(r[-36:].mean(), top)
    assert found["mean_7d"] == logs(h[-168:].mean(), top)
    assert found["rough_24h"] == pytest.approx(np.abs(np.diff(np.log(r))).mean(), rel=1e-2)
    assert found["near_top_50"] == pytest.approx((r >= 0.5 * top).mean(), abs=1e-2)
    assert found["since_top"] == pytest.approx((287 - r.argmax()) / 288)
    assert found["missing"] == 0
    assert found["busy_cpu"] == logs(r[-12:].max(), top)
    assert found["minute_sin"] == pytest.approx(np.sin(2 * np.pi / 6))
    assert found["minute_cos"] == pytest.approx(np.cos(2 * np.pi / 6))
    assert found["age"] == pytest.approx(np.log1p(HOURLY_BINS * 12))
    assert found["headroom"] == pytest.approx(np.log(top / 1e-3), abs=2e-3)
    jumps = np.sort(np.clip(np.log(r[1:] / r[:-1]), -8, 8))
    assert found["bin_over_last_q95"] == pytest.approx(jumps[int(0.95 * 286)], abs=2e-3)
    over = [np.log(r[i] / r[i - 12 : i].max()) for i in range(12, 288)]
    assert found["bin_over_hour_q80"] == pytest.approx(np.sort(over)[int(0.8 * 275)], abs=2e-3)
    week = range(360 - 168, 360)
    over = [np.log(h[i] / h[i - 6 : i].max()) for i in week]
    assert found["hour_over_six_q99"] == pytest.approx(np.sort(over)[int(0.99 * 167)], abs=2e-3)
    over = [np.log(h[i] / h[i - 24]) for i in week]
    assert found["hour_over_day_q50"] == pytest.approx(np.sort(over)[int(0.5 * 167)], abs=2e-3)


def test_on_the_hour_the_same_hour_is_one_clock_hour():
    recent, hourly = noisy(3)
    found = of(batch_of(recent, hourly, START))
    assert found["same_hour_1d"] == logs(hourly[0, 360 - 24], recent.max())
    assert found["same_six_hours_2d"] == logs(hourly[0, 360 - 48 : 360 - 42].max(), recent.max())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.sampled_from([1e-2, 1e3, 1e6]), st.floats(0, 0.6))
def test_another_unit_changes_nothing_but_the_headroom(seed, factor, missing):
    """Steps of the codes apart: a thousandfold is no whole number of them."""
    recent, hourly = noisy(seed, missing=missing, scale=1e3)
    one = features(batch_of(recent, hourly), UTC.day_lags(START))
    other = features(batch_of(factor * recent, factor * hourly), UTC.day_lags(START))
    step = np.abs(other.values - one.values)[0, 0]
    np.testing.assert_array_equal(np.isnan(other.values), np.isnan(one.values))
    loose = [i for i, name in enumerate(FEATURES) if name == "headroom" or "near_top" in name]
    step[loose] = 0
    assert np.nanmax(step) <= 2.5e-3
    moved = other.log_scale[0, 0] - one.log_scale[0, 0]
    assert moved == pytest.approx(np.log(factor), abs=2e-3)


def test_tiny_and_normalised_workloads_are_told_apart_from_noise_by_their_own_size():
    for size in (1.0, 1e-3, 1e-6):
        recent, hourly = noisy(4, scale=size)
        found = features(batch_of(recent, hourly), UTC.day_lags(START))
        assert np.exp(found.log_floor[0, 0]) <= FLOORS["cpu"] * 1.001
        assert found.values[0, 0, FEATURES.index("day_q25")] < -0.5


def test_a_container_is_described_by_its_own_window_alone():
    recent, hourly = noisy(5, 7, missing=0.2)
    together = features(batch_of(recent, hourly), UTC.day_lags(START))
    for row in range(7):
        alone = features(batch_of(recent[row], hourly[row]), UTC.day_lags(START))
        np.testing.assert_array_equal(alone.values[0], together.values[row])


def test_a_resource_is_described_by_its_own_channel():
    recent, hourly = noisy(6, scale=1e9)
    for place, resource in enumerate(RESOURCES):
        found = features(batch_of(recent, hourly, kpi=KPIS.index(resource)), UTC.day_lags(START))
        assert np.isfinite(found.log_scale[0]).tolist() == [i == place for i in range(4)]
        busy = [FEATURES.index(f"busy_{kpi}") for kpi in MODEL_KPIS]
        seen = np.isfinite(found.values[0, :, busy])
        assert (seen == (np.array(MODEL_KPIS) == resource)[:, None]).all()


def test_nothing_seen_is_nothing_known():
    empty = batch_of(np.full(RECENT_BINS, np.nan), np.full(HOURLY_BINS, np.nan), age=0)
    found = features(empty, UTC.day_lags(START))
    assert np.isnan(found.log_scale).all()
    assert np.isfinite(found.log_floor).all()
    known = {name for name, value in of(empty).items() if np.isfinite(value)}
    assert known == {"age", "minute_sin", "minute_cos", "rest_day", "yesterday_alike", "resource"}


ABSURD = {
    "zero": np.zeros(RECENT_BINS),
    "constant": np.full(RECENT_BINS, 0.25),
    "huge": np.full(RECENT_BINS, 1e12),
    "beyond": np.full(RECENT_BINS, 1e300),
    "tiny": np.full(RECENT_BINS, 1e-12),
    "one sample": np.where(np.arange(RECENT_BINS) == 287, 3.0, np.nan),
    "one old sample": np.where(np.arange(RECENT_BINS) == 0, 3.0, np.nan),
    "a spike in zeros": np.where(np.arange(RECENT_BINS) == 100, 1e12, 0.0),
    "alternating": np.where(np.arange(RECENT_BINS) % 2 == 0, 1e-9, 1e15),
    "negative": np.full(RECENT_BINS, -1.0),
}


@pytest.mark.parametrize("recent", ABSURD.values(), ids=ABSURD)
@pytest.mark.parametrize("with_hours", [True, False])
def test_absurd_histories_give_finite_features(recent, with_hours):
    hourly = np.resize(recent, HOURLY_BINS) if with_hours else np.full(HOURLY_BINS, np.nan)
    for now in (START, START + 300):
        found = features(batch_of(recent, hourly, now), UTC.day_lags(now))
        assert not np.isinf(found.values).any()
        assert np.nanmax(np.abs(found.values)) <= 12
        seen = (recent >= 0).any()
        assert np.isfinite(found.log_scale[0, 0]) == seen
        if seen:
            assert found.log_scale[0, 0] >= found.log_floor[0, 0]
            assert np.isfinite(found.values[0, 0, FEATURES.index("since_top")])


def test_only_hours_seen_days_ago():
    hourly = np.full(HOURLY_BINS, np.nan)
    hourly[100] = 4.0
    found = of(batch_of(np.full(RECENT_BINS, np.nan), hourly))
    assert found["max_15d"] == logs(4, 4)
    assert np.isnan(found["max_7d"])
    assert np.isnan(found["peak_lag_0"])
    assert found["missing"] == 1


def test_gaps_do_not_count_as_quiet():
    recent, hourly = noisy(8)
    gap = recent.copy()
    gap[:, 100:200] = np.nan
    seen = of(batch_of(gap, hourly))
    assert seen["missing"] == pytest.approx(100 / 288)
    left = np.sort(gap[np.isfinite(gap)])
    assert seen["day_q25"] == logs(left[int(0.25 * 187)], left.max())
    assert seen["day_q50"] == logs(left[int(0.5 * 187)], left.max())
    gap[:, -1] = np.nan
    assert np.isnan(of(batch_of(gap, hourly))["peak_lag_0"])
    assert np.isfinite(of(batch_of(gap, hourly))["peak_max_2"])


def test_a_noisy_floor_hides_what_is_below_it():
    recent = np.full(RECENT_BINS, 1e-6)
    recent[50] = 1.0
    found = of(batch_of(recent, np.full(HOURLY_BINS, np.nan)))
    assert found["peak_lag_0"] == pytest.approx(np.log(FLOORS["cpu"]), abs=2e-3)
    assert found["rough_3h"] == 0


@pytest.mark.parametrize(
    ("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-20", 24)]
)
def test_yesterdays_same_time_is_found_on_the_wall_clock(day, hours):
    """A job at 09:00 Berlin time, on the day that the clocks change."""
    berlin = Clock("Europe/Berlin")
    now = int(
        datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=ZoneInfo(berlin.zone)).timestamp()
    )
    hourly = np.ones(HOURLY_BINS)
    hourly[HOURLY_BINS - hours] = 50.0
    recent = np.ones(RECENT_BINS)
    if hours * 12 <= RECENT_BINS:
        recent[RECENT_BINS - hours * 12] = 50.0
    batch = batch_of(recent, hourly, now)
    top = recent.max()
    found = of(batch, berlin)
    assert found["same_hour_1d"] == logs(50, top)
    assert found["yesterday_next_1"] == logs(50, top)
    assert found["yesterday_next_72"] == logs(50, top)
    # Where clocks do not change, the job was not at this time.
    plain = of(batch)
    assert (plain["same_hour_1d"] == logs(50, top)) == (hours == 24)


def test_days_of_rest_are_compared_with_days_of_rest():
    saturday = int(datetime(2024, 6, 22, 9, tzinfo=ZoneInfo("UTC")).timestamp())
    hourly = np.ones(HOURLY_BINS)
    for days, load in ((6, 3.0), (7, 5.0), (1, 40.0), (14, 4.0)):
        hourly[HOURLY_BINS - 24 * days] = load
    found = of(batch_of(np.ones(RECENT_BINS), hourly, saturday))
    assert found["rest_day"] == 1
    assert found["yesterday_alike"] == 0
    assert found["same_hour_max_7d"] == logs(40, 1)
    assert found["same_hour_max_alike"] == logs(5, 1)  # Saturday or Sunday of the week before


def test_nobody():
    none = batch_of(np.ones(RECENT_BINS), np.ones(HOURLY_BINS)).take(np.zeros(0, np.int64))
    assert features(none, UTC.day_lags(START)).values.shape == (0, len(RESOURCES), len(FEATURES))
