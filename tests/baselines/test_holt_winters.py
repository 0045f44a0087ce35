"""Holt-Winters against its recursion in plain Python."""

from __future__ import annotations

import numpy as np

from recommender.forecast.baselines import HoltWinters, UsageMatrix

FULL_HOUR = 1_599_998_400 + 300  # end of the first bin of an hour


def usage_of(peak, start=FULL_HOUR):
    peak = np.atleast_2d(np.asarray(peak, dtype=np.float32))
    return UsageMatrix(start, peak, peak)


def slow(hourly, first_hour, alpha, beta, gamma):
    """State after each hour: level, trend, seasons, standard error."""
    level, trend, seasons = np.nan, 0.0, [0.0] * 24
    square = weight = 0.0
    keep = 2 ** (-1 / 72)
    states = []
    for number, y in enumerate(hourly):
        slot = (first_hour + number) % 24
        if np.isnan(level):
            level = y
        elif not np.isnan(y):
            error = y - (level + trend + seasons[slot])
            square, weight = square * keep + error**2, weight * keep + 1
            before = level
            level = alpha * (y - seasons[slot]) + (1 - alpha) * (level + trend)
            trend = beta * (level - before) + (1 - beta) * trend
            seasons[slot] = gamma * (y - level) + (1 - gamma) * seasons[slot]
        states.append((level, trend, list(seasons), np.sqrt(square / max(weight, 1e-9))))
    return states


def test_recursion_and_hours_served():
    rng = np.random.default_rng(0)
    hourly = 5 + np.sin(2 * np.pi * np.arange(96) / 24) + 0.3 * rng.random(96)
    peak = np.full(96 * 12, 0.1)
    peak[5::12] = hourly  # the maximum of each hour
    peak[40 * 12 : 41 * 12] = np.nan
    hourly[40] = np.nan
    rule = HoltWinters((2.0,), alphas=(0.3,), betas=(0.03,), gammas=(0.2,))
    first_hour = (FULL_HOUR - 300) // 3600
    states = slow(hourly, first_hour, 0.3, 0.03, 0.2)
    # One hour, the middle of an hour (two hours are touched), a day.
    for decision, hold, hours in ((599, 12, 1), (605, 12, 2), (599, 288, 24)):
        done = (decision + 1) // 12
        level, trend, seasons, error = states[done - 1]
        path = [
            level + trend * k + seasons[(first_hour + done - 1 + k) % 24]
            for k in range(1, hours + 1)
        ]
        found = rule.limits(usage_of(peak), np.array([decision]), hold)[0, 0, 0]
        np.testing.assert_allclose(found, max(path) + 2 * error, rtol=1e-5)


def test_follows_the_parameters_that_did_best():
    # A random walk is followed best by a fast level, noise around a constant by a slow one.
    rng = np.random.default_rng(1)
    hours = 400
    walk = 50 + np.cumsum(rng.standard_normal(hours))
    noise = 50 + rng.standard_normal(hours)
    peak = np.repeat(np.stack([walk, noise]), 12, axis=1)
    decisions = np.arange(12 * 200 - 1, 12 * hours - 12, 12)
    both = HoltWinters((0.0,), (0.05, 0.9), (0.0,), (0.05,)).limits(usage_of(peak), decisions, 12)[
        0
    ]
    actual = peak[:, decisions + 1]
    for row, alpha in ((0, 0.9), (1, 0.05)):
        alone = HoltWinters((0.0,), (alpha,), (0.0,), (0.05,))
        only = alone.limits(usage_of(peak), decisions, 12)[0]
        np.testing.assert_allclose(both[row], only[row], rtol=1e-6)
        assert np.abs(both[row] - actual[row]).mean() < 1.6


def test_learns_a_daily_season():
    bins = np.arange(20 * 288)
    peak = 2 + np.sin(2 * np.pi * bins / 288)
    decisions = np.arange(15 * 288 - 1, 20 * 288 - 12, 12)
    found = HoltWinters((0.0,)).limits(usage_of(peak), decisions, 12)[0, 0]
    truth = np.array([peak[d + 1 : d + 13].max() for d in decisions])
    assert np.abs(found - truth).max() < 0.1


def test_the_first_hour_may_be_short():
    peak = np.array([1.0, 2.0, 3.0, 9.0])
    usage = usage_of(peak, FULL_HOUR + 2700)  # three bins to the full hour
    found = HoltWinters((0.0,)).limits(usage, np.array([0, 1, 2, 3]), 12)[0, 0]
    # Nothing is over before the third bin: the running maximum; then the hour's peak.
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0, 3.0])
