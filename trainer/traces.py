"""Recorded sources as the trainer and the arena see them: split by group and by time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.kpis import BIN_S, KPIS
from recommender.telemetry import codes
from recommender.telemetry.codes import CodeArray
from recommender.telemetry.recorded import RecordedHistory, read_recorded
from recommender.telemetry.window import (
    BINS_PER_HOUR,
    HOUR_S,
    HOURLY_BINS,
    RECENT_BINS,
    WindowBatch,
    moments,
)

TEST_SHARE: Final = 30
HELD_OUT_SHARE: Final = 40
LAST_QUARTER: Final = 0.75


@dataclass(frozen=True, slots=True)
class Units:
    """What 1.0 stands for in a source that records fractions of a machine."""

    cpu_cores: float = 1.0
    memory_bytes: float = 1.0


UNITS: Final[dict[str, Units]] = {
    "azure_v1": Units(cpu_cores=4.0),
    "smd": Units(cpu_cores=16.0, memory_bytes=64 * 2.0**30),
}
"""Assumed machine sizes of the sources that record fractions; only thresholds depend on them."""


def split_number(source: str, group: str) -> int:
    """Return a group's lot, 0 to 99: below 30 it is a test group (see docs/results.md)."""
    digest = hashlib.sha1(f"{source}:{group}".encode(), usedforsecurity=False)
    return int(digest.hexdigest()[:8], 16) % 100


@dataclass(frozen=True, slots=True)
class Source:
    """One recorded source in the window's own codes.

    Attributes:
        name: the source's name.
        history: as read, in cores and bytes.
        recent: uint16 codes ``[entities, kpis, 2, bins]``; peak and mean.
        hourly: uint16 codes ``[entities, kpis, 3, hours]``; peak, mean, standard deviation.
        first_hour_end_s: end of the first hourly bin.
        first_bin: int64 ``[entities]``, index of each entity's first seen bin.
        lot: int64 ``[entities]``, each entity's group's lot.
    """

    name: str
    history: RecordedHistory
    recent: CodeArray
    hourly: CodeArray
    first_hour_end_s: int
    first_bin: NDArray[np.int64]
    lot: NDArray[np.int64]

    @property
    def bins(self) -> int:
        """Number of five-minute bins."""
        return int(self.recent.shape[-1])

    def end_s(self, index: int) -> int:
        """Return the end of a five-minute bin."""
        return self.history.first_end_s + BIN_S * index

    def quarter_bin(self) -> int:
        """Return the index of the first bin of the last quarter of the source's time."""
        return int(np.ceil(self.bins * LAST_QUARTER))

    def window(self, index: int, rows: NDArray[np.int64]) -> WindowBatch:
        """Return the windows of ``rows`` as they stood when bin ``index`` had ended.

        The same as feeding a :class:`recommender.telemetry.window.RollingWindows` bin by bin,
        at the cost of a slice.
        """
        now = self.end_s(index)
        hour = (now // HOUR_S * HOUR_S - self.first_hour_end_s) // HOUR_S
        age = np.maximum(index - self.first_bin[rows] + 1, 0)
        return WindowBatch(
            now,
            _tail(self.recent, rows, index + 1, RECENT_BINS),
            _tail(self.hourly, rows, hour + 1, HOURLY_BINS),
            age,
        )


def read_source(path: Path) -> Source:
    """Read a recorded source.

    Raises:
        MalformedHistory: see :func:`recommender.telemetry.recorded.read_recorded`.
    """
    units = UNITS.get(path.stem, Units())
    history = read_recorded(path, cpu_per_unit=units.cpu_cores, memory_per_unit=units.memory_bytes)
    return to_source(history)


def to_source(history: RecordedHistory) -> Source:
    """Bring a recorded history into the window's codes, with its hourly summary."""
    entities, bins = len(history.entities), history.bins
    recent = np.zeros((entities, len(KPIS), 2, bins), np.uint16)
    columns = [KPIS.index(kpi) for kpi in history.kpis]
    recent[:, columns, 0] = codes.encode(history.peak)
    recent[:, columns, 1] = codes.encode(history.mean)
    first_hour_end = -(-history.first_end_s // HOUR_S) * HOUR_S
    lead = BINS_PER_HOUR - 1 - (first_hour_end - history.first_end_s) // BIN_S
    hours = (lead + bins) // BINS_PER_HOUR
    hourly = np.zeros((entities, len(KPIS), 3, hours), np.uint16)
    for column in columns:
        hourly[:, column] = _summarise(recent[:, column], lead, hours)
    seen = (recent[:, :, 0] != codes.MISSING).any(axis=1)
    if not seen.any(axis=1).all():
        raise MalformedHistory(f"{history.source}: an entity has no valid sample")
    return Source(
        history.source,
        history,
        recent,
        hourly,
        first_hour_end,
        np.argmax(seen, axis=1).astype(np.int64),
        np.array([split_number(history.source, group) for group in history.groups], np.int64),
    )


def _summarise(recent: CodeArray, lead: int, hours: int) -> CodeArray:
    """Return hourly codes ``[entities, 3, hours]`` of one KPI's ``[entities, 2, bins]``."""
    entities = recent.shape[0]
    found = np.zeros((entities, 3, hours), np.uint16)
    if hours == 0:
        return found
    padded = np.zeros((entities, 2, hours * BINS_PER_HOUR), np.uint16)
    padded[:, :, lead:] = recent[:, :, : hours * BINS_PER_HOUR - lead]
    grid = padded.reshape(entities, 2, hours, BINS_PER_HOUR)
    mean, std = moments(codes.decode(grid[:, 1]), axis=-1)
    found[:, 0] = grid[:, 0].max(axis=-1)
    found[:, 1] = codes.encode(mean)
    found[:, 2] = codes.encode(std)
    return found


def _tail(series: CodeArray, rows: NDArray[np.int64], stop: int, length: int) -> CodeArray:
    """Return ``series[rows][..., stop - length:stop]``, missing where it begins before time 0."""
    begin = stop - length
    part = series[rows][..., max(begin, 0) : max(stop, 0)]
    short = length - part.shape[-1]
    if short == 0:
        return part
    lead = np.zeros((*part.shape[:-1], short), np.uint16)
    return np.concatenate((lead, part), axis=-1)
