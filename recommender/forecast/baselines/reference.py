"""The two ends of the scale: a request that never changes, and knowing the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.forecast.baselines.protocol import (
    FloatArray,
    IntArray,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, pick, trailing_max


@dataclass(frozen=True)
class StaticRequest:
    """A request that somebody set once and nobody changed: what most clusters run on.

    The recorded request of each entity where the source has one, else one constant for all. The
    knob multiplies it.

    Attributes:
        request: the constant, or float32 ``[entities]``, in the usage's unit; NaN where an entity
            has none recorded, and then the running maximum stands in.
    """

    request: float | FloatArray = 1.0
    factors: tuple[float, ...] = (1.0,)
    name: str = "static_request"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Multipliers of the request."""
        return self.factors

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`.

        Raises:
            ValueError: when there are as many requests as entities is not true.
        """
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        request = np.asarray(self.request, dtype=np.float32)
        if request.ndim and request.shape != (peak.shape[0],):
            raise ValueError(f"{request.shape} requests for {peak.shape[0]} entities")
        each = np.broadcast_to(request, (peak.shape[0],))
        scaled = np.asarray(self.factors, dtype=np.float32)[:, None] * each
        limits = np.repeat(scaled[:, :, None], len(picked), axis=2)
        return or_running_max(limits, peak, picked)


@dataclass(frozen=True)
class Oracle:
    """The true maximum over the time the limit holds for: the least that violates nothing.

    "Peak oracle" of Bashir et al., "Take it to the Limit" (EuroSys 2021), without its cap at the
    limits of the day. Where the future holds no sample, the maximum so far stands in.
    """

    name: str = "oracle"
    knobs: ClassVar[tuple[float, ...]] = (1.0,)
    causal: ClassVar[bool] = False

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        padded = np.pad(peak, ((0, 0), (0, hold_bins)), constant_values=np.nan)
        future = pick(trailing_max(padded, hold_bins), picked + hold_bins)
        return or_running_max(future, peak, picked)[None]
