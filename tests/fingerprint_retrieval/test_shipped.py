"""What the shipped fingerprint tells apart; thresholds are what was measured, less some slack."""

import pytest

from trainer.arena.retrieval import draws, fingerprint_score, hide

LEAST_PRECISION_1 = 0.9  # 0.99 measured with 100 of each shape, see docs/fingerprint.md
LEAST_PRECISION_5 = 0.85  # 0.97


@pytest.fixture(scope="module")
def drawn():
    return draws(24)


@pytest.fixture(scope="module")
def found(shipped, drawn):
    return fingerprint_score(shipped, drawn)


def test_bursts_and_patterns_are_found_again(found):
    assert found.precision_1 > LEAST_PRECISION_1
    assert found.precision_5 > LEAST_PRECISION_5


def test_dependencies_between_kpis_are_told_apart_beyond_chance(found):
    weak = [
        (pair.first, pair.second, pair.nearest)
        for pair in found.pairs
        if pair.nearest <= pair.beyond_chance
    ]
    assert weak == []


def test_what_shows_in_one_kpi_is_lost_with_it_and_the_rest_stays(shipped, drawn, found):
    names = drawn.known.names
    without = fingerprint_score(shipped, hide(drawn, ("memory",)))
    leak, wave = names.index("memory_leak"), names.index("hourly_burst")
    assert without.confusion[leak][leak] < found.confusion[leak][leak] - 0.3
    assert without.confusion[wave][wave] > found.confusion[wave][wave] - 0.2
