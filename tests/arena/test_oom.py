"""OOM episodes, worked by hand. MiB throughout; the request is 1000 unless said otherwise."""

import numpy as np
import pytest

from trainer.arena.oom import BUMP_BYTES, FLOOR_BINS, OOM_MULTIPLIERS, WEEK_BINS, oom_sweep

MIB = 2.0**20
ONE = int(np.flatnonzero(np.isclose(OOM_MULTIPLIERS, 1.0))[0])


def run(usage, limit=1000.0):
    usage = np.asarray(usage, np.float64) * MIB
    limits = np.broadcast_to(np.asarray(limit) * MIB, usage.shape).astype(np.float32)
    found = oom_sweep(
        limits[None, None], np.zeros((1, 1)), usage[None].astype(np.float32), ("k",), MIB
    )
    return found.violated[0, 0], found.reserved[0, 0] / MIB, found


def test_usage_below_the_request_is_no_event():
    events, reserved, _ = run([900, 1000, 999])
    assert events[ONE] == 0
    assert reserved[ONE] == pytest.approx(3000)


def test_one_event_lifts_a_floor_of_a_fifth_that_holds():
    events, reserved, _ = run([900, 1100, 1300, 1319])
    # Killed at 1100; the floor is 1.2 * 1100 = 1320, which covers what follows.
    assert events[ONE] == 1
    assert reserved[ONE] == pytest.approx(1000 + 1000 + 1320 + 1320)


def test_small_containers_are_lifted_by_a_hundred_mib():
    assert pytest.approx(100) == BUMP_BYTES / MIB
    events, reserved, _ = run([60, 150], limit=50.0)
    assert events[ONE] == 1
    assert reserved[ONE] == pytest.approx(50 + 160)


def test_a_climb_without_a_break_is_one_episode_and_a_relapse_another():
    # Each bin is above the floor that the bin before left.
    assert run([1100, 1500, 2000])[0][ONE] == 1
    assert run([1100, 1200, 1500])[0][ONE] == 2


def test_a_gap_neither_ends_an_episode_nor_begins_one():
    assert run([1100, np.nan, 1500])[0][ONE] == 1


def test_the_floor_is_forgotten_after_a_day():
    quiet = [10.0] * (FLOOR_BINS - 1)
    assert run([1100, *quiet, 1200])[0][ONE] == 1
    assert run([1100, *quiet, 10.0, 1200])[0][ONE] == 2


def test_a_larger_multiplier_asks_for_more():
    events, _, found = run([900, 1100, 900, 1500])
    doubled = int(np.argmin(np.abs(OOM_MULTIPLIERS - 2)))
    assert events[ONE] == 2
    assert events[doubled] == 0
    assert found.windows[0] == pytest.approx(4 / WEEK_BINS)


def test_every_multiplier_walks_for_itself():
    draw = np.random.default_rng(2)
    usage = 1000 * draw.lognormal(0, 0.3, 600)
    _, _, found = run(usage, limit=1200.0)
    for place in (ONE - 8, ONE, ONE + 8):
        alone, kept, _ = run(usage, limit=1200.0 * OOM_MULTIPLIERS[place])
        assert found.violated[0, 0, place] == alone[ONE]
        assert found.reserved[0, 0, place] / MIB == pytest.approx(kept[ONE], rel=1e-5)
