"""How methods, rates and populations are called where people read them."""

from __future__ import annotations

from typing import Final

from trainer.arena.methods import Kind
from trainer.arena.results import Row

TITLES: Final[dict[str, str]] = {
    "static_request": "Static request",
    "vpa": "VPA rule (P90)",
    "vpa_percentiles": "VPA, percentile swept",
    "autopilot_average": "Autopilot window, average",
    "autopilot_load_percentile": "Autopilot window, load percentile",
    "autopilot_maximum": "Autopilot window, maximum",
    "autopilot_intermediate": "Autopilot window, intermediate",
    "autopilot_ensemble": "Autopilot argmin ensemble",
    "krr_simple": "KRR simple",
    "recent_max": "Maximum of the last hours",
    "recent_and_yesterday_max": "Last hours and yesterday",
    "seasonal_max_day": "Seasonal maximum, day",
    "seasonal_max_week": "Seasonal maximum, week",
    "crane_dsp": "Crane DSP",
    "n_sigma": "N-sigma",
    "max_predictor": "Max predictor",
    "holt_winters": "Holt-Winters",
    "oracle": "Oracle, violating nothing",
    "least_possible": "Least possible",
    "lightgbm": "LightGBM",
    "lightgbm_tracker": "LightGBM + tracker",
    "lightgbm_sized": "LightGBM + tracker + our sizing",
    "peakcast": "peakcast",
    "peakcast_one_level": "peakcast, one level for all",
    "peakcast_uncalibrated": "peakcast without calibration",
    "peakcast_one_kpi": "peakcast without other KPIs",
    "peakcast_path": "peakcast, maximum of the path",
    "peakcast_next_bin": "peakcast, next 5 min held",
}

POPULATIONS: Final[dict[str, str]] = {
    "active": "mean CPU of 0.05 cores and more",
    "idle": "mean CPU below 0.05 cores",
    "user workloads": "what people run, as against the cluster's own containers",
    "all": "all test entities",
}
ORDER: Final[tuple[Kind, ...]] = ("ours", "ablation", "learned", "rule", "oracle", "bound")


FORESEEING: Final[tuple[Kind, ...]] = ("oracle", "bound")
"""Kinds that know the future: shown, never compared with."""


def title(method: str) -> str:
    """Return a method's name for people."""
    return TITLES.get(method, method.replace("_", " "))


def rate_name(rate: float, table: str) -> str:
    """Return a target rate as text."""
    return f"{rate:g}/week" if table == "memory" else f"{100 * rate:g} %"


def ordered(rows: list[Row], place: int) -> list[Row]:
    """Return rows by what they reserve at one target rate, the oracle last."""

    def worth(row: Row) -> tuple[bool, bool, float, str]:
        value = row.ratio[place]
        return row.kind in FORESEEING, value is None, value or 0.0, row.method

    return sorted(rows, key=worth)
