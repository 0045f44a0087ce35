"""What every baseline owes the arena, whatever its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.forecast.baselines import StaticRequest, UsageMatrix, baselines

EVERY = [
    pytest.param(baseline, id=f"{resource}-{baseline.name}")
    for resource in ("cpu", "memory")
    for baseline in [*baselines(resource), StaticRequest(2.0)]
]
CAUSAL = [each for each in EVERY if each.values[0].causal]
HOLD = 12
START = 1_600_000_200  # not on a full hour


def matrix(peak):
    peak = np.asarray(peak, dtype=np.float32)
    return UsageMatrix(START, peak, (peak * np.float32(0.8)).astype(np.float32))


def noisy(entities=4, bins=800, seed=0):
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(bins) / 288
    peak = np.exp(0.5 * np.sin(phase) + 0.3 * rng.standard_normal((entities, bins)))
    peak[1, 100:260] = np.nan
    peak[2, :70] = np.nan
    peak[3, rng.random(bins) < 0.3] = np.nan
    return peak


@pytest.mark.parametrize("baseline", EVERY)
def test_shape_type_and_where_there_is_a_number(baseline):
    peak = noisy()
    decisions = np.arange(5, 780, 12)
    limits = baseline.limits(matrix(peak), decisions, HOLD)
    assert limits.dtype == np.float32
    assert limits.shape == (len(baseline.knobs), 4, len(decisions))
    known = np.isfinite(np.fmax.accumulate(peak, axis=1)[:, decisions])
    assert (np.isfinite(limits) == known).all()
    assert (limits[:, known] >= 0).all()


@pytest.mark.parametrize("baseline", EVERY)
@pytest.mark.parametrize(
    "row",
    [
        np.zeros(700),
        np.full(700, 0.3),
        np.full(700, 1e12),
        np.where(np.arange(700) == 350, 1e12, 0.01),
        np.where(np.arange(700) == 3, 0.5, np.nan),
        np.where(np.arange(700) % 7 == 0, np.inf, 0.2),
        np.where(np.arange(700) % 7 == 0, -5.0, 0.2),
        np.full(700, 1e-30),
    ],
    ids=["zeros", "constant", "huge", "spike", "one sample", "infinities", "negative", "tiny"],
)
def test_absurd_input_gives_finite_numbers(baseline, row):
    limits = baseline.limits(matrix(row[None]), np.arange(8, 680, 9), HOLD)
    assert np.isfinite(limits).all()
    assert (limits >= 0).all()


@pytest.mark.parametrize("baseline", EVERY)
def test_no_sample_no_number(baseline):
    limits = baseline.limits(matrix(np.full((2, 300), np.nan)), np.array([0, 299]), HOLD)
    assert np.isnan(limits).all()


@pytest.mark.parametrize("baseline", EVERY)
def test_first_sample_is_enough(baseline):
    peak = np.full((1, 50), np.nan)
    peak[0, 20] = 0.7
    limits = baseline.limits(matrix(peak), np.array([19, 20, 21]), HOLD)
    assert np.isnan(limits[:, :, 0]).all()
    assert (limits[:, :, 1:] > 0).all()


@pytest.mark.parametrize("baseline", EVERY)
def test_nobody_and_no_decision(baseline):
    assert baseline.limits(matrix(np.ones((0, 30))), np.array([3]), HOLD).shape[1:] == (0, 1)
    empty = np.array([], dtype=np.int64)
    assert baseline.limits(matrix(np.ones((2, 30))), empty, HOLD).shape[1:] == (2, 0)


@pytest.mark.parametrize("baseline", CAUSAL)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 1499), hold=st.sampled_from([1, 12, 288]))
def test_cutting_the_future_changes_nothing(baseline, seed, cut, hold):
    usage = matrix(noisy(bins=1500, seed=seed))
    decisions = np.arange(seed % 7, cut, 31)
    whole = baseline.limits(usage, decisions, hold)
    cut_short = UsageMatrix(START, usage.peak[:, :cut], usage.mean[:, :cut])
    np.testing.assert_array_equal(baseline.limits(cut_short, decisions, hold), whole)


@pytest.mark.parametrize("baseline", CAUSAL)
def test_a_changed_future_changes_nothing(baseline):
    usage = matrix(noisy(bins=1500))
    changed = usage.peak.copy()
    changed[:, 1000:] = 1e9
    other = UsageMatrix(START, changed, changed * np.float32(0.5))
    decisions = np.arange(0, 1000, 37)
    np.testing.assert_array_equal(
        baseline.limits(other, decisions, HOLD)[:, :, :-1],
        baseline.limits(
            UsageMatrix(START, usage.peak, usage.peak * np.float32(0.5)), decisions, HOLD
        )[:, :, :-1],
    )


@pytest.mark.parametrize("baseline", EVERY)
def test_unsorted_or_outlying_decisions_are_refused(baseline):
    usage = matrix(noisy(bins=40))
    for decisions in ([5, 3], [-1, 3], [40], [3, 3]):
        with pytest.raises(ValueError, match="decisions"):
            baseline.limits(usage, np.array(decisions), HOLD)
    with pytest.raises(ValueError, match="hold"):
        baseline.limits(usage, np.array([3]), 0)


def test_names_are_unique_and_only_the_oracle_reads_the_future():
    for resource in ("cpu", "memory"):
        every = baselines(resource, request=1.0)
        assert len({each.name for each in every}) == len(every)
        assert [each.name for each in every if not each.causal] == ["oracle"]


def test_unit_scales_methods_with_fixed_buckets():
    peak = noisy(bins=700)
    decisions = np.arange(11, 690, 12)
    for cores, fractions in zip(baselines("cpu"), baselines("cpu", unit=16.0), strict=True):
        in_cores = cores.limits(matrix(peak), decisions, HOLD)
        in_fractions = fractions.limits(matrix(peak / 16), decisions, HOLD) * 16
        close = np.isclose(in_cores, in_fractions, rtol=0.08, equal_nan=True)
        assert close.mean() > 0.999, cores.name


def test_matrices_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        UsageMatrix(0, np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))


@pytest.mark.parametrize("baseline", EVERY)
def test_a_decision_does_not_depend_on_the_others_asked_for(baseline):
    usage = matrix(noisy(bins=1500))
    every = np.arange(0, 1488)
    some = every[7::41]
    alone = baseline.limits(usage, some, HOLD)
    among = baseline.limits(usage, every, HOLD)[:, :, some]
    np.testing.assert_allclose(alone, among, rtol=1e-5)
