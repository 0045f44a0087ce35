"""One look at a history: read, forecast once, size once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from peakcast.recommendation import Recommendation, recommendations
from recommender.errors import MalformedHistory, SettingsError
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import BIN_S
from recommender.settings import ClockSettings, Settings
from recommender.sizing.sizer import SIZED, Sizer
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.history import Block, WorkloadKey
from recommender.telemetry.recorded import RecordedSource, read_recorded
from recommender.telemetry.window import HOUR_S, HOURLY_BINS, RollingWindows

HISTORY_S: Final = HOURLY_BINS * HOUR_S
LAG_S: Final = 60
"""How long after its end a bin is read: scrapes take time to arrive."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to recommend from.

    Attributes:
        windows: the histories.
        requests: in force by container, cpu (cores) and memory (bytes); NaN where it has none.
        origin: where they come from, for the caption.
        notes: what is missing.
    """

    windows: RollingWindows
    requests: Mapping[WorkloadKey, tuple[float, float]]
    origin: str
    notes: tuple[str, ...] = ()


def look(
    seen: Seen,
    forecaster: Forecaster,
    sizer: Sizer,
    clock: ClockSettings,
    namespaces: frozenset[str],
) -> list[Recommendation]:
    """Forecast and size once all containers that were seen in the last day, in order of name.

    Raises:
        MalformedHistory: there are none.
    """
    keys = seen.windows.keys
    batch = seen.windows.snapshot()
    alive = (batch.recent[:, :, 0] != codes.MISSING).any(axis=(1, 2))
    chosen = [
        row
        for row in np.flatnonzero(alive).tolist()
        if not namespaces or keys[row].namespace in namespaces
    ]
    if not chosen:
        raise MalformedHistory(
            "no container was seen in the last 24 hours", fix="Check --namespace and --at"
        )
    chosen.sort(key=keys.__getitem__)
    rows = np.array(chosen, np.int64)
    batch = batch.take(rows)
    named = [keys[row] for row in chosen]
    nothing = (np.nan,) * len(SIZED)
    requests = np.array([seen.requests.get(key, nothing) for key in named], np.float32)
    forecast = forecaster.forecast(batch, rows, [clock_of(clock, key) for key in named])
    sizer.assume(rows, requests)
    return recommendations(named, forecast, sizer.decide(batch, rows, forecast), requests)


def from_recorded(path: Path, at_s: int | None, units: tuple[float, float]) -> Seen:
    """Return the histories of a recorded file until ``at_s``, or all of them.

    Raises:
        MalformedHistory: the file is malformed, or has nothing before ``at_s``.
    """
    history = read_recorded(path, cpu_per_unit=units[0], memory_per_unit=units[1])
    end_s = history.last_end_s if at_s is None else min(at_s, history.last_end_s)
    windows = _filled(RecordedSource(history).blocks(end_s - HISTORY_S, end_s))
    if windows.now_s is None:
        raise MalformedHistory(f"{path} has nothing before {_told(end_s)}", fix="Check --at")
    origin = f"{path.name} until {_told(end_s)}; it has no requests, so none is shown."
    return Seen(windows, {}, origin)


def from_prometheus(
    settings: Settings, namespaces: frozenset[str], at_s: int | None, advance: Callable[[int], None]
) -> Seen:
    """Return 15 days of history from Prometheus, and the requests in force.

    Raises:
        SettingsError: no Prometheus is named.
        TelemetryError: it could not be read.
    """
    from recommender.telemetry.prometheus import PrometheusSource  # noqa: PLC0415 -- and requests
    from recommender.telemetry.prometheus.in_force import requests_in_force  # noqa: PLC0415

    if settings.prometheus.url is None:
        raise SettingsError(
            "nothing to recommend from",
            fix="Give --prometheus URL or --recorded FILE; peakcast demo needs neither",
        )
    end_s = (int(time.time()) - LAG_S if at_s is None else at_s) // BIN_S * BIN_S
    with PrometheusSource(settings.prometheus, namespaces=namespaces) as source:
        windows = _filled(source.blocks(end_s - HISTORY_S, end_s), advance)
        if windows.now_s is None:
            raise MalformedHistory(
                f"{settings.prometheus.url} has no container metrics of these 15 days",
                fix="Check that cAdvisor is scraped, and --namespace",
            )
        requests = requests_in_force(source.client, end_s, namespaces=namespaces)
        notes = source.report.sentences()
        if not requests:
            notes.append("No requests are known: kube-state-metrics is not scraped.")
        origin = f"{settings.prometheus.url} until {_told(end_s)}."
        return Seen(windows, requests, origin, tuple(notes))


def clock_of(settings: ClockSettings, key: WorkloadKey) -> Clock:
    """Return the local time that a workload follows."""
    zones = settings.time_zones
    zone = zones.get(f"{key.namespace}/{key.name}") or zones.get(key.namespace)
    return Clock(zone or settings.time_zone, settings.rest_days, settings.holidays)


def parse_moment(text: str) -> int:
    """Return a moment in seconds since the epoch; without a zone it is UTC.

    Raises:
        SettingsError: the text is no moment in ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(
            f"time {text!r} is not understood", fix="Write it like 2026-03-01T08:00"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _filled(
    blocks: Iterable[Block], advance: Callable[[int], None] = lambda _: None
) -> RollingWindows:
    windows = RollingWindows()
    for block in blocks:
        windows.ingest(block)
        advance(len(block.keys))
    return windows


def _told(moment_s: int) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
