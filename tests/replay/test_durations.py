import pytest
from hypothesis import given
from hypothesis import strategies as st

from peakcast.durations import format_duration, parse_duration, parse_interval
from recommender.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("15m", 900),
        ("1h", 3600),
        ("24h", 86400),
        ("1d", 86400),
        ("90s", 90),
        ("1h30m", 5400),
        (" 1H 30M ", 5400),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@given(st.integers(1, 10**8))
def test_round_trip(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "5m!", "-5m", "1e3s", "\u0665m0"])
def test_what_is_none(text):
    with pytest.raises(SettingsError, match="not understood"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [("5m", 300), ("24h", 86400), ("1d", 86400)])
def test_intervals(text, seconds):
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["1m", "301s", "25h", "2d"])
def test_intervals_off_the_grid(text):
    with pytest.raises(SettingsError, match="multiple of 5m"):
        parse_interval(text)
