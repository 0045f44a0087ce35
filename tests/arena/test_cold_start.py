import numpy as np
import pytest

from recommender.forecast.baselines import RecentMax, Vpa
from trainer.arena.cold_start import HISTORIES_S, cold_starts, quantiles, rule_requests


@pytest.fixture(scope="module")
def starts(fleet):
    return cold_starts(fleet, "cpu", starts=9)


def test_starts_are_full_hours_of_the_judged_time(starts, fleet):
    assert len(starts.bins) == 9
    assert (starts.bins >= fleet.start).all()
    assert (starts.bins + 12 < fleet.source.bins).all()
    assert all(fleet.end_s(int(index)) % 3600 == 0 for index in starts.bins)


@pytest.mark.parametrize("history", HISTORIES_S)
def test_nothing_older_is_left(starts, fleet, history):
    matrix = starts.matrix(history)
    assert matrix.peak.shape == (len(fleet) * 9, 300)
    left = history // 300
    assert np.isnan(matrix.peak[:, : 288 - left]).all()
    assert np.isfinite(matrix.peak[:, 288 - left :]).all()
    peak = fleet.usage("cpu").peak
    entity, start = 5, 4
    index = int(starts.bins[start])
    np.testing.assert_array_equal(
        matrix.peak[entity * 9 + start, 288 - left :], peak[entity, index - left + 1 : index + 13]
    )


def test_what_is_judged_is_the_hour_after(starts, fleet):
    judged = starts.judged(starts.matrix(3600))
    peak = fleet.usage("cpu").peak
    for place, index in enumerate(starts.bins.tolist()):
        part = judged[3, place * 12 : place * 12 + 12]
        np.testing.assert_array_equal(part, peak[3, index + 1 : index + 13])


def test_rules_see_what_is_left(starts, fleet):
    rule = RecentMax((24.0,))
    peak = fleet.usage("cpu").peak
    for history in HISTORIES_S:
        requests = rule_requests(starts, rule, starts.matrix(history))
        assert requests.shape == (1, len(fleet), 9)
        index = int(starts.bins[2])
        expected = peak[4, index - history // 300 + 1 : index + 1].max()
        assert requests[0, 4, 2] == pytest.approx(expected)


def test_rules_do_not_see_the_hour_that_is_judged(starts):
    matrix = starts.matrix(21600)
    before = rule_requests(starts, Vpa("cpu"), matrix)
    matrix.peak[:, 288:] = 1e6
    matrix.mean[:, 288:] = 1e6
    np.testing.assert_array_equal(rule_requests(starts, Vpa("cpu"), matrix), before)


def test_a_forecaster_sees_as_much(starts, fleet):
    seen = []

    def predict(batch):
        seen.append(((batch.recent[:, 0, 0] > 0).sum(axis=1), batch.age_bins))
        return np.zeros((len(batch), 7), np.float32)

    found = quantiles(starts, 3600, predict)
    assert found.shape == (len(fleet), 9, 7)
    assert all((bins == 12).all() and (age == 12).all() for bins, age in seen)
