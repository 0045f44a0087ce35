"""Which workload a pod belongs to, also of pods that are gone: from kube-state-metrics' histories.

Names are never taken apart. A pod's owner comes from ``kube_pod_owner``, and the owner's owner
from ``kube_replicaset_owner``, ``kube_job_owner`` or ``kube_replicationcontroller_owner``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from recommender.errors import SourceRefused
from recommender.kpis import BIN_S
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.faults import OutOfTime, QueryTooLarge
from recommender.telemetry.prometheus.promql import both, one_of

log = logging.getLogger(__name__)

LONGEST_LABEL: Final = 253
"""Kubernetes allows no longer names; what is longer did not come from there."""
_FOREVER: Final = 1 << 62
_TIMELINES_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class _Edge:
    """A metric that says who owns objects of one kind."""

    child_kind: str
    metric: str
    child_label: str


_EDGES: Final = (
    _Edge("Pod", "kube_pod_owner", "pod"),
    _Edge("ReplicaSet", "kube_replicaset_owner", "replicaset"),
    _Edge("Job", "kube_job_owner", "job_name"),
    _Edge("ReplicationController", "kube_replicationcontroller_owner", "replicationcontroller"),
)


class Child(NamedTuple):
    """An object that may have an owner."""

    namespace: str
    kind: str
    name: str


class Span(NamedTuple):
    """A workload that a pod belonged to during ``(after_s, until_s]``."""

    kind: str
    name: str
    after_s: int = -_FOREVER
    until_s: int = _FOREVER


class Owners:
    """The owner chains seen so far."""

    def __init__(self) -> None:
        self._spans: dict[Child, tuple[Span, ...]] = {}
        self._seen_s: dict[Child, int] = {}

    def __len__(self) -> int:
        return sum(child.kind == "Pod" for child in self._spans)

    def pods(self) -> Iterator[tuple[str, str]]:
        """Yield namespace and name of each pod that something is known of."""
        return ((child.namespace, child.name) for child in self._spans if child.kind == "Pod")

    def of(self, namespace: str, pod: str) -> tuple[Span, ...]:
        """Return the workloads of a pod, oldest first; empty where nothing is known of it.

        A bare pod is its own workload, and so is the mirror of a node's static pod.
        """
        found: list[Span] = []
        for span in self._spans.get(Child(namespace, "Pod", pod), ()):
            if span.kind in ("", "Node"):
                found.append(span._replace(kind="Pod", name=pod))
                continue
            uppers = self._spans.get(Child(namespace, span.kind, span.name), ())
            if not uppers:
                found.append(span)
            for upper in uppers:
                after = max(span.after_s, upper.after_s)
                until = min(span.until_s, upper.until_s)
                if after >= until:
                    continue
                top = span if upper.kind == "" else upper
                found.append(Span(top.kind, top.name, after, until))
        return tuple(found)

    def learn(self, client: PrometheusClient, start_s: int, end_s: int, matchers: str = "") -> None:
        """Add the owners that were known to kube-state-metrics in a range of time."""
        for edge in _EDGES:
            owners: dict[Child, dict[tuple[str, str], None]] = {}
            controllers: dict[Child, dict[tuple[str, str], None]] = {}
            for labels in _series(client, f"{edge.metric}{{{matchers}}}", start_s, end_s):
                child, owner = _child(edge, labels), _owner(labels)
                if child is None:
                    continue
                owners.setdefault(child, {})[owner] = None
                if labels.get("owner_is_controller") == "true":
                    controllers.setdefault(child, {})[owner] = None
            owners |= controllers
            several = [child for child, known in owners.items() if len(known) > 1]
            timelines = {}
            if several:
                timelines = _timelines(client, edge, several, (start_s, end_s), matchers)
            for child, known in owners.items():
                spans = timelines.get(child) or (Span(*next(reversed(known))),)
                self._spans[child] = _joined(self._spans.get(child), spans, start_s)
                self._seen_s[child] = end_s

    def forget(self, before_s: int) -> None:
        """Drop what was last seen before a time."""
        for child in [child for child, seen in self._seen_s.items() if seen < before_s]:
            del self._seen_s[child], self._spans[child]


def host_network_pods(
    client: PrometheusClient, start_s: int, end_s: int, matchers: str = ""
) -> frozenset[tuple[str, str]]:
    """Return namespace and name of the pods whose network counters are those of their node."""
    pods = set()
    on_the_node = both('host_network="true"', matchers)
    selector = f"kube_pod_info{{{on_the_node}}}"
    for labels in _series(client, selector, start_s, end_s):
        child = _child(_EDGES[0], labels)
        if child is not None:
            pods.add((child.namespace, child.name))
    return frozenset(pods)


def _series(
    client: PrometheusClient, selector: str, start_s: int, end_s: int
) -> Iterable[Mapping[str, str]]:
    """List series, in halves of the time where the whole is too much for one answer."""
    try:
        return client.series(selector, start_s, end_s)
    except (QueryTooLarge, OutOfTime):
        if end_s - start_s <= BIN_S:
            raise
        middle = (start_s + end_s) // 2
        return [
            *_series(client, selector, start_s, middle),
            *_series(client, selector, middle, end_s),
        ]


def _child(edge: _Edge, labels: Mapping[str, str]) -> Child | None:
    # Scraped without honor_labels, the labels of kube-state-metrics' own pod take the plain names.
    namespace = labels.get("exported_namespace") or labels.get("namespace", "")
    name = labels.get(f"exported_{edge.child_label}") or labels.get(edge.child_label, "")
    if not namespace or not name or max(len(namespace), len(name)) > LONGEST_LABEL:
        return None
    return Child(namespace, edge.child_kind, name)


def _owner(labels: Mapping[str, str]) -> tuple[str, str]:
    kind, name = labels.get("owner_kind", ""), labels.get("owner_name", "")
    if kind in ("", "<none>") or name in ("", "<none>"):
        return "", ""
    return kind[:LONGEST_LABEL], name[:LONGEST_LABEL]


def _timelines(
    client: PrometheusClient,
    edge: _Edge,
    children: list[Child],
    during_s: tuple[int, int],
    matchers: str,
) -> dict[Child, tuple[Span, ...]]:
    """Return when which owner held, for the few names that had several one after the other."""
    start_s, end_s = during_s
    step = BIN_S * max(1, -(-(end_s - start_s) // (BIN_S * 5000)))
    begin, end = -(-start_s // step) * step, end_s // step * step
    seen: dict[Child, dict[tuple[str, str], tuple[int, int]]] = {}
    for offset in range(0, len(children), _TIMELINES_AT_ONCE):
        some = {child.name for child in children[offset : offset + _TIMELINES_AT_ONCE]}
        for label in (edge.child_label, f"exported_{edge.child_label}"):
            query = f"{edge.metric}{{{both(one_of(label, some), matchers)}}}"
            try:
                matrix = client.matrix(query, begin, end, step)
            except SourceRefused as error:
                log.warning("owners of %d reused names stay those last seen: %s", len(some), error)
                continue
            for row, labels in enumerate(matrix.labels):
                times = matrix.timestamp_s[matrix.starts[row] : matrix.starts[row + 1]]
                child = _child(edge, labels)
                if child is not None and len(times) and np.isfinite(times).all():
                    first, last = int(times.min()), int(times.max())
                    known = seen.setdefault(child, {})
                    old = known.get(_owner(labels), (first, last))
                    known[_owner(labels)] = (min(first, old[0]), max(last, old[1]))
    return {child: _in_turn(known) for child, known in seen.items() if child in children}


def _in_turn(known: Mapping[tuple[str, str], tuple[int, int]]) -> tuple[Span, ...]:
    spans: list[Span] = []
    after = -_FOREVER
    ordered = sorted(known.items(), key=lambda item: (item[1], item[0]))
    for (kind, name), (_first, last) in ordered[:-1]:
        if last > after:
            spans.append(Span(kind, name, after, last))
            after = last
    kind, name = ordered[-1][0]
    return (*spans, Span(kind, name, after))


def _joined(old: tuple[Span, ...] | None, new: tuple[Span, ...], start_s: int) -> tuple[Span, ...]:
    """Put what was learnt of times after ``start_s`` behind what was known before."""
    if old is None or [span[:2] for span in old[-1:]] == [span[:2] for span in new]:
        return new if old is None else old
    earlier = [span for span in old if span.after_s < start_s]
    kept = [span._replace(until_s=min(span.until_s, start_s)) for span in earlier]
    later = [span._replace(after_s=max(span.after_s, start_s)) for span in new]
    return tuple(span for span in (*kept, *later) if span.after_s < span.until_s)
