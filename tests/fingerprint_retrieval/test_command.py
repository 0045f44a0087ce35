import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from peakcast.cli import run
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated
from trainer.traces import HELD_OUT_SHARE, TEST_SHARE, split_number

START = 1_700_006_400


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(8)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=8
    )
    network = Network(NetworkShape(hidden=16, head=24, relations=True))
    return pack_network(tmp_path_factory.mktemp("store"), network, provenance)


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Six days of workloads that were kept out of the fit, with cpu and memory."""
    rng = np.random.default_rng(2)
    bins = 6 * 288
    names = [f"w{number}" for number in range(60)]
    kept = [name for name in names if TEST_SHARE <= split_number("made", name) < HELD_OUT_SHARE]
    assert kept
    usage = np.exp(rng.normal(size=(2, len(kept), bins)) * 0.3)
    table = {
        "source": ["made"] * (len(kept) * bins),
        "entity": np.repeat(kept, bins).tolist(),
        "timestamp": np.tile(START + 300 * (np.arange(bins) + 1), len(kept)),
        "cpu": usage[0].ravel(),
        "memory": 2e9 * usage[1].ravel(),
    }
    folder = tmp_path_factory.mktemp("traces")
    pq.write_table(pa.table(table), folder / "made.parquet")
    return folder


def test_a_run_writes_a_table_json_and_a_page(bundle, traces, tmp_path, capsys):
    out, page = tmp_path / "found.json", tmp_path / "fingerprint.md"
    options = ["--bundle", str(bundle), "--traces", str(traces), "--each", "10"]
    code = run(["fingerprint", *options, "--out", str(out), "--results-md", str(page)])
    shown = capsys.readouterr()
    found = json.loads(out.read_text())
    told = [pair["nearest"] > pair["beyond_chance"] for pair in found["scores"][0]["pairs"]]
    assert code == (0 if all(told) else 1), shown.err
    assert "Dependencies told apart" in shown.out
    assert found["scores"][0]["name"] == "fingerprint"
    hidden = {(one["hidden"], one["resource"]) for one in found["worth"]}
    assert {("memory", "cpu"), ("cpu", "memory"), ("the whole fingerprint", "cpu")} <= hidden
    assert "## Leaving channels out" in page.read_text()


def test_an_unknown_output_is_refused(bundle, capsys):
    assert run(["fingerprint", "--bundle", str(bundle), "-o", "xml"]) == 2
    assert "table, json" in capsys.readouterr().err
