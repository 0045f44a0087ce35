"""Training samples: they see only the past, their labels what followed, up to the purge."""

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import MalformedHistory
from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.features import MODEL_KPIS, features
from recommender.kpis import HORIZONS_S, KPIS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.recorded import RecordedHistory
from trainer.dataset import (
    HORIZON_BINS,
    WindowGather,
    batches,
    concatenate,
    draw,
    future_peaks,
    truncate,
)
from trainer.traces import Source, split_number, to_source

FIRST_HOUR = 1_700_000_000 // 3600 * 3600
BINS = 12 * 24 * 4
NAMES = ("cpu", "memory", "net_rx", "net_tx", "disk_read", "disk_write")


def made_up(seed=1, entities=3, bins=BINS, lead=5, missing=0.1, kpis=NAMES):
    rng = np.random.default_rng(seed)
    shape = (entities, len(kpis), bins)
    daily = 1 + 0.5 * np.sin(2 * np.pi * np.arange(bins) / 288)
    mean = np.exp(rng.normal(0, 0.5, shape) + 3 * rng.normal(0, 1, (*shape[:2], 1))) * daily
    peak = mean * np.exp(np.abs(rng.normal(0, 0.5, shape)))
    gone = rng.random((entities, 1, bins)) < missing
    gone[:, 0, 0] = False
    peak, mean = (np.where(gone, np.nan, part).astype(np.float32) for part in (peak, mean))
    names = tuple(f"e{row}" for row in range(entities))
    return RecordedHistory("lab", names, names, FIRST_HOUR + 300 * (1 + lead), kpis, peak, mean)


def changed(history, begin, stop, factor):
    """The same history with other values in bins ``[begin, stop)``."""
    peak, mean = history.peak.copy(), history.mean.copy()
    peak[..., begin:stop] *= factor
    mean[..., begin:stop] *= factor
    return dataclasses.replace(history, peak=peak, mean=mean)


def cut(history, begin, stop):
    """The history as if only bins ``[begin, stop)`` had been recorded."""
    return dataclasses.replace(
        history,
        first_end_s=history.first_end_s + 300 * begin,
        peak=history.peak[..., begin:stop],
        mean=history.mean[..., begin:stop],
    )


def sampled(history, first=0, last=None, count=200, seed=3, **options):
    source = to_source(history)
    last = source.bins if last is None else last
    rows = np.arange(len(history.entities))
    return draw(source, 0, rows, first, last, count, np.random.default_rng(seed), **options)


def test_future_peaks_are_maxima_over_what_follows():
    source = to_source(made_up(bins=700))
    found = future_peaks(source)
    assert found.shape == (len(HORIZONS_S), 3, len(RESOURCES), 700)
    peak = source.recent[:, [KPIS.index(name) for name in RESOURCES], 0]
    rng = np.random.default_rng(0)
    for place, span in enumerate(HORIZON_BINS):
        for at in rng.integers(0, 700, 40):
            following = peak[..., at + 1 : at + 1 + span]
            known = (following != codes.MISSING).sum(axis=-1) >= 0.7 * span
            whole = following.shape[-1] == span
            wanted = following.max(axis=-1, initial=0) * (known & whole)
            np.testing.assert_array_equal(found[place, ..., at], wanted)


