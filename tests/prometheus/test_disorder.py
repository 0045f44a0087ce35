"""What real servers hold: duplicates, gaps, resets, absurd labels, clocks that disagree."""

import numpy as np
import pytest

from recommender.errors import SettingsError
from recommender.kpis import KPIS
from recommender.settings import PrometheusSettings
from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.prometheus import PrometheusSource
from recommender.telemetry.window import RollingWindows

pytestmark = pytest.mark.prometheus

CPU, MEMORY, THROTTLED, DISK, FAULTS = (
    KPIS.index(kpi) for kpi in ("cpu", "memory", "cpu_throttled", "disk_read", "page_faults")
)
T0 = 1_700_000_400 // 3600 * 3600
HOUR = 3600
TIMES = np.arange(T0, T0 + HOUR + 1, 30)


def steady(value, times=TIMES):
    return np.full(len(times), float(value))


def load(server, start=T0, end=T0 + HOUR, **options):
    settings = PrometheusSettings(url=server.url, requests_per_s=500)
    with PrometheusSource(settings, **options) as source:
        blocks = list(source.blocks(start, end))
        return {key: (block, row) for block in blocks for row, key in enumerate(block.keys)}, source


def stateful(cluster, pod, times=TIMES, namespace="ns"):
    cluster.owner(("Pod", namespace, pod), ("StatefulSet", pod), times)


def key(name, container="app", namespace="ns"):
    return WorkloadKey(namespace, "StatefulSet", name, container)


@pytest.fixture(scope="module")
def disorder(launch, new_cluster):
    cluster = new_cluster()
    # Two Prometheus replicas, a second cgroup path, the pod's own cgroup and the pause container.
    stateful(cluster, "twice")
    for replica in ("a", "b"):
        cluster.container(
            ("ns", "twice", "app"), TIMES, steady(0.3), steady(1e8), prometheus_replica=replica
        )
        for direction in ("receive", "transmit"):
            cluster.counter(
                f"container_network_{direction}_bytes_total",
                {"namespace": "ns", "pod": "twice", "interface": "eth0", "replica": replica},
                TIMES,
                steady(50),
            )
    cluster.container(("ns", "twice", "app"), TIMES, steady(0.3), steady(1e8), id="/system.slice/x")
    cluster.container(("ns", "twice", ""), TIMES, steady(9), steady(9e9), image="")
    cluster.container(("ns", "twice", "POD"), TIMES, steady(9), steady(9e9))
    # A container restarts every ten minutes: its counter starts again from zero.
    stateful(cluster, "resets")
    labels = {"namespace": "ns", "pod": "resets", "container": "app"}
    saw = (TIMES - T0) % 600 * 0.5
    cluster.samples("container_cpu_usage_seconds_total", labels, TIMES, saw)
    cluster.container(("ns", "resets", "app"), TIMES, memory=steady(1e8))
    # A quarter of an hour without a scrape.
    stateful(cluster, "gap")
    gap = TIMES[(TIMES <= T0 + 900) | (TIMES > T0 + 1800)]
    cluster.container(("ns", "gap", "app"), gap, steady(0.2, gap), steady(1e8, gap))
    # Values that cannot be.
    stateful(cluster, "absurd")
    values = steady(1e8)
    values[5::10], values[6::10], values[7::10] = np.nan, np.inf, -5.0
    cluster.samples(
        "container_memory_working_set_bytes",
        {"namespace": "ns", "pod": "absurd", "container": "app"},
        TIMES,
        values,
    )
    # Throttling, disks, faults.
    stateful(cluster, "busy")
    names = {"namespace": "ns", "pod": "busy", "container": "app"}
    cluster.container(("ns", "busy", "app"), TIMES, memory=steady(1e8))
    cluster.counter("container_cpu_cfs_periods_total", names, TIMES, steady(10))
    cluster.counter("container_cpu_cfs_throttled_periods_total", names, TIMES, steady(2.5))
    for device in ("sda", "sdb"):
        more = names | {"device": device}
        cluster.counter("container_fs_reads_bytes_total", more, TIMES, steady(1000))
    for scope, rate in (("container", 3), ("hierarchy", 7)):
        more = names | {"failure_type": "pgmajfault", "scope": scope}
        cluster.counter("container_memory_failures_total", more, TIMES, steady(rate))
    # Names that are no Kubernetes names, and labels that are missing.
    for pod in ('quo"te\\back', "ünï-çødé-🐳", "dots.and|pipes(.*)", "line\nbreak", "x" * 253):
        cluster.container(("ns", pod, "app"), TIMES, memory=steady(1e8))
        stateful(cluster, pod)
    cluster.container(("ns", "y" * 5000, "app"), TIMES, memory=steady(1e8))
    cluster.samples("container_memory_working_set_bytes", {"container": "app"}, TIMES, steady(1e8))
    cluster.container(('evil"} or vector(1) #', "p", "app"), TIMES, memory=steady(1e8))
    stateful(cluster, "p", namespace='evil"} or vector(1) #')
    return launch(cluster.lines)


def test_what_is_seen_twice_counts_once(disorder):
    series, _ = load(disorder)
    assert not [one for one in series if one.container != "app"]
    block, row = series[key("twice")]
    assert block.peak[row, CPU] == pytest.approx(0.3, rel=1e-5)
    assert block.peak[row, MEMORY] == pytest.approx(1e8)
    assert block.peak[row, KPIS.index("net_rx")] == pytest.approx(50, rel=1e-5)
    assert (block.replica_count[row] == 1).all()


