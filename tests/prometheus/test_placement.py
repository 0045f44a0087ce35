"""Series find their bins, whatever order and time they come in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.telemetry.prometheus.decode import Matrix
from recommender.telemetry.prometheus.placement import LARGEST, combine, moments, place

FIRST = 1_700_000_100 // 300 * 300
BINS = 5

times = st.one_of(
    st.integers(FIRST - 700, FIRST + 300 * BINS + 700),
    st.sampled_from([-(2**63), 2**63 - 1, 0, FIRST, FIRST - 300, FIRST + 300 * (BINS - 1)]),
)
numbers = st.one_of(
    st.floats(0, 1e6, width=32),
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 1e39, 1e308, 0.0]),
)
samples = st.lists(st.tuples(times, numbers), max_size=12)


def matrix(series, dtype=np.int64):
    flat = [sample for one in series for sample in one]
    return Matrix(
        tuple({} for _ in series),
        np.cumsum([0, *map(len, series)]),
        np.array([time for time, _ in flat], dtype),
        np.array([value for _, value in flat], np.float64),
    )


def slowly(series):
    grid = np.full((len(series), BINS), np.nan, np.float32)
    for row, one in enumerate(series):
        for time, value in one:
            column = -((FIRST - time) // 300)
            if 0 <= column < BINS and 0 <= value <= LARGEST:
                grid[row, column] = np.fmax(grid[row, column], np.float32(value))
    return grid


@given(st.lists(samples, max_size=5))
def test_as_placing_one_sample_at_a_time(series):
    grid = place(matrix(series), FIRST, 300, BINS)
    assert grid.dtype == np.float32
    np.testing.assert_array_equal(grid, slowly(series))


@given(samples, st.randoms())
def test_order_does_not_matter(one, random):
    shuffled = list(one)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(
        place(matrix([one]), FIRST, 300, BINS), place(matrix([shuffled]), FIRST, 300, BINS)
    )


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize(("time", "column"), [(-300, None), (-299, 0), (0, 0), (1, 1), (300, 1)])
def test_bins_are_closed_on_the_right_and_named_by_their_end(dtype, time, column):
    grid = place(matrix([[(FIRST + time, 7.0)]], dtype), FIRST, 300, BINS)
    assert np.flatnonzero(np.isfinite(grid[0])).tolist() == ([] if column is None else [column])


def test_a_millisecond_late_is_not_the_next_bin():
    grid = place(matrix([[(FIRST + 0.004, 7.0)]], np.float64), FIRST, 300, BINS)
    assert grid[0, 0] == 7.0


def test_absurd_times_are_left_out():
    one = [(math.nan, 1.0), (math.inf, 1.0), (-math.inf, 1.0), (1e300, 1.0)]
    assert np.isnan(place(matrix([one], np.float64), FIRST, 300, BINS)).all()


rows = st.integers(0, 8).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.lists(st.floats(0, 1e3, width=32) | st.just(math.nan), min_size=3, max_size=3),
            min_size=n,
            max_size=n,
        ),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
    )
)


@given(rows)
def test_replicas_combine_by_their_maximum_and_sum_up_with_their_number(drawn):
    values = np.array(drawn[0], np.float32).reshape(-1, 3)
    owner = np.array(drawn[1], np.int64)
    best = combine(values, owner, 5)
    total, squares, count = moments(values, owner, 5)
    for one in range(5):
        mine = values[owner == one]
        for column in range(3):
            seen = mine[:, column][np.isfinite(mine[:, column])].astype(np.float64)
            assert count[one, column] == len(seen)
            assert total[one, column] == pytest.approx(seen.sum(), rel=1e-5)
            assert squares[one, column] == pytest.approx((seen**2).sum(), rel=1e-5)
            if len(seen):
                assert best[one, column] == np.float32(seen.max())
            else:
                assert np.isnan(best[one, column])


def test_sums_of_huge_values_stay_finite():
    values = np.full((3, 1), 3e38, np.float32)
    for sums in moments(values, np.zeros(3, np.int64), 1)[:2]:
        assert np.isfinite(sums).all()
