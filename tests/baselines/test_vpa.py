"""The VPA port against upstream's algorithm, written out one sample at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.forecast.baselines import (
    CPU_BUCKETS,
    MEMORY_BUCKETS,
    DecayingHistogram,
    UsageMatrix,
    Vpa,
)
from recommender.forecast.baselines.buckets import ExponentialBuckets

DAY = 86400.0
START = 1_600_000_200


class SlowHistogram:
    """Upstream's decaying histogram in plain Python, without any of its shortcuts."""

    def __init__(self, first, maximum, half_life_s=DAY, ratio=1.05):
        self.first, self.ratio, self.half_life_s = first, ratio, half_life_s
        reach = maximum * (ratio - 1) / first + 1
        self.count = math.ceil(math.log(reach) / math.log(ratio)) + 1
        self.samples = []  # (bucket, weight, time)

    def start(self, bucket):
        return self.first * (self.ratio**bucket - 1) / (self.ratio - 1) if bucket else 0.0

    def bucket(self, value):
        if value < self.first:
            return 0
        steps = math.log(value * (self.ratio - 1) / self.first + 1) / math.log(self.ratio)
        return min(int(steps), self.count - 1)

    def add(self, value, weight, time_s):
        self.samples.append((self.bucket(value), weight, time_s))

    def percentile(self, level):
        newest = max(time for _, _, time in self.samples)
        weights = [0.0] * self.count
        for bucket, weight, time in self.samples:
            weights[bucket] += weight * 2.0 ** ((time - newest) / self.half_life_s)
        threshold = level * sum(weights)
        cumulative, bucket = weights[0], 0
        while not weights[bucket] or cumulative < threshold:
            bucket += 1
            cumulative += weights[bucket]
        return self.start(min(bucket + 1, self.count - 1))


def usage_of(peak):
    peak = np.asarray(peak, dtype=np.float32)
    return UsageMatrix(START, peak, peak)


