"""Requests held against what came next: how often usage went above, and how much was reserved."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import BIN_S
from recommender.telemetry.recorded import RecordedHistory

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_LEAST = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How requests for one resource did.

    Attributes:
        windows: five-minute windows with usage and a request.
        violated: those in which the peak was above the request.
        reserved: sum of the requests over the windows.
        used: sum of the peaks over the windows, as the arena counts usage.
        ratios: float32 ``[windows]``, peak over request; empty where they were not kept.
    """

    windows: int
    violated: int
    reserved: float
    used: float
    ratios: FloatArray = field(
        default_factory=lambda: np.empty(0, np.float32), repr=False, compare=False
    )

    @property
    def violated_share(self) -> float:
        """Share of the windows in which usage went above the request; NaN without any."""
        return self.violated / self.windows if self.windows else float("nan")

    @property
    def reserved_per_used(self) -> float:
        """Reserved over used; NaN where nothing was used."""
        return self.reserved / self.used if self.used else float("nan")

    def stretched_to(self, violated: int) -> float:
        """Return reserved per used, had all requests been larger or smaller by one factor.

        The factor is the least, known only in hindsight, that leaves at most ``violated`` windows
        above the request. NaN without ratios.
        """
        if not len(self.ratios):
            return float("nan")
        place = max(len(self.ratios) - 1 - violated, 0)
        return self.reserved_per_used * float(np.partition(self.ratios, place)[place])


class Tally:
    """Counts, decision by decision, how the request in force served until the next one.

    Args:
        history: what happened.
        resource: name of the KPI that the requests are for.
        ratios: keep each window's peak over its request.
    """

    def __init__(self, history: RecordedHistory, resource: str, *, ratios: bool = False) -> None:
        self._history = history
        self._kpi = history.kpis.index(resource) if resource in history.kpis else None
        self._request = np.full(len(history.entities), np.nan, np.float32)
        self._since_s: int | None = None
        self._ratios: list[FloatArray] | None = [] if ratios else None
        self._windows = self._violated = 0
        self._reserved = self._used = 0.0

    def set(self, now_s: int, rows: IntArray, requests: FloatArray) -> None:
        """Count until ``now_s``; from there on ``requests [n]`` are in force for ``rows [n]``."""
        self._count(now_s)
        self._request[rows] = requests
        self._since_s = now_s

    def outcome(self) -> Outcome:
        """Count until the history's end and return the result."""
        self._count(self._history.last_end_s)
        self._since_s = self._history.last_end_s
        ratios = np.concatenate(self._ratios or [np.empty(0, np.float32)])
        return Outcome(self._windows, self._violated, self._reserved, self._used, ratios)

    def _count(self, until_s: int) -> None:
        if self._kpi is None or self._since_s is None:
            return
        first_s = self._history.first_end_s
        span = slice((self._since_s - first_s) // BIN_S + 1, (until_s - first_s) // BIN_S + 1)
        peak = self._history.peak[:, self._kpi, span]
        request = np.broadcast_to(self._request[:, None], peak.shape)
        served = np.isfinite(peak) & np.isfinite(request)
        self._windows += int(served.sum())
        self._violated += int((peak[served] > request[served]).sum())
        self._reserved += float(request[served].sum(dtype=np.float64))
        self._used += float(peak[served].sum(dtype=np.float64))
        if self._ratios is not None:
            ratio = peak[served] / np.maximum(request[served], _LEAST)
            self._ratios.append(ratio.astype(np.float32))
