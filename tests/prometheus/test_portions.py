"""Queries say exactly what is meant, and portions lose nothing and stay small."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import SettingsError
from recommender.kpis import CATALOGUE, KPIS
from recommender.telemetry.prometheus.batches import Selection, pieces, plan, steps_at_once
from recommender.telemetry.prometheus.promql import (
    Cadence,
    one_of,
    quoted,
    range_query,
    templates,
)

UNQUOTED = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def unquote(text):
    assert text[0] == text[-1] == '"'
    assert not re.search(r'(?<!\\)(\\\\)*"', text[1:-1])
    return re.sub(r"\\.", lambda match: UNQUOTED[match[0]], text[1:-1])


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_quoting_is_undone_by_the_rules_of_promql(value):
    assert unquote(quoted(value)) == value
    assert "\n" not in quoted(value)


@given(
    st.lists(st.text(st.sampled_from("ab.|*()[]{}^$\\+?-"), min_size=1), min_size=2, unique=True)
)
def test_a_matcher_of_several_values_matches_these_and_no_others(values):
    label, _, pattern = one_of("pod", values).partition("=~")
    assert label == "pod"
    regex = re.compile(unquote(pattern))
    assert all(regex.fullmatch(value) for value in values)
    for value in values:
        for other in (value + "x", value[:-1], value.replace(".", "x"), "x" + value):
            assert bool(regex.fullmatch(other)) == (other in values)


def test_a_label_name_is_no_way_into_the_query():
    with pytest.raises(SettingsError, match="no label name"):
        one_of('x="1"} or up{y', ["a"])


def test_every_kpi_has_a_query_that_can_be_narrowed():
    assert list(templates()) == list(KPIS)
    for kpi in CATALOGUE:
        text = range_query(kpi.promql, "peak", 300, Cadence(), 'namespace="x"').expr
        assert "$" not in text
        assert text.count('namespace="x"') == text.count("{")
        assert f"by (namespace, pod{', container' * (kpi.level == 'container')})" in text


@pytest.mark.parametrize(
    ("interval", "window", "step"),
    [(1, 60, 30), (15, 60, 30), (30, 60, 30), (31, 120, 60), (60, 120, 60), (120, 300, 150)],
)
def test_windows_hold_two_scrapes_and_overlap_by_half(interval, window, step):
    cadence = Cadence.for_scrapes(interval)
    assert (cadence.window_s, cadence.step_s) == (window, step)
    assert window >= 2 * interval
    assert 300 % step == 0


@given(st.integers(60, 900))
def test_any_window_has_a_step_that_overlaps_and_tiles_the_bin(window):
    cadence = Cadence.for_window(window)
    assert 2 * cadence.step_s <= window
    assert 300 % cadence.step_s == 0


@pytest.mark.parametrize("bin_s", [300, 3600])
@pytest.mark.parametrize("interval", [15, 30, 60])
def test_short_rates_cover_the_bin_and_nothing_else_on_either_version(bin_s, interval):
    cadence = Cadence.for_scrapes(interval)
    query = range_query(templates()["cpu"], "peak", bin_s, cadence)
    window, back, step = map(
        int, re.search(r"\[(\d+)001ms\]\)\[(\d+)s:(\d+)s\]", query.expr).groups()
    )
    end = 7200
    for closed_left in (True, False):
        steps = [
            at
            for at in range(0, end + 1, step)
            if (end - back <= at if closed_left else end - back < at)
        ]
        assert len(steps) == query.samples_per_step
        assert steps[0] - window == end - bin_s
        assert steps[-1] == end


namespaces = st.dictionaries(
    st.sampled_from("abcdef"),
    st.dictionaries(st.integers(0, 99).map(str), st.integers(0, 6), min_size=1, max_size=40),
    max_size=5,
)


@given(namespaces, st.integers(1, 30))
def test_every_pod_is_asked_for_once_and_replicas_stay_together(pods, most):
    batches = plan(pods, most)
    asked, homes = Counter(), {}
    for number, batch in enumerate(batches):
        for selection in batch:
            assert selection.namespaces
            mine = [
                (namespace, pod)
                for namespace in selection.namespaces
                for pod in (selection.pods or pods[namespace])
            ]
            assert selection.size == len(mine) <= most
            asked.update(mine)
            for namespace, pod in mine:
                homes.setdefault((namespace, pods[namespace][pod]), set()).add(number)
    expected = Counter((namespace, pod) for namespace, some in pods.items() for pod in some)
    assert asked == expected
    assert all(len(home) == 1 for home in homes.values())


@given(st.integers(0, 500), st.integers(1, 50))
def test_pieces_tile_a_grid(bins, at_once):
    at = 0
    for offset, length in pieces(bins, at_once):
        assert offset == at
        assert 1 <= length <= at_once
        at += length
    assert at == bins


@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(1, 10**7), st.integers(100, 11_000))
def test_a_query_stays_within_the_sample_budget_or_is_a_single_step(size, cost, budget, points):
    steps = steps_at_once(Selection(size=size), cost, budget, points)
    assert 1 <= steps <= points
    assert steps == 1 or steps * max(size, 1) * 2 * (cost + 1) <= budget


def test_a_selection_halves_until_it_is_one_pod():
    parts, rounds = [Selection(("ns",), tuple("abcdefg"), 7)], 0
    while any(part.halves() for part in parts):
        parts = [half for part in parts for half in (part.halves() or (part,))]
        rounds += 1
    assert sorted(part.pods[0] for part in parts) == list("abcdefg")
    assert rounds == 3
    assert [part.namespaces for part in Selection(("a", "b"), (), 9).halves()] == [("a",), ("b",)]
    assert Selection(("a",), (), 9).halves() == ()
