"""The rolling window: the same as a slice of the whole history, however the history arrives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import MalformedHistory
from recommender.kpis import KPIS
from recommender.telemetry import codes
from recommender.telemetry.history import Block, WorkloadKey
from recommender.telemetry.recorded import RecordedHistory, RecordedSource
from recommender.telemetry.window import HOURLY_BINS, RECENT_BINS, RollingWindows, moments
from trainer.traces import to_source

HOUR = 3600
DAY = 86400
FIRST_HOUR = 1_700_000_000 // HOUR * HOUR
CPU, MEMORY = KPIS.index("cpu"), KPIS.index("memory")


def key(name):
    return WorkloadKey("lab", "Deployment", name, "main")


def made_up(seed, entities=3, bins=500, lead=0, missing=0.2):
    """A history with gaps, late starts, early ends and one KPI of its own for each entity."""
    rng = np.random.default_rng(seed)
    kpis = ("cpu", "memory", "net_tx")
    mean = np.exp(rng.normal(0, 2, (entities, len(kpis), bins)))
    peak = mean * np.exp(np.abs(rng.normal(0, 0.5, mean.shape)))
    gone = rng.random((entities, 1, bins)) < missing
    for row in range(entities):
        start, stop = rng.integers(0, bins // 2 + 1), rng.integers(bins // 2 + 1, bins + 1)
        gone[row, 0, :start] = gone[row, 0, stop:] = True
        gone[row, 0, start] = False
    peak, mean = (np.where(gone, np.nan, part).astype(np.float32) for part in (peak, mean))
    names = tuple(f"e{row}" for row in range(entities))
    first = FIRST_HOUR + 300 * (1 + lead)
    return RecordedHistory("lab", names, names, first, kpis, peak, mean)


def feed(windows, history, until_s, block_bins=1):
    rows = windows.rows(history.key(row) for row in range(len(history.entities)))
    for block in RecordedSource(history, block_bins).blocks(0, until_s):
        windows.ingest(block)
    return rows


def assert_same(found, wanted, *, with_std=True):
    assert found.now_s == wanted.now_s
    np.testing.assert_array_equal(found.recent, wanted.recent)
    np.testing.assert_array_equal(found.hourly[:, :, 0], wanted.hourly[:, :, 0])
    parts = slice(1, 3 if with_std else 2)
    ours, theirs = (w.hourly[:, :, parts].astype(np.int64) for w in (found, wanted))
    assert np.abs(ours - theirs).max(initial=0) <= 1  # sums in another order, then rounded
    np.testing.assert_array_equal(found.age_bins, wanted.age_bins)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_windows_fed_bin_by_bin_are_slices_of_the_whole_history(data):
    bins = data.draw(st.integers(1, 700))
    history = made_up(data.draw(st.integers(0, 99)), bins=bins, lead=data.draw(st.integers(0, 11)))
    source = to_source(history)
    index = data.draw(st.integers(0, bins - 1))
    windows = RollingWindows()
    block_bins = data.draw(st.sampled_from([1, 5, 12, 288, 1000]))
    rows = feed(windows, history, source.end_s(index), block_bins)
    assert_same(windows.snapshot(rows), source.window(index, rows))


def test_windows_of_more_than_fifteen_days():
    history = made_up(7, entities=2, bins=12 * 24 * 18, lead=5, missing=0.01)
    source, windows = to_source(history), RollingWindows()
    rows = np.arange(2)
    begin = 0
    for index in (4000, 4500, 12 * 24 * 18 - 1):
        for block in RecordedSource(history).blocks(begin, source.end_s(index)):
            windows.ingest(block)
        begin = source.end_s(index)
        assert_same(windows.snapshot(), source.window(index, rows))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_the_order_in_which_bins_of_a_day_arrive_does_not_matter(data):
    """Blocks of single entities, cut at random, shuffled, some twice: all within 24 hours."""
    bins = data.draw(st.integers(13, 280))
    history = made_up(data.draw(st.integers(0, 99)), bins=bins, lead=data.draw(st.integers(0, 11)))
    source = to_source(history)
    pieces = []
    for whole in RecordedSource(history, 1000).blocks(0, history.last_end_s):
        for row, name in enumerate(whole.keys):
            cuts = data.draw(st.lists(st.integers(1, bins - 1), max_size=4, unique=True))
            edges = [0, *sorted(cuts), bins]
            for begin, stop in pairwise(edges):
                pieces.append(
                    Block(
                        (name,),
                        300,
                        whole.first_end_s + 300 * begin,
                        whole.peak[row : row + 1, :, begin:stop],
                        whole.mean[row : row + 1, :, begin:stop],
                    )
                )
    order = data.draw(st.permutations(pieces + pieces[:2]))
    windows = RollingWindows()
    rows = windows.rows(history.key(row) for row in range(len(history.entities)))
    for piece in order:
        windows.ingest(piece)
    assert_same(windows.snapshot(rows), source.window(bins - 1, rows))


def test_a_replay_of_the_same_blocks_changes_nothing():
    history = made_up(11, bins=600)
    windows = RollingWindows()
    rows = feed(windows, history, history.last_end_s, 288)
    before = windows.snapshot(rows)
    for block in RecordedSource(history, 100).blocks(0, history.last_end_s):
        windows.ingest(block)
    assert_same(windows.snapshot(rows), before)


def one(name, first_end, peaks, *, step=300, means=None, std=None, kpi=CPU):
    peaks = np.asarray(peaks, np.float32)
    peak = np.full((1, len(KPIS), len(peaks)), np.nan, np.float32)
    mean = peak.copy()
    peak[0, kpi], mean[0, kpi] = peaks, peaks if means is None else means
    spread = None if std is None else np.where(np.isnan(peak), np.nan, np.float32(std))
    return Block((key(name),), step, first_end, peak, mean, spread)


def values(windows, row=0, kpi=CPU):
    batch = windows.snapshot()
    return codes.decode(batch.recent[row, kpi]), codes.decode(batch.hourly[row, kpi])


def test_the_larger_peak_and_the_later_mean_of_a_bin_hold():
    windows = RollingWindows()
    for peak, mean in ((2, 1.5), (3, 1.2), (1, 0.5)):
        windows.ingest(one("a", FIRST_HOUR, [peak], means=[mean]))
    recent, _ = values(windows)
    assert recent[0, -1] == pytest.approx(3, rel=1e-3)
    assert recent[1, -1] == pytest.approx(0.5, rel=1e-3)


def test_a_late_bin_betters_its_hour():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR + 300, [1] * 11 + [np.nan] + [1] * 12))
    windows.ingest(one("a", FIRST_HOUR + HOUR, [9]))
    _, hourly = values(windows)
    np.testing.assert_allclose(hourly[0, -2:], [9, 1], rtol=1e-3)
    assert hourly[1, -2] == pytest.approx(20 / 12, rel=2e-3)


def test_a_bin_later_than_a_day_is_too_late_for_the_recent_part():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR, [1]))
    windows.ingest(one("a", FIRST_HOUR + DAY, [1]))
    windows.ingest(one("a", FIRST_HOUR, [50]))
    recent, hourly = values(windows)
    assert np.nanmax(recent) == np.nanmax(hourly) == pytest.approx(1, rel=1e-3)


def test_a_bin_almost_a_day_late_does_not_mix_two_days_into_its_hour():
    """Its hour has begun to leave the recent part, whose slots are this day's by now."""
    windows = RollingWindows()
    now = FIRST_HOUR + DAY + 1800
    windows.ingest(one("a", FIRST_HOUR + 300, [1] * 12))
    windows.ingest(one("a", FIRST_HOUR + HOUR + 300, [100] * ((now - FIRST_HOUR - HOUR) // 300)))
    windows.ingest(one("a", FIRST_HOUR + 2400, [2]))
    _, hourly = values(windows)
    assert hourly[0, -24] == pytest.approx(2, rel=1e-3)  # the late bin's peak, not today's 100
    assert hourly[1, -24] == pytest.approx(1, rel=1e-3)
    assert hourly[0, -23] == pytest.approx(100, rel=1e-3)


def test_a_container_that_ends_within_an_hour_keeps_that_hour():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR + 300, [5] * 4))
    windows.ingest(one("b", FIRST_HOUR + 1500, [1] * 20))
    batch = windows.snapshot()
    assert batch.now_s == FIRST_HOUR + 2 * HOUR
    np.testing.assert_allclose(
        codes.decode(batch.hourly[:, CPU, 0, -2:]), [[5, np.nan], [1, 1]], rtol=1e-3
    )


@pytest.mark.parametrize("jump", [HOUR, DAY - 300, DAY, DAY + 300, 5 * DAY, 15 * DAY, 40 * DAY])
@pytest.mark.parametrize("lead", [300, 1800, HOUR])
def test_a_jump_empties_what_it_passes_over(jump, lead):
    windows = RollingWindows()
    last = FIRST_HOUR + lead
    windows.ingest(one("a", FIRST_HOUR + 300, [7] * (lead // 300)))
    now = last + jump
    windows.ingest(one("a", now, [3]))
    recent, hourly = values(windows)
    assert recent[0, -1] == pytest.approx(3, rel=1e-3)
    back = jump // 300
    inside = max(0, min(lead // 300, RECENT_BINS - back))
    assert np.isfinite(recent[0, :-1]).sum() == inside
    hours_back = now // HOUR - (FIRST_HOUR + HOUR) // HOUR
    if hours_back < HOURLY_BINS:
        assert hourly[0, -1 - hours_back] == pytest.approx(7, rel=1e-3)
    closed_now = now % HOUR == 0 and hours_back > 0
    assert np.isfinite(hourly[0]).sum() == (hours_back < HOURLY_BINS) + closed_now
    assert windows.snapshot().age_bins[0] == (now - FIRST_HOUR) // 300


def test_hourly_blocks_then_five_minute_ones():
    """As from a first load: fifteen days of hours, then the last day's bins, off the hour."""
    now = FIRST_HOUR + 1800
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR - 359 * HOUR, [4] * 360, step=HOUR, std=0.5))
    windows.ingest(one("a", now - DAY + 300, [2] * 288))
    recent, hourly = values(windows)
    np.testing.assert_allclose(recent, 2, rtol=1e-3)
    np.testing.assert_allclose(hourly[0], 4, rtol=1e-3)  # a peak is never taken back
    # Hours known in twelve bins get their mean from those; the one known in half keeps its own.
    np.testing.assert_allclose(hourly[1], [4] * 337 + [2] * 23, rtol=1e-3)
    np.testing.assert_allclose(hourly[2], [0.5] * 337 + [0] * 23, rtol=1e-3)
    assert windows.snapshot().age_bins[0] == (now - FIRST_HOUR) // 300 + 360 * 12


def test_five_minute_blocks_then_hourly_ones():
    """The other order, as the Prometheus source has it, for two batches of containers."""
    now = FIRST_HOUR + 1800
    windows = RollingWindows()
    for name in ("a", "b"):
        windows.ingest(one(name, now - DAY + 300, [2] * 288))
    for name in ("a", "b"):
        windows.ingest(one(name, FIRST_HOUR - 359 * HOUR, [4] * 337, step=HOUR))
    for row in (0, 1):
        recent, hourly = values(windows, row)
        np.testing.assert_allclose(recent, 2, rtol=1e-3)
        np.testing.assert_allclose(hourly[:2], [[4] * 337 + [2] * 23] * 2, rtol=1e-3)
        np.testing.assert_allclose(hourly[2], 0, atol=1e-9)
    assert windows.now_s == now
    assert set(windows.snapshot().age_bins) == {(now - FIRST_HOUR) // 300 + 360 * 12}


def test_an_hourly_block_with_gaps_leaves_what_is_known():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR - HOUR, [4, 5], step=HOUR, std=1))
    windows.ingest(one("a", FIRST_HOUR - HOUR, [np.nan, 3], step=HOUR, std=2))
    _, hourly = values(windows)
    np.testing.assert_allclose(hourly[:, -2:], [[4, 5], [4, 3], [1, 2]], rtol=1e-3)


def test_hours_older_than_fifteen_days_are_left_out():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR, [1]))
    windows.ingest(one("b", FIRST_HOUR - 400 * HOUR, [8] * 41, step=HOUR))
    batch = windows.snapshot()
    assert (batch.hourly[1] == codes.MISSING).all()
    windows.ingest(one("b", FIRST_HOUR - 400 * HOUR, [8] * 42, step=HOUR))
    assert codes.decode(windows.snapshot().hourly[1, CPU, 0, 0]) == pytest.approx(8, rel=1e-3)


def test_rows_grow_and_keep_what_they_hold():
    windows = RollingWindows()
    for number in range(70):
        windows.ingest(one(f"w{number}", FIRST_HOUR + 300 * (number + 1), [number + 1.0]))
        assert len(windows) == number + 1
    assert windows.keys == tuple(key(f"w{n}") for n in range(70))
    batch = windows.snapshot()
    assert len(batch) == 70
    for row in range(70):
        recent = codes.decode(batch.recent[row, CPU, 0])
        assert np.nanmax(recent) == pytest.approx(row + 1, rel=1e-3)
        assert np.isfinite(recent).sum() == 1
    np.testing.assert_array_equal(batch.age_bins, np.arange(70, 0, -1))
    # A known row asked for again is the same row; what is chosen comes in the order asked for.
    rows = windows.rows([key("w3"), key("w1")])
    np.testing.assert_array_equal(rows, [3, 1])
    np.testing.assert_array_equal(windows.snapshot(rows).recent, batch.recent[[3, 1]])
    np.testing.assert_array_equal(batch.take(rows).hourly, windows.snapshot(rows).hourly)


def test_a_snapshot_is_a_copy():
    windows = RollingWindows()
    windows.ingest(one("a", FIRST_HOUR, [1]))
    batch = windows.snapshot()
    batch.recent[:] = 9
    assert codes.decode(windows.snapshot().recent[0, CPU, 0, -1]) == pytest.approx(1, rel=1e-3)


def test_memory_of_a_container_is_about_forty_kilobytes():
    windows = RollingWindows()
    windows.rows(key(f"w{n}") for n in range(1000))
    held = sum(a.nbytes for a in vars(windows).values() if isinstance(a, np.ndarray))
    assert held == 1000 * windows.bytes_per_container
    assert 30_000 < windows.bytes_per_container < 41_000


def test_before_the_first_block_and_without_data():
    windows = RollingWindows()
    assert windows.now_s is None
    assert len(windows.snapshot()) == 0
    windows.rows([key("a")])
    batch = windows.snapshot()
    assert batch.age_bins.tolist() == [0]
    windows.ingest(one("a", FIRST_HOUR, []))
    assert windows.now_s is None
    windows.ingest(one("a", FIRST_HOUR, [], step=HOUR))
    windows.ingest(one("a", FIRST_HOUR, [np.nan]))
    assert windows.snapshot().age_bins.tolist() == [0]
    windows.ingest(Block((), 300, FIRST_HOUR + 300, *[np.zeros((0, len(KPIS), 1), np.float32)] * 2))
    assert windows.now_s == FIRST_HOUR + 300


@pytest.mark.parametrize(
    "change",
    [
        {"step_s": 60},
        {"first_end_s": FIRST_HOUR + 1},
        {"step_s": 3600, "first_end_s": FIRST_HOUR + 300},
        {"keys": (key("a"), key("b"))},
        {"keys": (key("a"), key("a")), "peak": "twice", "mean": "twice"},
        {"peak": "short"},
        {"mean": "short"},
        {"step_s": 3600, "std": "short"},
    ],
)
def test_a_malformed_block_is_refused_and_changes_nothing(change):
    whole = np.ones((1, len(KPIS), 2), np.float32)
    shapes = {"short": whole[:, 1:], "twice": np.repeat(whole, 2, axis=0)}
    block = {
        "keys": (key("a"),),
        "step_s": 300,
        "first_end_s": FIRST_HOUR,
        "peak": whole,
        "mean": whole,
    }
    block |= {k: shapes[v] if isinstance(v, str) else v for k, v in change.items()}
    windows = RollingWindows()
    with pytest.raises(MalformedHistory):
        windows.ingest(Block(**block))
    assert len(windows) == 0
    assert windows.now_s is None


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6, width=32)), min_size=1, max_size=12))
def test_moments_leave_out_what_is_missing(series):
    seen = np.array([v for v in series if v is not None], np.float64)
    mean, std = moments(np.array([[np.nan if v is None else v for v in series]], np.float32), 1)
    if len(seen):
        assert mean[0] == pytest.approx(seen.mean(), rel=1e-9, abs=1e-12)
        assert std[0] == pytest.approx(seen.std(), rel=1e-6, abs=1e-6)
    else:
        assert np.isnan(mean[0])
        assert np.isnan(std[0])


def test_moments_of_a_constant_have_no_spread():
    mean, std = moments(np.full((1, 12), 0.1, np.float32), 1)
    assert std[0] == 0
    assert mean[0] == np.float64(np.float32(0.1))
