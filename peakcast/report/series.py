"""The numbers behind a chart, as plain JSON types rounded to what a screen can show."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from peakcast.playback import EVERY_S, Playback
from recommender.kpis import BIN_S, HORIZONS_S, LEVELS, RESOURCES
from recommender.sizing.sizer import SIZED

FloatArray = NDArray[np.float32]

BEFORE_S: Final = 3 * 86400
AFTER_S: Final = 30 * 3600
BAND: Final = (0.5, 0.95, 0.99)
"""Levels of the hour-ahead band: its lower edge, a line in it, its upper edge."""


def chart_data(told: Playback) -> dict[str, Any]:
    """Return a sample's charts: the time axis, then each workload's resources."""
    now = told.sample.now_s
    first = max(told.history.first_end_s, now - BEFORE_S)
    last = min(told.history.last_end_s, now + AFTER_S)
    step = told.at_now
    rows = [] if step is None else step.rows.tolist()
    return {
        "namespace": told.sample.namespace,
        "title": told.sample.title,
        "now": now,
        "first": first,
        "step": BIN_S,
        "hour": EVERY_S,
        "horizons": list(HORIZONS_S),
        "levels": list(LEVELS),
        "band": list(BAND),
        "workloads": [
            {
                "name": told.key(row).name,
                "container": told.key(row).container,
                "resources": {
                    resource: _resource(told, place, row, column, (first, last))
                    for column, resource in enumerate(RESOURCES)
                    if _seen(told, place, column)
                },
            }
            for place, row in enumerate(rows)
        ],
    }


def _seen(told: Playback, place: int, column: int) -> bool:
    step = told.at_now
    return step is not None and math.isfinite(step.forecast.log_scale[place, column])


def _resource(
    told: Playback, place: int, row: int, column: int, span: tuple[int, int]
) -> dict[str, Any]:
    """Return one chart's series; ``place`` is the workload's in the decision, ``row`` its own."""
    first, last = span
    resource = RESOURCES[column]
    kpi = told.history.kpis.index(resource)
    bins = slice(told.bin(first), told.bin(last) + 1)
    issued = [hour for hour in told.issued if first <= hour.now_s <= last]
    levels = [LEVELS.index(level) for level in BAND]
    band = np.array([hour.ahead_of(row, column)[levels] for hour in issued], np.float32)
    found: dict[str, Any] = {
        "usage": _list(told.history.peak[row, kpi, bins]),
        "issued": issued[0].now_s if issued else first,
        "band": [_list(edge) for edge in band.T],
    }
    step = told.at_now
    if step is not None:
        found["ahead"] = [_list(of) for of in step.forecast.quantiles[place, column]]
        found["mean"] = _list(step.forecast.mean[place, column])
    if resource in SIZED:
        sized = SIZED.index(resource)
        hours = [told.bin(hour.now_s) for hour in issued]
        found["rule"] = _list(told.rule[row, sized, hours])
        found["target"] = _list(np.array([hour.target[row, sized] for hour in issued]))
    return found


def _list(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]
