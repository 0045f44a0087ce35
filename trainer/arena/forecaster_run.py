"""The forecaster over the judged time, as the service would have run it, and its ablations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.fingerprint.features import MODEL_KPIS
from recommender.forecast.calibration import CoverageTracker
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import HOUR_S
from trainer.arena.cache import code_digest, key
from trainer.arena.fleet import Fleet
from trainer.arena.quantile_run import WARM_BINS, QuantileRun, load_run
from trainer.dataset import truncate

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

CODE: Final = (
    "recommender/bundle/loading.py",
    "recommender/fingerprint",
    "recommender/forecast/calibration.py",
    "recommender/forecast/forecaster.py",
    "recommender/forecast/monotone.py",
    "recommender/kpis.py",
    "recommender/telemetry/clock.py",
    "recommender/telemetry/codes.py",
    "recommender/telemetry/window.py",
    "trainer/arena/fleet.py",
    "trainer/arena/forecaster_run.py",
    "trainer/traces.py",
)
Z_SCORES: Final = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of running the forecaster.

    Attributes:
        name: as shown.
        calibrated: group offsets and the workloads' own trackers.
        only: the one KPI that the windows keep; None: all.
        fine: also each five minutes, CPU only; else full hours only.
    """

    name: str
    calibrated: bool = True
    only: str | None = None
    fine: bool = False


@dataclass(frozen=True, slots=True)
class ForecasterRun:
    """What the forecaster said.

    Attributes:
        hourly: all recorded resources at each full hour.
        fine: CPU at each five minutes of the judged time; None where it was not run.
        next_hour: float32 ``[hours, E, 4, 2]``, mean and standard deviation that the profile
            gives the clock hour after each full hour, in cores, bytes and bytes/s.
        identity: names the run in the cache; empty where it was not asked for.
    """

    hourly: QuantileRun
    fine: QuantileRun | None
    next_hour: FloatArray
    identity: str = ""


def run_forecaster(
    fleet: Fleet,
    bundle: Bundle,
    variant: Variant,
    progress: Callable[[int], None] = lambda _: None,
) -> ForecasterRun:
    """Run a bundle causally over the windows of a fleet.

    The trackers see the three days before the judged time, hour by hour.

    Args:
        fleet: whose windows are read.
        bundle: the model.
        variant: how.
        progress: called with the number of forecasts made.
    """
    forecaster = Forecaster(
        bundle, CoverageTracker() if variant.calibrated else None, grouped=variant.calibrated
    )
    bins = decision_bins(fleet, fine=variant.fine)
    on_hour = np.array([fleet.end_s(int(index)) % HOUR_S == 0 for index in bins])
    judged = bins >= fleet.start
    entities, clock = np.arange(len(fleet), dtype=np.int64), Clock()
    shape = (len(fleet), len(HORIZONS_S), len(LEVELS))
    resources = [resource for resource in RESOURCES if fleet.has(resource)]
    slow = {name: np.empty((int(on_hour.sum()), *shape), np.float32) for name in resources}
    quick = np.empty((int(judged.sum()) if variant.fine else 0, *shape), np.float32)
    profile = np.empty((int(on_hour.sum()), len(fleet), len(RESOURCES), 2), np.float32)
    hour, spot = 0, 0
    for place, index in enumerate(bins.tolist()):
        batch = fleet.source.window(index, fleet.rows)
        if variant.only is not None:
            kept = np.zeros((len(batch), len(MODEL_KPIS)), bool)
            kept[:, MODEL_KPIS.index(variant.only)] = True
            batch = truncate(batch, batch.age_bins, kept)
        found = forecaster.forecast(batch, entities, clock)
        if on_hour[place]:
            for name in resources:
                slow[name][hour] = found.log_quantiles[:, RESOURCES.index(name)]
            profile[hour, ..., 0] = found.mean[..., 0]
            profile[hour, ..., 1] = np.sqrt(found.variance[..., 0])
            hour += 1
        if variant.fine and judged[place]:
            quick[spot] = found.log_quantiles[:, 0]
            spot += 1
        progress(len(batch))
    fine = QuantileRun(bins[judged], HORIZONS_S, {"cpu": quick}) if variant.fine else None
    return ForecasterRun(QuantileRun(bins[on_hour], HORIZONS_S, slow), fine, profile)


def decision_bins(fleet: Fleet, *, fine: bool) -> IntArray:
    """Return the bins of a run: full hours while warming up, then every five minutes if fine."""
    last = fleet.source.bins - 1
    first = max(fleet.start - WARM_BINS, fleet.start % 12)
    warm = np.arange(first, fleet.start, 12, dtype=np.int64)
    return np.concatenate((warm, np.arange(fleet.start, last, 1 if fine else 12, dtype=np.int64)))


def cached_run(
    fleet: Fleet,
    bundle: Bundle,
    model_sha256: str,
    source_sha256: str,
    variant: Variant,
    cache: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> ForecasterRun:
    """Run as :func:`run_forecaster` does, or read what an equal run left in the cache.

    Args:
        fleet: whose windows are read.
        bundle: the model.
        model_sha256: of the bundle's files.
        source_sha256: of the source's file.
        variant: how.
        cache: folder.
        progress: called with the number of forecasts made.
    """
    name = key(
        bundle=bundle.manifest.id,
        model=model_sha256,
        source=source_sha256,
        calibrated=variant.calibrated,
        only=variant.only,
        fine=variant.fine,
        code=code_digest(CODE),
    )
    folder = cache / f"forecaster-{name}"
    hourly, fine = folder / "hourly.npz", folder / "fine.npz"
    profile = folder / "next_hour.npy"
    done = folder / "done"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        found = run_forecaster(fleet, bundle, variant, progress)
        found.hourly.save(hourly)
        if found.fine is not None:
            found.fine.save(fine)
        np.save(profile, found.next_hour)
        done.touch()
        return replace(found, identity=name)
    kept = load_run(fine) if variant.fine else None
    return ForecasterRun(load_run(hourly), kept, np.load(profile), name)


def path_limits(fleet: Fleet, run: ForecasterRun, resource: str) -> FloatArray:
    """Return hourly requests from the path instead of the peak, float32 ``[z, E, decisions]``.

    Mean plus ``z`` standard deviations of the coming hour's five-minute usage: what a forecaster
    of the series, rather than of its maximum, has to offer.
    """
    column = RESOURCES.index(resource)
    judged = np.isin(run.hourly.bins, fleet.decisions(12))
    mean, std = run.next_hour[judged, :, column, 0].T, run.next_hour[judged, :, column, 1].T
    return np.stack([mean + np.float32(z) * std for z in Z_SCORES])
