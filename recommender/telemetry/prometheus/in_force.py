"""The requests that are in force, as kube-state-metrics knows them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.ownership import Owners
from recommender.telemetry.prometheus.promql import both, one_of

_METRIC: Final = "kube_pod_container_resource_requests"
_RESOURCES: Final = ("cpu", "memory")
_OWNERS_BACK_S: Final = 3600


def requests_in_force(
    client: PrometheusClient, at_s: int, *, namespaces: Collection[str] = (), matchers: str = ""
) -> dict[WorkloadKey, tuple[float, float]]:
    """Return each container's requests for cpu (cores) and memory (bytes), NaN where it has none.

    Replicas that differ, as in the middle of a rollout, count with the larger one. Where no
    kube-state-metrics is scraped, the result is empty.

    Args:
        client: asks.
        at_s: the moment.
        namespaces: only these; empty stands for all.
        matchers: label matchers of every question.

    Raises:
        SourceUnreachable: no answer, after retries.
        SourceRefused: credentials or the query are not accepted.
        MalformedHistory: the answer is no matrix.
    """
    owners = Owners()
    owners.learn(client, at_s - _OWNERS_BACK_S, at_s, matchers)
    chosen = both(matchers, one_of("namespace", sorted(namespaces)) if namespaces else "")
    found: dict[WorkloadKey, tuple[float, float]] = {}
    for place, resource in enumerate(_RESOURCES):
        selector = both(f'resource="{resource}"', chosen)
        query = f"max by (namespace, pod, container) ({_METRIC}{{{selector}}})"
        answer = client.matrix(query, at_s, at_s, 300)
        for row, labels in enumerate(answer.labels):
            if answer.starts[row] == answer.starts[row + 1]:
                continue
            value = float(answer.value[answer.starts[row]])
            key = _key(owners, labels)
            if key is None or not math.isfinite(value):
                continue
            known = list(found.get(key, (math.nan, math.nan)))
            known[place] = value if math.isnan(known[place]) else max(known[place], value)
            found[key] = (known[0], known[1])
    return found


def _key(owners: Owners, labels: dict[str, str]) -> WorkloadKey | None:
    namespace, pod = labels.get("namespace"), labels.get("pod")
    container = labels.get("container")
    if not namespace or not pod or not container:
        return None
    spans = owners.of(namespace, pod)
    kind, name = (spans[-1].kind, spans[-1].name) if spans else ("Pod", pod)
    return WorkloadKey(namespace, kind, name, container)
