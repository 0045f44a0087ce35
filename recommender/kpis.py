"""The KPI catalogue: names, units and how the replicas of a workload combine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ReplicaRule = Literal["max"]


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator of a container.

    Attributes:
        name: the channel's name, as in every file and payload.
        unit: the unit of its values.
        replicas: how the replicas of one workload combine into its series.
    """

    name: str
    unit: str
    replicas: ReplicaRule = "max"


CATALOGUE: Final[tuple[Kpi, ...]] = (
    Kpi("cpu", "cores"),
    Kpi("memory", "bytes"),
    Kpi("net_rx", "bytes/s"),
    Kpi("net_tx", "bytes/s"),
    Kpi("disk_read", "bytes/s"),
    Kpi("disk_write", "bytes/s"),
    Kpi("cpu_throttled", "fraction of periods"),
    Kpi("memory_rss", "bytes"),
    Kpi("page_faults", "major faults/s"),
    Kpi("cpu_pressure", "fraction"),
    Kpi("memory_pressure", "fraction"),
)
KPIS: Final[tuple[str, ...]] = tuple(kpi.name for kpi in CATALOGUE)
RESOURCES: Final[tuple[str, ...]] = ("cpu", "memory", "net_rx", "net_tx")
HORIZONS_S: Final[tuple[int, ...]] = (300, 900, 3600, 21600, 86400)
LEVELS: Final[tuple[float, ...]] = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
BIN_S: Final[int] = 300
