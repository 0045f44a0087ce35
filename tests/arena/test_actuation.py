import numpy as np
import pytest

from trainer.arena.actuation import (
    BUDGET_12,
    BUDGET_24,
    CADENCES,
    FIVE_MINUTES,
    HOURLY,
    PLAIN,
    Thrift,
    apply,
)

THRIFT = Thrift(0.1, 0.9, 2)


def wanted(fleet, cadence, seed=1, knobs=2):
    draw = np.random.default_rng(seed)
    shape = (knobs, len(fleet), len(fleet.decisions(cadence.every_bins)))
    return draw.lognormal(0, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize("cadence", [each for each in CADENCES if not each.budgeted])
def test_without_a_budget_the_wanted_request_holds_until_the_next_decision(fleet, cadence):
    limits = wanted(fleet, cadence)
    found = apply(fleet, cadence, limits, limits)
    held = np.repeat(limits, cadence.every_bins, axis=2)[:, :, : fleet.served]
    assert found.limits.shape == (2, len(fleet), fleet.served)
    # Up to what is not worth a patch: 2 % too much, or 0.1 % too little.
    assert (found.limits <= held / (1 - PLAIN.lower_by) * 1.00001).all()
    assert (found.limits >= held / 1.0011).all()


def test_twice_the_wish_is_twice_the_request(fleet):
    need, ahead = wanted(fleet, BUDGET_24), wanted(fleet, BUDGET_24, seed=2)
    once = apply(fleet, BUDGET_24, need, ahead, THRIFT)
    twice = apply(fleet, BUDGET_24, 2 * need, 2 * ahead, THRIFT)
    np.testing.assert_allclose(twice.limits, 2 * once.limits, rtol=1e-6)
    np.testing.assert_array_equal(twice.most_in_a_day, once.most_in_a_day)


def test_knobs_and_entities_do_not_meet(fleet):
    need, ahead = wanted(fleet, BUDGET_12), wanted(fleet, BUDGET_12, seed=2)
    together = apply(fleet, BUDGET_12, need, ahead, THRIFT)
    alone = apply(fleet, BUDGET_12, need[1:], ahead[1:], THRIFT)
    np.testing.assert_array_equal(together.limits[1], alone.limits[0])
    np.testing.assert_array_equal(together.changes[1], alone.changes[0])


def test_lowering_stops_where_the_budget_ends(fleet):
    # What is needed never rises, so each change lowers: none beyond what is kept for raises.
    steps = len(fleet.decisions(1))
    falling = np.broadcast_to(0.8 ** np.arange(steps, dtype=np.float64), (1, len(fleet), steps))
    wish = np.maximum(falling, 1e-6).astype(np.float32)
    found = apply(fleet, BUDGET_12, wish, wish, Thrift(0.1, 0.1, 2))
    assert (found.most_in_a_day == 10).all()


def test_a_raise_against_danger_is_never_refused(fleet):
    steps = len(fleet.decisions(1))
    rising = np.arange(1, steps + 1, dtype=np.float32)
    wish = np.broadcast_to(rising, (1, len(fleet), steps))
    found = apply(fleet, BUDGET_12, wish, wish, THRIFT)
    np.testing.assert_allclose(found.limits[0, 0], rising, rtol=1e-6)


def test_changes_count_beyond_five_percent(fleet):
    decisions = len(fleet.decisions(12))
    wish = np.ones((1, len(fleet), decisions), np.float32)
    wish[:, :, 1] = 1.04
    wish[:, :, 2] = 1.5
    wish[:, :, 3:] = 1.47
    found = apply(fleet, HOURLY, wish, wish)
    assert found.changes[0] == pytest.approx(1 / (fleet.served / 288))


def test_before_the_first_number_nothing_is_in_force(fleet):
    wish = wanted(fleet, FIVE_MINUTES)
    wish[:, 0, :7] = np.nan
    found = apply(fleet, FIVE_MINUTES, wish, wish)
    assert np.isnan(found.limits[:, 0, :7]).all()
    assert np.isfinite(found.limits[:, 0, 7:]).all()
