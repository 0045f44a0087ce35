"""Which pods there were, so that they can be asked for in batches."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from recommender.telemetry.prometheus.batches import Batch, Selection, plan
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.ownership import LONGEST_LABEL, Owners
from recommender.telemetry.prometheus.promql import CONTAINERS, both, one_of

USAGE: Final = "container_memory_working_set_bytes"
"""The metric that every container has, and that pods are found by."""


def scrape_interval(client: PrometheusClient, at_s: int, matchers: str = "") -> float | None:
    """Return the usual distance between two samples of a container, in seconds; None if unseen."""
    for back_s in (600, 3600):
        count = f"count_over_time({USAGE}{{{both(CONTAINERS, matchers)}}}[{back_s}s])"
        samples = client.number(f"quantile(0.5, {count})", at_s)
        if samples is not None and samples > 1:
            usual = (5, 10, 15, 20, 30, 60, 120, 180, 300)
            return float(min(usual, key=lambda one: abs(one * samples - back_s) / one))
    return None


def batches(
    client: PrometheusClient,
    owners: Owners,
    start_s: int,
    end_s: int,
    *,
    most_pods: int,
    namespaces: Collection[str] = (),
    matchers: str = "",
) -> list[Batch]:
    """Divide the pods that were there in a range of time into batches.

    Args:
        client: asks for the names of namespaces and, of large ones, of pods.
        owners: who owns which pod.
        start_s: begin of the range.
        end_s: end of the range.
        most_pods: pods in one query.
        namespaces: only these; empty stands for all.
        matchers: label matchers of every question.
    """
    wanted = frozenset(namespaces)
    pods: dict[str, dict[str, object]] = {}
    for namespace, pod in owners.pods():
        if not wanted or namespace in wanted:
            pods.setdefault(namespace, {})[pod] = _workload(owners, namespace, pod)
    total = sum(map(len, pods.values()))
    if total and total <= most_pods:
        return [(Selection(tuple(sorted(wanted)), (), total),)]
    usage = both(CONTAINERS, matchers)
    found = client.label_values("namespace", f"{USAGE}{{{usage}}}", start_s, end_s)
    for namespace in found:
        if len(namespace) > LONGEST_LABEL or (wanted and namespace not in wanted):
            continue
        known = pods.setdefault(namespace, {})
        if not known or len(known) > most_pods:
            selector = f"{USAGE}{{{both(usage, one_of('namespace', [namespace]))}}}"
            for pod in client.label_values("pod", selector, start_s, end_s):
                if len(pod) <= LONGEST_LABEL and pod not in known:
                    known[pod] = _workload(owners, namespace, pod)
    return plan({namespace: known for namespace, known in pods.items() if known}, most_pods)


def _workload(owners: Owners, namespace: str, pod: str) -> tuple[str, str]:
    """Return what keeps the pod's replicas together; a reused name goes with its last owner."""
    spans = owners.of(namespace, pod)
    return (spans[-1].kind, spans[-1].name) if spans else ("Pod", pod)
