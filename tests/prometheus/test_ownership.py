"""Whose history it is: from kube-state-metrics, for pods that are there and pods that are gone."""

import numpy as np
import pytest

from recommender.kpis import KPIS
from recommender.settings import PrometheusSettings
from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.prometheus import SUMMED_KPIS, PrometheusSource

pytestmark = pytest.mark.prometheus

CPU, MEMORY, RX = (KPIS.index(kpi) for kpi in ("cpu", "memory", "net_rx"))
T0 = 1_700_000_400 // 3600 * 3600
HOUR = 3600


def span(begin, end):
    return np.arange(T0 + begin, T0 + end + 1, 30)


def load(server, start=T0, end=T0 + 2 * HOUR, **options):
    settings = PrometheusSettings(url=server.url, requests_per_s=500)
    with PrometheusSource(settings, **options) as source:
        blocks = list(source.blocks(start, end))
        return {key: (block, row) for block in blocks for row, key in enumerate(block.keys)}, source


def steady(times, value):
    return np.full(len(times), float(value))


def test_pods_that_are_gone_and_pods_that_came_are_one_workload(launch, cluster):
    early, late = span(0, HOUR), span(HOUR + 30, 2 * HOUR)
    for rs, pod, times, cpu in (("web-1", "web-1-a", early, 0.5), ("web-2", "web-2-b", late, 0.25)):
        cluster.container(("ns", pod, "app"), times, steady(times, cpu), steady(times, 1e8))
        cluster.deployment_pod("ns", "web", rs, pod, times)
    series, _ = load(launch(cluster.lines))
    assert set(series) == {WorkloadKey("ns", "Deployment", "web", "app")}
    ((block, row),) = series.values()
    cpu = block.peak[row, CPU]
    assert cpu[:11] == pytest.approx(0.5, rel=1e-5)
    assert cpu[13:] == pytest.approx(0.25, rel=1e-5)


def test_replicas_combine_by_maximum_and_show_how_they_add_up(launch, cluster):
    times = span(0, HOUR)
    for replica, cpu in enumerate((0.1, 0.4, 0.2)):
        cluster.container(("ns", f"web-{replica}", "app"), times, steady(times, cpu))
        cluster.deployment_pod("ns", "web", "web", f"web-{replica}", times)
    series, _ = load(launch(cluster.lines), end=T0 + HOUR)
    ((block, row),) = series.values()
    assert block.peak[row, CPU] == pytest.approx(0.4, rel=1e-5)
    assert block.mean[row, CPU] == pytest.approx(0.4, rel=1e-5)
    at = SUMMED_KPIS.index("cpu")
    assert block.replica_sum[row, at] == pytest.approx(0.7, rel=1e-5)
    assert block.replica_squares[row, at] == pytest.approx(0.01 + 0.16 + 0.04, rel=1e-5)
    assert (block.replica_count[row, at] == 3).all()


def test_the_topmost_controller_owns(launch, cluster):
    times = span(0, HOUR)
    cases = {
        "deploy-pod": ("Deployment", "web"),
        "stateful-0": ("StatefulSet", "stateful"),
        "daemon-x": ("DaemonSet", "daemon"),
        "cron-1-x": ("CronJob", "cron"),
        "job-x": ("Job", "job"),
        "lone-rs-x": ("ReplicaSet", "lone-rs"),
        "bare": ("Pod", "bare"),
        "old-style-bare": ("Pod", "old-style-bare"),
        "kube-proxy-node1": ("Pod", "kube-proxy-node1"),
        "looks-like-web-5d4f8c7b9-abcde": ("Pod", "looks-like-web-5d4f8c7b9-abcde"),
    }
    pod_owners = {
        "deploy-pod": ("ReplicaSet", "rs"),
        "stateful-0": ("StatefulSet", "stateful"),
        "daemon-x": ("DaemonSet", "daemon"),
        "cron-1-x": ("Job", "cron-1"),
        "job-x": ("Job", "job"),
        "lone-rs-x": ("ReplicaSet", "lone-rs"),
        "bare": ("", ""),
        "old-style-bare": ("<none>", "<none>"),
        "kube-proxy-node1": ("Node", "node1"),
        "looks-like-web-5d4f8c7b9-abcde": ("", ""),
    }
    for pod, owner in pod_owners.items():
        cluster.container(("ns", pod, "c"), times, memory=steady(times, 1e6))
        cluster.owner(("Pod", "ns", pod), owner, times)
    cluster.owner(("ReplicaSet", "ns", "rs"), ("Deployment", "web"), times)
    cluster.owner(("ReplicaSet", "ns", "lone-rs"), ("<none>", "<none>"), times)
    cluster.owner(("Job", "ns", "cron-1"), ("CronJob", "cron"), times)
    cluster.owner(("Job", "ns", "job"), ("", ""), times)
    series, _ = load(launch(cluster.lines), end=T0 + HOUR)
    assert set(series) == {WorkloadKey("ns", *owner, "c") for owner in cases.values()}


