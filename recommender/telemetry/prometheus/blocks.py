"""From answers about pods to blocks about workloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import CATALOGUE, KPIS
from recommender.telemetry.history import Block, WorkloadKey
from recommender.telemetry.prometheus.ownership import LONGEST_LABEL, Owners, Span
from recommender.telemetry.prometheus.placement import FloatArray, combine, moments
from recommender.telemetry.prometheus.questions import Answer, Grid

SUMMED_KPIS: Final = ("cpu", "net_rx", "net_tx")
_POD_LEVEL: Final = np.array([kpi.level == "pod" for kpi in CATALOGUE])


@dataclass(frozen=True, slots=True)
class ReplicaBlock(Block):
    """A block that also tells how the replicas of each workload add up.

    Mean and variance over the replicas, and with the workload's own variance their correlation,
    follow from the three.

    Attributes:
        replica_sum: float32 ``[keys, 3, bins]``, sum over the replicas of each bin's mean, for
            the KPIs in :data:`SUMMED_KPIS`, in the KPI's unit.
        replica_squares: as ``replica_sum``, the sum of squares.
        replica_count: uint16, as ``replica_sum``, how many replicas were seen.
    """

    replica_sum: FloatArray | None = None
    replica_squares: FloatArray | None = None
    replica_count: NDArray[np.uint16] | None = None


class Workload(NamedTuple):
    """The topmost controller of a pod."""

    namespace: str
    kind: str
    name: str


@dataclass
class Leftovers:
    """What could not be placed."""

    orphans: set[tuple[str, str]] = field(default_factory=set)
    unlabelled: int = 0


@dataclass
class Assembly:
    """Turns answers into one block.

    Attributes:
        grid: the block's bins.
        owners: who owns which pod.
        node_network: pods whose network counters are their node's and not theirs.
        bare: pods without a known owner are workloads of their own.
    """

    grid: Grid
    owners: Owners
    node_network: frozenset[tuple[str, str]] = frozenset()
    bare: bool = False
    leftovers: Leftovers = field(default_factory=Leftovers)
    _spans: dict[tuple[str, str], tuple[Span, ...]] = field(default_factory=dict)
    _places: dict[tuple[str, str, str], tuple[tuple[int, Span], ...]] = field(default_factory=dict)

    def block(self, answers: Iterable[Answer]) -> Block | None:
        """Return the block of all workloads that the answers tell of; None where of none.

        Its arrays are NaN where nothing was asked for or nothing came back.
        """
        answers = list(answers)
        keys = self._keys(answers)
        if not keys:
            return None
        workloads: dict[Workload, int] = {}
        for key in keys:
            workloads.setdefault(Workload(key.namespace, key.kind, key.name), len(workloads))
        owner_of = np.fromiter(
            (workloads[Workload(key.namespace, key.kind, key.name)] for key in keys), np.int64
        )
        shape = (len(keys), len(KPIS), self.grid.bins)
        parts = {name: np.full(shape, np.nan, np.float32) for name in self.grid.statistics}
        small = (len(keys), len(SUMMED_KPIS), self.grid.bins)
        total, squares = np.zeros(small, np.float32), np.zeros(small, np.float32)
        count = np.zeros(small, np.uint16)
        for answer in answers:
            pod_level = CATALOGUE[answer.kpi].level == "pod"
            index: Mapping[WorkloadKey, int] | Mapping[Workload, int]
            index = workloads if pod_level else keys
            rows, owner = self._owned(answer, index)
            columns = slice(answer.offset, answer.offset + answer.rows.shape[1])
            out = parts[answer.statistic][:, answer.kpi, columns]
            best = combine(rows, owner, len(index))
            np.fmax(out, best[owner_of] if pod_level else best, out=out)
            if answer.statistic == "mean" and KPIS[answer.kpi] in SUMMED_KPIS:
                place = SUMMED_KPIS.index(KPIS[answer.kpi])
                more = moments(rows, owner, len(index))
                total[:, place, columns] += more[0][owner_of] if pod_level else more[0]
                squares[:, place, columns] += more[1][owner_of] if pod_level else more[1]
                count[:, place, columns] += more[2][owner_of] if pod_level else more[2]
        # A pod's network goes on when one of its containers is gone; the container's does not.
        own = np.fmax(parts["peak"], parts["mean"])[:, ~_POD_LEVEL]
        alone: NDArray[np.bool_] = np.asarray(np.isnan(own).all(axis=1))
        for part in parts.values():
            np.copyto(part, np.nan, where=alone[:, None, :] & _POD_LEVEL[None, :, None])
        # Rates over short windows may round to less than the rate over the whole bin.
        peak = np.fmax(parts["peak"], parts["mean"])
        return ReplicaBlock(
            tuple(keys),
            self.grid.step_s,
            self.grid.first_end_s,
            peak,
            parts["mean"],
            parts.get("std"),
            total,
            squares,
            count,
        )

    def _keys(self, answers: Iterable[Answer]) -> dict[WorkloadKey, int]:
        """Return a row for each container that the answers tell of."""
        found: dict[WorkloadKey, int] = {}
        for answer in answers:
            if CATALOGUE[answer.kpi].level == "pod":
                continue
            for labels in answer.labels:
                namespace, pod, container = _names(labels)
                if container:
                    for span in self._spans_of(namespace, pod):
                        key = WorkloadKey(namespace, span.kind, span.name, container)
                        found.setdefault(key, len(found))
        return found

    def _owned(
        self, answer: Answer, index: Mapping[WorkloadKey, int] | Mapping[Workload, int]
    ) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return the rows that belong to somebody and whose they are.

        A pod name that changed hands gives a row to each owner, NaN outside its time.
        """
        rows: list[int] = []
        owner: list[int] = []
        shared: list[tuple[int, Span]] = []
        for row, labels in enumerate(answer.labels):
            places = self._places_of(labels, CATALOGUE[answer.kpi].level == "pod", index)
            for at, span in places:
                if len(places) > 1:
                    shared.append((len(rows), span))
                rows.append(row)
                owner.append(at)
        taken = answer.rows[np.array(rows, np.int64)]
        if shared:
            begin = self.grid.first_end_s + answer.offset * self.grid.step_s
            ends = begin + self.grid.step_s * np.arange(taken.shape[1])
            for place, span in shared:
                taken[place, (ends <= span.after_s) | (ends > span.until_s)] = np.nan
        return taken, np.array(owner, np.int64)

    def _places_of(
        self,
        labels: Mapping[str, str],
        pod_level: bool,  # noqa: FBT001 -- private
        index: Mapping[WorkloadKey, int] | Mapping[Workload, int],
    ) -> tuple[tuple[int, Span], ...]:
        namespace, pod, container = _names(labels)
        if not namespace or not pod or (not pod_level and not container):
            self.leftovers.unlabelled += 1
            return ()
        if pod_level:
            if (namespace, pod) in self.node_network:
                return ()
            container = ""
        name = (namespace, pod, container)
        places = self._places.get(name)
        if places is None:
            lookup: Mapping[Any, int] = index
            found = []
            for span in self._spans_of(namespace, pod):
                workload = Workload(namespace, span.kind, span.name)
                at = lookup.get(workload if pod_level else WorkloadKey(*workload, container))
                if at is not None:
                    found.append((at, span))
            places = self._places[name] = tuple(found)
        return places

    def _spans_of(self, namespace: str, pod: str) -> tuple[Span, ...]:
        name = (namespace, pod)
        spans = self._spans.get(name)
        if spans is None:
            spans = self.owners.of(namespace, pod) if namespace and pod else ()
            if not spans and namespace and pod:
                if self.bare:
                    spans = (Span("Pod", pod),)
                else:
                    self.leftovers.orphans.add(name)
            self._spans[name] = spans
        return spans


def _names(labels: Mapping[str, str]) -> tuple[str, str, str]:
    """Return namespace, pod and container; empty where absent or impossible."""
    names = tuple(labels.get(label, "") for label in ("namespace", "pod", "container"))
    namespace, pod, container = (name if len(name) <= LONGEST_LABEL else "" for name in names)
    return namespace, pod, container
