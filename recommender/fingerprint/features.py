"""Features of a window: what the forecaster's head sees beside the fingerprint.

All are logarithms of usage relative to the row's scale (the highest five-minute peak of the last
24 hours), so they do not change when a workload is measured in other units or grows tenfold. They
are taken on the window's codes, whose order is the order of the values.

Shapes: ``n`` containers, four resources, ``len(FEATURES)`` features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.fingerprint.feature_names import (
    DAY_PATTERN,
    DAYS,
    FEATURES,
    JUMP_QUANTILES,
    MINUTE_LAGS,
    QUANTILES,
    RECENT_SPANS,
    SAME_PHASE_SPANS,
)
from recommender.kpis import KPIS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import DayLags
from recommender.telemetry.codes import CodeArray
from recommender.telemetry.window import BINS_PER_HOUR, HOURLY_BINS, RECENT_BINS, WindowBatch

FloatArray = NDArray[np.float32]

FLOORS: Final[dict[str, float]] = {
    "cpu": 1e-3,
    "memory": float(2**20),
    "net_rx": 1e3,
    "net_tx": 1e3,
}
"""Measurement noise: usage below this is not told apart (cores, bytes, bytes/s, bytes/s)."""

MODEL_KPIS: Final[tuple[str, ...]] = (
    "cpu",
    "memory",
    "net_rx",
    "net_tx",
    "disk_read",
    "disk_write",
)
"""The KPIs that the recorded histories have, so the only ones a network can have learned from."""

_ROWS = [KPIS.index(resource) for resource in RESOURCES]


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """Features of some containers.

    Attributes:
        values: float32 ``[n, 4, features]``; NaN where the history does not reach.
        log_scale: float32 ``[n, 4]``; log of the scale that forecasts are relative to; NaN for a
            resource never seen.
        log_floor: float32 ``[n, 4]``; log of the row's noise floor.
    """

    values: FloatArray
    log_scale: FloatArray
    log_floor: FloatArray


def features(batch: WindowBatch, lags: DayLags) -> FeatureBatch:
    """Compute the features of all containers of ``batch``, which share one clock."""
    peak = batch.recent[:, _ROWS, 0]
    mean = batch.recent[:, _ROWS, 1]
    hourly = batch.hourly[:, _ROWS, 0]
    hourly_mean = batch.hourly[:, _ROWS, 1]
    log_scale, log_floor, floor = _scale(peak, hourly)

    from_end = np.maximum.accumulate(peak[..., ::-1], axis=-1)
    n = len(batch)
    out: list[CodeArray] = []
    # What just happened: single bins, then maxima over growing spans.
    out.extend(peak[..., -1 - lag] for lag in range(BINS_PER_HOUR))
    out.extend(from_end[..., span - 1] for span in RECENT_SPANS)
    # The distribution of the last day and of the last three hours.
    out.extend(_quantiles(peak, QUANTILES))
    out.extend(_quantiles(peak[..., -36:], (0.5, 0.9)))
    # The same wall-clock time on earlier days.
    out.extend(_same_phase(peak, hourly, batch.now_s, lags))
    # Whole days, and the hours just gone.
    days = hourly[..., -24 * DAYS :].reshape(n, len(RESOURCES), DAYS, 24).max(axis=-1)
    out.extend(days[..., DAYS - 1 - day] for day in range(DAYS))
    out.append(hourly[..., -168:].max(axis=-1))
    out.append(hourly.max(axis=-1))
    out.extend(hourly[..., -1 - hour] for hour in range(1, 13))
    # Jobs that run each hour: the same minute of the last six hours, for what comes next.
    for width in MINUTE_LAGS:
        runs = [
            peak[
                ..., RECENT_BINS - BINS_PER_HOUR * hour : RECENT_BINS - BINS_PER_HOUR * hour + width
            ]
            for hour in range(1, 7)
        ]
        tops = np.stack([run.max(axis=-1) for run in runs], axis=-1)
        out.extend((tops.max(axis=-1), np.sort(tops, axis=-1)[..., 2], tops[..., 0]))
    coded = np.stack(out, axis=-1)
    logs = codes.logarithm(np.where(coded == codes.MISSING, coded, np.maximum(coded, floor)))

    averages = _averages(mean, hourly_mean)
    logs = np.concatenate((logs, np.maximum(averages, log_floor[..., None])), axis=-1)
    relative = logs - log_scale[..., None]
    jumps = _jumps(peak, hourly, floor)
    shape = _shape(peak, log_scale, floor)
    others = _other_kpis(batch)
    context = _context(batch, lags, log_scale, log_floor)
    values = np.concatenate((relative, jumps, shape, others, context), axis=-1).astype(np.float32)
    if values.shape[-1] != len(FEATURES):
        raise AssertionError(f"{values.shape[-1]} features, {len(FEATURES)} names")
    return FeatureBatch(np.clip(values, -12, 12), log_scale, log_floor)


def _scale(peak: CodeArray, hourly: CodeArray) -> tuple[FloatArray, FloatArray, CodeArray]:
    """Return log scale, log floor and the floor's code, per container and resource."""
    top_day = peak.max(axis=-1)
    top_all = np.maximum(top_day, hourly.max(axis=-1))
    seen = top_all != codes.MISSING
    noise = np.array([np.log(FLOORS[resource]) for resource in RESOURCES], np.float32)
    # A floor above the workload's own size would blind the forecaster to small or normalised units.
    top_log = codes.logarithm(np.maximum(top_all, codes.ZERO))
    log_floor = np.minimum(noise, top_log + np.float32(np.log(0.02)))
    log_floor = np.maximum(log_floor, np.float32(codes.LOG_SMALLEST)).astype(np.float32)
    log_day = codes.logarithm(np.maximum(top_day, codes.ZERO))
    fallback = np.where(top_day == codes.MISSING, top_log, log_day)
    log_scale = np.where(seen, np.maximum(fallback, log_floor), np.nan).astype(np.float32)
    floor = np.rint((log_floor - codes.LOG_SMALLEST) / codes.STEP + codes.ZERO).astype(np.uint16)
    return log_scale, log_floor, floor[..., None]


