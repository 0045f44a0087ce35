"""The sample traces that come with peakcast: real measurements, see the README beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from typing import Final

import numpy as np

from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.recorded import RecordedHistory, read_recorded

_NEZHA: Final = "Nezha (MIT)"


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample file and how it is shown.

    Attributes:
        file: its name.
        title: what it is, for a heading.
        namespace: shown as the workloads' namespace.
        kind: shown as their kind.
        container: shown as their container; the files say nothing finer.
        prefix: cut from the groups' names, to give the workload's.
        now_s: the moment to forecast at; what the file has after it shows what happened next.
        cpu_per_unit: cores that 1.0 of CPU in the file stands for.
        credit: where it comes from, with its licence.
    """

    file: str
    title: str
    namespace: str
    kind: str
    container: str
    prefix: str
    now_s: int
    cpu_per_unit: float
    credit: str


SAMPLES: Final = (
    Sample(
        file="azure_v1.parquet",
        title="virtual machines of a public cloud, assumed to have 4 cores each",
        namespace="azure",
        kind="VirtualMachine",
        container="vm",
        prefix="az/",
        now_s=1_481_184_000,  # 2016-12-08 08:00 UTC
        cpu_per_unit=4.0,
        credit="Azure Public Dataset V1 (CC-BY 4.0)",
    ),
    Sample(
        file="online_boutique.parquet",
        title="Online Boutique under generated load, with injected faults",
        namespace="online-boutique",
        kind="Deployment",
        container="pod",
        prefix="nezha/",
        now_s=1_661_277_600,  # 2022-08-23 18:00 UTC
        cpu_per_unit=1.0,
        credit=_NEZHA,
    ),
    Sample(
        file="train_ticket.parquet",
        title="Train Ticket under generated load, with injected faults",
        namespace="train-ticket",
        kind="Deployment",
        container="pod",
        prefix="nezha/",
        now_s=1_675_101_600,  # 2023-01-30 18:00 UTC
        cpu_per_unit=1.0,
        credit=_NEZHA,
    ),
)


def load_sample(sample: Sample) -> RecordedHistory:
    """Return a sample's history with one row per workload, its pods combined by their maximum.

    Raises:
        MalformedHistory: the file is damaged.
    """
    with resources.as_file(resources.files(__name__) / sample.file) as path:
        return by_workload(read_recorded(path, cpu_per_unit=sample.cpu_per_unit))


def by_workload(history: RecordedHistory) -> RecordedHistory:
    """Combine the entities of each group, as the KPI catalogue says for replicas: by maximum."""
    groups = tuple(dict.fromkeys(history.groups))
    members = [
        [row for row, group in enumerate(history.groups) if group == name] for name in groups
    ]
    return replace(
        history,
        entities=groups,
        groups=groups,
        peak=np.stack([np.fmax.reduce(history.peak[rows]) for rows in members]),
        mean=np.stack([np.fmax.reduce(history.mean[rows]) for rows in members]),
    )


def key_of(sample: Sample, entity: str) -> WorkloadKey:
    """Return the key under which a sample's workload is shown."""
    name = entity.removeprefix(sample.prefix)
    return WorkloadKey(sample.namespace, sample.kind, name, sample.container)
