"""The encoder's input: patches in order, relative to the container's own top."""

import numpy as np
import pytest

from recommender.fingerprint.features import MODEL_KPIS
from recommender.fingerprint.schema import SCHEMA
from recommender.fingerprint.sequences import CHANNELS, sequences
from recommender.kpis import KPIS
from recommender.telemetry import codes
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, WindowBatch

START = 1_700_000_000 // 86400 * 86400


def batch_of(values):
    """Windows whose model KPIs have ``values`` ``[n, kpis, 288]``, mean half of the peak."""
    n = len(values)
    recent = np.zeros((n, len(KPIS), 2, RECENT_BINS), np.uint16)
    hourly = np.zeros((n, len(KPIS), 3, HOURLY_BINS), np.uint16)
    for place, kpi in enumerate(MODEL_KPIS):
        row = KPIS.index(kpi)
        recent[:, row, 0] = codes.encode(values[:, place])
        recent[:, row, 1] = codes.encode(values[:, place] / 2)
        hourly[:, row, 0] = codes.encode(np.resize(values[:, place], (n, HOURLY_BINS)))
        hourly[:, row, 1] = codes.encode(np.resize(values[:, place] / 2, (n, HOURLY_BINS)))
    return WindowBatch(START, recent, hourly, np.full(n, 4320))


def unfold(patches, width):
    """Return ``[n, kpis, channels, bins]``."""
    n, count, _ = patches.shape
    shaped = patches.reshape(n, count, len(MODEL_KPIS), CHANNELS, width)
    return shaped.transpose(0, 2, 3, 1, 4).reshape(n, len(MODEL_KPIS), CHANNELS, count * width)


def made_up(n=3, seed=1):
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(0, 1, (n, len(MODEL_KPIS), RECENT_BINS)))


def test_shapes_are_those_of_the_schema():
    found = sequences(batch_of(made_up()))
    assert found.hours.shape == (3, *SCHEMA.hours_shape) == (3, 24, 288)
    assert found.days.shape == (3, *SCHEMA.days_shape) == (3, 15, 576)
    assert found.hours.dtype == found.days.dtype == np.float32
    assert found.hours.flags.c_contiguous
    assert found.days.flags.c_contiguous


def test_channels_hold_peak_root_mean_and_presence_oldest_first():
    values = made_up()
    found = sequences(batch_of(values))
    hours, days = unfold(found.hours, 12), unfold(found.days, 24)
    relative = values / values.max(axis=-1, keepdims=True)
    np.testing.assert_allclose(hours[:, :, 0], 0.5 * np.log(relative), atol=1e-3)
    np.testing.assert_allclose(hours[:, :, 1], np.sqrt(relative), rtol=1e-3)
    np.testing.assert_allclose(hours[:, :, 2], 0.5 * np.log(relative / 2), atol=1e-3)
    assert (hours[:, :, 3] == 1).all()
    again = sequences(batch_of(values[:1]))
    np.testing.assert_allclose(
        unfold(again.days, 24)[:, :, 1, :RECENT_BINS], np.sqrt(relative[:1]), rtol=1e-3
    )
    assert (days[:, :, 3] == 1).all()


def test_the_scale_of_each_kpi_is_its_own():
    values = made_up()
    factors = np.array([1e-3, 1e9, 1e5, 1.0, 1e2, 1e7])[:, None]
    one, other = sequences(batch_of(values)), sequences(batch_of(values * factors))
    np.testing.assert_allclose(other.hours, one.hours, atol=2e-3)
    np.testing.assert_allclose(other.days, one.days, atol=2e-3)


def test_what_is_missing_is_marked():
    values = made_up()
    values[:, 2] = np.nan
    values[:, 0, 5:9] = np.nan
    hours = unfold(sequences(batch_of(values)).hours, 12)
    assert (hours[:, 2] == 0).all()
    assert (hours[:, 0, 3, 5:9] == 0).all()
    assert (hours[:, 0, :3, 5:9] == 0).all()
    assert hours[:, 0, 3].sum(axis=-1).tolist() == [284] * 3


def test_without_a_recent_day_the_scale_is_that_of_the_hours():
    batch = batch_of(made_up())
    batch.recent[:] = codes.MISSING
    found = sequences(batch)
    assert (found.hours == 0).all()
    assert unfold(found.days, 24)[:, :, 1].max() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 1e12, 1e300, 1e-12, np.nan, -1.0, 0.25])
def test_absurd_values_give_finite_patches(value):
    values = np.full((2, len(MODEL_KPIS), RECENT_BINS), value)
    values[1, :, :-1] = np.nan
    found = sequences(batch_of(values))
    for patches in (found.hours, found.days):
        assert np.isfinite(patches).all()
        assert np.abs(patches).max() <= 8


def test_containers_do_not_touch_each_other():
    values = made_up(5)
    together = sequences(batch_of(values))
    for row in range(5):
        alone = sequences(batch_of(values).take(slice(row, row + 1)))
        np.testing.assert_array_equal(alone.hours[0], together.hours[row])
        np.testing.assert_array_equal(alone.days[0], together.days[row])
    assert len(sequences(batch_of(values[:0])).hours) == 0