def test_a_name_that_changed_hands_gives_each_owner_its_own_time(launch, cluster):
    early, late = span(0, HOUR), span(HOUR + 600, 2 * HOUR)
    cluster.container(("ns", "db-0", "db"), early, memory=steady(early, 1e6))
    cluster.container(("ns", "db-0", "db"), late, memory=steady(late, 5e6), id="/other")
    cluster.owner(("Pod", "ns", "db-0"), ("StatefulSet", "db"), early)
    cluster.owner(("Pod", "ns", "db-0"), ("Database", "db-two"), late)
    series, _ = load(launch(cluster.lines))
    old, old_row = series[WorkloadKey("ns", "StatefulSet", "db", "db")]
    new, new_row = series[WorkloadKey("ns", "Database", "db-two", "db")]
    assert np.nanmax(old.peak[old_row, MEMORY]) == np.float32(1e6)
    assert np.nanmin(new.peak[new_row, MEMORY]) == np.float32(5e6)
    assert np.isfinite(old.peak[old_row, MEMORY, :12]).all()
    assert np.isnan(old.peak[old_row, MEMORY, 16:]).all()
    assert np.isfinite(new.peak[new_row, MEMORY, 15:]).all()


def test_labels_of_kube_state_metrics_scraped_without_honor_labels(launch, cluster):
    times = span(0, HOUR)
    cluster.container(("ns", "web-0", "app"), times, memory=steady(times, 1e6))
    cluster.owner(
        ("Pod", "monitoring", "kube-state-metrics-0"),
        ("StatefulSet", "web"),
        times,
        exported_namespace="ns",
        exported_pod="web-0",
    )
    series, _ = load(launch(cluster.lines), end=T0 + HOUR)
    assert set(series) == {WorkloadKey("ns", "StatefulSet", "web", "app")}


def test_only_the_controller_among_several_owners_counts(launch, cluster):
    times = span(0, HOUR)
    cluster.container(("ns", "p", "app"), times, memory=steady(times, 1e6))
    cluster.owner(("Pod", "ns", "p"), ("StatefulSet", "web"), times)
    cluster.owner(("Pod", "ns", "p"), ("Backup", "b"), times, owner_is_controller="false")
    series, _ = load(launch(cluster.lines), end=T0 + HOUR)
    assert set(series) == {WorkloadKey("ns", "StatefulSet", "web", "app")}


def test_pods_without_known_owner_are_left_out_and_counted(launch, cluster):
    times = span(0, HOUR)
    for pod in ("known", "unknown"):
        cluster.container(("ns", pod, "app"), times, memory=steady(times, 1e6))
    cluster.owner(("Pod", "ns", "known"), ("StatefulSet", "web"), times)
    series, source = load(launch(cluster.lines), end=T0 + HOUR)
    assert set(series) == {WorkloadKey("ns", "StatefulSet", "web", "app")}
    assert source.report.orphans == 1


def test_without_kube_state_metrics_each_pod_is_its_own_workload_and_we_say_so(launch, cluster):
    times = span(0, HOUR)
    cluster.container(("ns", "web-0", "app"), times, memory=steady(times, 1e6))
    series, source = load(launch(cluster.lines), end=T0 + HOUR)
    assert set(series) == {WorkloadKey("ns", "Pod", "web-0", "app")}
    assert source.report.owners_missing
    assert "kube-state-metrics" in source.report.sentences()[0]


def test_the_network_of_a_pod_is_that_of_each_living_container_and_never_of_its_node(
    launch, cluster
):
    times, half = span(0, 2 * HOUR), span(0, HOUR)
    cluster.container(("ns", "web-0", "app"), times, memory=steady(times, 1e6))
    cluster.container(("ns", "web-0", "gone"), half, memory=steady(half, 1e6))
    cluster.container(("ns", "agent", "app"), times, memory=steady(times, 1e6))
    for pod in ("web-0", "agent"):
        cluster.owner(("Pod", "ns", pod), ("", ""), times)
        for interface, rate in (("eth0", 100.0), ("net1", 20.0)):
            cluster.counter(
                "container_network_receive_bytes_total",
                {"namespace": "ns", "pod": pod, "interface": interface},
                times,
                steady(times, rate),
            )
    info = {"namespace": "ns", "pod": "agent", "host_network": "true"}
    cluster.samples("kube_pod_info", info, times, steady(times, 1))
    series, _ = load(launch(cluster.lines))
    block, row = series[WorkloadKey("ns", "Pod", "web-0", "app")]
    assert block.peak[row, RX] == pytest.approx(120.0, rel=1e-5)
    block, row = series[WorkloadKey("ns", "Pod", "web-0", "gone")]
    assert block.peak[row, RX, :12] == pytest.approx(120.0, rel=1e-5)
    assert np.isnan(block.peak[row, RX, 14:]).all()
    block, row = series[WorkloadKey("ns", "Pod", "agent", "app")]
    assert np.isnan(block.peak[row, RX]).all()


def test_one_cluster_of_several_in_one_server(launch, cluster):
    times = span(0, HOUR)
    for name, kind, memory in (("a", "StatefulSet", 1e6), ("b", "DaemonSet", 9e6)):
        cluster.container(("ns", "p", "app"), times, memory=steady(times, memory), cluster=name)
        cluster.owner(("Pod", "ns", "p"), (kind, "web"), times, cluster=name)
    server = launch(cluster.lines)
    for samples in (500_000, 10):
        series, _ = load(server, end=T0 + HOUR, labels={"cluster": "a"}, samples_per_query=samples)
        ((key, (block, row)),) = series.items()
        assert key == WorkloadKey("ns", "StatefulSet", "web", "app")
        assert np.nanmax(block.peak[row, MEMORY]) == np.float32(1e6)
