"""Histories as every source hands them on: typed blocks on the five-minute or hourly grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """A workload's container: the topmost controller and the container's name."""

    namespace: str
    kind: str
    name: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}/{self.container}"


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of history: some workloads over consecutive bins of equal width.

    A bin is labelled by its end ``e`` and holds the samples in ``(e - step_s, e]``.

    Attributes:
        keys: one per row.
        step_s: width of a bin, 300 or 3600.
        first_end_s: end of the first bin, seconds since the epoch, a multiple of ``step_s``.
        peak: float32 ``[keys, kpis, bins]``, the maximum inside each bin, in the KPI's unit;
            NaN where nothing was seen. KPIs in the order of :data:`recommender.kpis.KPIS`.
        mean: as ``peak``, the mean.
        std: as ``peak``, the standard deviation of the five-minute means inside an hourly bin;
            None for five-minute blocks.
    """

    keys: tuple[WorkloadKey, ...]
    step_s: int
    first_end_s: int
    peak: FloatArray
    mean: FloatArray
    std: FloatArray | None = None


class HistorySource(Protocol):
    """Where KPI histories come from."""

    def blocks(self, start_s: int, end_s: int) -> Iterator[Block]:
        """Yield the history in ``(start_s, end_s]``, oldest first for each workload."""
        ...
