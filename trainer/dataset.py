"""Training samples: windows at random times, their features and what came after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.features import MODEL_KPIS, features
from recommender.kpis import BIN_S, HORIZONS_S, KPIS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.codes import CodeArray
from recommender.telemetry.window import (
    BINS_PER_HOUR,
    HOUR_S,
    HOURLY_BINS,
    RECENT_BINS,
    WindowBatch,
    moments,
)
from trainer.traces import Source

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

HORIZON_BINS: Final = tuple(horizon // BIN_S for horizon in HORIZONS_S)
PROFILE_HOURS: Final = 24
LEAST_SEEN: Final = 0.7
"""A future with fewer of its bins recorded gives no label."""

COLD_SHARE: Final = 0.2
"""Share of samples whose history is cut short, so that young workloads are learned too."""

DROPPED_SHARE: Final = 0.25
"""Share of samples that keep only some of their KPIs, for sources that have fewer."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one source.

    Attributes:
        source: index of the source.
        row: int64 ``[n]``, entity.
        index: int64 ``[n]``, the five-minute bin that had just ended.
        age: int64 ``[n]``, history kept, in bins.
        kept: bool ``[n, model kpis]``, the KPIs that the sample may see.
        features: float32 ``[n, 4, features]``.
        log_scale: float32 ``[n, 4]``.
        log_floor: float32 ``[n, 4]``.
        target: float32 ``[n, 4, horizons]``, log of the future peak over the scale; NaN: no label.
        profile: float32 ``[n, 4, 24, 2]``, mean and standard deviation of the usage in each of the
            next 24 clock hours over the scale; NaN: no label.
    """

    source: int
    row: IntArray
    index: IntArray
    age: IntArray
    kept: NDArray[np.bool_]
    features: FloatArray
    log_scale: FloatArray
    log_floor: FloatArray
    target: FloatArray
    profile: FloatArray

    def __len__(self) -> int:
        return len(self.row)


def future_peaks(source: Source) -> CodeArray:
    """Return codes ``[horizons, entities, 4, bins]`` of the peak over ``(t, t + h]``.

    Missing where the future is not recorded well enough to tell.
    """
    rows = [KPIS.index(resource) for resource in RESOURCES]
    peak = source.recent[:, rows, 0]
    found = np.zeros((len(HORIZON_BINS), *peak.shape), np.uint16)
    for place, span in enumerate(HORIZON_BINS):
        bins = peak.shape[-1] - span
        if bins <= 0:
            continue
        top = _forward_max(peak, span)[..., 1 : bins + 1]
        seen = np.cumsum(peak != codes.MISSING, axis=-1, dtype=np.int32)
        share = (seen[..., span:] - seen[..., :bins]) / span
        found[place, ..., :bins] = np.where(share >= LEAST_SEEN, top, codes.MISSING)
    return found


def _forward_max(series: CodeArray, span: int) -> CodeArray:
    """Return the maximum over ``[t, t + span)``, by doubling."""
    top, width = series.copy(), 1
    while width < span:
        step = min(width, span - width)
        top[..., : top.shape[-1] - step] = np.maximum(top[..., :-step], top[..., step:])
        width += step
    return top


def draw(
    source: Source,
    place: int,
    entities: IntArray,
    first_bin: int,
    last_bin: int,
    count: int,
    rng: np.random.Generator,
    *,
    clock: Clock | None = None,
    augment: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> Samples:
    """Draw about ``count`` samples of ``entities`` from bins ``[first_bin, last_bin)``.

    Labels look at most as far as ``last_bin``: a sample whose horizon reaches past it has none
    for that horizon.
    """
    clock = clock or Clock()
    peaks = future_peaks(_until(source, last_bin))
    ticks_wanted = max(1, round(count / max(1, min(len(entities), 256))))
    alive = (source.recent[entities, :, 0, first_bin:last_bin] != codes.MISSING).any(axis=(0, 1))
    open_ticks = np.flatnonzero(alive) + first_bin
    if len(open_ticks) == 0:
        raise MalformedHistory(f"{source.name}: nothing was recorded in the bins to draw from")
    ticks = np.sort(rng.choice(open_ticks, min(ticks_wanted, len(open_ticks)), replace=False))
    parts: list[Samples] = []
    for tick in ticks:
        rows = entities[source.first_bin[entities] <= tick]
        if len(rows) > 256:
            rows = rng.choice(rows, 256, replace=False)
        if len(rows) == 0:
            continue
        part = _sample(
            source,
            place,
            rows,
            tick=int(tick),
            last_bin=last_bin,
            peaks=peaks,
            rng=rng,
            clock=clock,
            augment=augment,
        )
        parts.append(part)
        progress(len(part))
    return concatenate(parts)


def concatenate(parts: list[Samples]) -> Samples:
    """Join samples of one source."""
    names = Samples.__slots__
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names[1:]}
    return Samples(parts[0].source, **joined)


def _until(source: Source, last_bin: int) -> Source:
    return Source(
        source.name,
        source.history,
        source.recent[..., :last_bin],
        source.hourly,
        source.first_hour_end_s,
        source.first_bin,
        source.lot,
    )


def _sample(
    source: Source,
    place: int,
    rows: IntArray,
    *,
    tick: int,
    last_bin: int,
    peaks: CodeArray,
    rng: np.random.Generator,
    clock: Clock,
    augment: bool,
) -> Samples:
    batch = source.window(tick, rows)
    n = len(rows)
    age = batch.age_bins
    kept = np.ones((n, len(MODEL_KPIS)), bool)
    if augment:
        short = np.exp(rng.uniform(0, np.log(HOURLY_BINS * BINS_PER_HOUR), n)).astype(np.int64)
        age = np.where(rng.random(n) < COLD_SHARE, np.minimum(age, short), age)
        kept = _keep_some(n, rng)
    batch = truncate(batch, age, kept)
    found = features(batch, clock.day_lags(batch.now_s))
    label = codes.logarithm(peaks[:, rows, :, tick]).transpose(0, 2, 1)
    target = np.maximum(label, found.log_floor[..., None]) - found.log_scale[..., None]
    # A KPI that was taken away gives no label either; a scale of nothing gives none.
    return Samples(
        place,
        rows,
        np.full(n, tick, np.int64),
        batch.age_bins,
        kept,
        found.values,
        found.log_scale,
        found.log_floor,
        target.astype(np.float32),
        _profile(source, rows, tick, last_bin, found.log_scale),
    )


def _keep_some(n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which KPIs each sample keeps: all, cpu alone, cpu and memory, or a random few."""
    kept = np.ones((n, len(MODEL_KPIS)), bool)
    few = rng.random(n) < DROPPED_SHARE
    kind = rng.integers(0, 3, n)
    kept[few & (kind == 0), 1:] = False
    kept[few & (kind == 1), 2:] = False
    random = rng.random(kept.shape) < 0.5
    kept[few & (kind == 2)] &= random[few & (kind == 2)]
    return kept


