"""The rolling window: a fixed-size memory of every container's KPIs.

Per container and KPI it keeps the last 24 hours in five-minute bins (peak and mean) and the last
15 days in hourly bins (peak, mean, standard deviation), each value as a sixteen-bit code
(:mod:`recommender.telemetry.codes`): 37 kB a container.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.kpis import BIN_S, KPIS
from recommender.telemetry import codes
from recommender.telemetry.codes import CodeArray
from recommender.telemetry.history import Block, WorkloadKey

RECENT_BINS = 288
HOURLY_BINS = 360
HOUR_S = 3600
BINS_PER_HOUR = HOUR_S // BIN_S

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """The windows of some containers as they stood at one time, oldest bin first.

    Attributes:
        now_s: end of the newest five-minute bin.
        recent: uint16 codes ``[n, kpis, 2, 288]``; peak and mean.
        hourly: uint16 codes ``[n, kpis, 3, 360]``; peak, mean and standard deviation of the
            complete clock hours before ``now_s``.
        age_bins: int64 ``[n]``, five-minute bins since the first sample; 0 without any.
    """

    now_s: int
    recent: CodeArray
    hourly: CodeArray
    age_bins: IntArray

    def __len__(self) -> int:
        return int(self.recent.shape[0])

    def take(self, places: IntArray) -> WindowBatch:
        """Return the windows at ``places`` of this batch."""
        return WindowBatch(
            self.now_s, self.recent[places], self.hourly[places], self.age_bins[places]
        )


class RollingWindows:
    """Windows of many containers, advanced together by blocks of history.

    Bins may arrive late (within 24 hours) and more than once: the larger peak and the later mean
    of a bin hold. Rows are added when a key is first seen.
    """

    def __init__(self) -> None:
        self._rows: dict[WorkloadKey, int] = {}
        self._recent = np.zeros((0, len(KPIS), 2, RECENT_BINS), np.uint16)
        self._hourly = np.zeros((0, len(KPIS), 3, HOURLY_BINS), np.uint16)
        self._first_s = np.zeros(0, np.int64)
        self._now_s: int | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def keys(self) -> tuple[WorkloadKey, ...]:
        """The containers, in row order."""
        return tuple(self._rows)

    @property
    def now_s(self) -> int | None:
        """End of the newest bin taken in; None before the first."""
        return self._now_s

    @property
    def bytes_per_container(self) -> int:
        """Memory that one container's window takes."""
        return (2 * RECENT_BINS + 3 * HOURLY_BINS) * len(KPIS) * 2 + 8

    def rows(self, keys: Iterable[WorkloadKey]) -> IntArray:
        """Return the rows of ``keys``, adding those not yet known."""
        known = self._rows
        rows = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        short = len(known) - len(self._first_s)
        if short > 0:
            grow = max(short, len(self._first_s) // 2)
            self._recent = _extend(self._recent, grow)
            self._hourly = _extend(self._hourly, grow)
            self._first_s = np.concatenate((self._first_s, np.zeros(grow, np.int64)))
        return rows

    def ingest(self, block: Block) -> None:
        """Take in a block of history.

        Raises:
            MalformedHistory: the block is not on the five-minute or hourly grid, or its arrays
                do not have one row per key and one column per KPI.
        """
        shape = (len(block.keys), len(KPIS), block.peak.shape[-1])
        if block.step_s not in (BIN_S, HOUR_S) or block.first_end_s % block.step_s:
            raise MalformedHistory(
                f"a block of {block.step_s} s bins from {block.first_end_s} is not on the grid"
            )
        if block.peak.shape != shape or block.mean.shape != shape:
            raise MalformedHistory(
                f"a block for {shape[0]} containers and {shape[1]} KPIs has arrays of shape "
                f"{block.peak.shape} and {block.mean.shape}"
            )
        rows = self.rows(block.keys)
        if block.step_s == BIN_S:
            self._ingest_recent(rows, block)
        else:
            self._ingest_hourly(rows, block)

    def snapshot(self, rows: IntArray | slice = slice(None)) -> WindowBatch:
        """Return a copy of the windows of ``rows`` (all by default) as they stand now."""
        now = self._now_s or 0
        count = len(self._rows)
        chosen = np.arange(count)[rows] if isinstance(rows, slice) else rows
        slots = (now // BIN_S + 1 + np.arange(RECENT_BINS)) % RECENT_BINS
        hours = (now // HOUR_S + 1 + np.arange(HOURLY_BINS)) % HOURLY_BINS
        first = self._first_s[chosen]
        return WindowBatch(
            now,
            _unroll(self._recent, chosen, int(slots[0])),
            _unroll(self._hourly, chosen, int(hours[0])),
            np.where(first > 0, (now - first) // BIN_S + 1, 0),
        )

    def _ingest_recent(self, rows: IntArray, block: Block) -> None:
        peak, mean = codes.encode(block.peak), codes.encode(block.mean)
        for offset in range(peak.shape[2]):
            end = block.first_end_s + offset * BIN_S
            self._advance(end)
            now = self._now_s or 0
            if end <= now - RECENT_BINS * BIN_S:
                continue
            self._place(rows, end, peak[:, :, offset], mean[:, :, offset])
            hour_end = -(-end // HOUR_S) * HOUR_S
            if hour_end <= now:
                self._summarise(rows, hour_end)

    def _place(self, rows: IntArray, end: int, peak: CodeArray, mean: CodeArray) -> None:
        slot = (end // BIN_S) % RECENT_BINS
        self._recent[rows, :, 0, slot] = np.maximum(self._recent[rows, :, 0, slot], peak)
        self._recent[rows, :, 1, slot] = np.where(
            mean == codes.MISSING, self._recent[rows, :, 1, slot], mean
        )
        seen = (peak != codes.MISSING).any(axis=1)
        first = self._first_s[rows]
        earlier = seen & ((first == 0) | (end < first))
        self._first_s[rows] = np.where(earlier, end, first)

    def _advance(self, end: int) -> None:
        """Move the windows' end forward, emptying the slots that come into view."""
        if self._now_s is None:
            self._now_s = end
            return
        if end <= self._now_s:
            return
        steps = (end - self._now_s) // BIN_S
        fresh = (self._now_s // BIN_S + 1 + np.arange(min(steps, RECENT_BINS))) % RECENT_BINS
        if steps > RECENT_BINS:
            fresh = np.arange(RECENT_BINS)
        self._recent[:, :, :, fresh] = codes.MISSING
        hours = end // HOUR_S - self._now_s // HOUR_S
        if hours > 0:
            emptied = (self._now_s // HOUR_S + 1 + np.arange(min(hours, HOURLY_BINS))) % HOURLY_BINS
            self._hourly[:, :, :, emptied] = codes.MISSING
        self._now_s = end

    def _summarise(self, rows: IntArray, hour_end: int) -> None:
        """Write the hourly bin that ends at ``hour_end`` from its five-minute bins."""
        slots = (hour_end // BIN_S - np.arange(BINS_PER_HOUR)) % RECENT_BINS
        bins = self._recent[rows[:, None], :, :, slots[None, :]]
        hour = (hour_end // HOUR_S) % HOURLY_BINS
        mean, std = _moments(bins[:, :, :, 1])
        self._hourly[rows, :, 0, hour] = bins[:, :, :, 0].max(axis=1)
        self._hourly[rows, :, 1, hour] = codes.encode(mean)
        self._hourly[rows, :, 2, hour] = codes.encode(std)

    def _ingest_hourly(self, rows: IntArray, block: Block) -> None:
        peak, mean = codes.encode(block.peak), codes.encode(block.mean)
        std = codes.encode(np.zeros_like(block.mean) if block.std is None else block.std)
        ends = block.first_end_s + HOUR_S * np.arange(peak.shape[2])
        self._advance(int(ends[-1]))
        now = self._now_s or 0
        keep = np.flatnonzero(ends > now - HOURLY_BINS * HOUR_S)
        for offset in keep:
            hour = (int(ends[offset]) // HOUR_S) % HOURLY_BINS
            seen = peak[:, :, offset] != codes.MISSING
            for part, values in enumerate((peak, mean, std)):
                old = self._hourly[rows, :, part, hour]
                self._hourly[rows, :, part, hour] = np.where(seen, values[:, :, offset], old)
            start = int(ends[offset]) - HOUR_S + BIN_S
            first = self._first_s[rows]
            earlier = seen.any(axis=1) & ((first == 0) | (start < first))
            self._first_s[rows] = np.where(earlier, start, first)


def _moments(mean_codes: CodeArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation over axis 1, NaN where every bin is missing."""
    values = codes.decode(mean_codes)
    seen = mean_codes != codes.MISSING
    count = seen.sum(axis=1)
    safe = np.maximum(count, 1)
    mean = np.where(seen, values, 0).sum(axis=1) / safe
    spread = np.where(seen, (values - mean[:, None]) ** 2, 0).sum(axis=1) / safe
    empty = count == 0
    return (
        np.where(empty, np.nan, mean).astype(np.float32),
        np.where(empty, np.nan, np.sqrt(spread)).astype(np.float32),
    )


def _extend(array: CodeArray, rows: int) -> CodeArray:
    return np.concatenate((array, np.zeros((rows, *array.shape[1:]), array.dtype)))


def _unroll(ring: CodeArray, rows: IntArray, start: int) -> CodeArray:
    """Return ``ring[rows]`` with its last axis turned so that it begins at slot ``start``."""
    chosen = ring[rows]
    return np.concatenate((chosen[..., start:], chosen[..., :start]), axis=-1)
