"""Local time: daylight saving in both directions, odd offsets, days of rest."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recommender.errors import SettingsError
from recommender.telemetry.clock import DAYS_BACK, Clock, parse_holidays

BERLIN = Clock("Europe/Berlin")
ORDINARY = tuple(24 * day for day in range(1, DAYS_BACK + 1))


def at(text, zone="Europe/Berlin"):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_days_without_a_change_are_twenty_four_hours():
    assert BERLIN.day_lags(at("2024-06-20T09:00")).hours == ORDINARY
    assert Clock().day_lags(at("2024-03-31T09:00", "UTC")).hours == ORDINARY


def test_in_spring_yesterday_is_twenty_three_hours_back():
    lags = BERLIN.day_lags(at("2024-03-31T09:00"))
    assert lags.hours == tuple(hours - 1 for hours in ORDINARY)
    # The day after, only the days before the change are nearer.
    assert BERLIN.day_lags(at("2024-04-01T09:00")).hours[:3] == (24, 47, 71)
    assert BERLIN.day_lags(at("2024-03-31T01:59")).hours == ORDINARY
    assert BERLIN.day_lags(at("2024-04-13T09:00")).hours[12:] == (24 * 13, 24 * 14 - 1)


def test_in_autumn_yesterday_is_twenty_five_hours_back():
    lags = BERLIN.day_lags(at("2024-10-27T09:00"))
    assert lags.hours == tuple(hours + 1 for hours in ORDINARY)
    assert BERLIN.day_lags(at("2024-10-28T09:00")).hours[:3] == (24, 49, 73)
    assert BERLIN.day_lags(at("2024-10-27T01:59")).hours == ORDINARY


def test_the_hour_that_happens_twice_and_the_one_that_does_not():
    first = int(datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp())  # 02:30, summer time
    assert BERLIN.day_lags(first).hours[0] == 24
    assert BERLIN.day_lags(first + 3600).hours[0] == 25  # 02:30 again, winter time
    # 02:30 did not exist on 31 March; a day later it is sought within an hour of it.
    assert BERLIN.day_lags(at("2024-04-01T02:30")).hours[0] in {23, 24}


@pytest.mark.parametrize(
    ("zone", "spring", "autumn"),
    [
        ("America/New_York", "2024-03-10T12:00", "2024-11-03T12:00"),
        ("America/St_Johns", "2024-03-10T12:00", "2024-11-03T12:00"),  # UTC-3:30
        ("Australia/Adelaide", "2024-10-06T12:00", "2024-04-07T12:00"),  # UTC+9:30
        ("Pacific/Chatham", "2024-09-29T12:00", "2024-04-07T12:00"),  # UTC+12:45
    ],
)
def test_changes_in_zones_of_every_kind(zone, spring, autumn):
    assert Clock(zone).day_lags(at(spring, zone)).hours[0] == 23
    assert Clock(zone).day_lags(at(autumn, zone)).hours[0] == 25


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("Asia/Kolkata", 17.5), ("Asia/Kathmandu", 17.75), ("Australia/Eucla", 20.75)],
)
def test_offsets_of_half_and_quarter_hours(zone, hour):
    lags = Clock(zone).day_lags(at("2024-03-31T12:00", "UTC"))
    assert lags.hours == ORDINARY
    assert lags.local_hour == pytest.approx(hour)


def test_a_change_of_half_an_hour_and_of_two():
    lord_howe = Clock("Australia/Lord_Howe")
    assert lord_howe.day_lags(at("2024-10-06T12:00", "Australia/Lord_Howe")).hours[0] in {23, 24}
    assert lord_howe.day_lags(at("2024-04-07T12:00", "Australia/Lord_Howe")).hours[0] in {24, 25}
    troll = Clock("Antarctica/Troll")
    assert troll.day_lags(at("2024-03-31T12:00", "Antarctica/Troll")).hours[0] == 22


def test_a_day_that_was_left_out():
    """Samoa had no 30 December 2011: what it would be is no time within the window."""
    apia = Clock("Pacific/Apia")
    for hour in range(0, 24, 3):
        lags = apia.day_lags(at(f"2011-12-31T{hour:02}:00", "Pacific/Apia"))
        assert all(abs(h - o) <= 3 for h, o in zip(lags.hours, ORDINARY, strict=True))


ZONES = sorted(zone for zone in available_timezones() if "/" in zone)


@given(st.sampled_from(ZONES), st.integers(0, 4_000_000_000))
@example("America/Denver", 247_046_400)  # the morning after an hour was repeated
def test_lags_reach_the_same_wall_clock_time_on_each_day(zone, now_s):
    now_s -= now_s % 300
    lags = Clock(zone).day_lags(now_s)
    assert all(0 < a < b for a, b in zip(lags.hours, lags.hours[1:], strict=False))
    here = ZoneInfo(zone)
    now = datetime.fromtimestamp(now_s, here)
    assert lags.local_hour == pytest.approx(now.hour + now.minute / 60 + now.second / 3600)
    for day, hours in enumerate(lags.hours, 1):
        assert abs(hours - 24 * day) <= 3
        then = datetime.fromtimestamp(now_s - 3600 * hours, here)
        moved = now.utcoffset() - then.utcoffset()
        apart = 24 * day - hours - moved.total_seconds() / 3600
        # To the half hour of rounding, or to the hour that a change skipped or repeated.
        assert abs(apart) <= 1 or abs(moved.total_seconds()) > 3 * 3600


def test_days_of_rest_and_days_alike():
    monday = BERLIN.day_lags(at("2024-06-17T09:00"))
    assert monday.rest is False
    assert monday.alike[:8] == (False, False, True, True, True, True, True, False)
    saturday = BERLIN.day_lags(at("2024-06-22T09:00"))
    assert saturday.rest is True
    assert saturday.alike[:7] == (False, False, False, False, False, True, True)


def test_the_day_is_the_local_one():
    friday_night = int(datetime(2024, 6, 21, 23, 0, tzinfo=UTC).timestamp())
    assert Clock().day_lags(friday_night).rest is False
    assert BERLIN.day_lags(friday_night).rest is True  # 01:00 on Saturday
    assert Clock("America/New_York").day_lags(friday_night + 86400).rest is True


def test_holidays_are_days_of_rest():
    clock = Clock("Europe/Berlin", holidays=parse_holidays(["2024-10-03", " 2024-12-25 "]))
    assert clock.is_rest(date(2024, 10, 3))
    assert clock.is_rest(date(2024, 12, 25))
    assert not clock.is_rest(date(2024, 10, 4))
    lags = clock.day_lags(at("2024-10-03T09:00"))
    assert lags.rest is True
    assert lags.alike[:5] == (False, False, False, True, True)


def test_other_weekends():
    clock = Clock("Asia/Riyadh", rest_days=frozenset({4, 5}))
    assert clock.is_rest(date(2024, 6, 21))
    assert not clock.is_rest(date(2024, 6, 23))


@pytest.mark.parametrize(
    "name", ["", "Europe/Berlim", "../etc/passwd", "Europe", "/etc/passwd", "\0"]
)
def test_an_unknown_zone_is_a_settings_error(name):
    with pytest.raises(SettingsError, match="IANA"):
        Clock(name)


@pytest.mark.parametrize("text", ["03.10.2024", "2024-13-01", "2024-02-30", "", "tomorrow"])
def test_a_holiday_that_is_no_date(text):
    with pytest.raises(SettingsError, match="YYYY-MM-DD"):
        parse_holidays(["2024-10-03", text])


def test_equal_clocks_are_one_clock():
    assert Clock("UTC") == Clock("UTC")
    assert len({Clock("UTC"), Clock("UTC"), BERLIN}) == 2