def truncate(batch: WindowBatch, age: IntArray, kept: NDArray[np.bool_]) -> WindowBatch:
    """Return the batch as if older history and other KPIs had never been seen.

    Of an hour in which the kept history begins, a window that began there would have a summary.
    It is computed where the recent part holds that hour, and missing where it does not.

    Args:
        batch: windows.
        age: int64 ``[n]``, the five-minute bins to keep, at most ``batch.age_bins``.
        kept: bool ``[n, model kpis]``, the KPIs to keep.
    """
    rows = [KPIS.index(kpi) for kpi in MODEL_KPIS]
    into_hour = np.full(len(batch), (batch.now_s % HOUR_S) // BIN_S)
    recent, hourly = batch.recent.copy(), batch.hourly.copy()
    _cut(recent, hourly, age, batch.age_bins, into_hour)
    mask = np.ones((len(batch), len(KPIS)), np.uint16)
    mask[:, rows] = kept
    seen = (recent[:, :, 0] != codes.MISSING).any(axis=1)
    since = np.where(seen.any(axis=1), RECENT_BINS - np.argmax(seen, axis=1), 0)
    # A history that is cut in a gap begins with what comes after the gap.
    age = np.where((age < batch.age_bins) & (age <= RECENT_BINS), since, age)
    return WindowBatch(
        batch.now_s, recent * mask[..., None, None], hourly * mask[..., None, None], age
    )


def _cut(
    recent: CodeArray, hourly: CodeArray, age: IntArray, real_age: IntArray, into_hour: IntArray
) -> None:
    """Empty, in place, what lies before the last ``age`` bins.

    Args:
        recent: ``[n, kpis, 2, 288]``.
        hourly: ``[n, kpis, 2 or 3, 360]``.
        age: int64 ``[n]``, bins to keep.
        real_age: int64 ``[n]``, bins that there are; a window that keeps them all stays whole.
        into_hour: int64 ``[n]``, bins since the last clock hour.
    """
    short = np.flatnonzero(age < real_age)
    if len(short) == 0:
        return
    age, into = age[short, None], into_hour[short, None]
    recent[short] *= (np.arange(RECENT_BINS, 0, -1) <= age)[:, None, None]
    hour_begin = np.arange(HOURLY_BINS, 0, -1) * BINS_PER_HOUR + into
    hourly[short] *= (hour_begin <= age)[:, None, None]
    within = (age > into) & ((age - into) % BINS_PER_HOUR > 0) & (age <= RECENT_BINS)
    chosen = short[within[:, 0]]
    whole, into = ((age - into) // BINS_PER_HOUR)[within], into[within]
    back = into + BINS_PER_HOUR * whole  # from now to the end of the hour in which it begins
    columns = RECENT_BINS - back[:, None] - np.arange(BINS_PER_HOUR) - 1
    bins = recent[chosen[:, None], :, :, np.maximum(columns, 0)]
    bins[columns < 0] = codes.MISSING
    hour = HOURLY_BINS - 1 - whole
    summary = moments(codes.decode(bins[..., 1]), axis=1)
    hourly[chosen, :, 0, hour] = bins[..., 0].max(axis=1)
    for part in range(1, hourly.shape[2]):
        hourly[chosen, :, part, hour] = codes.encode(summary[part - 1])


def _profile(
    source: Source, rows: IntArray, tick: int, last_bin: int, log_scale: FloatArray
) -> FloatArray:
    now = source.end_s(tick)
    # Clock hours from the current one on: the hour that ends next is column `begin`.
    begin = (now // HOUR_S * HOUR_S + HOUR_S - source.first_hour_end_s) // HOUR_S
    last = (source.end_s(last_bin - 1) // HOUR_S * HOUR_S - source.first_hour_end_s) // HOUR_S
    stop = min(begin + PROFILE_HOURS, last + 1, source.hourly.shape[-1])
    found = np.full((len(rows), len(RESOURCES), PROFILE_HOURS, 2), np.nan, np.float32)
    if begin < 0 or stop <= begin:
        return found
    channels = [KPIS.index(resource) for resource in RESOURCES]
    hourly = source.hourly[..., begin:stop]
    values = codes.decode(hourly[rows[:, None], channels, 1:])
    scaled = values / np.exp(log_scale)[..., None, None]
    found[:, :, : stop - begin] = np.minimum(scaled, 50).transpose(0, 1, 3, 2)
    return found


class WindowGather:
    """Cuts the encoder's windows out of the sources, batch by batch."""

    def __init__(self, sources: list[Source]) -> None:
        rows = [KPIS.index(kpi) for kpi in MODEL_KPIS]
        self._sources = sources
        self._recent = [_padded(source.recent[:, rows], RECENT_BINS) for source in sources]
        self._hourly = [_padded(source.hourly[:, rows, :2], HOURLY_BINS) for source in sources]

    def windows(
        self, place: int, row: IntArray, index: IntArray, age: IntArray, kept: NDArray[np.bool_]
    ) -> tuple[CodeArray, CodeArray]:
        """Return codes ``[n, kpis, 2, 288]`` and ``[n, kpis, 2, 360]`` as the sample saw them."""
        source = self._sources[place]
        recent = sliding_window_view(self._recent[place], RECENT_BINS, axis=-1)
        now = source.history.first_end_s + BIN_S * index
        hour = (now // HOUR_S * HOUR_S - source.first_hour_end_s) // HOUR_S
        hourly = sliding_window_view(self._hourly[place], HOURLY_BINS, axis=-1)
        r = recent[row, :, :, index + 1].copy()
        h = hourly[row, :, :, hour + 1].copy()
        _cut(r, h, age, index - source.first_bin[row] + 1, (now % HOUR_S) // BIN_S)
        keep = kept[:, :, None, None]
        return r * keep, h * keep


def _padded(series: CodeArray, length: int) -> CodeArray:
    return np.concatenate((np.zeros((*series.shape[:-1], length), np.uint16), series), axis=-1)


def batches(
    samples: list[Samples], size: int, rng: np.random.Generator
) -> Iterator[tuple[int, IntArray]]:
    """Yield ``(source, positions)`` of batches that cover all samples once, shuffled."""
    plan: list[tuple[int, IntArray]] = []
    for place, part in enumerate(samples):
        order = rng.permutation(len(part))
        plan.extend((place, order[i : i + size]) for i in range(0, len(order), size))
    for turn in rng.permutation(len(plan)):
        yield plan[turn]


FEATURE_COUNT: Final = len(FEATURES)