def test_counter_resets_give_no_spike(disorder):
    block, row = load(disorder)[0][key("resets")]
    assert np.nanmax(block.peak[row, CPU]) == pytest.approx(0.5, rel=1e-5)
    assert np.nanmin(block.mean[row, CPU]) > 0.4


def test_gaps_stay_gaps(disorder):
    block, row = load(disorder)[0][key("gap")]
    assert np.isfinite(block.peak[row, MEMORY]).tolist() == [True] * 3 + [False] * 3 + [True] * 6
    assert np.isfinite(block.peak[row, CPU]).tolist() == [True] * 3 + [False] * 3 + [True] * 6
    assert np.nanmax(block.peak[row, CPU]) == pytest.approx(0.2, rel=1e-5)


def test_values_that_cannot_be_are_missing_and_do_not_spread(disorder):
    block, row = load(disorder)[0][key("absurd")]
    peak = block.peak[row, MEMORY]
    assert set(peak[np.isfinite(peak)].tolist()) <= {float(np.float32(1e8))}
    assert not np.isinf(block.mean).any()
    assert not (block.mean < 0).any()


def test_ratios_and_sums_over_devices(disorder):
    block, row = load(disorder)[0][key("busy")]
    assert block.peak[row, THROTTLED] == pytest.approx(0.25, rel=1e-5)
    assert block.mean[row, THROTTLED] == pytest.approx(0.25, rel=1e-5)
    assert block.peak[row, DISK] == pytest.approx(2000, rel=1e-5)
    assert block.peak[row, FAULTS] == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize("samples", [2_000_000, 100])
def test_absurd_names_are_asked_for_as_they_are(disorder, samples):
    series, source = load(disorder, samples_per_query=samples)
    for pod in ('quo"te\\back', "ünï-çødé-🐳", "dots.and|pipes(.*)", "line\nbreak", "x" * 253):
        block, row = series[key(pod)]
        assert (block.peak[row, MEMORY] == np.float32(1e8)).all()
    assert key("p", namespace='evil"} or vector(1) #') in series
    assert not any("y" * 254 in one.name for one in series)
    assert source.report.degraded


def test_namespaces_are_a_filter_and_no_way_into_the_query(disorder):
    evil = 'evil"} or vector(1) #'
    series, _ = load(disorder, namespaces=[evil])
    assert {one.namespace for one in series} == {evil}
    series, _ = load(disorder, namespaces=['x"} or {namespace=~".*'])
    assert not series
    series, _ = load(disorder, namespaces=["n."])
    assert not series


def test_the_servers_clock_is_reckoned_with(disorder):
    settings = PrometheusSettings(url=disorder.url, requests_per_s=500)
    with PrometheusSource(settings) as source:
        skew = source.client.clock_skew_s()
        assert abs(skew) < 5
    now = T0 + HOUR + 60.0
    with PrometheusSource(settings, clock=lambda: now - 7200) as source:
        source.client.clock_skew_s = lambda: 7200.0
        (block, *_) = source.delta()
        assert block.first_end_s + 300 * (block.peak.shape[2] - 1) == T0 + HOUR
        assert "7200 s ahead of ours" in " ".join(source.report.sentences())


def test_own_queries(disorder):
    own = {
        "cpu": "sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total"
        "{$containers}[$window]))",
        "memory_rss": "container_memory_working_set_bytes{$containers} / 2",
        "page_faults": "",
    }
    series, source = load(disorder, queries=own)
    block, row = series[key("twice")]
    assert block.peak[row, CPU] == pytest.approx(0.9, rel=1e-5)
    assert block.mean[row, CPU] == pytest.approx(0.9, rel=1e-5)
    assert source.report.kpis["page_faults"].state == "off"
    assert np.isnan(block.peak[:, FAULTS]).all()


def test_a_query_that_the_server_refuses_costs_only_its_kpi(disorder):
    series, source = load(disorder, queries={"cpu": "nonsense({$containers}[$window])"})
    assert key("twice") in series
    health = source.report.kpis["cpu"]
    assert health.state == "failed"
    assert "nonsense" in health.detail


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ({"gpu": "x{$containers}"}, "no KPI 'gpu'"),
        ({"cpu": "x{}"}, "neither"),
        ({"cpu": "x{$containers}[$windows]"}, "placeholder"),
        ({"cpu": "x{$containers} $ "}, "placeholder"),
        ({"cpu": "$fold(rate(x{$containers}[$window]))"}, "without the other"),
        ({"cpu": "$over(x{$containers})"}, "without \\$window"),
    ],
)
def test_queries_that_cannot_work_are_refused_at_once(queries, words):
    with pytest.raises(SettingsError, match=words):
        PrometheusSource(PrometheusSettings(url="http://localhost:9"), queries=queries)


def test_blocks_fill_the_rolling_window(disorder):
    series, _ = load(disorder)
    windows = RollingWindows()
    for block in {id(block): block for block, _ in series.values()}.values():
        windows.ingest(block)
    assert set(windows.keys) == set(series)
    assert windows.now_s == T0 + HOUR
