"""Held requests: raised whenever needed, lowered where it pays and the budget allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.sizing.holding import FIRST, HOLD, LOWERED, RAISED, HeldRequests

DAY = 86400


def held(rows=1, *, lower_by=0.2, budget=24, kept=4):
    return HeldRequests(rows, lower_by=lower_by, changes_per_day=budget, kept_for_raises=kept)


def ask(requests, now_s, need, ahead=None):
    need = np.atleast_1d(np.float32(need))
    ahead = need if ahead is None else np.atleast_1d(np.float32(ahead))
    return requests.decide(now_s, need, ahead).tolist()


def test_the_first_number_costs_no_change():
    requests = held()
    assert ask(requests, 0, 1, 2) == [FIRST]
    assert requests.applied.tolist() == [2]
    assert requests.changes_in_last_day.tolist() == [0]


def test_a_raise_goes_to_what_the_coming_hour_needs():
    requests = held()
    ask(requests, 0, 1)
    assert ask(requests, 300, 1.5, 3) == [RAISED]
    assert requests.applied.tolist() == [3]
    assert ask(requests, 600, 3.0, 9) == [HOLD]  # what is needed fits; what may come can wait
    assert requests.applied.tolist() == [3]


def test_a_raise_goes_at_least_to_what_is_needed_now():
    requests = held()
    ask(requests, 0, 1)
    assert ask(requests, 300, 5, 2) == [RAISED]
    assert requests.applied.tolist() == [5]
    assert ask(requests, 600, 6, np.nan) == [RAISED]
    assert requests.applied.tolist() == [6]


def test_lowering_must_free_its_share():
    requests = held(lower_by=0.25)
    ask(requests, 0, 4)
    assert ask(requests, 300, 1, 3.01) == [HOLD]
    assert ask(requests, 600, 1, 3.0) == [LOWERED]
    assert requests.applied.tolist() == [3]


def test_lowering_gets_dearer_as_the_budget_is_spent():
    """The share to free grows with the square of the share of the budget spent."""
    requests = HeldRequests(
        1, lower_by=0.1, lower_by_spent=0.5, changes_per_day=12, kept_for_raises=2
    )
    ask(requests, 0, 1)
    for spent in range(10):
        enough = 0.1 + 0.4 * (spent / 10) ** 2
        held_now = float(requests.applied[0])
        at = 600 * (spent + 1)
        assert ask(requests, at, held_now * (1 - enough + 1e-3)) == [HOLD]
        assert ask(requests, at + 300, held_now * (1 - enough - 1e-3)) == [LOWERED]
    assert ask(requests, 9000, 1e-9) == [HOLD]


def test_rounding_is_no_reason_to_change():
    requests = held()
    ask(requests, 0, 1)
    for step in range(1, 400):
        assert ask(requests, 300 * step, 1 + 1e-6 * (step % 7)) == [HOLD]
    assert requests.changes_in_last_day.tolist() == [0]


def test_nothing_cannot_be_lowered():
    requests = held()
    ask(requests, 0, 0)
    assert ask(requests, 300, 0) == [HOLD]
    assert ask(requests, 600, 1) == [RAISED]
    assert ask(requests, 900, 0) == [LOWERED]


def test_an_unknown_need_leaves_everything_as_it_is():
    requests = held(2)
    assert ask(requests, 0, [np.nan, 1], [5, 1]) == [HOLD, FIRST]
    assert np.isnan(requests.applied[0])
    for need in (np.nan, np.inf):
        assert ask(requests, 300, [need, need], [np.nan, np.nan]) == [HOLD, HOLD]
    assert requests.applied[1] == 1
    assert ask(requests, 600, [2, np.nan]) == [FIRST, HOLD]


def test_a_raise_is_never_refused():
    requests = held(budget=2, kept=0)
    ask(requests, 0, 1)
    for step in range(1, 50):
        assert ask(requests, 300 * step, step + 1) == [RAISED]
    assert ask(requests, 300 * 50, 1) == [HOLD]  # lowering waits
    assert requests.changes_in_last_day.tolist() == [49]
    assert ask(requests, 300 * 50 + DAY, 1) == [LOWERED]


def test_lowering_leaves_changes_over_for_raises():
    requests = held(budget=10, kept=4)
    ask(requests, 0, 1)
    kinds = [ask(requests, 300 * step, [8, 1][step % 2])[0] for step in range(1, 100)]
    assert kinds.count(LOWERED) <= 6
    assert requests.changes_in_last_day[0] <= 10
    assert kinds[-1] == HOLD
    assert requests.applied[0] == 8


@pytest.mark.parametrize(
    ("budget", "kept", "lowered"),
    [(0, 4, 0), (1, 4, 1), (3, 4, 1), (5, 4, 1), (6, 4, 2), (3, 0, 3)],
)
def test_small_budgets(budget, kept, lowered):
    requests = held(budget=budget, kept=kept)
    ask(requests, 0, 2.0**20)
    kinds = [ask(requests, 300 * step, 2.0 ** (20 - step))[0] for step in range(1, 20)]
    assert kinds.count(LOWERED) == lowered
    assert kinds.count(RAISED) == 0


def test_a_change_ages_out_after_a_day():
    requests = held(budget=1, kept=0)
    ask(requests, 0, 8)
    assert ask(requests, 600, 4) == [LOWERED]
    assert ask(requests, 600 + DAY - 300, 2) == [HOLD]
    assert ask(requests, 600 + DAY, 2) == [LOWERED]


@pytest.mark.parametrize("jump", [DAY, DAY + 300, 10 * DAY])
def test_after_a_long_silence_the_budget_is_whole(jump):
    requests = held(budget=24, kept=4)
    ask(requests, 0, 1)
    for step in range(1, 100):
        ask(requests, 300 * step, [4, 1][step % 2])
    ask(requests, 300 * 99 + jump, np.nan)
    assert requests.changes_in_last_day.tolist() == [0]


def test_a_clock_that_goes_back_forgets_nothing():
    requests = held(budget=3, kept=0)
    ask(requests, 3000, 8)
    assert ask(requests, 3300, 4) == [LOWERED]
    assert ask(requests, 600, 2) == [LOWERED]
    assert ask(requests, 3300, 2) == [HOLD]
    assert requests.changes_in_last_day.tolist() == [2]
    assert ask(requests, 3300 + DAY, 2) == [HOLD]
    assert requests.changes_in_last_day.tolist() == [0]


def test_more_rows_keep_the_old_ones():
    requests = held(1)
    ask(requests, 0, 1)
    ask(requests, 300, 2)
    requests.extend(3)
    requests.extend(2)  # never fewer
    assert requests.changes_in_last_day.tolist() == [1, 0, 0]
    assert ask(requests, 600, [2, 5, np.nan]) == [HOLD, FIRST, HOLD]
    np.testing.assert_array_equal(requests.applied, np.float32([2, 5, np.nan]))


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_laws(data):
    """Whatever is asked: what is needed is covered, and lowering never breaks the budget."""
    budget, kept = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 4))
    rows, steps = 4, 100
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    requests = held(rows, budget=budget, kept=kept)
    needs = np.exp(rng.normal(0, 1, (steps, rows))).astype(np.float32)
    needs[rng.random(needs.shape) < 0.1] = np.nan
    now, times, changed = 0, np.zeros(steps), np.zeros((steps, rows), bool)
    for step, need in enumerate(needs):
        now += 300 * int(rng.integers(1, 13))
        ahead = need * rng.choice([0.9, 1.0, 1.3], rows).astype(np.float32)
        before = requests.applied
        kind = requests.decide(now, need, ahead)
        times[step], changed[step] = now, np.isin(kind, (RAISED, LOWERED))
        after, known = requests.applied, np.isfinite(need)
        assert (after[known] * 1.001 >= need[known]).all()
        np.testing.assert_array_equal(after[~known], before[~known])
        unchanged = kind == HOLD
        np.testing.assert_array_equal(after[unchanged], before[unchanged])
        lowered = kind == LOWERED
        assert (after[lowered] <= before[lowered] * 0.8001).all()
        assert (after[kind == RAISED] > before[kind == RAISED]).all()
        changes = changed[times > now - DAY].sum(axis=0)
        np.testing.assert_array_equal(requests.changes_in_last_day, changes)
        assert (changes[lowered] <= max(budget - kept, min(budget, 1))).all()
