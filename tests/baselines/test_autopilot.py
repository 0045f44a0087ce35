"""Autopilot's recommenders against the paper's recursions in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.forecast.baselines import AutopilotEnsemble, AutopilotWindow, UsageMatrix
from recommender.forecast.baselines.autopilot import CPU_BUCKETS, MEMORY_BUCKETS, decayed_mean
from recommender.forecast.baselines.autopilot_ensemble import CPU_BUCKETS as ENSEMBLE_BUCKETS

NAN = np.nan
START = 1_600_000_200


def usage_of(peak, mean=None):
    peak = np.atleast_2d(np.asarray(peak, dtype=np.float32))
    mean = peak if mean is None else np.atleast_2d(np.asarray(mean, dtype=np.float32))
    return UsageMatrix(START, peak, mean)


def random_peak(bins, seed=0):
    rng = np.random.default_rng(seed)
    peak = np.exp(rng.standard_normal(bins)).astype(np.float32)
    peak[rng.random(bins) < 0.2] = NAN
    return peak


def end_of(value, buckets=CPU_BUCKETS):
    return buckets.ends[buckets.find(value)]


def test_about_four_hundred_buckets():
    assert CPU_BUCKETS.count == MEMORY_BUCKETS.count == 391


def test_decayed_mean_by_hand():
    # Half-life of one bin: weights 1, 1/2, 1/4 from the newest; (4 + 2/2 + 8/4) / 1.75.
    values = np.array([[8, 2, 4, NAN]], dtype=np.float32)
    found = decayed_mean(values, np.array([0, 2, 3]), 1.0)
    np.testing.assert_allclose(found, [[8, 4, 4]], rtol=1e-6)


def test_average_uses_means_and_the_largest_of_the_last_hour():
    mean = np.zeros(200)
    mean[100] = 1.0
    usage = usage_of(np.ones(200), mean)
    found = AutopilotWindow("average", (12.0,)).limits(usage, np.array([100, 111, 112]), 12)[0, 0]
    weights = 2.0 ** (-np.arange(101) / 144)
    at_100 = 1.15 / weights.sum()
    assert found[0] == pytest.approx(at_100, rel=1e-5)
    assert found[1] == pytest.approx(at_100, rel=1e-5)
    assert found[2] < found[1]


def test_load_percentile_is_a_share_of_the_load_not_of_the_time():
    # 90 bins at 1 and 10 at 10, all of about the same age: half of the load is at 10.
    peak = np.tile([1.0] * 9 + [10.0], 10)
    found = AutopilotWindow("load_percentile", (0.4, 0.6)).limits(
        usage_of(peak), np.array([99]), 12
    )
    low, high = end_of(1.0), end_of(10.0)
    np.testing.assert_allclose(found[:, 0, 0], [1.15 * low, 1.10 * high], rtol=1e-3)


@pytest.mark.parametrize(("resource", "half_life"), [("cpu", 144), ("memory", 576)])
def test_load_percentile_is_the_papers_sum(resource, half_life):
    buckets = CPU_BUCKETS if resource == "cpu" else MEMORY_BUCKETS
    unit = 1.0 if resource == "cpu" else 1e9
    peak = random_peak(600)
    levels = (0.5, 0.9, 0.98)
    decisions = np.array([50, 333, 599])
    found = AutopilotWindow("load_percentile", levels, resource, unit).limits(
        usage_of(peak), decisions, 12
    )
    for column, decision in enumerate(decisions):
        best = np.zeros(len(levels))
        for now in range(decision - 11, decision + 1):
            load = np.zeros(buckets.count)
            for age in range(now + 1):
                if not np.isnan(peak[now - age]):
                    bucket = buckets.find(peak[now - age] * unit)
                    load[bucket] += buckets.ends[bucket] * 2.0 ** (-age / half_life)
            share = np.cumsum(load) / load.sum()
            bounds = [buckets.ends[np.argmax(share >= level)] / unit for level in levels]
            large = 1.0 if resource == "cpu" else 2.0**30 / unit
            margin = [1.15 - 0.05 * np.clip(np.log10(bound / large), 0, 1) for bound in bounds]
            best = np.maximum(best, np.multiply(bounds, margin))
        np.testing.assert_allclose(found[:, 0, column], best, rtol=1e-5)


def test_maximum_and_intermediate():
    peak = np.full(1000, 0.2)
    peak[500] = 0.9
    decisions = np.array([500 + 143, 500 + 143 + 12])
    largest = AutopilotWindow("maximum", (12.0,)).limits(usage_of(peak), decisions, 12)[0, 0]
    np.testing.assert_allclose(largest, [1.15 * end_of(0.9), 1.15 * end_of(0.2)], rtol=1e-5)
    middle = AutopilotWindow("intermediate", (12.0,)).limits(usage_of(peak), decisions, 12)[0, 0]
    np.testing.assert_allclose(middle, [1.15 * 0.5 * end_of(0.9), 1.15 * end_of(0.2)], rtol=1e-5)


def slow_ensemble(peak, ends, w_o, *, half_lives, margins, change, cost_half_life):
    """One entity, loops only, as the paper writes it."""
    count = ENSEMBLE_BUCKETS.count
    decays = [1 - 2 ** (-1 / hours) for hours in half_lives]
    d = 1 - 2 ** (-1 / cost_half_life)
    models = [(k, margin) for k in range(len(decays)) for margin in margins]
    over = np.zeros((len(decays), count))
    under = np.zeros((len(decays), count))
    raw = [-1] * len(decays)
    limit, cost = [-1] * len(models), [0.0] * len(models)
    chosen, model, path, start = -1, -1, [], 0
    for end in ends:
        samples = peak[start : end + 1]
        samples = samples[~np.isnan(samples)]
        start = end + 1
        if not samples.size:
            path.append(chosen)
            continue
        share = np.bincount(ENSEMBLE_BUCKETS.find(samples), minlength=count) / samples.size
        for k, decay in enumerate(decays):
            for level in range(count):
                over[k, level] = (1 - decay) * over[k, level] + decay * share[level + 1 :].sum()
                under[k, level] = (1 - decay) * under[k, level] + decay * share[:level].sum()
            prices = w_o * over[k] + under[k] + change * (np.arange(count) != raw[k])
            raw[k] = int(np.argmin(np.round(prices, 12)))
        totals = []
        for m, (k, margin) in enumerate(models):
            moved = min(raw[k] + margin, count - 1)
            paid = w_o * over[k, moved] + under[k, moved] + change * (moved != limit[m])
            cost[m] = d * paid + (1 - d) * cost[m]
            limit[m] = moved
            totals.append(cost[m] + change * (m != model) + change * (moved != chosen))
        model = int(np.argmin(np.round(totals, 12)))
        chosen = limit[model]
        path.append(chosen)
    return path


@pytest.mark.parametrize("w_o", [3.0, 30.0])
def test_ensemble_is_the_papers_recursion(w_o):
    peak = random_peak(12 * 40 + 7, seed=3)
    peak[100:160] = NAN
    rule = AutopilotEnsemble(overruns=(w_o,))
    decisions = np.arange(0, len(peak), 6)
    found = rule.limits(usage_of(peak), decisions, 12)[0, 0]
    # START is ten minutes before a full hour: the first step ends with the third bin.
    ends = np.arange((-START // 300) % 12, len(peak), 12)
    path = slow_ensemble(
        peak,
        ends,
        w_o,
        half_lives=rule.half_lives_h,
        margins=rule.margins,
        change=rule.limit_change,
        cost_half_life=rule.cost_half_life_h,
    )
    steps = np.searchsorted(ends, decisions, side="right")
    expected = [ENSEMBLE_BUCKETS.ends[path[step - 1]] for step in steps[steps > 0]]
    same = np.isclose(found[steps > 0], expected, rtol=1e-6)
    assert same.mean() > 0.97  # equal prices may fall either way


def test_ensemble_settles_on_a_constant_and_follows_a_jump():
    peak = np.concatenate([np.full(600, 0.2), np.full(600, 0.8)])
    found = AutopilotEnsemble(overruns=(30.0,)).limits(usage_of(peak), np.array([599, 1199]), 12)
    ends = ENSEMBLE_BUCKETS.ends[ENSEMBLE_BUCKETS.find([0.2, 0.8])]
    assert (found[0, 0] >= ends * 0.999).all()
    assert (found[0, 0] <= ends * 1.08**4 * 1.01).all()
