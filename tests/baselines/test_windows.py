"""Rolling windows and order statistics against what numpy says of each window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommender.forecast.baselines.order_statistics import trailing_quantiles
from recommender.forecast.baselines.rolling import (
    or_running_max,
    pick,
    trailing_max,
    trailing_mean_std,
)

NAN = np.nan
gappy = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 60)),
    elements=st.one_of(st.just(NAN), st.floats(0, 1000, width=32)),
)


def window_of(values, row, bin_index, width):
    window = values[row, max(0, bin_index + 1 - width) : bin_index + 1]
    return window[~np.isnan(window)]


def test_trailing_max_by_hand():
    values = np.array([[1, 5, NAN, 2, 3, NAN, NAN, NAN]], dtype=np.float32)
    np.testing.assert_array_equal(trailing_max(values, 3), [[1, 5, 5, 5, 3, 3, 3, NAN]])
    np.testing.assert_array_equal(trailing_max(values, 1), values)
    np.testing.assert_array_equal(trailing_max(values, 99), [[1, 5, 5, 5, 5, 5, 5, 5]])
    with pytest.raises(ValueError, match="window"):
        trailing_max(values, 0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(values=gappy, width=st.integers(1, 70))
def test_trailing_max_is_the_maximum_of_each_window(values, width):
    found = trailing_max(values, width)
    for row, column in np.ndindex(values.shape):
        window = window_of(values, row, column, width)
        expected = window.max() if window.size else NAN
        np.testing.assert_array_equal(found[row, column], np.float32(expected))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(values=gappy, width=st.integers(1, 70), step=st.integers(1, 9))
def test_trailing_quantiles_are_numpys(values, width, step):
    levels = (0.0, 0.5, 0.95, 1.0)
    decisions = np.arange(step - 1, values.shape[1], step)
    found, counts = trailing_quantiles(values, decisions, width, levels)
    for row in range(values.shape[0]):
        for column, decision in enumerate(decisions):
            window = window_of(values, row, decision, width)
            assert counts[row, column] == window.size
            if window.size:
                expected = np.quantile(window.astype(np.float64), levels)
                np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-5, atol=1e-6)
            else:
                assert np.isnan(found[:, row, column]).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(values=gappy, width=st.integers(1, 70))
def test_trailing_mean_and_deviation_are_numpys(values, width):
    decisions = np.arange(values.shape[1])
    mean, std = trailing_mean_std(values, decisions, width)
    for row, column in np.ndindex(values.shape):
        window = window_of(values, row, column, width).astype(np.float64)
        if window.size:
            np.testing.assert_allclose(mean[row, column], window.mean(), rtol=1e-5)
            np.testing.assert_allclose(std[row, column], window.std(), rtol=1e-4, atol=1e-4)
        else:
            assert np.isnan(mean[row, column])


def test_one_absurd_value_does_not_spoil_later_deviations():
    values = np.full((1, 100), 0.1, dtype=np.float32)
    values[0, 10] = 1e12
    values[0, 90] = 0.3
    _, std = trailing_mean_std(values, np.array([95]), 20)
    np.testing.assert_allclose(std, [[np.std([0.3] + [0.1] * 19)]], rtol=1e-5)


def test_pick_outside_is_missing():
    values = np.array([[1, 2, 3]], dtype=np.float32)
    np.testing.assert_array_equal(pick(values, np.array([-1, 0, 2, 3])), [[NAN, 1, 3, NAN]])


def test_fallback_is_the_running_maximum():
    values = np.array([[NAN, 2, 1, NAN]], dtype=np.float32)
    limits = np.array([[[7, NAN, 9, np.inf]]], dtype=np.float32)
    filled = or_running_max(limits, values, np.arange(4))
    np.testing.assert_array_equal(filled, [[[NAN, 2, 9, 2]]])
