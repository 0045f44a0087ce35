"""A real Prometheus gives back what was measured."""

import csv
from pathlib import Path

import numpy as np
import pytest

from recommender.kpis import KPIS
from recommender.settings import PrometheusSettings
from recommender.telemetry import codes
from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.prometheus import PrometheusSource
from recommender.telemetry.window import RollingWindows

pytestmark = pytest.mark.prometheus

DATA = Path(__file__).parent / "data"
CPU, MEMORY, RX, TX = (KPIS.index(kpi) for kpi in ("cpu", "memory", "net_rx", "net_tx"))
SCRAPE_S = 30


def read(name):
    with (DATA / name).open() as file:
        rows = list(csv.DictReader(file))
    entities = dict.fromkeys(row["entity"] for row in rows)
    return {
        entity: {
            column: np.array([float(row[column]) for row in rows if row["entity"] == entity])
            for column in rows[0]
            if column != "entity"
        }
        for entity in entities
    }


def five_minutes(recorded):
    """A minute at the maximum inside each five, so that mean and maximum are as recorded."""
    rest = np.maximum((recorded["cpu"] * 5 - recorded["cpu_max"]) / 4, 0.0)
    rates = np.repeat(rest, 10)
    rates[3::10] = rates[4::10] = recorded["cpu_max"]
    ends = recorded["timestamp"].astype(np.int64)
    times = ends[0] - 300 + SCRAPE_S * np.arange(len(rates) + 1)
    return times, np.concatenate(([0.0], rates)), (rest * 4 + recorded["cpu_max"]) / 5


@pytest.fixture(scope="module")
def azure(launch, new_cluster):
    cluster = new_cluster()
    truth = {}
    for number, (_, recorded) in enumerate(read("azure_v1_sample.csv").items()):
        times, rates, mean = five_minutes(recorded)
        names = ("shop", f"vm-{number}-abcde-xyz", "app")
        cluster.container(names, times, rates, np.full(len(times), 1e9))
        cluster.deployment_pod("shop", f"vm-{number}", f"vm-{number}-abcde", names[1], times[::10])
        peak = np.maximum(recorded["cpu_max"], mean)
        key = WorkloadKey("shop", "Deployment", f"vm-{number}", "app")
        truth[key] = (recorded["timestamp"].astype(np.int64), peak, mean)
    return launch(cluster.lines), truth


def load(server, start, end, **options):
    with PrometheusSource(
        PrometheusSettings(url=server.url, requests_per_s=500), **options
    ) as source:
        return list(source.blocks(start, end)), source.report


