"""One line of a recommendation: what a container needs, what it has, and how far the two differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from recommender.forecast.forecaster import Forecast
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from recommender.sizing.sizer import SIZED, Sizing
from recommender.telemetry.history import WorkloadKey

UNITS: Final = {"cpu": "cores", "memory": "bytes", "net_rx": "bytes/s", "net_tx": "bytes/s"}
MUCH: Final = {"cpu": 0.5, "memory": 500 * 2.0**20}
"""Cores and bytes above which a request that is too large counts as much."""


class Severity(StrEnum):
    """How far a request is from what is forecast."""

    AT_RISK = "at risk"  # the peak until the next decision is forecast above the request
    MUCH = "much too large"
    LARGE = "too large"
    FITS = "fits"
    UNKNOWN = "no request"
    FORECAST = "forecast only"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One resource of one container.

    Attributes:
        key: the container.
        resource: cpu, memory, net_rx or net_tx.
        peaks: horizon in seconds -> level -> forecast peak in cores, bytes or bytes/s.
        request: in force now; None where unknown.
        assumed: whether ``request`` is an assumption.
        target: request from now on; None for network or without a number.
        lower: a request below it should be raised.
        upper: a request above it should be lowered.
        reason: why.
    """

    key: WorkloadKey
    resource: str
    peaks: Mapping[int, Mapping[float, float]]
    request: float | None
    assumed: bool
    target: float | None
    lower: float | None
    upper: float | None
    reason: str

    @property
    def change(self) -> float | None:
        """Target over request, minus one; None where either is unknown."""
        if self.target is None or not self.request:
            return None
        return self.target / self.request - 1

    @property
    def severity(self) -> Severity:
        """How far the request is from what is forecast."""
        if self.resource not in SIZED or self.target is None:
            return Severity.FORECAST
        if self.request is None or self.lower is None or self.upper is None:
            return Severity.UNKNOWN
        if self.target > self.request or self.request < self.lower:
            return Severity.AT_RISK
        if self.target == self.request:
            return Severity.FITS
        saved = self.request - self.target
        return Severity.MUCH if saved >= MUCH[self.resource] else Severity.LARGE

    def as_json(self) -> dict[str, Any]:
        """Return plain types for JSON, numbers in cores, bytes and bytes/s."""
        return {
            "namespace": self.key.namespace,
            "kind": self.key.kind,
            "workload": self.key.name,
            "container": self.key.container,
            "resource": self.resource,
            "unit": UNITS[self.resource],
            "request": _short(self.request),
            "request_assumed": self.assumed,
            "peaks": {
                str(horizon): {
                    f"q{round(1000 * level)}": _short(peak) for level, peak in of.items()
                }
                for horizon, of in self.peaks.items()
            },
            "target": _short(self.target),
            "lower": _short(self.lower),
            "upper": _short(self.upper),
            "change": _short(self.change),
            "severity": self.severity.value,
            "reason": self.reason,
        }


def recommendations(
    keys: list[WorkloadKey],
    forecast: Forecast,
    sizing: Sizing,
    requests: np.ndarray[Any, np.dtype[np.float32]] | None = None,
    *,
    assumed: bool = False,
) -> list[Recommendation]:
    """Return a line for each resource that each container was seen to use.

    Args:
        keys: of the forecast's containers.
        forecast: their forecast.
        sizing: their sizing.
        requests: float32 ``[n, 2]``, cpu (cores) and memory (bytes) in force; NaN where unknown.
        assumed: whether ``requests`` are assumptions.
    """
    quantiles = forecast.quantiles
    lines = []
    for place, key in enumerate(keys):
        for column, resource in enumerate(RESOURCES):
            if not math.isfinite(forecast.log_scale[place, column]):
                continue
            sized = column < len(SIZED)
            request = requests[place, column] if sized and requests is not None else None
            lines.append(
                Recommendation(
                    key=key,
                    resource=resource,
                    peaks={
                        horizon: dict(
                            zip(LEVELS, quantiles[place, column, row].tolist(), strict=True)
                        )
                        for row, horizon in enumerate(HORIZONS_S)
                    },
                    request=_number(request),
                    assumed=assumed and sized,
                    target=_number(sizing.target[place, column]) if sized else None,
                    lower=_number(sizing.lower[place, column]) if sized else None,
                    upper=_number(sizing.upper[place, column]) if sized else None,
                    reason=(
                        sizing.reasons[sizing.reason[place, column]]
                        if sized
                        else "forecast only: requests have no network"
                    ),
                )
            )
    return lines


def _number(value: float | np.floating[Any] | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _short(value: float | None) -> float | None:
    """Return the number to the seven digits that a float32 has."""
    return None if value is None else float(f"{value:.7g}")
