import numpy as np
import pytest

from recommender.kpis import HORIZONS_S, LEVELS
from trainer.arena.coverage import coverage, future_peak
from trainer.arena.quantile_run import QuantileRun, load_run


def test_the_future_begins_after_the_decision_and_ends_with_the_horizon():
    peak = np.array([[5, 1, 2, 9, 3, 4]], np.float32)
    found = future_peak(peak, np.array([0, 1, 2]), 2)
    assert found.tolist() == [[2, 9, 9]]


def test_a_future_that_is_not_over_or_not_recorded_tells_nothing():
    peak = np.array([[1, 1, np.nan, 1, 1, 1]], np.float32)
    found = future_peak(peak, np.array([0, 1, 3, 4]), 2)
    assert np.isnan(found[0, [0, 1, 3]]).all()
    assert found[0, 2] == 1


@pytest.fixture
def constant(fleet):
    """Quantiles that hold for the share of hours that each level names."""
    bins = fleet.decisions(12)
    truth = future_peak(fleet.usage("cpu").peak, bins, 12)
    judged = truth[:, np.isfinite(truth).all(axis=0)]
    rank = np.quantile(judged, LEVELS, axis=1, method="inverted_cdf")
    log = np.full((len(bins), len(fleet), len(HORIZONS_S), len(LEVELS)), np.nan, np.float32)
    log[:, :, 2] = np.log(rank).T
    return QuantileRun(bins, HORIZONS_S, {"cpu": log})


def test_the_share_below_each_quantile(constant, fleet):
    found = coverage(constant, fleet, "cpu", 3600, np.ones(len(fleet), bool))
    judged = found.forecasts // len(fleet)
    for level, share in zip(LEVELS, found.levels, strict=True):
        assert share == pytest.approx(np.ceil(level * judged) / judged, abs=0.02)
    assert found.tenth == pytest.approx(np.ceil(0.95 * judged) / judged, abs=0.04)


def test_horizons_that_were_not_run_have_no_coverage(constant, fleet):
    everybody = np.ones(len(fleet), bool)
    assert coverage(constant, fleet, "cpu", 300, everybody) is None
    assert coverage(constant, fleet, "memory", 3600, everybody) is None


def test_a_run_is_kept_as_it_is(constant, tmp_path):
    constant.save(tmp_path / "run.npz")
    again = load_run(tmp_path / "run.npz")
    assert again.horizons == constant.horizons
    np.testing.assert_array_equal(again.bins, constant.bins)
    np.testing.assert_array_equal(again.log_quantiles["cpu"], constant.log_quantiles["cpu"])


def test_a_decision_that_was_not_run_is_an_error(constant, fleet):
    with pytest.raises(KeyError):
        constant.at("cpu", 3600, fleet.decisions(1)[:3])
