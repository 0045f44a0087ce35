"""Wrong files and options: one line that says what to do, exit code 2, and no file left behind."""

import numpy as np
import pyarrow as pa
import pytest

from .conftest import START, shop

GOOD = {"entity": ["a"], "timestamp": [START], "cpu": [0.5]}


def test_no_such_file(tmp_path, refuse):
    assert "no such file" in refuse(tmp_path / "nowhere.parquet")


def test_folder(tmp_path, refuse):
    refuse(tmp_path)


@pytest.mark.parametrize("content", [b"", b"entity,timestamp,cpu\na,1,2\n", b"PAR1" + b"\0" * 64])
def test_no_parquet(tmp_path, refuse, content):
    path = tmp_path / "history.parquet"
    path.write_bytes(content)
    assert "Parquet" in refuse(path)


def test_file_cut_short(write, refuse):
    path = write(**shop(entities=1, days=0.2))
    path.write_bytes(path.read_bytes()[:-100])
    assert "Parquet" in refuse(path)


@pytest.mark.parametrize("name", ["entity", "timestamp"])
def test_column_missing(write, refuse, name):
    columns = {key: value for key, value in GOOD.items() if key != name}
    assert f"'{name}' is missing" in refuse(write(**columns))


def test_no_kpi(write, refuse):
    assert "no KPI column" in refuse(write(entity=["a"], timestamp=[START], ram=[1.0]))


def test_no_rows(write, refuse):
    table = {"entity": pa.array([], pa.string()), "timestamp": pa.array([], pa.int64())}
    assert "no rows" in refuse(write(**table, cpu=pa.array([], pa.float32())))


@pytest.mark.parametrize(
    "timestamp",
    [
        [1000 * START],
        [-5],
        [None],
        ["2023-11-15"],
        [[START]],
        [float("nan")],
    ],
    ids=["milliseconds", "negative", "missing", "text", "lists", "no number"],
)
def test_timestamps_that_are_no_seconds(write, refuse, timestamp):
    assert "timestamp" in refuse(write(**{**GOOD, "timestamp": pa.array(timestamp)}))


def test_span_of_a_century(write, refuse):
    path = write(entity=["a", "a"], timestamp=[1, START], cpu=[1.0, 1.0])
    assert "span" in refuse(path)


@pytest.mark.parametrize("cpu", [["a lot"], [[0.5]], [{"cores": 1}], [b"\xff"]])
def test_kpi_that_is_no_number(write, refuse, cpu):
    assert "cpu" in refuse(write(**{**GOOD, "cpu": pa.array(cpu)}))


def test_entity_missing_in_a_row(write, refuse):
    path = write(entity=pa.array(["a", None]), timestamp=[START, START], cpu=[1.0, 1.0])
    assert "entity" in refuse(path)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--every", "7x", "not understood"),
        ("--every", "", "not understood"),
        ("--every", "-1h", "not understood"),
        ("--every", "1.5h", "not understood"),
        ("--every", "0m", "no time at all"),
        ("--every", "7m", "multiple of 5m"),
        ("--every", "30s", "multiple of 5m"),
        ("--every", "48h", "at most 24h"),
        ("--timezone", "Mars/Olympus", "time zone"),
        ("--profile", "brave", "cost, balanced, safe"),
        ("--holidays", "25.12.2023", "YYYY-MM-DD"),
        ("--cpu-per-unit", "0", "above zero"),
        ("--cpu-per-unit", "nan", "above zero"),
        ("--memory-per-unit", "-1", "above zero"),
        ("--memory-per-unit", "inf", "above zero"),
        ("--bundle", "/nowhere", "no bundle"),
    ],
)
def test_options(write, refuse, option, value, told):
    assert told in refuse(write(**GOOD), option, value)


def test_output_folder_that_is_not_there(tmp_path, write, refuse):
    assert "does not exist" in refuse(write(**GOOD), "--out", str(tmp_path / "no" / "out.parquet"))


def test_output_that_is_a_folder(tmp_path, write, refuse):
    assert "folder" in refuse(write(**GOOD), "--out", str(tmp_path))


def test_output_never_replaces_its_own_input(write, refuse):
    path = write(**GOOD)
    content = path.read_bytes()
    assert "itself" in refuse(path, "--out", str(path))
    assert path.read_bytes() == content


def test_failure_leaves_an_older_result(tmp_path, write, replay, refuse, monkeypatch):
    path = write(**shop(entities=1, days=0.2))
    replay(path)
    older = (tmp_path / "replay.parquet").read_bytes()
    (tmp_path / "replay.parquet").rename(tmp_path / "older.parquet")
    monkeypatch.setattr("recommender.replay._to_batch", _disk_full)
    assert "No space left" in refuse(path)
    assert (tmp_path / "older.parquet").read_bytes() == older


def _disk_full(*_):
    raise OSError(28, "No space left on device")


def test_unicode_names_are_kept(write, replay):
    history = shop(entities=1, days=0.2)
    history["entity"] = np.full(len(history["entity"]), "größe/π:1 ")
    assert set(replay(write(**history))["entity"]) == {"größe/π:1 "}
