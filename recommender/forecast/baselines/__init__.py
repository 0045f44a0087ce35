"""Predictors with a rule instead of a trained model: what the forecaster has to beat.

Each one says in its docstring where its formula comes from. :func:`baselines` lists them for a
resource; :class:`DecayingHistogram` is the one that also serves, as the rung below the forecast.
"""

from __future__ import annotations

from recommender.forecast.baselines.autopilot import AutopilotWindow, autopilot_windows
from recommender.forecast.baselines.autopilot_ensemble import AutopilotEnsemble
from recommender.forecast.baselines.crane import CraneDsp
from recommender.forecast.baselines.decaying_histogram import (
    CPU_BUCKETS,
    MEMORY_BUCKETS,
    DecayingHistogram,
)
from recommender.forecast.baselines.holt_winters import HoltWinters
from recommender.forecast.baselines.krr import KrrSimple
from recommender.forecast.baselines.nsigma import MaxPredictor, NSigma
from recommender.forecast.baselines.protocol import (
    BINS_PER_DAY,
    Baseline,
    FloatArray,
    Resource,
    UsageMatrix,
)
from recommender.forecast.baselines.recent import RecentAndYesterdayMax, RecentMax, SeasonalMax
from recommender.forecast.baselines.reference import Oracle, StaticRequest
from recommender.forecast.baselines.vpa import Vpa, VpaBounds

__all__ = [
    "ALL",
    "CPU_BUCKETS",
    "MEMORY_BUCKETS",
    "AutopilotEnsemble",
    "AutopilotWindow",
    "Baseline",
    "CraneDsp",
    "DecayingHistogram",
    "HoltWinters",
    "KrrSimple",
    "MaxPredictor",
    "NSigma",
    "Oracle",
    "RecentAndYesterdayMax",
    "RecentMax",
    "SeasonalMax",
    "StaticRequest",
    "UsageMatrix",
    "Vpa",
    "VpaBounds",
    "baselines",
]


def baselines(
    resource: Resource, *, unit: float = 1.0, request: float | FloatArray | None = None
) -> list[Baseline]:
    """Every baseline for a resource, the oracle last.

    Args:
        resource: methods that differ between CPU and memory take it into account.
        unit: cores or bytes in one unit of the usage, for sources in fractions of a machine.
            Matters to the methods with buckets or amplitudes of a fixed size; 1.0 takes the
            numbers as they are.
        request: what the static request is, one number or float32 ``[entities]``, in the usage's
            unit; None leaves it out, as when no request was recorded.

    Returns:
        Objects with unique names.
    """
    static: list[Baseline] = [] if request is None else [StaticRequest(request)]
    return [
        *static,
        Vpa(resource, unit=unit),
        Vpa(resource, (0.9, 0.5, 0.95, 0.98, 0.99), unit=unit, name="vpa_percentiles"),
        *autopilot_windows(resource, unit),
        AutopilotEnsemble(resource, unit=unit),
        KrrSimple(resource),
        RecentMax(),
        RecentAndYesterdayMax(),
        SeasonalMax(BINS_PER_DAY, name="seasonal_max_day"),
        SeasonalMax(7 * BINS_PER_DAY, (1, 2), name="seasonal_max_week"),
        CraneDsp(unit=unit),
        NSigma(),
        MaxPredictor(),
        HoltWinters(),
        Oracle(),
    ]


ALL: tuple[Baseline, ...] = tuple(baselines("cpu"))
