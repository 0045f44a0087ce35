"""Conformal calibration: offsets per fingerprint group, then a tracker per workload.

Both add to the logarithm of a quantile, so an offset is a multiplicative margin: the learned
successor of a constant 15 %. Only windows that have passed in full are learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle.manifest import CalibrationTable
from recommender.forecast.monotone import monotone
from recommender.kpis import BIN_S, HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.window import HOUR_S, RECENT_BINS, WindowBatch

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_LEVELS: Final = np.array(LEVELS, np.float32)
_RESOURCE_ROWS: Final = [KPIS.index(resource) for resource in RESOURCES]
_THROTTLED: Final = KPIS.index("cpu_throttled")
_SHAPE: Final = (len(RESOURCES), len(HORIZONS_S), len(LEVELS))

STEP: Final = 0.04
"""Step of the tracker for each independent matured window, in units of the local spread."""

LEAST_SPREAD: Final = 0.02
MOST_OFFSET: Final = 1.5
LEAST_SEEN: Final = 0.7
THROTTLED: Final = 0.05
"""Share of throttled periods above which the demand for CPU was hidden."""

_THROTTLED_CODE: Final = int(codes.encode(THROTTLED))


class GroupCalibration:
    """Offsets of the bundle, chosen by the nearest group of fingerprints."""

    def __init__(self, table: CalibrationTable) -> None:
        self._centres = np.asarray(table.centres, np.float32)
        self._offsets = np.asarray(table.offsets, np.float32)

    def nearest(self, fingerprints: FloatArray) -> IntArray:
        """Return the group of each fingerprint ``[n, 64]``."""
        square = (self._centres**2).sum(axis=1) - 2 * fingerprints @ self._centres.T
        found: IntArray = np.argmin(square, axis=1).astype(np.int64)
        return found

    def offsets(self, group: IntArray) -> FloatArray:
        """Return float32 ``[n, 4, horizons, levels]``, in log ratio."""
        return self._offsets[group]


@dataclass(slots=True)
class _Pending:
    """Quantiles as issued at one clock hour, of the horizons that have not matured."""

    issued_s: int
    log_quantiles: dict[int, FloatArray]  # horizon -> [rows, 4, levels], NaN where none was issued


class CoverageTracker:
    """Keeps each workload's quantiles at their nominal coverage.

    Quantile tracking (Angelopoulos, Candes, Tibshirani 2023, "Conformal PID control", the P part):
    after each matured window an offset moves up by ``step * level`` if the peak was above the
    corrected quantile, else down by ``step * (1 - level)``, so the long-run share of peaks above
    it is ``1 - level`` whatever the data do, as long as the offset stays within
    :data:`MOST_OFFSET` spreads. Windows longer than the hour between forecasts overlap, so their
    steps are smaller, with the square root: in proportion they were too slow to follow a drift. A
    window in which CPU was throttled tells that demand was at least the usage: it can raise an
    offset, never lower it.

    Rows may be issued and learned from in parts; what is learned from one hour is learned once.
    """

    def __init__(self, step: float = STEP) -> None:
        self._step = step
        self._offset = np.zeros((0, *_SHAPE), np.float32)
        self._learned_s = np.zeros(0, np.int64)
        self._pending: dict[int, _Pending] = {}

    def correct(self, rows: IntArray, log_quantiles: FloatArray) -> FloatArray:
        """Return corrected quantiles ``[n, 4, horizons, levels]``, monotone again."""
        self._reach(rows)
        return monotone(log_quantiles + self._offset[rows] * _spread(log_quantiles))

    def issue(self, now_s: int, rows: IntArray, log_quantiles: FloatArray) -> None:
        """Remember what is forecast at a clock hour, before correction."""
        self._reach(rows)
        for entry in tuple(self._pending.values()):
            for place in tuple(entry.log_quantiles):
                if entry.issued_s + _lag_s(place) <= now_s - HOUR_S:
                    del entry.log_quantiles[place]
            if not entry.log_quantiles:
                del self._pending[entry.issued_s]
        issued = self._pending.setdefault(now_s, _Pending(now_s, {})).log_quantiles
        for place in range(len(HORIZONS_S)):
            old = issued.get(place, np.zeros((0, *_SHAPE[::2]), np.float32))
            kept = np.full((len(self._offset), *_SHAPE[::2]), np.nan, np.float32)
            kept[: len(old)] = old
            kept[rows] = log_quantiles[:, :, place]
            issued[place] = kept

    def learn(self, batch: WindowBatch, rows: IntArray) -> None:
        """Move the offsets by the windows that matured within the hour before ``batch.now_s``."""
        self._reach(rows)
        fresh = self._learned_s[rows] < batch.now_s
        self._learned_s[rows[fresh]] = batch.now_s
        peaks = batch.recent[:, _RESOURCE_ROWS, 0]
        throttled = batch.recent[:, _THROTTLED, 0]
        for place, horizon in enumerate(HORIZONS_S):
            entry = self._pending.get(batch.now_s - _lag_s(place))
            if entry is None or place not in entry.log_quantiles:
                continue
            issued = entry.log_quantiles[place]
            use = fresh & (rows < len(issued))
            begin = RECENT_BINS - _lag_s(place) // BIN_S
            span = slice(begin, begin + horizon // BIN_S)
            seen = (peaks[use, :, span] != codes.MISSING).mean(axis=-1) >= LEAST_SEEN
            peak = codes.logarithm(peaks[use, :, span].max(axis=-1))
            hidden = np.zeros(seen.shape, bool)
            hidden[:, 0] = throttled[use, span].max(axis=-1) > _THROTTLED_CODE
            self._move(place, rows[use], issued[rows[use]], np.where(seen, peak, np.nan), hidden)

    def _move(
        self,
        place: int,
        rows: IntArray,
        issued: FloatArray,
        peak: FloatArray,
        hidden: NDArray[np.bool_],
    ) -> None:
        offset = self._offset[rows, :, place]
        above = peak[..., None] > issued + offset * _spread(issued)
        step = self._step * float(np.sqrt(min(1.0, HOUR_S / HORIZONS_S[place])))
        move = np.where(above, step * _LEVELS, -step * (1 - _LEVELS))
        useful = np.isfinite(peak)[..., None] & np.isfinite(issued)
        useful &= above | ~hidden[..., None]
        moved = np.clip(offset + np.where(useful, move, 0), -MOST_OFFSET, MOST_OFFSET)
        self._offset[rows, :, place] = moved

    def _reach(self, rows: IntArray) -> None:
        short = int(rows.max(initial=-1)) + 1 - len(self._offset)
        if short > 0:
            fresh = np.zeros((short, *_SHAPE), np.float32)
            self._offset = np.concatenate((self._offset, fresh))
            self._learned_s = np.concatenate((self._learned_s, np.zeros(short, np.int64)))


def _lag_s(place: int) -> int:
    """Return how long after it was issued a forecast is learned from: at a clock hour."""
    return max(HORIZONS_S[place], HOUR_S)


def _spread(log_quantiles: FloatArray) -> FloatArray:
    """Return how far the workload's peaks scatter: ``[..., levels]`` to ``[..., 1]``."""
    middle, high = LEVELS.index(0.5), LEVELS.index(0.95)
    wide = log_quantiles[..., high, None] - log_quantiles[..., middle, None]
    spread: FloatArray = np.maximum(wide, np.float32(LEAST_SPREAD))
    return spread
