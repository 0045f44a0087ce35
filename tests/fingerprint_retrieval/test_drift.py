import numpy as np
import pytest

from recommender.fingerprint.drift import drift_threshold, usual_moves


def test_the_threshold_is_passed_as_seldom_as_promised():
    rng = np.random.default_rng(3)
    passed = []
    for _ in range(300):
        moves = rng.gamma(2.0, 0.05, 200)
        passed.append(moves[-1] > drift_threshold(moves[:-1], 0.9))
    assert 0.05 < np.mean(passed) < 0.15


def test_too_few_moves_give_no_threshold():
    assert drift_threshold(np.full(98, 0.1, np.float32)) is None
    assert drift_threshold(np.full(99, 0.1, np.float32)) == pytest.approx(0.1)
    assert drift_threshold(np.zeros(0, np.float32)) is None


def test_a_workload_that_was_not_there_has_not_moved():
    then = np.ones((2, 3, 4), np.float32)
    now = then.copy()
    then[0, 0] = np.nan
    now[1, 2] = 0
    assert usual_moves(then, now).tolist() == pytest.approx([0] * 4, abs=1e-6)
