"""Right-closed bins, and samples in every kind of disorder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.telemetry.grid import LARGEST, bin_end, to_bins

FIRST = 1_700_000_100 // 300 * 300


def times(*values):
    return np.array(values, np.int64)


@given(st.integers(-(10**12), 10**12), st.sampled_from([60, 300, 3600]))
def test_a_bin_holds_what_lies_after_its_begin_up_to_its_end(timestamp, width):
    end = int(bin_end(times(timestamp), width)[0])
    assert end % width == 0
    assert end - width < timestamp <= end


def test_a_sample_at_the_edge_belongs_to_the_bin_that_ends_there():
    edge = times(FIRST - 300, FIRST - 299, FIRST, FIRST + 1)
    found = to_bins(edge, np.array([1.0, 2.0, 3.0, 4.0]), FIRST, 2)
    np.testing.assert_array_equal(found.peak, np.float32([3, 4]))
    np.testing.assert_array_equal(found.mean, np.float32([2.5, 4]))


def test_samples_outside_the_grid_are_left_out():
    found = to_bins(times(0, FIRST - 300, FIRST + 301, 10**11), np.ones(4), FIRST, 1)
    assert np.isnan(found.peak).all()
    assert np.isnan(found.mean).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 1e39, 1e300])
def test_an_invalid_sample_is_left_out_of_maximum_and_mean(bad):
    found = to_bins(times(FIRST, FIRST), np.array([bad, 2.0]), FIRST, 1)
    assert found.peak[0] == found.mean[0] == 2.0
    alone = to_bins(times(FIRST), np.array([bad]), FIRST, 1)
    assert np.isnan(alone.peak[0])
    assert np.isnan(alone.mean[0])


def test_the_largest_values_do_not_overflow():
    found = to_bins(times(*[FIRST] * 5), np.full(5, LARGEST), FIRST, 1)
    assert found.peak[0] == found.mean[0] == np.float32(LARGEST)


@given(
    st.lists(
        st.tuples(st.integers(-600, 3000), st.floats(0, 1e9, width=32)), min_size=1, max_size=40
    ),
    st.randoms(),
)
def test_order_does_not_matter_and_repeats_do_not_raise_the_peak(samples, random):
    def bins(pairs):
        at, value = zip(*pairs, strict=True)
        return to_bins(times(*at) + FIRST, np.array(value, np.float32), FIRST, 8)

    once = bins(samples)
    shuffled = list(samples)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(bins(shuffled).peak, once.peak)
    np.testing.assert_allclose(bins(shuffled).mean, once.mean, rtol=1e-6)
    twice = bins(samples + samples)
    np.testing.assert_array_equal(twice.peak, once.peak)
    np.testing.assert_allclose(twice.mean, once.mean, rtol=1e-6)
    known = ~np.isnan(once.peak)
    assert (once.mean[known] <= once.peak[known] * (1 + 1e-6)).all()


def test_a_maximum_inside_the_interval_is_the_peak():
    found = to_bins(times(FIRST, FIRST), np.array([1.0, 3.0]), FIRST, 1, np.array([5.0, 4.0]))
    assert found.peak[0] == 5
    assert found.mean[0] == 2


@pytest.mark.parametrize("bad", [np.nan, -7.0, np.inf, 0.5])
def test_a_maximum_that_cannot_be_gives_way_to_the_value(bad):
    found = to_bins(times(FIRST), np.array([1.0]), FIRST, 1, np.array([bad]))
    assert found.peak[0] == found.mean[0] == 1


def test_a_maximum_without_its_value_stands_for_both():
    found = to_bins(times(FIRST, FIRST), np.array([np.nan, -1]), FIRST, 1, np.array([4.0, 2.0]))
    assert found.peak[0] == 4
    assert found.mean[0] == 3


def test_no_samples():
    found = to_bins(times(), np.zeros(0), FIRST, 3)
    assert np.isnan(found.peak).all()
    assert found.peak.shape == (3,)
    assert found.peak.dtype == found.mean.dtype == np.float32
