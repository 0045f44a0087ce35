"""The committed samples are what their README says."""

import hashlib
from importlib import resources

import numpy as np
import pyarrow.parquet as pq
import pytest

from peakcast.samples import SAMPLES, by_workload, key_of, load_sample
from recommender.telemetry.recorded import RecordedHistory

FOLDER = resources.files("peakcast.samples")


def test_all_files_are_named_in_the_readme_with_their_licence():
    readme = FOLDER.joinpath("README.md").read_text(encoding="utf-8")
    files = {entry.name for entry in FOLDER.iterdir() if entry.name.endswith(".parquet")}
    assert files == {sample.file for sample in SAMPLES}
    for name in files:
        assert f"`{name}`" in readme
    assert "CC-BY 4.0" in readme
    assert "MIT" in readme


def test_a_few_megabytes_at_most():
    size = sum(len(FOLDER.joinpath(sample.file).read_bytes()) for sample in SAMPLES)
    assert size < 2 * 2**20


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.namespace)
def test_only_test_groups(sample):
    table = pq.read_table(FOLDER / sample.file)
    source, *others = table["source"].unique().to_pylist()
    assert not others
    for group in table["group"].unique().to_pylist():
        lot = int(hashlib.sha1(f"{source}:{group}".encode()).hexdigest()[:8], 16) % 100  # noqa: S324
        assert lot < 30, group


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.namespace)
def test_history_before_and_after_the_decision(sample):
    history = load_sample(sample)
    assert sample.now_s % 3600 == 0
    before = (sample.now_s - history.first_end_s) / 86400
    assert before >= (14 if sample.namespace == "azure" else 1)
    assert history.last_end_s - sample.now_s >= 5 * 3600
    step_s = np.diff(np.unique(pq.read_table(FOLDER / sample.file)["timestamp"].to_numpy())).min()
    assert step_s == (300 if sample.namespace == "azure" else 60)
    key = key_of(sample, history.entities[0])
    assert key.namespace == sample.namespace
    assert "/" not in key.name


def test_pods_of_a_workload_become_one_history_by_their_maximum():
    nan = np.nan
    peak = np.array([[[1, 2, nan]], [[3, 1, nan]], [[7, 7, 7]]], np.float32)
    history = RecordedHistory(
        source="s",
        entities=("a-1", "a-2", "b-1"),
        groups=("a", "a", "b"),
        first_end_s=300,
        kpis=("cpu",),
        peak=peak,
        mean=peak / 2,
    )
    combined = by_workload(history)
    assert combined.entities == combined.groups == ("a", "b")
    np.testing.assert_array_equal(combined.peak[:, 0], [[3, 2, nan], [7, 7, 7]])
    np.testing.assert_array_equal(combined.mean[:, 0], [[1.5, 1, nan], [3.5, 3.5, 3.5]])
