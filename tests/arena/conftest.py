"""A made-up source, its fleet, and a tiny network of random weights."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from trainer.arena.fleet import fleet_of
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated
from trainer.traces import read_source, split_number

START = 1_700_006_400  # 2023-11-15 00:00 UTC
SOURCE = "shop"


def group_names(count, *, test):
    """Names of groups that fall on one side of the split."""
    found, number = [], 0
    while len(found) < count:
        name = f"group-{number}"
        if (split_number(SOURCE, name) < 30) == test:
            found.append(name)
        number += 1
    return found


def columns(days=6.0, seed=3, step=300):
    """Workloads with a day's rhythm: six test groups of two, ten others of two, one idle pair."""
    draw = np.random.default_rng(seed)
    times = START + step * np.arange(1, int(days * 86400 / step) + 1)
    phase = 2 * np.pi * (times % 86400) / 86400
    found = {name: [] for name in ("entity", "group", "timestamp", "cpu", "memory", "net_rx")}
    groups = group_names(6, test=True) + group_names(10, test=False)
    for number, group in enumerate(groups):
        for replica in range(2):
            size = 0.02 if number == 0 else 0.3 + 0.2 * number
            wave = size * (1 + 0.6 * np.sin(phase + number))
            noise = draw.lognormal(0, 0.25, len(times))
            spikes = np.where(draw.random(len(times)) < 0.01, 2 * size, 0)
            found["entity"].append(np.full(len(times), f"{group}-{replica}"))
            found["group"].append(np.full(len(times), group))
            found["timestamp"].append(times)
            found["cpu"].append((wave * noise + spikes).astype(np.float32))
            grown = 2e8 * (1 + number) * (1 + 0.05 * draw.random(len(times)) + spikes)
            found["memory"].append(grown.astype(np.float32))
            found["net_rx"].append((1e5 * wave * noise).astype(np.float32))
    found["source"] = [np.full(len(part), SOURCE) for part in found["timestamp"]]
    return {name: np.concatenate(parts) for name, parts in found.items()}


def write(folder, data):
    path = folder / f"{SOURCE}.parquet"
    pq.write_table(pa.table(data), path)
    return path


@pytest.fixture
def make_source(tmp_path):
    """Make other columns, and write them."""

    class Maker:
        folder = tmp_path

        @staticmethod
        def columns(**options):
            return columns(**options)

        @staticmethod
        def write(data):
            return write(tmp_path, data)

    return Maker


@pytest.fixture(scope="session")
def traces(tmp_path_factory):
    """A folder with the made-up source."""
    folder = tmp_path_factory.mktemp("traces")
    write(folder, columns())
    return folder


@pytest.fixture(scope="session")
def source(traces):
    return read_source(traces / f"{SOURCE}.parquet")


@pytest.fixture(scope="session")
def fleet(source):
    return fleet_of(source)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A tiny network of random weights: the arena has to judge whatever a model says."""
    torch.manual_seed(4)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=4
    )
    network = Network(NetworkShape(hidden=16, head=24))
    return pack_network(tmp_path_factory.mktemp("store"), network, provenance, bundle_id="tiny")
