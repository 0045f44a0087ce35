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

PENDING_HOURS: Final = max(HORIZONS_S) // HOUR_S + 1


class GroupCalibration:
    """Offsets of the bundle, chosen by the nearest group of fingerprints."""

    def __init__(self, table: CalibrationTable) -> None:
        self._centres = np.asarray(table.centres, np.float32)
        self._offsets = np.asarray(table.offsets, np.float32)

    def nearest(self, fingerprints: FloatArray) -> IntArray:
        """Return the group of each fingerprint ``[n, 64]``."""
        square = (self._centres**2).sum(axis=1) - 2 * fingerprints @ self._centres.T
        return np.argmin(square, axis=1).astype(np.int64)

    def offsets(self, group: IntArray) -> FloatArray:
        """Return float32 ``[n, 4, horizons, levels]``, in log ratio."""
        return self._offsets[group]


@dataclass(slots=True)
class _Pending:
    """Quantiles as issued at one clock hour."""

    issued_s: int
    log_quantiles: FloatArray  # [rows, 4, horizons, levels], NaN where none was issued


class CoverageTracker:
    """Keeps each workload's quantiles at their nominal coverage.

    Quantile tracking (Angelopoulos, Candes, Tibshirani 2023, "Conformal PID control", the P part):
    after each matured window an offset moves up by ``step * level`` if the peak was above the
    corrected quantile, else down by ``step * (1 - level)``, so the long-run share of peaks above
    it is ``1 - level`` whatever the data do. Windows longer than the hour between forecasts
    overlap, so their steps are smaller in proportion. A window in which CPU was throttled
    tells that demand was at least the usage: it can raise an offset, never lower it.
    """

    def __init__(self, step: float = STEP) -> None:
        self._step = step
        self._offset = np.zeros((0, *_SHAPE), np.float32)
        self._pending: list[_Pending] = []

    def correct(self, rows: IntArray, log_quantiles: FloatArray) -> FloatArray:
        """Return corrected quantiles ``[n, 4, horizons, levels]``, monotone again."""
        self._reach(rows)
        return monotone(log_quantiles + self._offset[rows] * _spread(log_quantiles))

    def issue(self, now_s: int, rows: IntArray, log_quantiles: FloatArray) -> None:
        """Remember what is forecast at a clock hour, before correction."""
        self._reach(rows)
        kept = np.full((len(self._offset), *_SHAPE), np.nan, np.float32)
        kept[rows] = log_quantiles
        self._pending = [p for p in self._pending if p.issued_s > now_s - PENDING_HOURS * HOUR_S]
        self._pending.append(_Pending(now_s, kept))

    def learn(self, batch: WindowBatch, rows: IntArray) -> None:
        """Move the offsets by the windows that matured within the hour before ``batch.now_s``."""
        self._reach(rows)
        pending = {entry.issued_s: entry for entry in self._pending}
        recent = batch.recent[:, _RESOURCE_ROWS, 0]
        for place, horizon in enumerate(HORIZONS_S):
            lag = max(horizon, HOUR_S)
            entry = pending.get(batch.now_s - lag)
            if entry is None:
                continue
            known = rows < len(entry.log_quantiles)
            begin = RECENT_BINS - lag // BIN_S
            span = slice(begin, begin + horizon // BIN_S)
            seen = (recent[..., span] != codes.MISSING).mean(axis=-1) >= LEAST_SEEN
            peak = codes.logarithm(recent[..., span].max(axis=-1))
            hidden = np.zeros(seen.shape, bool)
            hidden[:, 0] = codes.decode(batch.recent[:, _THROTTLED, 0, span]).max(
                axis=-1, initial=0, where=batch.recent[:, _THROTTLED, 0, span] != codes.MISSING
            ) > THROTTLED
            self._move(place, horizon, rows[known], entry, peak[known], seen[known], hidden[known])

    def _move(
        self,
        place: int,
        horizon: int,
        rows: IntArray,
        entry: _Pending,
        peak: FloatArray,
        seen: NDArray[np.bool_],
        hidden: NDArray[np.bool_],
    ) -> None:
        issued = entry.log_quantiles[rows][:, :, place]
        spread = _spread(entry.log_quantiles[rows])[:, :, place]
        offset = self._offset[rows, :, place]
        above = peak[..., None] > issued + offset * spread
        step = self._step * min(1.0, HOUR_S / horizon)
        move = np.where(above, step * _LEVELS, -step * (1 - _LEVELS))
        useful = (seen & np.isfinite(peak))[..., None] & np.isfinite(issued)
        useful &= above | ~hidden[..., None]
        moved = np.clip(offset + np.where(useful, move, 0), -MOST_OFFSET, MOST_OFFSET)
        self._offset[rows, :, place] = moved

    def _reach(self, rows: IntArray) -> None:
        short = int(rows.max(initial=-1)) + 1 - len(self._offset)
        if short > 0:
            fresh = np.zeros((short, *_SHAPE), np.float32)
            self._offset = np.concatenate((self._offset, fresh))


def _spread(log_quantiles: FloatArray) -> FloatArray:
    """Return how far the workload's peaks scatter, ``[n, 4, horizons, 1]``."""
    middle, high = LEVELS.index(0.5), LEVELS.index(0.95)
    wide = log_quantiles[..., high, None] - log_quantiles[..., middle, None]
    return np.maximum(wide, np.float32(LEAST_SPREAD))
