"""The encoder's input: the window as a sequence of patches, one per day, then one per hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.fingerprint.features import MODEL_KPIS
from recommender.kpis import KPIS
from recommender.telemetry import codes
from recommender.telemetry.codes import CodeArray
from recommender.telemetry.window import BINS_PER_HOUR, HOURLY_BINS, RECENT_BINS, WindowBatch

FloatArray = NDArray[np.float32]

CHANNELS: Final = 4
"""Per KPI: log peak, square root of the peak, log mean, whether it was seen."""

HOUR_PATCHES: Final = RECENT_BINS // BINS_PER_HOUR
HOUR_WIDTH: Final = len(MODEL_KPIS) * CHANNELS * BINS_PER_HOUR
DAY_PATCHES: Final = HOURLY_BINS // 24
DAY_WIDTH: Final = len(MODEL_KPIS) * CHANNELS * 24

_ROWS = [KPIS.index(kpi) for kpi in MODEL_KPIS]
_DEEPEST = np.float32(-8.0)


@dataclass(frozen=True, slots=True)
class Sequences:
    """The patches of some containers.

    Attributes:
        hours: float32 ``[n, 24, 288]``, the last 24 hours in five-minute bins.
        days: float32 ``[n, 15, 576]``, the last 15 days in hourly bins.
    """

    hours: FloatArray
    days: FloatArray


def sequences(batch: WindowBatch) -> Sequences:
    """Return the patches of all containers of ``batch``."""
    return from_codes(batch.recent[:, _ROWS], batch.hourly[:, _ROWS, :2])


def from_codes(recent: CodeArray, hourly: CodeArray) -> Sequences:
    """Return the patches of windows given as codes.

    Args:
        recent: ``[n, model kpis, 2, 288]``, peak and mean.
        hourly: ``[n, model kpis, 2, 360]``, peak and mean.

    Each KPI is taken relative to its own highest peak of the last 24 hours, else of 15 days.
    """
    day = recent[:, :, 0].max(axis=-1)
    top = np.where(day > codes.ZERO, day, hourly[:, :, 0].max(axis=-1))
    scale = np.maximum(top, codes.ZERO).astype(np.float32)[:, :, None, None]
    return Sequences(_patches(recent, scale, HOUR_PATCHES), _patches(hourly, scale, DAY_PATCHES))


def _patches(series: CodeArray, scale: FloatArray, patches: int) -> FloatArray:
    n, kpis, _, bins = series.shape
    seen = series != codes.MISSING
    depth = (series.astype(np.float32) - scale) * np.float32(codes.STEP)
    log = np.where(seen, np.clip(depth, _DEEPEST, 4), 0)
    out = np.empty((n, kpis, CHANNELS, bins), np.float32)
    out[:, :, 0] = log[:, :, 0] * np.float32(0.5)
    out[:, :, 1] = np.where(seen[:, :, 0], np.exp(0.5 * log[:, :, 0]), 0)
    out[:, :, 2] = log[:, :, 1] * np.float32(0.5)
    out[:, :, 3] = seen[:, :, 0]
    width = bins // patches
    shaped = out.reshape(n, kpis, CHANNELS, patches, width).transpose(0, 3, 1, 2, 4)
    return np.ascontiguousarray(shaped.reshape(n, patches, kpis * CHANNELS * width))
