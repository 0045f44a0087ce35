"""Replays through the command line, over small made-up files.

The network is a tiny one with random weights: what must hold, must hold whatever a network says.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from peakcast.cli import run
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated

START = 1_700_006_400  # 2023-11-15 00:00 UTC, a Wednesday
DAY = 86400


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    torch.manual_seed(5)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=5
    )
    network = Network(NetworkShape(hidden=16, head=24))
    return pack_network(tmp_path_factory.mktemp("store"), network, provenance)


@pytest.fixture
def write(tmp_path):
    """Write a recorded history from columns and return its path."""

    def write(name="history.parquet", **columns):
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def replay(tmp_path, bundle, capsys):
    """Run ``peakcast replay`` and return its file's rows, in order, as a table."""

    def replay(path, *options, every="1h"):
        out = tmp_path / "replay.parquet"
        arguments = ["replay", "--traces", str(path), "--out", str(out), "--every", every]
        code = run([*arguments, "--bundle", str(bundle), *options])
        assert code == 0, capsys.readouterr().err
        return rows_of(pq.read_table(out))

    return replay


@pytest.fixture
def refuse(tmp_path, bundle, capsys):
    """Run ``peakcast replay``, expect a refusal in one line, and return that line."""

    def refuse(path, *options):
        out = tmp_path / "replay.parquet"
        arguments = ["replay", "--traces", str(path), "--out", str(out), "--bundle", str(bundle)]
        assert run([*arguments, *options]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("peakcast: ")]
        assert len(told) == 1
        assert "Traceback" not in "".join(lines)
        assert not out.exists()
        assert not list(tmp_path.glob("*.partial"))
        return told[0]

    return refuse


def rows_of(table):
    """Return a replay file's rows sorted, as a dictionary of numpy columns."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.string()))
    table = table.sort_by(
        [(name, "ascending") for name in ("entity", "decision_time_s", "resource", "horizon_s")]
    )
    columns = {}
    for name in table.column_names:
        if pa.types.is_floating(table[name].type):
            columns[name] = table[name].to_numpy(zero_copy_only=False).astype(float)
        else:
            columns[name] = np.array(table[name].to_pylist())
    return columns


def shop(entities=3, days=2.0, step=300, seed=1):
    """Return columns of made-up workloads with a day's rhythm, noise and bursts."""
    draw = np.random.default_rng(seed)
    times = START + step * np.arange(1, int(days * DAY / step) + 1)
    phase = 2 * np.pi * (times % DAY) / DAY
    found = {"entity": [], "timestamp": [], "cpu": [], "memory": [], "net_rx": [], "net_tx": []}
    for number in range(entities):
        wave = 0.5 + 0.4 * np.sin(phase + number)
        bursts = np.where(draw.random(len(times)) < 0.01, 3.0, 0.0)
        found["entity"].append(np.full(len(times), f"shop-{number}"))
        found["timestamp"].append(times)
        found["cpu"].append(wave * draw.lognormal(0, 0.3, len(times)) + bursts)
        found["memory"].append(2e8 * (1 + number + 0.1 * draw.random(len(times))))
        found["net_rx"].append(1e5 * wave * draw.lognormal(0, 0.5, len(times)))
        found["net_tx"].append(3e5 * wave * draw.lognormal(0, 0.5, len(times)))
    return {name: np.concatenate(parts) for name, parts in found.items()}
