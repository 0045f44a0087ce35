"""Quantiles never cross, and longer windows never have lower peaks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommender.forecast.monotone import monotone

quantiles = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 7)),
    elements=st.floats(-50, 50, width=32),
)


@given(quantiles)
def test_never_crossing_never_lower_and_nothing_needless(given_ones):
    found = monotone(given_ones)
    assert (np.diff(found, axis=-1) >= 0).all()
    assert (np.diff(found, axis=-2) >= 0).all()
    assert (found >= given_ones).all()
    np.testing.assert_array_equal(monotone(found), found)
    # The least such: each is one of those that it must not be below.
    for place in np.ndindex(found.shape):
        below = given_ones[(*place[:-2], slice(place[-2] + 1), slice(place[-1] + 1))]
        assert found[place] == below.max()


@given(quantiles)
def test_what_is_in_order_stays(given_ones):
    ordered = np.sort(np.sort(given_ones, axis=-1), axis=-2)
    np.testing.assert_array_equal(monotone(ordered), ordered)


def test_a_row_that_is_unknown_stays_unknown_alone():
    rows = np.zeros((2, 5, 7), np.float32)
    rows[1] = np.nan
    found = monotone(rows)
    assert np.isnan(found[1]).all()
    assert (found[0] == 0).all()
