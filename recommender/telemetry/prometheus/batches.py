"""In which portions a server is asked, so that no question and no answer is large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from recommender.telemetry.prometheus.promql import one_of

CONTAINERS_PER_POD: Final = 2
MOST_NAMESPACES: Final = 100
MOST_PODS: Final = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Pods that one query asks for.

    Attributes:
        namespaces: these; empty stands for all.
        pods: these in the one namespace; empty stands for all.
        size: about how many pods that is.
    """

    namespaces: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    size: int = 0

    @property
    def matchers(self) -> str:
        """PromQL label matchers, without braces."""
        parts = []
        if self.namespaces:
            parts.append(one_of("namespace", self.namespaces))
        if self.pods:
            parts.append(one_of("pod", self.pods))
        return ",".join(parts)

    def halves(self) -> tuple[Selection, ...]:
        """Return the selection in two parts; empty where it cannot be divided."""
        for field, values in (("pods", self.pods), ("namespaces", self.namespaces)):
            if len(values) > 1:
                middle = len(values) // 2
                half = (self.size + 1) // 2
                if field == "pods":
                    parts = (values[:middle], values[middle:])
                    return tuple(Selection(self.namespaces, part, half) for part in parts)
                return tuple(
                    Selection(part, (), half) for part in (values[:middle], values[middle:])
                )
        return ()


Batch = tuple[Selection, ...]
"""Selections that together hold all replicas of their workloads, for one block."""


def plan(pods: Mapping[str, Mapping[str, object]], most_pods: int) -> list[Batch]:
    """Divide pods into batches of about ``most_pods``.

    Args:
        pods: by namespace and pod, the workload that the pod belongs to (anything that orders by
            ``str``). Pods of one workload stay in one batch; a workload that alone is too large
            gets a batch of several selections.
        most_pods: pods in one query.
    """
    batches: list[Batch] = []
    names: list[str] = []
    size = 0
    for namespace in sorted(pods):
        count = len(pods[namespace])
        if count > most_pods:
            batches.extend(_of_one_namespace(namespace, pods[namespace], most_pods))
            continue
        if names and (size + count > most_pods or len(names) >= MOST_NAMESPACES):
            batches.append((Selection(tuple(names), (), size),))
            names, size = [], 0
        names.append(namespace)
        size += count
    if names:
        batches.append((Selection(tuple(names), (), size),))
    return batches


def _of_one_namespace(
    namespace: str, pods: Mapping[str, object], most_pods: int
) -> Iterator[Batch]:
    most = min(most_pods, MOST_PODS)
    workloads: dict[str, list[str]] = {}
    for pod, workload in pods.items():
        workloads.setdefault(str(workload), []).append(pod)
    gathered: list[str] = []
    for _workload, members in sorted(workloads.items()):
        if gathered and len(gathered) + len(members) > most:
            yield (Selection((namespace,), tuple(sorted(gathered)), len(gathered)),)
            gathered = []
        if len(members) > most:
            members.sort()
            parts = [members[at : at + most] for at in range(0, len(members), most)]
            yield tuple(Selection((namespace,), tuple(part), len(part)) for part in parts)
        else:
            gathered.extend(members)
    if gathered:
        yield (Selection((namespace,), tuple(sorted(gathered)), len(gathered)),)


def steps_at_once(selection: Selection, samples_per_step: int, budget: int, max_points: int) -> int:
    """Return how many steps of a query fit the sample budget and the server's point limit."""
    series = max(1, selection.size) * CONTAINERS_PER_POD
    return max(1, min(max_points, budget // (series * (samples_per_step + 1))))


def pieces(bins: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of consecutive pieces of a grid, none longer than ``at_once``."""
    for offset in range(0, bins, at_once):
        yield offset, min(at_once, bins - offset)
