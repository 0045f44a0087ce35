"""The forecaster's own part, over a made-up network: what goes in, what is put together."""

from types import SimpleNamespace

import numpy as np
import pytest

from recommender.bundle.loading import Outputs
from recommender.bundle.manifest import CalibrationTable
from recommender.fingerprint.feature_names import FEATURES
from recommender.forecast.calibration import CoverageTracker
from recommender.forecast.forecaster import PORTION, Forecaster
from recommender.kpis import HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, WindowBatch

HOUR = 3600
START = 1_711_843_200  # 31 March 2024, midnight UTC: Berlin's clocks change at 01:00
SHAPE = (len(HORIZONS_S), len(LEVELS))


class MadeUpBundle:
    """Answers with simple functions of its inputs, row by row, crossing quantiles included."""

    def __init__(self, offset=0.0):
        centres, offsets = np.zeros((2, 64)), np.zeros((2, len(RESOURCES), *SHAPE))
        centres[1], offsets[1] = 1.0, offset
        table = CalibrationTable(
            centres=centres.tolist(), offsets=offsets.tolist(), counts=[[1] * 4] * 2
        )
        self.manifest = SimpleNamespace(id="made-up", calibration=table)
        self.sizes = []

    def run(self, hours, days, features):
        n = len(features)
        self.sizes.append(n)
        known = np.nan_to_num(features[..., FEATURES.index("day_q95")])
        wave = np.sin(np.arange(np.prod(SHAPE))).reshape(SHAPE)
        wall = np.nan_to_num(features[..., FEATURES.index("same_hour_1d")])
        quantiles = (known + wall)[..., None, None] + 0.3 * wave
        fingerprint = np.repeat(hours[:, -1, :1], 64, axis=1)
        profile = np.zeros((n, len(RESOURCES), 24, 2), np.float32)
        profile[..., 1] = days[:, -1, 0, None, None]
        return Outputs(fingerprint.astype(np.float32), quantiles.astype(np.float32), profile)


def windows(n, now_s=START, seed=1, scale=1.0):
    rng = np.random.default_rng(seed)
    recent = np.zeros((n, len(KPIS), 2, RECENT_BINS), np.uint16)
    hourly = np.zeros((n, len(KPIS), 3, HOURLY_BINS), np.uint16)
    recent[:, :4] = codes.encode(scale * np.exp(rng.normal(0, 1, (n, 4, 2, RECENT_BINS))))
    hourly[:, :4] = codes.encode(scale * np.exp(rng.normal(0, 1, (n, 4, 3, HOURLY_BINS))))
    return WindowBatch(now_s, recent, hourly, np.full(n, 4320))


def assert_same(found, wanted, rows=slice(None)):
    for name in ("log_quantiles", "uncalibrated", "log_scale", "mean", "variance", "fingerprint"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name)[rows], name)
    np.testing.assert_array_equal(found.group, wanted.group[rows])


def test_many_containers_are_run_in_portions_and_come_out_alike():
    n = 2 * PORTION + 5
    batch, bundle = windows(n), MadeUpBundle(0.5)
    forecaster = Forecaster(bundle)
    whole = forecaster.forecast(batch, np.arange(n), Clock())
    assert bundle.sizes == [PORTION, PORTION, 5]
    assert len(whole) == n
    for rows in ([0], [PORTION, 3], list(range(100, 140))):
        places = np.array(rows)
        assert_same(forecaster.forecast(batch.take(places), places, Clock()), whole, places)


def test_quantiles_never_cross_and_stay_above_the_floor():
    found = Forecaster(MadeUpBundle()).forecast(windows(40), np.arange(40), Clock())
    assert (np.diff(found.log_quantiles, axis=-1) >= 0).all()
    assert (np.diff(found.log_quantiles, axis=-2) >= 0).all()
    np.testing.assert_allclose(np.log(found.quantiles), found.log_quantiles, atol=1e-5)
    tiny = Forecaster(MadeUpBundle()).forecast(windows(3, scale=1e-9), np.arange(3), Clock())
    assert (tiny.log_quantiles >= np.float32(codes.LOG_SMALLEST)).all()


