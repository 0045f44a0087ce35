"""A decision uses nothing that was recorded after its time."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.replay import QUANTILE_NAMES

from .conftest import DAY, START, shop

NUMBERS = (*QUANTILE_NAMES, "target", "lower", "upper")


def assert_same_until(whole, cut, moment):
    """Assert that two replays agree on all decisions up to a moment."""
    before, kept = whole["decision_time_s"] <= moment, cut["decision_time_s"] <= moment
    for name in ("entity", "decision_time_s", "resource", "horizon_s", "reason"):
        assert whole[name][before].tolist() == cut[name][kept].tolist()
    for name in NUMBERS:
        np.testing.assert_allclose(cut[name][kept], whole[name][before], rtol=1e-4)


def until(history, moment):
    kept = history["timestamp"] <= moment
    return {name: values[kept] for name, values in history.items()}


def gappy(step):
    """Workloads that come late, pause and go wild."""
    history = shop(entities=3, days=1.5, step=step, seed=step)
    draw = np.random.default_rng(step)
    late = (history["entity"] == "shop-1") & (history["timestamp"] < START + 30000)
    pause = np.abs(history["timestamp"] - START - 70000) < 4000
    keep = ~late & ~pause & (draw.random(len(late)) > 0.05)
    history = {name: values[keep] for name, values in history.items()}
    history["cpu"][draw.random(keep.sum()) < 0.002] = 1e12
    history["memory"][draw.random(keep.sum()) < 0.01] = np.nan
    return history


@pytest.mark.parametrize("step", [60, 300])
@pytest.mark.parametrize("cut_s", [3600, 40_123, DAY - 1, DAY, DAY + 299, 100_800])
def test_cutting_the_file_leaves_what_came_before(write, replay, memo, step, cut_s):
    history = gappy(step)
    whole = memo(step, lambda: replay(write(**history)))
    cut = replay(write("cut.parquet", **until(history, START + cut_s)))
    assert_same_until(whole, cut, START + cut_s)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut_s=st.integers(1800, 43_200))
def test_any_cut_with_decisions_each_five_minutes(write, replay, memo, cut_s):
    history = until(gappy(60), START + 43_200)
    whole = memo("5m", lambda: replay(write(**history), every="5m"))
    cut = replay(write("cut.parquet", **until(history, START + cut_s)), every="5m")
    assert_same_until(whole, cut, START + cut_s)


def test_what_happens_later_changes_nothing_before(write, replay):
    history = gappy(300)
    moment = START + 50_000
    wild = {name: values.copy() for name, values in history.items()}
    later = wild["timestamp"] > moment
    for kpi in ("cpu", "memory", "net_rx", "net_tx"):
        wild[kpi][later] = 1e12
    newcomer = {name: values[later] for name, values in wild.items()}
    newcomer["entity"] = np.full(later.sum(), "aaa-newcomer")
    wild = {name: np.concatenate((newcomer[name], wild[name])) for name in wild}
    one, other = replay(write(**history)), replay(write("wild.parquet", **wild))
    assert_same_until(one, other, moment)


@pytest.fixture(scope="module")
def memo():
    """Remember a replay that several tests compare with."""
    kept = {}

    def memo(key, make):
        if key not in kept:
            kept[key] = make()
        return kept[key]

    return memo
