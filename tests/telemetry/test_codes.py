"""Sixteen-bit codes: one relative error over 28 decades, and the order of the values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommender.telemetry import codes

LARGEST = float(codes.decode(np.array([65535], np.uint16))[0])
inside = st.floats(min_value=1.01e-9, max_value=0.99 * LARGEST)


@given(inside)
def test_a_value_comes_back_within_a_twentieth_of_a_percent(value):
    back = float(codes.decode(codes.encode(value))[()])
    assert abs(back / value - 1) <= 0.000501


@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1e30)))
def test_codes_are_in_the_order_of_the_values(values):
    ordered = codes.encode(np.sort(values)).astype(np.int64)
    assert (np.diff(ordered) >= 0).all()
    assert codes.encode(values).max() == codes.encode(values.max())


@given(inside, inside)
def test_values_a_tenth_of_a_percent_apart_have_codes_of_their_own(a, b):
    if a > b * 1.0011:
        assert codes.encode(a) > codes.encode(b)


@given(st.integers(0, 65535))
def test_every_code_survives_a_round_trip(code):
    one = np.array([code], np.uint16)
    assert codes.encode(codes.decode(one))[0] == code


@given(st.integers(2, 65535))
def test_the_logarithm_is_that_of_the_value(code):
    one = np.array([code], np.uint16)
    wanted = np.log(codes.decode(one).astype(np.float64))
    assert codes.logarithm(one)[0] == pytest.approx(wanted[0], abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, -1e-30])
def test_what_cannot_be_usage_is_missing(bad):
    assert codes.encode(bad) == codes.MISSING
    assert np.isnan(codes.decode(codes.encode(np.array([bad])))).all()
    assert np.isnan(codes.logarithm(codes.encode(np.array([bad])))).all()


def test_zero_is_zero_and_its_logarithm_finite():
    zero = codes.encode(np.array([0.0, -0.0, 1e-12]))
    assert (zero == codes.ZERO).all()
    assert (codes.decode(zero) == 0).all()
    np.testing.assert_allclose(codes.logarithm(zero), np.log(1e-9), rtol=1e-6)


@pytest.mark.parametrize("huge", [1e12, 1e19, 1e30, 1e300])
def test_absurd_values_stay_finite(huge):
    back = codes.decode(codes.encode(np.array([huge])))[0]
    assert np.isfinite(back)
    assert back == pytest.approx(min(huge, LARGEST), rel=0.000501)


def test_any_shape_and_type_of_number():
    shaped = codes.encode(np.ones((2, 3, 4), np.float32))
    assert shaped.shape == (2, 3, 4)
    assert shaped.dtype == np.uint16
    assert codes.encode([1, 2]).shape == (2,)
    assert codes.decode(shaped).dtype == np.float32
    assert codes.logarithm(shaped).dtype == np.float32
