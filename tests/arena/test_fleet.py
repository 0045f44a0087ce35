import numpy as np
import pytest

from recommender.errors import MalformedHistory
from trainer.arena.fleet import ACTIVE, EVERY, IDLE, fleet_of
from trainer.traces import read_source, split_number


def test_only_test_groups_are_judged(fleet, source):
    for row in fleet.rows:
        assert split_number(source.name, source.history.groups[row]) < 30
    assert len(fleet) == 12
    assert fleet.groups == 6


def test_the_first_decision_is_a_full_hour_inside_the_last_quarter(fleet, source):
    assert fleet.start >= source.quarter_bin()
    assert fleet.start - source.quarter_bin() < 12
    assert source.end_s(fleet.start) % 3600 == 0


def test_what_is_served_begins_after_the_first_decision_and_ends_with_the_file(fleet, source):
    peak = fleet.served_peak("cpu")
    assert peak.shape == (12, source.bins - fleet.start - 1)
    expected = source.history.peak[fleet.rows, source.history.kpis.index("cpu"), fleet.start + 1 :]
    np.testing.assert_array_equal(peak, expected)


@pytest.mark.parametrize("every", [1, 3, 12, 288])
def test_decisions_serve_every_bin_once(fleet, every):
    decisions = fleet.decisions(every)
    assert decisions[0] == fleet.start
    assert (len(decisions) - 1) * every < fleet.served <= len(decisions) * every


def test_idle_entities_stand_apart(fleet):
    idle = fleet.populations[IDLE]
    assert idle.sum() == 2
    assert (fleet.populations[ACTIVE] == ~idle).all()
    assert fleet.populations[EVERY].all()
    mean = np.nanmean(fleet.usage("cpu").mean[:, fleet.start + 1 :], axis=1)
    assert (mean[idle] < 0.05).all()
    assert (mean[~idle] >= 0.05).all()


def test_a_bin_counts_only_once_the_resource_was_seen_at_a_decision(make_source):
    data = make_source.columns()
    first = data["entity"] == data["entity"][0]
    # The first entity begins half-way through a served hour, well inside the last quarter.
    born = data["timestamp"][first][-100]
    data["cpu"] = np.where(first & (data["timestamp"] < born), np.nan, data["cpu"])
    late = fleet_of(read_source(make_source.write(data)))
    quick, hourly = late.served_peak("cpu", 1)[0], late.served_peak("cpu", 12)[0]
    assert np.isfinite(quick).sum() == 99
    assert np.isfinite(hourly).sum() < 99
    assert (len(hourly) - np.isfinite(hourly).sum()) % 12 == 0


def test_a_source_without_test_groups_cannot_be_judged(make_source):
    data = make_source.columns()
    keep = np.array([split_number("shop", group) >= 30 for group in data["group"]])
    path = make_source.write({name: values[keep] for name, values in data.items()})
    with pytest.raises(MalformedHistory, match="no test group"):
        fleet_of(read_source(path))


def test_a_source_of_an_hour_cannot_be_judged(make_source):
    path = make_source.write(make_source.columns(days=0.1))
    with pytest.raises(MalformedHistory, match="too short"):
        fleet_of(read_source(path))