def test_five_minute_blocks_hold_recorded_maximum_and_mean(azure):
    server, truth = azure
    ends = next(iter(truth.values()))[0]
    blocks, report = load(server, int(ends[-1]) - 86400, int(ends[-1]))
    assert [block.step_s for block in blocks] == [300]
    block = blocks[0]
    assert block.peak.dtype == block.mean.dtype == np.float32
    assert block.peak.shape == (3, len(KPIS), 288)
    assert set(block.keys) == set(truth)
    assert block.first_end_s == ends[-288]
    for row, key in enumerate(block.keys):
        _, peak, mean = truth[key]
        np.testing.assert_allclose(block.peak[row, CPU], peak[-288:], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(block.mean[row, CPU], mean[-288:], rtol=1e-4, atol=1e-6)
        assert (block.peak[row, MEMORY] == 1e9).all()
    assert report.scrape_interval_s == SCRAPE_S
    assert report.window_s == 60
    assert report.kpis["cpu"].state == report.kpis["memory"].state == "ok"
    assert "page_faults" in report.degraded
    assert "page_faults" in " ".join(report.sentences())


def test_hourly_blocks_hold_maximum_mean_and_spread_of_the_five_minute_means(azure):
    server, truth = azure
    ends = next(iter(truth.values()))[0]
    start, end = int(ends[0]) - 300, int(ends[-1])
    blocks, _ = load(server, start, end)
    fine, hourly = blocks
    assert (fine.step_s, hourly.step_s) == (300, 3600)
    assert hourly.first_end_s % 3600 == 0
    assert hourly.first_end_s - 3600 >= start
    bins = hourly.peak.shape[2]
    assert hourly.first_end_s + 3600 * (bins - 1) == -(-(end - 86400) // 3600) * 3600
    for row, key in enumerate(hourly.keys):
        times, peak, mean = truth[key]
        for column in range(bins):
            hour_end = hourly.first_end_s + 3600 * column
            inside = (times > hour_end - 3600) & (times <= hour_end)
            assert inside.sum() == 12
            assert hourly.peak[row, CPU, column] == pytest.approx(peak[inside].max(), rel=1e-4)
            assert hourly.mean[row, CPU, column] == pytest.approx(mean[inside].mean(), rel=1e-3)
            assert hourly.std[row, CPU, column] == pytest.approx(mean[inside].std(), abs=1e-5)


def test_a_first_load_fills_the_rolling_window_with_both_resolutions(azure):
    server, truth = azure
    ends = next(iter(truth.values()))[0]
    windows = RollingWindows()
    with PrometheusSource(
        PrometheusSettings(url=server.url, requests_per_s=500), samples_per_query=9000
    ) as source:
        for block in source.blocks(int(ends[0]) - 300, int(ends[-1])):
            windows.ingest(block)
    view = windows.snapshot()
    assert view.now_s == ends[-1]
    recent, hourly = codes.decode(view.recent), codes.decode(view.hourly)
    for row, key in enumerate(windows.keys):
        times, peak, mean = truth[key]
        np.testing.assert_allclose(recent[row, CPU, 0], peak[-288:], rtol=2e-3)
        np.testing.assert_allclose(recent[row, CPU, 1], mean[-288:], rtol=2e-3)
        for back in range(46):
            hour_end = int(ends[-1]) // 3600 * 3600 - 3600 * back
            inside = (times > hour_end - 3600) & (times <= hour_end)
            assert inside.sum() == 12
            at = hourly.shape[3] - 1 - back
            assert hourly[row, CPU, 0, at] == pytest.approx(peak[inside].max(), rel=2e-3)
            assert hourly[row, CPU, 1, at] == pytest.approx(mean[inside].mean(), rel=2e-3)


def test_small_queries_give_the_same_as_large_ones(azure):
    server, truth = azure
    ends = next(iter(truth.values()))[0]
    start, end = int(ends[0]) - 300, int(ends[-1])
    whole, _ = load(server, start, end)
    parts, _ = load(server, start, end, samples_per_query=3000)
    assert len(parts) > len(whole)
    for step in (300, 3600):
        one = next(block for block in whole if block.step_s == step)
        many = {
            key: block.peak[row]
            for block in parts
            if block.step_s == step
            for row, key in enumerate(block.keys)
        }
        for row, key in enumerate(one.keys):
            np.testing.assert_array_equal(one.peak[row], many[key])


def test_four_channels_of_recorded_pods(launch, cluster):
    recorded = read("nezha_lab_sample.csv")
    for entity, columns in recorded.items():
        pod = entity.partition("/")[2]
        times = columns["timestamp"].astype(np.int64)
        cluster.container(("lab", pod, "server"), times, columns["cpu"], columns["memory"])
        cluster.owner(("Pod", "lab", pod), ("", ""), times)
        for metric, column in (("receive", "net_rx"), ("transmit", "net_tx")):
            labels = {"namespace": "lab", "pod": pod, "interface": "eth0", "container": "POD"}
            name = f"container_network_{metric}_bytes_total"
            cluster.counter(name, labels, times, columns[column])
    server = launch(cluster.lines)
    end = int(times[-1]) // 300 * 300
    blocks, report = load(server, int(times[0]) // 300 * 300 + 300, end)
    (block,) = blocks
    assert report.scrape_interval_s == 60
    for row, key in enumerate(block.keys):
        assert (key.kind, key.container) == ("Pod", "server")
        columns = recorded[f"nezha/{key.name}"]
        for column in range(block.peak.shape[2]):
            bin_end = block.first_end_s + 300 * column
            inside = (columns["timestamp"] > bin_end - 300) & (columns["timestamp"] <= bin_end)
            for kpi, name in ((CPU, "cpu"), (RX, "net_rx"), (TX, "net_tx")):
                mean = columns[name][inside].mean()
                assert block.mean[row, kpi, column] == pytest.approx(mean, rel=1e-3)
                two = np.convolve(columns[name][inside], [0.5, 0.5], "valid").max()
                assert block.peak[row, kpi, column] == pytest.approx(max(two, mean), rel=1e-3)
            memory = columns["memory"][inside]
            assert block.peak[row, MEMORY, column] == memory.max().astype(np.float32)
            assert block.mean[row, MEMORY, column] == pytest.approx(memory.mean(), rel=1e-6)