def random_usage(bins, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    peak = scale * np.exp(rng.standard_normal((3, bins)))
    peak[rng.random(peak.shape) < 0.2] = np.nan
    peak[2, : bins // 3] = np.nan
    return peak.astype(np.float32)


def test_buckets_are_upstreams():
    assert CPU_BUCKETS.count == 176
    assert MEMORY_BUCKETS.count == 176
    assert CPU_BUCKETS.starts[0] == 0.0
    np.testing.assert_allclose(CPU_BUCKETS.starts[1:4], [0.01, 0.0205, 0.031525], rtol=1e-12)
    found = CPU_BUCKETS.find([0.0, 0.0099, 0.0101, 0.0206, 1e12, math.inf, math.nan])
    assert found.tolist() == [0, 0, 1, 2, 175, 175, -1]
    assert CPU_BUCKETS.ends[175] == CPU_BUCKETS.starts[175]
    with pytest.raises(ValueError, match="ratio"):
        ExponentialBuckets(0.01, 1.0, 10.0)


def test_a_constant_by_hand():
    # 0.1 core: floor(ln(0.1 * 0.05 / 0.01 + 1) / ln 1.05) = floor(8.31) = 8; that bucket ends at
    # 0.2 * (1.05^9 - 1) = 0.110266.
    limits = Vpa("cpu").limits(usage_of(np.full((1, 20), 0.1)), np.array([0, 19]), 12)
    np.testing.assert_allclose(limits, [[[0.126805, 0.126805]]], rtol=1e-5)


def test_two_levels_by_hand():
    # Day one at 1 core, day two at 0.1: the newer day weighs twice the older, 2/3 of the total, so
    # P50 is in the bucket of 0.1 and P90 in that of 1 (bucket 36, which ends at 1.0163).
    peak = np.concatenate([np.full(288, 1.0), np.full(288, 0.1)])[None]
    found = Vpa("cpu", (0.5, 0.66, 0.68, 0.9), margin=0.0).limits(
        usage_of(peak), np.array([575]), 1
    )
    end = 0.2 * (1.05**37 - 1)
    np.testing.assert_allclose(found[:, 0, 0], [0.1102656, 0.1102656, end, end], rtol=1e-5)


def test_bounds_widen_with_little_evidence():
    # Upstream's table: after 5 minutes upper x 289 and lower x 0.60, after a day 2 and 0.998.
    bounds = Vpa("cpu").bounds(usage_of(np.full((1, 400), 0.1)), np.array([0, 1, 288]))
    base = 1.15 * 0.1102656
    np.testing.assert_allclose(bounds.upper[0], [1e14, 289 * base, 2 * base], rtol=1e-5)
    factors = [0.0, 1.288**-2, 1.001**-2]
    np.testing.assert_allclose(bounds.lower[0], base * np.array(factors), rtol=1e-5)
    np.testing.assert_allclose(bounds.target[0], base, rtol=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_cpu_is_the_slow_histogram(seed):
    peak = random_usage(900, seed)
    decisions = np.arange(40, 900, 97)
    levels = (0.9, 0.5, 0.95, 0.99)
    found = Vpa("cpu", levels).limits(usage_of(peak), decisions, 12)
    for row in range(3):
        for column, decision in enumerate(decisions):
            slow = SlowHistogram(0.01, 1000.0)
            for bin_index in np.flatnonzero(~np.isnan(peak[row, : decision + 1])):
                slow.add(float(peak[row, bin_index]), 0.1, START + 300 * int(bin_index))
            if not slow.samples:
                assert np.isnan(found[:, row, column]).all()
                continue
            expected = [1.15 * slow.percentile(level) for level in levels]
            np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-6)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_memory_is_one_decayed_peak_a_day(seed):
    peak = random_usage(288 * 12, seed, scale=3e8)
    decisions = np.arange(100, 288 * 12, 211)
    levels = (0.9, 0.5, 0.95)
    found = Vpa("memory", levels).limits(usage_of(peak), decisions, 12)
    for row in range(3):
        for column, decision in enumerate(decisions):
            seen = np.flatnonzero(~np.isnan(peak[row, : decision + 1]))
            if not seen.size:
                assert np.isnan(found[:, row, column]).all()
                continue
            peaks = {}  # upstream's windows: 24 h each from the first sample
            for bin_index in seen:
                window = (bin_index - seen[0]) // 288
                peaks[window] = max(peaks.get(window, 0.0), float(peak[row, bin_index]))
            slow = SlowHistogram(1e7, 1e12)
            for window, value in peaks.items():
                slow.add(value, 1.0, (int(window) + 1) * DAY)
            expected = [1.15 * slow.percentile(level) for level in levels]
            np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-6)


def test_a_gap_of_months_and_a_history_beyond_the_rescaling_hold():
    # 120 half-lives: the growing weights pass the power of two at which they are brought back.
    bins = 288 * 130
    peak = np.full((1, bins), np.nan, dtype=np.float32)
    peak[0, :288] = 4.0
    peak[0, -600:] = np.tile([0.2, 0.4, 0.8], 200)
    found = Vpa("cpu", (0.3, 0.5, 0.9), margin=0.0).limits(
        usage_of(peak), np.array([300, bins - 1]), 1
    )
    ends = CPU_BUCKETS.ends[CPU_BUCKETS.find([0.2, 0.4, 0.8])]
    np.testing.assert_allclose(found[:, 0, 1], ends, rtol=1e-6)
    np.testing.assert_allclose(
        found[:, 0, 0], CPU_BUCKETS.ends[CPU_BUCKETS.find([4.0])[0]], rtol=1e-6
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(0, 5000), min_size=1, max_size=60),
    level=st.sampled_from([0.1, 0.5, 0.9, 0.95]),
    gap_s=st.sampled_from([60.0, 3600.0, 5 * DAY]),
)
def test_live_histogram_is_the_slow_one(values, level, gap_s):
    live, slow = DecayingHistogram(CPU_BUCKETS), SlowHistogram(0.01, 1000.0)
    for index, value in enumerate(values):
        live.add_sample(value, 0.1, START + gap_s * index)
        slow.add(value, 0.1, START + gap_s * index)
    # Exact ties of a threshold and a sum may fall either way in floating point.
    near = {slow.percentile(level - 1e-9), slow.percentile(level + 1e-9)}
    assert any(math.isclose(live.percentile(level), each, rel_tol=1e-9) for each in near)


def test_live_histogram_forgets():
    live = DecayingHistogram(CPU_BUCKETS)
    assert live.is_empty
    assert live.percentile(0.9) == 0.0
    live.add_sample(500.0, 0.1, START)
    assert live.percentile(0.9) > 500
    live.add_sample(0.2, 0.1, START + 150 * DAY)  # the reference moves, the old bucket falls below
    assert live.percentile(1.0) == pytest.approx(CPU_BUCKETS.ends[CPU_BUCKETS.find(0.2)])
    assert live.total_weight > 0


def test_live_histogram_takes_a_sample_back():
    live = DecayingHistogram(MEMORY_BUCKETS)
    live.add_sample(2e8, 1.0, START + DAY)
    before = live.percentile(0.9)
    live.add_sample(9e8, 1.0, START + 2 * DAY)
    assert live.percentile(0.9) > 9e8
    live.subtract_sample(9e8, 1.0, START + 2 * DAY)
    assert live.percentile(0.9) == before
    live.subtract_sample(2e8, 1.0, START + DAY)
    assert live.is_empty


def test_live_histogram_passes_over_what_is_no_measurement():
    live = DecayingHistogram(CPU_BUCKETS)
    for value in (math.nan, math.inf, -1.0):
        live.add_sample(value, 0.1, START)
        live.subtract_sample(value, 0.1, START)
    assert live.is_empty
    live.add_sample(1e12, 0.1, START)
    assert live.percentile(0.5) == CPU_BUCKETS.starts[-1]
    with pytest.raises(ValueError, match="weight"):
        live.add_sample(1.0, -0.1, START)
    with pytest.raises(ValueError, match="weight"):
        live.subtract_sample(1.0, -0.1, START)
    with pytest.raises(ValueError, match="half-life"):
        DecayingHistogram(CPU_BUCKETS, 0.0)