def test_each_container_has_its_own_time_zone():
    """Nine in the morning at Berlin, on the day its clocks change."""
    n = 2 * PORTION
    batch = windows(n, START + 7 * HOUR)
    clocks = [Clock("Europe/Berlin") if row % 3 else Clock() for row in range(n)]
    forecaster = Forecaster(MadeUpBundle())
    mixed = forecaster.forecast(batch, np.arange(n), clocks)
    for clock in (Clock(), Clock("Europe/Berlin")):
        rows = np.array([row for row in range(n) if clocks[row] == clock])
        whole = forecaster.forecast(batch, np.arange(n), clock)
        assert_same(forecaster.forecast(batch.take(rows), rows, clock), mixed, rows)
        np.testing.assert_array_equal(mixed.log_quantiles[rows], whole.log_quantiles[rows])
    plain = forecaster.forecast(batch, np.arange(n), Clock())
    assert (plain.log_quantiles[1] != mixed.log_quantiles[1]).any()


def test_group_offsets_are_added_where_asked_for():
    batch, rows = windows(50), np.arange(50)
    without = Forecaster(MadeUpBundle(0.5), grouped=False).forecast(batch, rows, Clock())
    found = Forecaster(MadeUpBundle(0.5)).forecast(batch, rows, Clock())
    assert set(without.group) == {0}
    rise = found.uncalibrated - without.uncalibrated
    for group, offset in ((0, 0.0), (1, 0.5)):
        np.testing.assert_allclose(rise[found.group == group], offset, atol=1e-6)


def test_at_each_full_hour_it_learns_and_between_it_only_corrects():
    tracker = CoverageTracker()
    forecaster, rows = Forecaster(MadeUpBundle(), tracker), np.arange(4)
    first = forecaster.forecast(windows(4), rows, Clock())
    np.testing.assert_array_equal(first.log_quantiles, first.uncalibrated)
    for minutes in (5, 30, 55):
        forecaster.forecast(windows(4, START + 60 * minutes, scale=1e3), rows, Clock())
    assert (tracker._offset == 0).all()
    found = forecaster.forecast(windows(4, START + HOUR, scale=1e3), rows, Clock())
    assert (tracker._offset[:, :, :3] > 0).all()
    assert (found.log_quantiles >= found.uncalibrated).all()
    learned = tracker._offset.copy()
    forecaster.forecast(windows(4, START + HOUR, scale=1e3), rows, Clock())
    np.testing.assert_array_equal(tracker._offset, learned)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e12, 1e18])
def test_absurd_scales_give_finite_numbers(scale):
    found = Forecaster(MadeUpBundle(), CoverageTracker()).forecast(
        windows(3, scale=scale), np.arange(3), Clock()
    )
    for values in (found.quantiles, found.mean, found.variance):
        assert np.isfinite(values).all()
        assert (values >= 0).all()


def test_a_resource_never_seen_has_no_forecast_and_harms_no_other():
    batch = windows(2)
    batch.recent[0, KPIS.index("memory")] = batch.hourly[0, KPIS.index("memory")] = 0
    found = Forecaster(MadeUpBundle(), CoverageTracker()).forecast(batch, np.arange(2), Clock())
    for values in (found.log_quantiles, found.mean, found.variance, found.log_scale):
        assert np.isnan(values[0, 1]).all()
        assert np.isfinite(values[0, [0, 2, 3]]).all()
        assert np.isfinite(values[1]).all()


def test_nobody():
    found = Forecaster(MadeUpBundle(), CoverageTracker()).forecast(
        windows(0), np.zeros(0, np.int64), Clock()
    )
    assert len(found) == 0
    assert found.log_quantiles.shape == (0, len(RESOURCES), *SHAPE)
    assert Forecaster(MadeUpBundle()).model_id == "made-up"
