import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from peakcast.cli import run
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated

START = 1_700_006_400
DAY = 86400


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(6)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=6
    )
    network = Network(NetworkShape(hidden=16, head=24, relations=True))
    return pack_network(tmp_path_factory.mktemp("store"), network, provenance)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Twenty waves and twenty hourly jobs over five days; wave-0 turns into a job on the last."""
    rng = np.random.default_rng(4)
    bins = 5 * 288
    place = np.arange(bins)
    names, times, values = [], [], []
    for number in range(20):
        noise = np.exp(0.03 * rng.standard_normal((2, bins)))
        wave = (2 + np.sin(2 * np.pi * (place + 20 * number) / 288)) * noise[0]
        job = (1 + 4 * (place % 12 == number % 12)) * noise[1]
        if number == 0:
            wave[-288:] = job[-288:]
        for name, usage in ((f"wave-{number}", wave), (f"job-{number}", 7 * job)):
            names += [name] * bins
            times.append(START + 300 * (place + 1))
            values.append(usage)
    names += ["gone"] * 288
    times.append(START + 300 * (place[:288] + 1))
    values.append(np.ones(288))
    path = tmp_path_factory.mktemp("recorded") / "made.parquet"
    columns = {
        "entity": names,
        "timestamp": np.concatenate(times),
        "cpu": np.concatenate(values),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def similar(bundle, recorded, capsys):
    def similar(entity, *options):
        arguments = ["similar", "--recorded", str(recorded), "--entity", entity]
        code = run([*arguments, "--bundle", str(bundle), *options])
        out, err = capsys.readouterr()
        return code, out, err

    return similar


def test_the_nearest_are_of_the_same_kind_and_rising_in_distance(similar):
    code, out, _ = similar("job-3", "-k", "4", "-o", "json")
    found = json.loads(out)
    assert code == 0
    assert len(found["similar"]) == 4
    assert "job-3" not in {one["entity"] for one in found["similar"]}
    assert all(one["entity"].startswith("job") for one in found["similar"][:3])
    distances = [one["distance"] for one in found["similar"]]
    assert distances == sorted(distances)


def test_a_workload_that_became_another_has_moved_unusually(similar):
    changed = json.loads(similar("wave-0", "-o", "json")[1])
    steady = json.loads(similar("job-5", "-o", "json")[1])
    assert changed["pairs"] == steady["pairs"] >= 99
    assert changed["moved_in_a_day"] > changed["unusual_above"]
    assert steady["moved_in_a_day"] <= steady["unusual_above"]


def test_the_table_names_neighbours_and_the_move(similar):
    code, out, _ = similar("wave-3", "-k", "2")
    assert code == 0
    assert "Like wave-3" in out
    assert "Moved since a day before" in out


def test_an_unknown_name_is_refused_with_close_ones(similar):
    code, _, err = similar("wave-33")
    assert code == 2
    assert "wave-3" in err


def test_one_that_is_gone_is_refused(similar):
    code, _, err = similar("gone")
    assert code == 2
    assert "last 24 hours" in err
