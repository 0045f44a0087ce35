"""Local time: where yesterday's same hour lies, and which days are alike.

People and cron jobs follow the wall clock, so "the same time d days ago" is found there: across a
daylight-saving change it lies 23 or 25 hours back, not 24.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recommender.errors import SettingsError

DAYS_BACK = 14
MOST_SHIFT_H = 3
"""A zone that moved its clocks by more has moved across the date line: days are 24 h there."""

SATURDAY, SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class DayLags:
    """The same wall-clock time on each of the last 14 days, seen from one moment.

    Attributes:
        hours: for day 1, 2, ... 14 back, how many whole hours back it lies: 24 d, or an hour more
            or less across a daylight-saving change (two at Troll; half an hour at Lord Howe counts
            as none).
        alike: whether that day is of the moment's own kind (both working days, or both days of
            rest).
        local_hour: the moment's wall-clock hour, 0 to 24, with its fraction.
        rest: whether the moment falls on a day of rest.
    """

    hours: tuple[int, ...]
    alike: tuple[bool, ...]
    local_hour: float
    rest: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """A time zone with its days of rest.

    Raises:
        SettingsError: no such time zone.

    Attributes:
        zone: IANA name.
        rest_days: weekdays of rest, Monday is 0.
        holidays: further days of rest.
    """

    zone: str = "UTC"
    rest_days: frozenset[int] = field(default=frozenset((SATURDAY, SUNDAY)))
    holidays: frozenset[date] = field(default=frozenset())

    def __post_init__(self) -> None:
        _zone(self.zone)

    def day_lags(self, now_s: int) -> DayLags:
        """Return where the same wall-clock time lies on each of the last 14 days."""
        return _day_lags(self, now_s)

    def is_rest(self, day: date) -> bool:
        """Tell whether ``day`` is a day of rest."""
        return day.weekday() in self.rest_days or day in self.holidays


def parse_holidays(days: Iterable[str]) -> frozenset[date]:
    """Read ISO dates.

    Raises:
        SettingsError: one is not of the form YYYY-MM-DD.
    """
    parsed = set()
    for day in days:
        try:
            parsed.add(date.fromisoformat(day.strip()))
        except ValueError:
            raise SettingsError(
                f"holiday '{day}' is not a date", fix="Write it as YYYY-MM-DD"
            ) from None
    return frozenset(parsed)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"time zone '{name}' is unknown", fix="Use an IANA name such as Europe/Berlin"
        ) from None


@lru_cache(maxsize=4096)
def _day_lags(clock: Clock, now_s: int) -> DayLags:
    zone = _zone(clock.zone)
    now = datetime.fromtimestamp(now_s, zone)
    rest = clock.is_rest(now.date())
    hours, alike = [], []
    for days in range(1, DAYS_BACK + 1):
        # Arithmetic on an aware datetime keeps the wall clock; its timestamp gives the true lag.
        then = now - timedelta(days=days)
        lag = round((now_s - then.timestamp()) / 3600)
        hours.append(lag if abs(lag - 24 * days) <= MOST_SHIFT_H else 24 * days)
        alike.append(clock.is_rest(then.date()) == rest)
    local_hour = now.hour + now.minute / 60 + now.second / 3600
    return DayLags(tuple(hours), tuple(alike), local_hour, rest)
