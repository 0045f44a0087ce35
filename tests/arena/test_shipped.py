"""What is measured is what ships: the arena's decisions are the sizer's."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.bundle import load_bundle
from recommender.fingerprint.schema import SCHEMA
from recommender.forecast.calibration import CoverageTracker
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import LEVELS
from recommender.sizing.policy import BALANCED
from recommender.sizing.sizer import SIZED, Sizer
from recommender.telemetry.clock import Clock
from trainer.arena.actuation import BUDGET_24, HOURLY, apply
from trainer.arena.fleet import fleet_of
from trainer.arena.forecaster_run import Variant, decision_bins, run_forecaster
from trainer.arena.methods import RULES, QuantileMethod, knob_names
from trainer.traces import to_source

HOURS = 30


@pytest.fixture(scope="module")
def short(source):
    """The fleet, some hours into the judged time."""
    whole = fleet_of(source)
    history = source.history
    stop = whole.start + 12 * HOURS + 1
    cut = replace(history, peak=history.peak[..., :stop], mean=history.mean[..., :stop])
    return replace(whole, source=to_source(cut))


def sized(fleet, model, every_s, policy):
    """The sizer's own requests, decision by decision: float32 ``[2, E, decisions]``."""
    forecaster, sizer = Forecaster(model, CoverageTracker()), Sizer(policy, every_s)
    rows, clock = np.arange(len(fleet), dtype=np.int64), Clock()
    found = []
    for index in decision_bins(fleet, fine=every_s < 3600).tolist():
        batch = fleet.source.window(index, fleet.rows)
        forecast = forecaster.forecast(batch, rows, clock)
        if index >= fleet.start:
            found.append(sizer.decide(batch, rows, forecast).target.T)
    return np.stack(found, axis=-1)


def policy_at(resource, level):
    """The shipped policy with a level that the arena sweeps, and no margin."""
    rule = replace(getattr(BALANCED, resource), need_level=level, ahead_level=level, margin=1.0)
    return replace(BALANCED, **{resource: rule})


@pytest.mark.parametrize(
    ("resource", "cadence"),
    [("cpu", HOURLY), ("cpu", BUDGET_24), ("memory", HOURLY)],
    ids=lambda each: getattr(each, "name", each),
)
def test_the_arena_decides_as_the_sizer_does(short, bundle, resource, cadence):
    model = load_bundle(bundle, SCHEMA)
    level, name = 0.96, "q960"
    run = run_forecaster(short, model, Variant("tiny", fine=cadence.budgeted))
    method = QuantileMethod("tiny", "ours", run.hourly, run.fine, priced=True)
    mine = None
    for wanted in method.wanted(short, resource, cadence):
        for place, label in enumerate(wanted.labels):
            if label == name or label.startswith(f"need {name}, go to {name},"):
                need, ahead = wanted.need[place : place + 1], wanted.ahead[place : place + 1]
                mine = apply(short, cadence, need, ahead, wanted.thrift).limits[0]
    decisions = sized(short, model, cadence.every_s, policy_at(resource, level))
    theirs = np.repeat(decisions[SIZED.index(resource)], cadence.every_bins, axis=1)
    assert mine is not None
    np.testing.assert_allclose(mine, theirs[:, : short.served], rtol=2e-3)


def test_shipped_levels_are_among_those_swept():
    names = knob_names(priced=True)
    for rule in RULES.values():
        assert f"q{1000 * rule.need_level:.4g}" in names
    assert len(LEVELS) == 7
