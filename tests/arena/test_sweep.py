import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.arena.actuation import Applied
from trainer.arena.sweep import MULTIPLIERS, TOLERANCE, sweep

ONE = int(np.flatnonzero(np.isclose(MULTIPLIERS, 1.0))[0])


def applied(limits):
    limits = np.asarray(limits, np.float32)
    changes = np.zeros(limits.shape[:2])
    return Applied(limits, changes, changes.astype(np.int64))


def test_by_hand():
    # One entity, four windows: usage 1, 2, 3 and a gap; requests of 2 throughout.
    peak = np.array([[1, 2, 3, np.nan]], np.float32)
    found = sweep(applied([[[2, 2, 2, 2]]]), peak, ("knob",), 1e-3)
    assert found.windows.tolist() == [3]
    assert found.used.tolist() == [6]
    assert found.violated[0, 0, ONE] == 1
    assert found.reserved[0, 0, ONE] == pytest.approx(6)
    assert found.missed[0, 0, ONE] == pytest.approx(1)
    half = int(np.argmin(np.abs(MULTIPLIERS - 0.5)))
    low = 2 * MULTIPLIERS[half]
    assert found.violated[0, 0, half] == sum(value > low * 1.001 for value in (1, 2, 3))
    assert found.reserved[0, 0, half] == pytest.approx(3 * low)


def test_a_request_that_equals_the_peak_is_no_violation_at_factor_one():
    peak = np.array([[0.1, 0.7, 1.3]], np.float32)
    found = sweep(applied(peak[None]), peak, ("oracle",), 1e-3)
    assert found.violated[0, 0, ONE] == 0
    assert found.violated[0, 0, ONE - 1] == 3


def test_nobody_asks_for_less_than_the_floor():
    peak = np.array([[0.0, 0.0005, 0.004]], np.float32)
    found = sweep(applied(np.zeros((1, 1, 3))), peak, ("nothing",), 1e-3)
    assert found.reserved[0, 0, ONE] == pytest.approx(3e-3)
    assert found.violated[0, 0, ONE] == 1


def test_a_number_that_is_missing_where_a_window_counts_is_an_error():
    with pytest.raises(ValueError, match="no number"):
        sweep(applied([[[np.nan, 1]]]), np.array([[1.0, 1.0]], np.float32), ("knob",), 1e-3)


def test_a_missing_number_is_fine_where_no_window_counts():
    found = sweep(applied([[[np.nan, 1]]]), np.array([[np.nan, 1]], np.float32), ("k",), 1e-3)
    assert found.windows.tolist() == [1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_the_histogram_agrees_with_counting(seed):
    draw = np.random.default_rng(seed)
    peak = draw.lognormal(0, 1, (3, 25)).astype(np.float32)
    peak[draw.random(peak.shape) < 0.2] = np.nan
    peak[draw.random(peak.shape) < 0.1] = 0
    limits = draw.lognormal(0, 1, (2, 3, 25)).astype(np.float32)
    found = sweep(applied(limits), peak, ("a", "b"), 1e-3)
    counts = np.isfinite(peak)
    for place in draw.integers(0, len(MULTIPLIERS), 6):
        request = np.maximum(limits, 1e-3) * MULTIPLIERS[place]
        over = counts & (peak > request * (1 + TOLERANCE))
        missed = np.where(over, peak - request, 0).sum(axis=-1)
        assert found.violated[:, :, place].T.tolist() == over.sum(axis=-1).tolist()
        np.testing.assert_allclose(found.missed[:, :, place].T, missed, rtol=1e-4, atol=2e-2)
        reserved = np.where(counts, request, 0).sum(axis=-1)
        np.testing.assert_allclose(found.reserved[:, :, place].T, reserved, rtol=1e-5)
