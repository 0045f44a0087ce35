import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.arena.envelope import read

TARGETS = np.array([0.02, 0.01, 0.005])
LEAST = 1e-6


def test_reads_a_point_that_lies_on_the_target():
    rate = np.array([[0.04, 0.01, 0.0025]])
    cost = np.array([[1.0, 2.0, 3.0]])
    found = read(rate, cost, TARGETS, LEAST)
    assert found.value[1] == pytest.approx(2.0)
    assert (found.knob[1], found.multiplier[1]) == (0, 1)


def test_interpolates_along_the_logarithm_of_the_rate():
    # 0.02 lies half-way between 0.04 and 0.01, 0.005 half-way between 0.01 and 0.0025.
    rate = np.array([[0.04, 0.01, 0.0025]])
    cost = np.array([[1.0, 2.0, 3.0]])
    assert read(rate, cost, TARGETS, LEAST).value == pytest.approx([1.5, 2.0, 2.5])


def test_the_envelope_is_the_lowest_curve_at_each_rate():
    rate = np.array([[0.04, 0.01, 0.0025], [0.04, 0.01, 0.0025]])
    cost = np.array([[1.0, 2.0, 3.0], [1.4, 1.8, 3.4]])
    found = read(rate, cost, TARGETS, LEAST)
    assert found.value == pytest.approx([1.5, 1.8, 2.5])
    assert found.knob.tolist() == [0, 1, 0]


def test_a_method_that_never_gets_there_has_no_number():
    found = read(np.array([[0.5, 0.03, 0.015]]), np.array([[1.0, 2.0, 3.0]]), TARGETS, LEAST)
    assert found.value[0] == pytest.approx(2 + np.log(1.5) / np.log(2))
    assert np.isnan(found.value[1:]).all()
    assert found.knob[1:].tolist() == [-1, -1]


def test_the_cheapest_multiplier_may_do_already():
    found = read(np.array([[0.001, 0.0]]), np.array([[1.2, 1.4]]), TARGETS, LEAST)
    assert found.value == pytest.approx([1.2, 1.2, 1.2])
    assert found.multiplier.tolist() == [0, 0, 0]


def test_no_violation_at_all_stands_for_half_an_event():
    found = read(np.array([[0.04, 0.0]]), np.array([[1.0, 2.0]]), np.array([0.01]), 0.0025)
    assert found.value == pytest.approx([1.5])


def test_a_dearer_multiplier_that_reserves_less_stands_for_the_cheaper_one():
    # With OOM floors, asking for more can end up reserving less.
    rate, cost = np.array([[0.02, 0.01, 0.0]]), np.array([[3.0, 2.5, 2.0]])
    found = read(rate, cost, np.array([0.02]), LEAST)
    assert found.value == pytest.approx([2.0])
    assert found.multiplier.tolist() == [2]


def test_rates_that_rise_with_the_multiplier_do_not_undo_what_was_reached():
    rate, cost = np.array([[0.02, 0.005, 0.008]]), np.array([[1.0, 2.0, 3.0]])
    assert read(rate, cost, np.array([0.005]), LEAST).value == pytest.approx([2.0])


def test_many_rounds_at_once_read_as_each_alone():
    draw = np.random.default_rng(1)
    rate = np.sort(draw.random((5, 3, 20)) * 0.05, axis=-1)[..., ::-1]
    cost = np.cumsum(draw.random((5, 3, 20)), axis=-1)
    together = read(rate, cost, TARGETS, LEAST)
    for each in range(5):
        alone = read(rate[each], cost[each], TARGETS, LEAST)
        np.testing.assert_array_equal(together.value[each], alone.value)
        np.testing.assert_array_equal(together.knob[each], alone.knob)


@given(seed=st.integers(0, 10_000))
def test_fewer_violations_never_come_cheaper_and_more_knobs_never_dearer(seed):
    draw = np.random.default_rng(seed)
    rate = np.sort(draw.random((3, 12)) ** 3, axis=-1)[..., ::-1]
    cost = np.cumsum(draw.random((3, 12)), axis=-1)
    targets = np.array([0.5, 0.1, 0.02, 0.004])
    value = read(rate, cost, targets, LEAST).value
    known = value[np.isfinite(value)]
    assert (np.diff(known) >= -1e-9).all()
    fewer = read(rate[:2], cost[:2], targets, LEAST).value
    both = np.isfinite(fewer)
    assert (value[both] <= fewer[both] + 1e-9).all()
