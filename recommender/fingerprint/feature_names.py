"""Names of the features, in order, and the spans that they cover."""

from __future__ import annotations

from typing import Final

RECENT_SPANS: Final = (2, 3, 6, 12, 18, 24, 36, 72, 144, 216)
"""Five-minute bins back from now over which maxima are taken (24 h is the scale itself)."""

QUANTILES: Final = (0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
SAME_PHASE_SPANS: Final = (1, 3, 12, 36, 72)
DAY_PATTERN: Final = (1, 2, 3, 4, 5, 6, 7, 14)
DAYS: Final = 7
MINUTE_LAGS: Final = (1, 3)
JUMP_QUANTILES: Final = (0.5, 0.8, 0.95, 0.99)
JUMPS: Final = (
    "bin_over_last",
    "bin_over_hour",
    "hour_over_last",
    "hour_over_six",
    "hour_over_day",
)
"""How far peaks have lately risen above simple guesses of them: what a rule would have missed."""

FEATURES: Final[tuple[str, ...]] = (
    *(f"peak_lag_{lag}" for lag in range(12)),
    *(f"peak_max_{span}" for span in RECENT_SPANS),
    *(f"day_q{int(100 * level)}" for level in QUANTILES),
    "three_hours_q50",
    "three_hours_q90",
    *(f"yesterday_next_{span}" for span in SAME_PHASE_SPANS),
    *(f"same_hour_{days}d" for days in DAY_PATTERN),
    *(f"same_six_hours_{days}d" for days in (2, 3, 7, 14)),
    "same_hour_max_3d",
    "same_hour_max_7d",
    "same_hour_max_14d",
    "same_hour_max_alike",
    "same_hour_median_7d",
    "same_six_hours_max_7d",
    "same_six_hours_max_alike",
    "yesterday_around",
    *(f"day_max_{day + 1}" for day in range(DAYS)),
    "max_7d",
    "max_15d",
    *(f"hour_peak_{hour + 1}" for hour in range(1, 13)),
    *(f"same_minute_{width}_{kind}" for width in MINUTE_LAGS for kind in ("max", "mid", "last")),
    "mean_15m",
    "mean_1h",
    "mean_3h",
    "mean_24h",
    "mean_7d",
    *(f"{jump}_q{int(100 * level)}" for jump in JUMPS for level in JUMP_QUANTILES),
    "rough_30m",
    "rough_3h",
    "rough_24h",
    "near_top_90",
    "near_top_70",
    "near_top_50",
    "near_top_30",
    "since_top",
    "missing",
    *(f"busy_{kpi}" for kpi in ("cpu", "memory", "net_rx", "net_tx", "disk_read", "disk_write")),
    "age",
    "minute_sin",
    "minute_cos",
    "rest_day",
    "yesterday_alike",
    "headroom",
    "resource",
)
