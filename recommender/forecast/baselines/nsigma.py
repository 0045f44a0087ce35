"""Peak predictors from "Take it to the Limit": N-sigma, percentile and the maximum of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.forecast.baselines.order_statistics import trailing_quantiles
from recommender.forecast.baselines.protocol import (
    BINS_PER_HOUR,
    FloatArray,
    IntArray,
    UsageMatrix,
    checked,
    observed,
)
from recommender.forecast.baselines.rolling import or_running_max, trailing_mean_std


@dataclass(frozen=True)
class NSigma:
    """Mean plus N standard deviations of the recent usage.

    peak = mean(u) + N * std(u) over the last n samples, per container. Source: Bashir et al.,
    "Take it to the Limit: Peak Prediction-driven Resource Overcommitment in Datacenters"
    (EuroSys 2021), and googleinterns/cluster-resource-forecast, where it runs over a machine's
    total as a share of its limits and is capped at the limits; traces without limits leave the
    cap out. N = 5 is the paper's choice. The knob is N.

    Attributes:
        sigmas: values of N.
        window_h: n, as hours of five-minute bins.
    """

    sigmas: tuple[float, ...] = (5.0, 1.0, 2.0, 3.0, 8.0)
    window_h: float = 10.0
    name: str = "n_sigma"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Values of N."""
        return self.sigmas

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        mean, std = trailing_mean_std(peak, picked, round(self.window_h * BINS_PER_HOUR))
        sigmas = np.asarray(self.sigmas, dtype=np.float32)[:, None, None]
        return or_running_max(mean + sigmas * std, peak, picked)


@dataclass(frozen=True)
class MaxPredictor:
    """The larger of N-sigma and the percentile predictor ("RC-like").

    peak = max(mean(u) + N * std(u), P_x(u)), both over the last n samples; x = 99. Source: as
    :class:`NSigma`; the percentile comes from Resource Central (Cortez et al., SOSP 2017).
    The knob is N.

    Attributes:
        percentile: x, as a share of 1.
    """

    sigmas: tuple[float, ...] = (5.0, 1.0, 2.0, 3.0, 8.0)
    window_h: float = 10.0
    percentile: float = 0.99
    name: str = "max_predictor"
    causal: ClassVar[bool] = True

    @property
    def knobs(self) -> tuple[float, ...]:
        """Values of N."""
        return self.sigmas

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """See :meth:`.protocol.Baseline.limits`."""
        peak = observed(usage.peak)
        picked = checked(decisions, hold_bins, peak.shape[1])
        sigma = NSigma(self.sigmas, self.window_h).limits(usage, picked, hold_bins)
        window = round(self.window_h * BINS_PER_HOUR)
        share, _ = trailing_quantiles(peak, picked, window, (self.percentile,))
        return or_running_max(np.fmax(sigma, share), peak, picked)
