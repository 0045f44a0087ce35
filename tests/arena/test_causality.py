"""No method's request may depend on anything after its decision; the oracle's does."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.bundle import load_bundle
from recommender.fingerprint.schema import SCHEMA
from recommender.forecast.baselines import baselines
from trainer.arena.actuation import BUDGET_24, FIVE_MINUTES, HOURLY
from trainer.arena.fleet import fleet_of
from trainer.arena.forecaster_run import Variant, run_forecaster
from trainer.arena.lightgbm_run import hourly_bins
from trainer.arena.methods import QuantileMethod, Rule
from trainer.traces import to_source


@pytest.fixture(scope="module")
def turned(source, fleet):
    """The same fleet with another future from a third of the judged time on."""
    cut = fleet.start + fleet.served // 3
    history = source.history
    peak, mean = history.peak.copy(), history.mean.copy()
    peak[:, :, cut + 1 :] = 7 * peak[:, :, :cut:-1] + 1
    mean[:, :, cut + 1 :] = 5 * mean[:, :, :cut:-1] + 1
    other = fleet_of(to_source(replace(history, peak=peak, mean=mean)))
    return other, cut


def until(fleet, cadence, cut):
    return fleet.decisions(cadence.every_bins) <= cut


@pytest.mark.parametrize("cadence", [HOURLY, BUDGET_24], ids=lambda each: each.name)
@pytest.mark.parametrize("rule", baselines("cpu"), ids=lambda each: each.name)
def test_rules(fleet, turned, rule, cadence):
    other, cut = turned
    early = until(fleet, cadence, cut)
    same = True
    pairs = zip(
        Rule(rule).wanted(fleet, "cpu", cadence),
        Rule(rule).wanted(other, "cpu", cadence),
        strict=True,
    )
    for first, second in pairs:
        for mine, theirs in ((first.need, second.need), (first.ahead, second.ahead)):
            same &= np.array_equal(mine[..., early], theirs[..., early], equal_nan=True)
    assert same == rule.causal


def test_the_forecaster(fleet, turned, bundle):
    other, cut = turned
    model = load_bundle(bundle, SCHEMA)
    variant = Variant("tiny", fine=True)
    first, second = (run_forecaster(each, model, variant) for each in (fleet, other))
    for cadence in (HOURLY, FIVE_MINUTES, BUDGET_24):
        early = until(fleet, cadence, cut)
        mine, theirs = (
            QuantileMethod("tiny", "ours", run.hourly, run.fine, priced=True)
            for run in (first, second)
        )
        pairs = zip(
            mine.wanted(fleet, "cpu", cadence), theirs.wanted(other, "cpu", cadence), strict=True
        )
        for one, two in pairs:
            np.testing.assert_allclose(one.need[..., early], two.need[..., early], rtol=1e-5)
            np.testing.assert_allclose(one.ahead[..., early], two.ahead[..., early], rtol=1e-5)


def test_a_trackers_warming_up_ends_with_the_first_decision(fleet):
    bins = hourly_bins(fleet)
    assert bins[0] == fleet.start - 3 * 288
    assert fleet.start in bins
    assert (np.diff(bins) == 12).all()
