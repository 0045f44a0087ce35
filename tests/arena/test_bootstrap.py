import numpy as np
import pytest

from trainer.arena.bootstrap import interval, weights


def test_entities_of_a_group_are_drawn_together():
    group = np.array([0, 0, 1, 2, 2, 2])
    drawn = weights(group, rounds=50)
    assert drawn.shape == (50, 6)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 3] == drawn[:, 5]).all()
    assert (drawn[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_draws_the_same_so_that_methods_pair():
    group = np.arange(9)
    assert (weights(group) == weights(group)).all()
    assert (weights(group, seed=1) != weights(group, seed=2)).any()


def test_groups_need_not_be_numbered_from_zero():
    assert (weights(np.array([7, 7, 40])) == weights(np.array([0, 0, 1]))).all()


def test_the_interval_of_a_mean_is_about_right():
    draw = np.random.default_rng(5)
    values = draw.normal(10, 2, 400)
    drawn = weights(np.arange(400), rounds=2000)
    found = interval(drawn @ values / 400, groups=400)
    error = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - error, abs=0.05)
    assert found.high == pytest.approx(values.mean() + error, abs=0.05)


def test_draws_that_never_get_there_count_as_infinitely_dear():
    values = np.array([1.0] * 90 + [np.nan] * 10)
    found = interval(values, groups=20)
    assert (found.low, found.high) == (1.0, None)
    assert interval(np.full(100, np.nan), groups=20) is None


def test_few_groups_give_no_interval():
    assert interval(np.ones(100), groups=4) is None
