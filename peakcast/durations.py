"""Spans of time as people type them: 5m, 90s, 1h, 1h30m, 24h, 7d."""

from __future__ import annotations

import re
from typing import Final

from recommender.errors import SettingsError
from recommender.kpis import BIN_S

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART: Final = re.compile(r"(\d{1,9})\s*([smhd])")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern}\s*)+")
_DAY_S: Final = 86400


def parse_duration(text: str, what: str = "duration") -> int:
    """Return a span in seconds.

    >>> parse_duration("15m"), parse_duration("1h30m"), parse_duration("7d")
    (900, 5400, 604800)

    Args:
        text: whole numbers with a unit each.
        what: what the span is, for the error.

    Raises:
        SettingsError: the text is none, or the span is zero.
    """
    trimmed = text.strip().lower()
    if not _WHOLE.fullmatch(trimmed):
        raise SettingsError(
            f"{what} {text!r} is not understood",
            fix="Write whole numbers with s, m, h or d, such as 5m, 1h or 1h30m",
        )
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(trimmed))
    if seconds == 0:
        raise SettingsError(f"{what} {text!r} is no time at all", fix="Give more than zero")
    return seconds


def parse_interval(text: str) -> int:
    """Return the time between decisions in seconds: a multiple of 5 minutes, at most a day.

    >>> parse_interval("1h")
    3600

    Raises:
        SettingsError: it is not.
    """
    seconds = parse_duration(text, "interval")
    if seconds % BIN_S or seconds > _DAY_S:
        raise SettingsError(
            f"decisions every {text.strip()} are not possible",
            fix="Give a multiple of 5m, at most 24h, such as 5m, 15m, 1h or 24h",
        )
    return seconds


def format_duration(seconds: int) -> str:
    """Write a span in its largest units.

    >>> format_duration(300), format_duration(5400), format_duration(90061)
    ('5m', '1h30m', '1d1h1m1s')
    """
    parts, rest = [], seconds
    for unit, length in reversed(_SECONDS.items()):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
