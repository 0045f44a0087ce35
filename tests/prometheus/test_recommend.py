"""``peakcast recommend`` against a real Prometheus: requests in force, the table, the exit code."""

import json

import numpy as np
import pytest
import torch

from peakcast.cli import run
from recommender.settings import PrometheusSettings
from recommender.telemetry.history import WorkloadKey
from recommender.telemetry.prometheus import PrometheusClient
from recommender.telemetry.prometheus.in_force import requests_in_force
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated

pytestmark = pytest.mark.prometheus

T0 = 1_700_000_400 // 3600 * 3600
END = T0 + 6 * 3600
METRIC = "kube_pod_container_resource_requests"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(6)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=6
    )
    return pack_network(
        tmp_path_factory.mktemp("store"), Network(NetworkShape(hidden=16, head=24)), provenance
    )


@pytest.fixture(scope="module")
def server(launch, new_cluster):
    """A Deployment of two pods in the middle of a rollout, and a bare pod without requests."""
    cluster = new_cluster()
    times = np.arange(T0, END + 1, 60)
    draw = np.random.default_rng(3)
    for rs, pod, cpu, memory in (
        ("web-1", "web-1-a", 0.25, 256 * 2**20),
        ("web-2", "web-2-b", 0.5, 256 * 2**20),
    ):
        cluster.deployment_pod("shop", "web", rs, pod, times)
        usage = 0.1 * draw.lognormal(0, 0.2, len(times))
        cluster.container(("shop", pod, "app"), times, usage, np.full(len(times), 1e8))
        labels = {"namespace": "shop", "pod": pod, "container": "app", "node": "n"}
        for resource, unit, value in (("cpu", "core", cpu), ("memory", "byte", memory)):
            more = {"resource": resource, "unit": unit}
            cluster.samples(METRIC, labels | more, times, np.full(len(times), float(value)))
    cluster.owner(("Pod", "tools", "bare"), ("", ""), times)
    flat = np.full(len(times), 0.05)
    cluster.container(("tools", "bare", "sh"), times, flat, np.full(len(times), 5e7))
    return launch(cluster.lines)


def test_requests_of_a_rollout_count_with_the_larger_one(server):
    client = PrometheusClient(PrometheusSettings(url=server.url, requests_per_s=500))
    try:
        found = requests_in_force(client, END)
        assert found == {WorkloadKey("shop", "Deployment", "web", "app"): (0.5, 256 * 2**20)}
        assert requests_in_force(client, END, namespaces=["tools"]) == {}
    finally:
        client.close()


def recommend(server, bundle, *options):
    arguments = ["recommend", "--prometheus", server.url, "--bundle", str(bundle)]
    return run([*arguments, "--at", "2023-11-15T04:00", *options])


def test_moment_of_the_tests_lies_within_the_history():
    assert END >= 1_700_020_800 > T0  # 2023-11-15 04:00 UTC


def test_one_look(server, bundle, capsys):
    assert recommend(server, bundle, "-o", "json") == 0
    shown, told = capsys.readouterr()
    lines = {
        (
            line["namespace"],
            line["kind"],
            line["workload"],
            line["container"],
            line["resource"],
        ): line
        for line in json.loads(shown)["recommendations"]
    }
    web = lines["shop", "Deployment", "web", "app", "cpu"]
    assert web["request"] == 0.5
    assert not web["request_assumed"]
    assert web["lower"] <= web["target"] <= web["upper"]
    bare = lines["tools", "Pod", "bare", "sh", "memory"]
    assert bare["request"] is None
    assert bare["severity"] == "no request"
    assert "Without data" in told


def test_namespaces_and_the_table(server, bundle, capsys):
    assert recommend(server, bundle, "-n", "shop") == 0
    shown = capsys.readouterr().out
    assert "web" in shown
    assert "500m" in shown
    assert "bare" not in shown


def test_exit_code_for_pipelines(server, bundle, capsys):
    code = recommend(server, bundle, "-n", "shop", "-o", "json", "--fail-on", "too-large")
    lines = json.loads(capsys.readouterr().out)["recommendations"]
    bad = [line for line in lines if line["severity"] not in ("fits", "forecast only")]
    assert code == (1 if bad else 0)
    assert recommend(server, bundle, "-n", "tools", "--fail-on", "at-risk") == 0


def test_namespace_that_is_not_there(server, bundle, capsys):
    assert recommend(server, bundle, "-n", "nowhere") == 2
    assert "--namespace" in capsys.readouterr().err
