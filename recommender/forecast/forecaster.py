"""From windows to calibrated quantiles of peaks, hourly profiles and fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.bundle.loading import BATCH, Outputs
from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.features import FeatureBatch, features
from recommender.fingerprint.sequences import sequences
from recommender.forecast.calibration import CoverageTracker, GroupCalibration
from recommender.forecast.monotone import monotone
from recommender.kpis import RESOURCES
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import WindowBatch

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

PORTION: Final = BATCH
"""Containers whose inputs are computed at a time; the network takes as many at once."""

_LARGEST_LOG: Final = np.float32(88)  # float32 ends at exp(88.7)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts of some containers at one time.

    Attributes:
        now_s: the time; every number rests on what was seen until then.
        log_quantiles: float32 ``[n, 4, 5, 7]``, natural logarithm of the calibrated quantiles of
            the peak (cores, bytes, bytes/s) over each horizon; never falling along levels or
            horizons; NaN for a resource never seen.
        uncalibrated: as ``log_quantiles``, before the workload's own correction.
        log_scale: float32 ``[n, 4]``, log of the highest peak of the last 24 hours.
        mean: float32 ``[n, 4, 24]``, expected usage in the current and the next 23 clock hours.
        variance: as ``mean``, variance of the five-minute usage around it.
        fingerprint: float32 ``[n, 64]``.
        group: int64 ``[n]``, calibration group.
    """

    now_s: int
    log_quantiles: FloatArray
    uncalibrated: FloatArray
    log_scale: FloatArray
    mean: FloatArray
    variance: FloatArray
    fingerprint: FloatArray
    group: IntArray

    def __len__(self) -> int:
        return len(self.group)

    @property
    def quantiles(self) -> FloatArray:
        """Calibrated quantiles in cores, bytes and bytes/s; float32 ``[n, 4, 5, 7]``."""
        return np.exp(self.log_quantiles)


class Forecaster:
    """Runs a bundle over windows and corrects it by what it got wrong before.

    Args:
        bundle: the model.
        tracker: the workloads' own corrections; None to leave them out.
        grouped: whether the bundle's group offsets are added.
    """

    def __init__(
        self, bundle: Bundle, tracker: CoverageTracker | None = None, *, grouped: bool = True
    ) -> None:
        self._bundle = bundle
        self._groups = GroupCalibration(bundle.manifest.calibration) if grouped else None
        self.tracker = tracker

    @property
    def model_id(self) -> str:
        """Name of the bundle in use."""
        return self._bundle.manifest.id

    def forecast(
        self, batch: WindowBatch, rows: IntArray, clocks: Sequence[Clock] | Clock
    ) -> Forecast:
        """Forecast the containers of ``batch``.

        Args:
            batch: windows.
            rows: int64 ``[n]``, where the tracker keeps each container.
            clocks: one clock for all, or one per container.
        """
        outputs, log_scale, log_floor = self._run(batch, clocks)
        group = np.zeros(len(batch), np.int64)
        relative = outputs.quantiles
        if self._groups is not None:
            group = self._groups.nearest(outputs.fingerprint)
            relative = relative + self._groups.offsets(group)
        scale, floor = log_scale[..., None, None], log_floor[..., None, None]
        uncalibrated = monotone(np.maximum(relative + scale, floor))
        calibrated = uncalibrated
        if self.tracker is not None:
            if batch.now_s % 3600 == 0:
                self.tracker.learn(batch, rows)
                self.tracker.issue(batch.now_s, rows, uncalibrated)
            calibrated = self.tracker.correct(rows, uncalibrated)
        log_unit = log_scale[..., None]
        profile = np.clip(outputs.profile, -14, 6)
        return Forecast(
            batch.now_s,
            calibrated,
            uncalibrated,
            log_scale,
            np.exp(log_unit + profile[..., 0]),
            np.exp(np.minimum(2 * log_unit + profile[..., 1], _LARGEST_LOG)),
            outputs.fingerprint,
            group,
        )

    def _run(
        self, batch: WindowBatch, clocks: Sequence[Clock] | Clock
    ) -> tuple[Outputs, FloatArray, FloatArray]:
        """Return the network's outputs, log scales and log floors, a portion at a time.

        The network's inputs take nearly twice the windows' memory, and a portion of them stays in
        the processor's cache.
        """
        outputs: list[Outputs] = []
        found: list[FeatureBatch] = []
        for begin in range(0, max(len(batch), 1), PORTION):
            portion = slice(begin, begin + PORTION)
            part = batch.take(portion)
            patches = sequences(part)
            their = clocks if isinstance(clocks, Clock) else clocks[portion]
            found.append(_features(part, their))
            outputs.append(self._bundle.run(patches.hours, patches.days, found[-1].values))
        return (
            Outputs(
                np.concatenate([part.fingerprint for part in outputs]),
                np.concatenate([part.quantiles for part in outputs]),
                np.concatenate([part.profile for part in outputs]),
            ),
            np.concatenate([part.log_scale for part in found]),
            np.concatenate([part.log_floor for part in found]),
        )


def _features(batch: WindowBatch, clocks: Sequence[Clock] | Clock) -> FeatureBatch:
    """Compute features, all containers of one clock together."""
    if isinstance(clocks, Clock):
        return features(batch, clocks.day_lags(batch.now_s))
    members: dict[Clock, list[int]] = {}
    for place, clock in enumerate(clocks):
        members.setdefault(clock, []).append(place)
    shape = (len(batch), len(RESOURCES))
    values = np.empty((*shape, len(FEATURES)), np.float32)
    log_scale, log_floor = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for clock, places in members.items():
        part = batch.take(np.array(places, np.int64))
        found = features(part, clock.day_lags(batch.now_s))
        values[places] = found.values
        log_scale[places] = found.log_scale
        log_floor[places] = found.log_floor
    return FeatureBatch(values, log_scale, log_floor)
