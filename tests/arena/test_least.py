import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.arena.least import PRICES, least_sweep


def points(found):
    """Violations and reserve over all entities at each price."""
    return found.violated.sum(axis=(0, 1)), found.reserved.sum(axis=(0, 1))


def test_by_hand():
    # One decision over three windows: cover all (3 x 9), give up the spike (3 x 4), all but one...
    found = least_sweep(np.array([[9, 1, 4]], np.float32), 3, 1e-3)
    reached = {(int(v), round(float(r), 3)) for v, r in zip(*points(found), strict=True)}
    assert reached == {(0, 27.0), (1, 12.0), (2, 3.0), (3, 0.003)}


def test_gaps_are_not_served():
    found = least_sweep(np.array([[4, np.nan, 2, np.nan, np.nan, 7]], np.float32), 3, 1e-3)
    violated, reserved = points(found)
    assert found.windows.tolist() == [3]
    assert found.used.tolist() == [13]
    assert (violated[-1], reserved[-1]) == (0, pytest.approx(2 * 4 + 7))


def test_a_higher_price_violates_less_and_reserves_more():
    peak = np.random.default_rng(3).lognormal(0, 1, (4, 100)).astype(np.float32)
    violated, reserved = points(least_sweep(peak, 12, 1e-3))
    assert (np.diff(violated) <= 0).all()
    assert (np.diff(reserved) >= -1e-9).all()
    assert violated[-1] == 0
    assert len(PRICES) == len(violated)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), hold=st.sampled_from([1, 3, 12]))
def test_nobody_reserves_less_with_as_few_violations(seed, hold):
    draw = np.random.default_rng(seed)
    peak = draw.lognormal(0, 1, (3, 48)).astype(np.float32)
    violated, reserved = points(least_sweep(peak, hold, 1e-3))
    windows = peak.reshape(3, -1, hold)
    for _ in range(20):
        # Any request per decision; order statistics are the ones that could win.
        rank = draw.integers(0, hold, windows.shape[:2])
        request = np.take_along_axis(np.sort(windows, axis=-1), rank[..., None], -1)
        missed = (windows > request).sum()
        spent = float(hold * request.sum())
        # On or above every supporting line of the hull.
        assert (spent + PRICES * missed >= reserved + PRICES * violated - 1e-3).all()
