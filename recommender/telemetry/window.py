"""The rolling window: a fixed-size memory of every container's KPIs.

Per container and KPI it keeps the last 24 hours in five-minute bins (peak and mean) and the last
15 days in hourly bins (peak, mean, standard deviation), each value as a sixteen-bit code
(:mod:`recommender.telemetry.codes`): 37 kB a container.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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

    def take(self, places: IntArray | slice) -> WindowBatch:
        """Return the windows at ``places`` of this batch: a view for a slice, else a copy."""
        return WindowBatch(
            self.now_s, self.recent[places], self.hourly[places], self.age_bins[places]
        )


class RollingWindows:
    """Windows of many containers, advanced together by blocks of history.

    Bins may arrive late (five-minute ones within 24 hours, hourly ones within 15 days) and more
    than once: the larger peak and the later mean of a bin hold. An hour that a source summarised
    itself keeps its mean until all twelve of its five-minute bins are known. Rows are added when a
    key is first seen.
    """

    def __init__(self) -> None:
        self._rows: dict[WorkloadKey, int] = {}
        self._recent = np.zeros((0, len(KPIS), 2, RECENT_BINS), np.uint16)
        self._hourly = np.zeros((0, len(KPIS), 3, HOURLY_BINS), np.uint16)
        self._given = np.zeros((0, HOURLY_BINS), np.bool_)  # hours that a source summarised
        self._first_s = np.zeros(0, np.int64)
        self._now_s: int | None = None
        self._last_keys: tuple[WorkloadKey, ...] | None = None
        self._last_rows = np.zeros(0, np.int64)

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
        return (2 * RECENT_BINS + 3 * HOURLY_BINS) * len(KPIS) * 2 + HOURLY_BINS + 8

    def rows(self, keys: Iterable[WorkloadKey]) -> IntArray:
        """Return the rows of ``keys``, adding those not yet known."""
        known = self._rows
        rows = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        short = len(known) - len(self._first_s)
        if short > 0:
            grow = max(short, len(self._first_s) // 2)
            self._recent = _extend(self._recent, grow)
            self._hourly = _extend(self._hourly, grow)
            self._given = _extend(self._given, grow)
            self._first_s = _extend(self._first_s, grow)
        return rows

    def ingest(self, block: Block) -> None:
        """Take in a block of history.

        Raises:
            MalformedHistory: the block is not on the five-minute or hourly grid, its arrays do
                not have one row per key and one column per KPI, or it names a key twice.
        """
        shape = (len(block.keys), len(KPIS), block.peak.shape[-1])
        if block.step_s not in {BIN_S, HOUR_S} or block.first_end_s % block.step_s:
            raise MalformedHistory(
                f"a block of {block.step_s} s bins from {block.first_end_s} is not on the grid"
            )
        shapes = [part.shape for part in (block.peak, block.mean, block.std) if part is not None]
        if any(found != shape for found in shapes):
            raise MalformedHistory(
                f"a block for {shape[0]} containers and {shape[1]} KPIs has arrays of shape "
                f"{', '.join(map(str, shapes))}"
            )
        if shape[2] == 0:
            return
        rows = self._rows_of(block.keys)
        if block.step_s == BIN_S:
            self._ingest_recent(rows, block)
        else:
            self._ingest_hourly(rows, block)

    def _rows_of(self, keys: tuple[WorkloadKey, ...]) -> IntArray:
        """Return a block's rows; a source that hands on the same tuple again is not looked up."""
        if self._last_keys is not keys:
            if len(set(keys)) < len(keys):
                raise MalformedHistory("a block names one container twice")
            self._last_keys, self._last_rows = keys, self.rows(keys)
        return self._last_rows

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
        unfinished: int | None = None
        for offset in range(peak.shape[2]):
            end = block.first_end_s + offset * BIN_S
            self._advance(end)
            now = self._now_s or 0
            if end <= now - RECENT_BINS * BIN_S:
                continue
            self._place(rows, end, peak[:, :, offset], mean[:, :, offset])
            hour_end = -(-end // HOUR_S) * HOUR_S
            unfinished = hour_end if end < hour_end <= now else None
            if end == hour_end:
                self._summarise(rows, hour_end)
        if unfinished is not None:
            self._summarise(rows, unfinished)

    def _place(self, rows: IntArray, end: int, peak: CodeArray, mean: CodeArray) -> None:
        slot = (end // BIN_S) % RECENT_BINS
        self._recent[rows, :, 0, slot] = np.maximum(self._recent[rows, :, 0, slot], peak)
        self._recent[rows, :, 1, slot] = np.where(
            mean == codes.MISSING, self._recent[rows, :, 1, slot], mean
        )
        self._note_first(rows[(peak != codes.MISSING).any(axis=1)], end)

    def _note_first(self, rows: IntArray, end: int) -> None:
        first = self._first_s[rows]
        self._first_s[rows] = np.where((first == 0) | (end < first), end, first)

    def _advance(self, end: int) -> None:
        """Move the windows' end forward; an hour that closes on the way is summarised for all."""
        if self._now_s is None:
            self._now_s = end
        closing = -(-self._now_s // HOUR_S) * HOUR_S
        if self._now_s < closing <= end:
            # Not every container will get a bin that closes it: some have ended within the hour.
            self._move(closing)
            self._summarise(np.arange(len(self._rows)), closing)
        self._move(end)

    def _move(self, end: int) -> None:
        """Set the windows' end, emptying the slots that come into view."""
        before = self._now_s or 0
        if end <= before:
            return
        used = len(self._rows)
        steps = min((end - before) // BIN_S, RECENT_BINS)
        slots = (before // BIN_S + 1 + np.arange(steps)) % RECENT_BINS
        self._recent[:used, :, :, slots] = codes.MISSING
        hours = min(end // HOUR_S - before // HOUR_S, HOURLY_BINS)
        slots = (before // HOUR_S + 1 + np.arange(hours)) % HOURLY_BINS
        self._hourly[:used, :, :, slots] = codes.MISSING
        self._given[:used, slots] = False
        self._now_s = end

    def _summarise(self, rows: IntArray, hour_end: int) -> None:
        """Write the hourly bin that ends at ``hour_end`` from its five-minute bins.

        Of an hour that has begun to leave the recent part only the peak can still be bettered.
        """
        ends = hour_end - BIN_S * np.arange(BINS_PER_HOUR)
        held = ends > (self._now_s or 0) - RECENT_BINS * BIN_S
        slots = (ends // BIN_S) % RECENT_BINS
        bins = self._recent[rows[:, None], :, :, slots[None, :]]
        bins[:, ~held] = codes.MISSING
        hour = (hour_end // HOUR_S) % HOURLY_BINS
        old = self._hourly[rows, :, :, hour]
        count = (bins[..., 1] != codes.MISSING).sum(axis=1)
        whole = held.all() & (~self._given[rows, None, hour] | (count == BINS_PER_HOUR))
        better = (count > 0) & (whole | (old[..., 1] == codes.MISSING))
        mean, std = moments(codes.decode(bins[..., 1]), axis=1)
        self._hourly[rows, :, 0, hour] = np.maximum(old[..., 0], bins[..., 0].max(axis=1))
        self._hourly[rows, :, 1, hour] = np.where(better, codes.encode(mean), old[..., 1])
        self._hourly[rows, :, 2, hour] = np.where(better, codes.encode(std), old[..., 2])

    def _ingest_hourly(self, rows: IntArray, block: Block) -> None:
        peak, mean = codes.encode(block.peak), codes.encode(block.mean)
        std = None if block.std is None else codes.encode(block.std)
        ends = block.first_end_s + HOUR_S * np.arange(peak.shape[2])
        self._advance(int(ends[-1]))
        now = self._now_s or 0
        for offset in np.flatnonzero(ends > now // HOUR_S * HOUR_S - HOURLY_BINS * HOUR_S):
            end = int(ends[offset])
            hour = (end // HOUR_S) % HOURLY_BINS
            old = self._hourly[rows, :, :, hour]
            top, middle = peak[:, :, offset], mean[:, :, offset]
            spread = np.where(old[..., 2] == codes.MISSING, codes.ZERO, old[..., 2])
            spread = spread if std is None else std[:, :, offset]
            seen = middle != codes.MISSING
            self._hourly[rows, :, 0, hour] = np.maximum(old[..., 0], top)
            self._hourly[rows, :, 1, hour] = np.where(seen, middle, old[..., 1])
            self._hourly[rows, :, 2, hour] = np.where(seen, spread, old[..., 2])
            known = rows[(top != codes.MISSING).any(axis=1)]
            self._given[known, hour] = True
            self._note_first(known, end - HOUR_S + BIN_S)


def moments(
    values: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation over ``axis`` without NaN; NaN where every bin is."""
    wide = values.astype(np.float64)
    seen = ~np.isnan(wide)
    count = seen.sum(axis=axis)
    safe = np.maximum(count, 1)
    mean = np.where(seen, wide, 0).sum(axis=axis) / safe
    apart = np.where(seen, wide - np.expand_dims(mean, axis), 0)
    spread = np.square(apart).sum(axis=axis) / safe
    empty = count == 0
    return np.where(empty, np.nan, mean), np.where(empty, np.nan, np.sqrt(spread))


def _extend(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return ``array`` with ``rows`` empty rows more, whose memory is taken only once used."""
    longer = np.zeros((len(array) + rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def _unroll(ring: CodeArray, rows: IntArray, start: int) -> CodeArray:
    """Return ``ring[rows]`` with its last axis turned so that it begins at slot ``start``."""
    chosen = ring[rows]
    return np.concatenate((chosen[..., start:], chosen[..., :start]), axis=-1)
