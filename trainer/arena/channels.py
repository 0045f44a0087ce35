"""What each KPI is worth to the forecast: pinball loss with the KPI hidden.

Measured on recorded groups that were kept out of the fit (lots 30 to 39) and before the last
quarter of their time, so no test group is looked at. A KPI is hidden either from everything (as if
it were not scraped) or from the fingerprint alone, which shows what the fingerprint draws from it.
Only windows that have the KPI count, each beside itself with the KPI there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.fingerprint.features import MODEL_KPIS, FeatureBatch, features
from recommender.fingerprint.sequences import sequences
from recommender.kpis import HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import RECENT_BINS, WindowBatch
from trainer.dataset import future_peaks, truncate
from trainer.traces import HELD_OUT_SHARE, TEST_SHARE, Source

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

TICKS: Final = 24
MOST_ROWS: Final = 128
SEED: Final = 3
IDLE_HEADROOM: Final = 1.5
"""Rows whose scale is nearer the noise floor than this (in logs) are left out."""

WHOLE_PRINT: Final = "the whole fingerprint"
HORIZON: Final = HORIZONS_S.index(3600)


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What hiding something does to the forecast of the coming hour's peak.

    Attributes:
        source: the recorded source.
        hidden: the KPI, or :data:`WHOLE_PRINT`.
        resource: whose forecast.
        windows: how many were compared.
        loss: mean pinball loss with everything shown, in log units, times 1000.
        unseen: relative change of the loss when it is hidden from everything; None: not hidden.
        unprinted: the same when it is hidden from the fingerprint alone.
    """

    source: str
    hidden: str
    resource: str
    windows: int
    loss: float
    unseen: float | None
    unprinted: float


def channel_worth(
    source: Source, bundle: Bundle, progress: Callable[[int], None] = lambda _: None
) -> list[Worth]:
    """Return what each KPI of a source is worth to each other resource's forecast.

    Args:
        source: a recorded source.
        bundle: the forecaster.
        progress: called with 1 for each of :data:`TICKS` moments.
    """
    stop = source.quarter_bin()
    ours = (source.lot >= TEST_SHARE) & (source.lot < HELD_OUT_SHARE)
    rows = np.flatnonzero(ours & (source.first_bin < stop - RECENT_BINS))
    first = int(source.first_bin[rows].min(initial=stop)) + RECENT_BINS
    ticks = np.linspace(first, stop - RECENT_BINS, TICKS).astype(np.int64)
    if len(rows) == 0 or ticks[-1] <= first:
        return []
    rng = np.random.default_rng(SEED)
    sums: dict[tuple[str, str], NDArray[np.float64]] = {}
    # Labels may not look past the last quarter's beginning.
    peaks = future_peaks(_until(source, stop))[HORIZON]
    for tick in ticks.tolist():
        here = rows[source.first_bin[rows] <= tick]
        if len(here) > MOST_ROWS:
            here = np.sort(rng.choice(here, MOST_ROWS, replace=False))
        if len(here):
            _add(sums, source.window(tick, here), peaks[here, :, tick], bundle)
        progress(1)
    found = []
    for (hidden, resource), (count, shown, unseen, unprinted) in sums.items():
        if count == 0 or shown == 0:
            continue
        found.append(
            Worth(
                source=source.name,
                hidden=hidden,
                resource=resource,
                windows=int(count),
                loss=float(1000 * shown / count),
                unseen=None if hidden == WHOLE_PRINT else float(unseen / shown - 1),
                unprinted=float(unprinted / shown - 1),
            )
        )
    return found


def _add(
    sums: dict[tuple[str, str], NDArray[np.float64]],
    batch: WindowBatch,
    peaks: NDArray[np.uint16],
    bundle: Bundle,
) -> None:
    """Add counts and losses of one moment: shown, hidden from everything, from the print."""
    whole = _features(batch)
    label = codes.logarithm(peaks)
    shown = _losses(bundle, batch, whole, whole, label)
    for kpi in (*MODEL_KPIS, None):
        kept = np.ones((len(batch), len(MODEL_KPIS)), bool)
        there = np.ones(len(batch), bool)
        if kpi is None:
            kept[:] = False
        else:
            kept[:, MODEL_KPIS.index(kpi)] = False
            there = (batch.recent[:, KPIS.index(kpi), 0] != codes.MISSING).any(axis=-1)
        if not there.any():
            continue
        part = truncate(batch, batch.age_bins, kept)
        unprinted = _losses(bundle, part, whole, whole, label)
        unseen = unprinted if kpi is None else _losses(bundle, part, _features(part), whole, label)
        for place, resource in enumerate(RESOURCES):
            good = there & np.isfinite(shown[:, place]) & np.isfinite(unprinted[:, place])
            if resource == kpi:  # what is hidden from everything cannot be forecast at all
                unseen = np.array(unseen)
                unseen[:, place] = unprinted[:, place]
            losses = [each[good, place].sum() for each in (shown, unseen, unprinted)]
            total = sums.setdefault((kpi or WHOLE_PRINT, resource), np.zeros(4))
            total += [good.sum(), *losses]


def _features(batch: WindowBatch) -> FeatureBatch:
    return features(batch, Clock().day_lags(batch.now_s))


def _losses(
    bundle: Bundle,
    batch: WindowBatch,
    given: FeatureBatch,
    whole: FeatureBatch,
    label: FloatArray,
) -> FloatArray:
    """Return mean pinball losses ``[n, 4]`` of the coming hour's peak; NaN without a label."""
    patches = sequences(batch)
    quantiles = bundle.run(patches.hours, patches.days, given.values).quantiles[:, :, HORIZON]
    headroom = whole.log_scale - whole.log_floor
    target = np.maximum(label, whole.log_floor) - whole.log_scale
    apart = np.clip(target, -6, 6)[..., None] - quantiles
    levels = np.array(LEVELS, np.float32)
    loss = np.maximum(levels * apart, (levels - 1) * apart).mean(axis=-1)
    return np.where(headroom > IDLE_HEADROOM, loss, np.nan).astype(np.float32)


def _until(source: Source, stop: int) -> Source:
    return Source(
        source.name,
        source.history,
        source.recent[..., :stop],
        source.hourly,
        source.first_hour_end_s,
        source.first_bin,
        source.lot,
    )