def _quantiles(peak: CodeArray, levels: tuple[float, ...]) -> list[CodeArray]:
    """Return quantiles over the seen bins; the missing ones sort first and are stepped over."""
    ordered = np.sort(peak, axis=-1, kind="stable")  # by radix, at a third of quicksort's time
    size = peak.shape[-1]
    seen = (peak != codes.MISSING).sum(axis=-1)
    found = []
    for level in levels:
        place = size - seen + np.floor(level * np.maximum(seen - 1, 0)).astype(np.int64)
        place = np.minimum(place, size - 1)
        found.append(np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0])
    return found


def _same_phase(peak: CodeArray, hourly: CodeArray, now_s: int, lags: DayLags) -> list[CodeArray]:
    """Return peaks at the same wall-clock time on earlier days, for several spans ahead."""
    found = []
    yesterday = RECENT_BINS - lags.hours[0] * BINS_PER_HOUR
    for span in SAME_PHASE_SPANS:
        begin, stop = max(yesterday, 0), max(yesterday + span, 0)
        top = peak[..., begin:stop].max(axis=-1, initial=codes.MISSING)
        if yesterday < 0:  # a day of 25 hours began before the recent part
            top = np.maximum(top, _hours(hourly, HOURLY_BINS - lags.hours[0], 1))
        found.append(top)
    into_hour = (now_s // 300) % BINS_PER_HOUR != 0
    next_hour, next_six = [], []
    for hours in lags.hours:
        # Column of the clock hour that now's own hour had on that day; the next hour overlaps two.
        column = HOURLY_BINS - hours
        next_hour.append(_hours(hourly, column, 2 if into_hour else 1))
        next_six.append(_hours(hourly, column, 7 if into_hour else 6))
    found.extend(next_hour[days - 1] for days in DAY_PATTERN)
    found.extend(next_six[days - 1] for days in (2, 3, 7, 14))
    stacked, stacked_six = np.stack(next_hour, axis=-1), np.stack(next_six, axis=-1)
    alike = np.array(lags.alike)
    found.append(stacked[..., :3].max(axis=-1))
    found.append(stacked[..., :7].max(axis=-1))
    found.append(stacked.max(axis=-1))
    found.append(np.where(alike, stacked, codes.MISSING).max(axis=-1).astype(np.uint16))
    found.append(np.sort(stacked[..., :7], axis=-1)[..., 3])
    found.append(stacked_six[..., :7].max(axis=-1))
    found.append(np.where(alike, stacked_six, codes.MISSING).max(axis=-1).astype(np.uint16))
    # Around the same time yesterday, an hour either side.
    found.append(_hours(hourly, HOURLY_BINS - lags.hours[0] - 1, 3))
    return found


def _hours(hourly: CodeArray, column: int, count: int) -> CodeArray:
    begin, stop = max(column, 0), min(max(column + count, 1), HOURLY_BINS)
    top: CodeArray = hourly[..., begin:stop].max(axis=-1)
    return top


def _averages(mean: CodeArray, hourly_mean: CodeArray) -> FloatArray:
    """Return log means over the last 15 min, 1 h, 3 h, 24 h and 7 d; ``[n, 4, 5]``."""
    values = codes.decode(mean[..., -36:])
    found = [_log_mean(values[..., -span:]) for span in (3, 12, 36)]
    found.extend(_log_mean(codes.decode(hourly_mean[..., -span:])) for span in (24, 168))
    return np.stack(found, axis=-1)


def _log_mean(values: FloatArray) -> FloatArray:
    seen = np.isfinite(values)
    count = seen.sum(axis=-1)
    total = np.where(seen, values, 0).sum(axis=-1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.log(np.maximum(mean, codes.SMALLEST)).astype(np.float32)


def _jumps(peak: CodeArray, hourly: CodeArray, floor: CodeArray) -> FloatArray:
    """Return quantiles of how far past peaks rose above simple guesses; ``[n, 4, 20]``.

    The guesses: the last bin, the last hour (over the bins of a day); the last hour, the last six
    hours, the same hour of the day before (over the hours of a week).
    """
    bins = np.where(peak == codes.MISSING, peak, np.maximum(peak, floor))
    hours = hourly[..., -192:]
    hours = np.where(hours == codes.MISSING, hours, np.maximum(hours, floor))
    found = [
        _risen(bins[..., 1:], bins[..., :-1]),
        _risen(bins[..., 12:], _running_max(bins, 12)[..., :-1]),
        _risen(hours[..., 24:], hours[..., 23:-1]),
        _risen(hours[..., 24:], _running_max(hours, 6)[..., 18:-1]),
        _risen(hours[..., 24:], hours[..., :-24]),
    ]
    return np.concatenate(found, axis=-1)


def _running_max(series: CodeArray, span: int) -> CodeArray:
    """Return the maximum over each ``span`` consecutive bins; ``span - 1`` fewer bins."""
    top, width = series, 1
    while width < span:
        step = min(width, span - width)
        top = np.maximum(top[..., step:], top[..., :-step])
        width += step
    return top


def _risen(peak: CodeArray, guess: CodeArray) -> FloatArray:
    """Return quantiles of ``log(peak / guess)`` over the last axis, NaN where nothing is known."""
    known = (peak != codes.MISSING) & (guess != codes.MISSING)
    limit = round(8 / codes.STEP)
    rise = np.clip(peak.astype(np.int32) - guess, -limit, limit)
    rise = np.where(known, rise, -limit - 1).astype(np.int16)
    ordered = np.sort(rise, axis=-1, kind="stable")  # by radix, as above
    size, count = peak.shape[-1], known.sum(axis=-1)
    found = []
    for level in JUMP_QUANTILES:
        place = size - count + np.floor(level * np.maximum(count - 1, 0)).astype(np.int64)
        value = np.take_along_axis(ordered, np.minimum(place, size - 1)[..., None], axis=-1)[..., 0]
        found.append(np.where(count > 0, value * np.float32(codes.STEP), np.nan))
    return np.stack(found, axis=-1).astype(np.float32)


def _shape(peak: CodeArray, log_scale: FloatArray, floor: CodeArray) -> FloatArray:
    """Return roughness, time near and since the top and the share missing; ``[n, 4, 9]``."""
    seen = peak != codes.MISSING
    level = np.maximum(peak, floor).astype(np.int32)
    step = np.abs(np.diff(level, axis=-1)) * (seen[..., 1:] & seen[..., :-1])
    roughness = [step[..., -span:].mean(axis=-1) * codes.STEP for span in (6, 36, 287)]
    top = peak.max(axis=-1)[..., None].astype(np.int32)
    near = [
        (seen & (level >= top + int(np.log(share) / codes.STEP))).mean(axis=-1)
        for share in (0.9, 0.7, 0.5, 0.3)
    ]
    since = np.argmax(peak[..., ::-1], axis=-1) / RECENT_BINS
    missing = 1 - seen.mean(axis=-1)
    found = np.stack((*roughness, *near, since, missing), axis=-1).astype(np.float32)
    found[~np.isfinite(log_scale)] = np.nan
    return found


def _other_kpis(batch: WindowBatch) -> FloatArray:
    """Return how busy each KPI is now against its own day, the same for all resources."""
    rows = [KPIS.index(kpi) for kpi in MODEL_KPIS]
    peak = batch.recent[:, rows, 0]
    hour = peak[..., -BINS_PER_HOUR:].max(axis=-1)
    day = peak.max(axis=-1)
    both = (hour != codes.MISSING) & (day != codes.MISSING)
    ratio = (hour.astype(np.float32) - day) * np.float32(codes.STEP)
    ratio = np.where(both, np.maximum(ratio, -8), np.nan).astype(np.float32)
    return np.repeat(ratio[:, None], len(RESOURCES), axis=1)


def _context(
    batch: WindowBatch, lags: DayLags, log_scale: FloatArray, log_floor: FloatArray
) -> FloatArray:
    """Return age, headroom over the noise floor, clock; ``[n, 4, 7]``."""
    n = len(batch)
    minute = 2 * np.pi * (batch.now_s % 3600) / 3600
    # The window forgets after 15 days, so an age beyond them cannot be known after a restart.
    age = np.log1p(np.minimum(batch.age_bins, HOURLY_BINS * BINS_PER_HOUR)).astype(np.float32)
    shared = np.stack(
        (
            age,
            np.full(n, np.sin(minute)),
            np.full(n, np.cos(minute)),
            np.full(n, float(lags.rest)),
            np.full(n, float(lags.alike[0])),
        ),
        axis=-1,
    )
    headroom = np.clip(log_scale - log_floor, 0, 10)[..., None]
    resource = np.broadcast_to(
        np.arange(len(RESOURCES), dtype=np.float32)[None, :, None], (n, len(RESOURCES), 1)
    )
    repeated = np.repeat(shared[:, None], len(RESOURCES), axis=1)
    return np.concatenate((repeated, headroom, resource), axis=-1).astype(np.float32)