@settings(deadline=None, max_examples=10)
@given(st.integers(400, BINS - 1), st.integers(0, 99))
def test_labels_look_only_forward_and_features_only_back(tick, seed):
    history = made_up(seed)
    rows = np.arange(3)

    def one(changed_history):
        source, rng = to_source(changed_history), np.random.default_rng(0)
        found = draw(source, 0, rows, tick, tick + 1, 3, rng, augment=False)
        return found, future_peaks(source)[..., tick]

    before, labels = one(history)
    after, later_labels = one(changed(history, tick + 1, BINS, 7.0))
    for name in ("features", "log_scale", "log_floor"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    _, earlier_labels = one(changed(history, 0, tick + 1, 7.0))
    np.testing.assert_array_equal(earlier_labels, labels)
    assert (later_labels >= labels).all()
    np.testing.assert_array_equal(before.index, tick)


def test_targets_are_logs_over_the_scale():
    history = made_up()
    samples = sampled(history, augment=False)
    source = to_source(history)
    peaks = future_peaks(source)
    logs = codes.logarithm(peaks[:, samples.row, :, samples.index]).transpose(0, 2, 1)
    wanted = np.maximum(logs, samples.log_floor[..., None]) - samples.log_scale[..., None]
    np.testing.assert_allclose(samples.target, wanted, rtol=1e-6)
    assert np.isfinite(samples.target).any(axis=(0, 1)).all()


def test_no_label_looks_past_the_last_bin():
    last = 900
    history = made_up()
    purged = sampled(history, 700, last, 3 * 200, seed=5)
    poisoned = sampled(changed(history, last, BINS, 1e4), 700, last, 3 * 200, seed=5)
    for field in dataclasses.fields(purged):
        if field.name != "source":
            a, b = getattr(purged, field.name), getattr(poisoned, field.name)
            np.testing.assert_array_equal(a, b, err_msg=field.name)
    assert purged.index.max() < last
    for place, span in enumerate(HORIZON_BINS):
        reaching = purged.index + span > last - 1
        assert reaching.any()
        assert np.isnan(purged.target[reaching][:, :, place]).all()
        if not reaching.all():
            assert np.isfinite(purged.target[~reaching][:, :, place]).any()
    end_s = to_source(history).end_s(last - 1)
    now_s = to_source(history).end_s(0) + 300 * purged.index
    hour_ends = now_s[:, None] // 3600 * 3600 + 3600 * np.arange(1, 25)
    beyond = hour_ends > end_s
    assert np.isnan(purged.profile.transpose(0, 2, 1, 3)[beyond]).all()
    assert np.isfinite(purged.profile).any()


def test_the_profile_is_that_of_the_clock_hours_from_now_on():
    history = made_up(missing=0.0)
    source = to_source(history)
    samples = sampled(history, augment=False)
    place = int(np.flatnonzero((samples.index > 12) & (samples.index < BINS - 400))[0])
    now_s = source.end_s(int(samples.index[place]))
    row = samples.row[place]
    for hour in (0, 1, 23):
        end_s = now_s // 3600 * 3600 + 3600 * (hour + 1)
        stop = (end_s - history.first_end_s) // 300 + 1
        usage = history.mean[row, 0, stop - 12 : stop].astype(np.float64)
        scale = np.exp(samples.log_scale[place, 0])
        mean, std = samples.profile[place, 0, hour]
        assert mean == pytest.approx(usage.mean() / scale, rel=2e-3)
        assert std == pytest.approx(usage.std() / scale, rel=2e-2)


ages = st.integers(1, 288)


@settings(deadline=None, max_examples=30)
@given(ages, st.integers(300, BINS - 1), st.integers(0, 99))
def test_a_history_cut_short_is_as_a_really_short_one(age, tick, seed):
    history = made_up(seed, missing=0.3)
    source = to_source(history)
    rows = np.arange(3)
    kept = np.ones((3, len(MODEL_KPIS)), bool)
    found = truncate(source.window(tick, rows), np.full(3, age), kept)
    begin = tick + 1 - age
    for row in range(3):
        alone = cut(history, begin, tick + 1)
        part = dataclasses.replace(
            alone,
            entities=("x",),
            groups=("x",),
            peak=alone.peak[row : row + 1],
            mean=alone.mean[row : row + 1],
        )
        if np.isnan(part.peak).all():
            assert found.age_bins[row] == 0
            continue
        short = to_source(part)
        wanted = short.window(age - 1, np.array([0]))
        assert found.now_s == wanted.now_s
        np.testing.assert_array_equal(found.recent[row], wanted.recent[0])
        apart = found.hourly[row].astype(np.int64) - wanted.hourly[0]
        assert np.abs(apart).max() <= 1
        assert found.age_bins[row] == wanted.age_bins[0]


def test_of_a_longer_history_cut_short_only_an_hour_is_lost():
    source = to_source(made_up(missing=0.0))
    age, tick = 500, BINS - 7
    batch = truncate(source.window(tick, np.arange(3)), np.full(3, age), np.ones((3, 6), bool))
    assert (batch.recent[:, :6] != codes.MISSING).all()
    into = (batch.now_s % 3600) // 300
    hours = (batch.hourly[:, 0, 0] != codes.MISSING).sum(axis=1)
    assert set(hours) == {(age - into) // 12}
    assert set(batch.age_bins) == {age}


def test_a_history_that_is_not_cut_stays_as_it_is():
    source = to_source(made_up(bins=200))
    for tick in (0, 3, 20, 199):
        batch = source.window(tick, np.arange(3))
        same = truncate(batch, batch.age_bins, np.ones((3, 6), bool))
        for name in ("recent", "hourly", "age_bins"):
            np.testing.assert_array_equal(getattr(same, name), getattr(batch, name))


def test_kpis_that_were_taken_away_are_as_never_recorded():
    tick, rows = BINS - 1, np.arange(3)
    batch = to_source(made_up()).window(tick, rows)
    kept = np.zeros((3, len(MODEL_KPIS)), bool)
    kept[:, :2] = True
    found = truncate(batch, batch.age_bins, kept)
    history = made_up()
    fewer = dataclasses.replace(
        history, kpis=NAMES[:2], peak=history.peak[:, :2], mean=history.mean[:, :2]
    )
    wanted = to_source(fewer).window(tick, rows)
    np.testing.assert_array_equal(found.recent, wanted.recent)
    np.testing.assert_array_equal(found.hourly, wanted.hourly)


def test_a_kpi_that_was_taken_away_gives_no_label():
    samples = sampled(made_up(), count=600)
    places = [MODEL_KPIS.index(resource) for resource in RESOURCES]
    gone = ~samples.kept[:, places]
    assert gone.any()
    assert np.isnan(samples.target[gone]).all()
    assert np.isnan(samples.profile[gone]).all()
    assert np.isnan(samples.log_scale[gone]).all()
    young = samples.age < to_source(made_up()).window(0, np.arange(3)).age_bins.max() + 300
    assert young.any()


def test_what_the_encoder_is_given_is_what_the_features_were_made_of():
    """Gathering batch by batch gives the windows that sampling saw, cut and thinned alike."""
    histories = [made_up(1), made_up(2, lead=0, missing=0.4)]
    sources = [to_source(history) for history in histories]
    gather = WindowGather(sources)
    rows = [KPIS.index(kpi) for kpi in MODEL_KPIS]
    for place, source in enumerate(sources):
        rng = np.random.default_rng(4)
        samples = draw(source, place, np.arange(3), 0, source.bins, 300, rng)
        recent, hourly = gather.windows(
            place, samples.row, samples.index, samples.age, samples.kept
        )
        for at in range(0, len(samples), 7):
            tick = int(samples.index[at])
            whole = source.window(tick, samples.row[at : at + 1])
            batch = truncate(whole, samples.age[at : at + 1], samples.kept[at : at + 1])
            np.testing.assert_array_equal(recent[at], batch.recent[0, rows])
            np.testing.assert_array_equal(hourly[at], batch.hourly[0, rows, :2])
            again = features(batch, Clock().day_lags(batch.now_s))
            np.testing.assert_array_equal(again.values[0], samples.features[at])


def test_samples_are_whole_and_the_same_for_the_same_seed():
    first, second = sampled(made_up()), sampled(made_up())
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        np.testing.assert_array_equal(a, b)
        if field.name != "source":
            assert len(a) == len(first)
    assert first.features.shape[1:] == (len(RESOURCES), len(FEATURES))
    assert not np.isinf(first.features).any()
    assert not np.isinf(first.target).any()
    assert len(first) == pytest.approx(200, rel=0.1)


def test_batches_cover_every_sample_once():
    parts = [sampled(made_up(seed), count=50 * seed) for seed in (1, 2)]
    found = [(p, i) for p, at in batches(parts, 32, np.random.default_rng(1)) for i in at]
    assert sorted(found) == [(p, i) for p, part in enumerate(parts) for i in range(len(part))]
    joined = concatenate(parts)
    assert len(joined) == sum(map(len, parts))


def test_nothing_to_draw_from_is_said():
    history = changed(made_up(bins=600), 300, 600, np.nan)
    with pytest.raises(MalformedHistory, match="nothing was recorded"):
        sampled(history, 300, 600)


@pytest.mark.parametrize("bins", range(1, 15))
@pytest.mark.parametrize("lead", [0, 5, 11])
def test_histories_shorter_than_an_hour(bins, lead):
    source = to_source(made_up(bins=bins, lead=lead, missing=0.0))
    assert source.hourly.shape[-1] == (lead + bins) // 12
    batch = source.window(bins - 1, np.arange(3))
    assert (batch.recent[:, 0, 0] != codes.MISSING).sum() == 3 * bins
    assert set(batch.age_bins) == {bins}
    assert isinstance(source, Source)


def test_an_entity_without_a_sample_is_refused():
    history = changed(made_up(), 0, BINS, np.nan)
    with pytest.raises(MalformedHistory, match="valid sample"):
        to_source(history)


def test_the_last_quarter_and_the_lots():
    source = to_source(made_up(bins=1001))
    assert source.quarter_bin() == 751
    lots = [split_number("azure_v1", f"g{number}") for number in range(3000)]
    assert min(lots) == 0
    assert max(lots) == 99
    assert np.mean(np.array(lots) < 30) == pytest.approx(0.3, abs=0.03)
    digest = hashlib.sha1(b"azure_v1:a", usedforsecurity=False).hexdigest()
    assert split_number("azure_v1", "a") == int(digest[:8], 16) % 100
    np.testing.assert_array_equal(source.lot, [split_number("lab", f"e{row}") for row in range(3)])
