"""The KPI catalogue: names, units, PromQL and how the replicas of a workload combine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ReplicaRule = Literal["max"]
Level = Literal["container", "pod"]

_BY_CONTAINER = "max by (namespace, pod, container)"


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator of a container.

    Attributes:
        name: the channel's name, as in every file and payload.
        unit: the unit of its values.
        promql: the default query, a template; :mod:`recommender.telemetry.prometheus.promql` says
            what its placeholders stand for. Two Prometheus replicas or two cAdvisor paths show one
            container more than once, so every query takes the maximum over what is left of the
            labels, and only then sums over devices or interfaces.
        level: what a series is about. A pod-level KPI is the same in each container of the pod:
            add it up over pods, never over containers.
        replicas: how the replicas of one workload combine into its series.
    """

    name: str
    unit: str
    promql: str = ""
    level: Level = "container"
    replicas: ReplicaRule = "max"


def _rate(metric: str, extra: str = "", selector: str = "$containers") -> str:
    return f"rate({metric}{{{extra}{selector}}}[$window])"


def _counter(metric: str, extra: str = "") -> str:
    return f"{_BY_CONTAINER} ($fold({_rate(metric, extra)}$steps))"


def _gauge(metric: str) -> str:
    return f"{_BY_CONTAINER} ($fold($over({metric}{{$containers}}[$window])$steps))"


# The sum of the parts' peaks is at least the peak of their sum, and mostly there is one part. It
# costs a server an eighth of summing up at each step.
def _disk(metric: str) -> str:
    by = "namespace, pod, container"
    return f"sum by ({by}) (max by ({by}, device) ($fold({_rate(metric)}$steps)))"


def _network(metric: str) -> str:
    by, rate = "namespace, pod", _rate(metric, selector="$pods")
    return f"sum by ({by}) (max by ({by}, interface) ($fold({rate}$steps)))"


# A container without a period in the window gives 0 / 0; the comparison drops that NaN.
_THROTTLED = (
    f"{_BY_CONTAINER} ($fold((({_rate('container_cpu_cfs_throttled_periods_total')}"
    f" / {_rate('container_cpu_cfs_periods_total')}) >= 0)$steps))"
)
# cAdvisor counts faults of the cgroup itself and of its hierarchy in two series.
_MAJOR_FAULTS = _counter(
    "container_memory_failures_total", 'failure_type="pgmajfault",scope!="hierarchy",'
)

CATALOGUE: Final[tuple[Kpi, ...]] = (
    Kpi("cpu", "cores", _counter("container_cpu_usage_seconds_total")),
    Kpi("memory", "bytes", _gauge("container_memory_working_set_bytes")),
    Kpi("net_rx", "bytes/s", _network("container_network_receive_bytes_total"), "pod"),
    Kpi("net_tx", "bytes/s", _network("container_network_transmit_bytes_total"), "pod"),
    Kpi("disk_read", "bytes/s", _disk("container_fs_reads_bytes_total")),
    Kpi("disk_write", "bytes/s", _disk("container_fs_writes_bytes_total")),
    Kpi("cpu_throttled", "fraction of periods", _THROTTLED),
    Kpi("memory_rss", "bytes", _gauge("container_memory_rss")),
    Kpi("page_faults", "major faults/s", _MAJOR_FAULTS),
    Kpi("cpu_pressure", "fraction", _counter("container_pressure_cpu_waiting_seconds_total")),
    Kpi("memory_pressure", "fraction", _counter("container_pressure_memory_waiting_seconds_total")),
)
KPIS: Final[tuple[str, ...]] = tuple(kpi.name for kpi in CATALOGUE)
RESOURCES: Final[tuple[str, ...]] = ("cpu", "memory", "net_rx", "net_tx")
HORIZONS_S: Final[tuple[int, ...]] = (300, 900, 3600, 21600, 86400)
LEVELS: Final[tuple[float, ...]] = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
BIN_S: Final[int] = 300
