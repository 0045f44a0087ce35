"""Recorded Parquet: every type a column may have, and every way a file may be wrong."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.errors import MalformedHistory
from recommender.kpis import KPIS
from recommender.telemetry.recorded import RecordedSource, read_recorded

START = 1_700_000_400  # a multiple of 300


@pytest.fixture
def write(tmp_path):
    def _write(columns, name="fleet"):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return _write


def stamps(count, step=60):
    return START + step * np.arange(1, count + 1, dtype=np.int64)


def plain(count=10, **more):
    return {"entity": ["a"] * count, "timestamp": stamps(count), "cpu": np.ones(count), **more}


def refused(path, *words):
    with pytest.raises(MalformedHistory) as caught:
        read_recorded(path)
    assert str(path) in caught.value.cause
    assert not caught.value.cause.endswith(".")
    assert caught.value.fix
    for word in words:
        assert word in str(caught.value)


def test_samples_land_in_their_bins(write):
    history = read_recorded(write(plain(cpu=np.arange(1.0, 11.0))))
    assert history.source == "fleet"
    assert history.entities == history.groups == ("a",)
    assert history.kpis == ("cpu",)
    assert history.first_end_s == START + 300
    assert (history.bins, history.last_end_s) == (2, START + 600)
    np.testing.assert_array_equal(history.peak, np.float32([[[5, 10]]]))
    np.testing.assert_array_equal(history.mean, np.float32([[[3, 8]]]))


def test_source_group_and_the_maximum_inside_an_interval(write):
    history = read_recorded(
        write(plain(2, source=["lab"] * 2, group=["g", "other"], cpu_max=[3.0, 2.0]))
    )
    assert history.source == "lab"
    assert history.groups == ("g",)  # as the entity's first sample says
    assert history.peak[0, 0, 0] == 3
    assert history.mean[0, 0, 0] == 1
    assert str(history.key(0)) == "lab/Recorded/g/a"


def test_units_are_brought_to_cores_and_bytes(write):
    path = write(plain(1, memory=[0.5], net_rx=[7.0], cpu_max=[2.0]))
    history = read_recorded(path, cpu_per_unit=4, memory_per_unit=1024)
    assert history.kpis == ("cpu", "memory", "net_rx")
    np.testing.assert_array_equal(history.peak[0, :, 0], np.float32([8, 512, 7]))
    np.testing.assert_array_equal(history.mean[0, :, 0], np.float32([4, 512, 7]))


def test_order_of_rows_does_not_matter(write):
    rng = np.random.default_rng(3)
    count = 60
    columns = {
        "entity": np.array(["b", "a", "c"])[np.arange(count) % 3],
        "timestamp": START + rng.integers(1, 4000, count),
        "cpu": rng.random(count),
    }
    first = read_recorded(write(columns, "one"))
    order = rng.permutation(count)
    second = read_recorded(write({k: v[order] for k, v in columns.items()}, "two"))
    assert first.entities == ("b", "a", "c")  # in order of appearance
    for row, name in enumerate(first.entities):
        other = second.entities.index(name)
        np.testing.assert_array_equal(first.peak[row], second.peak[other])
        np.testing.assert_allclose(first.mean[row], second.mean[other], rtol=1e-6)


def names_as(kind):
    if pa.types.is_integer(kind):
        return pa.array([7, 7, 9], kind)
    text = pa.array(["7", "7", "9"], kind.value_type if pa.types.is_dictionary(kind) else kind)
    return text.dictionary_encode() if pa.types.is_dictionary(kind) else text


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.int64(),
        pa.uint8(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_an_entity_may_be_text_a_number_or_a_category(write, kind):
    columns = {"entity": names_as(kind), "timestamp": stamps(3), "cpu": np.ones(3)}
    assert read_recorded(write(columns)).entities == ("7", "9")


def test_an_empty_name_is_a_name(write):
    history = read_recorded(write(plain(2, entity=["", "a"], group=["", ""], source=["", ""])))
    assert history.entities == ("", "a")
    assert history.groups == ("", "")


def test_categories_that_no_row_uses_are_no_entities(write):
    entity = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int8()), ["ghost", "a"])
    assert read_recorded(write(plain(2, entity=entity))).entities == ("a",)


def test_dictionaries_that_differ_between_row_groups(tmp_path):
    path = tmp_path / "fleet.parquet"
    pieces = [
        pa.table(plain(2, entity=pa.array([name] * 2).dictionary_encode())) for name in ("x", "y")
    ]
    with pq.ParquetWriter(path, pieces[0].schema) as writer:
        for piece in pieces:
            writer.write_table(piece)
    assert read_recorded(path).entities == ("x", "y")


@pytest.mark.parametrize(
    "kind",
    [
        pa.int64(),
        pa.uint64(),
        pa.int32(),
        pa.float64(),
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns"),
        pa.timestamp("ns", "Europe/Berlin"),
    ],
    ids=str,
)
def test_timestamps_of_every_exact_type_mean_the_same(write, kind):
    seconds = pa.array(stamps(10))
    if pa.types.is_timestamp(kind):
        at = seconds.cast(pa.timestamp("s")).cast(pa.timestamp(kind.unit)).cast(kind)
        at = pa.array(stamps(10) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit])
        at = at.cast(kind)
    else:
        at = seconds.cast(kind)
    history = read_recorded(write(plain(timestamp=at, cpu=np.arange(10.0))))
    assert history.first_end_s == START + 300
    np.testing.assert_array_equal(history.peak, np.float32([[[4, 9]]]))


@pytest.mark.parametrize(
    "at",
    [
        pa.array([START + 300.25, START + 300.5]),
        pa.array([(START + 300) * 1000 + 250] * 2, pa.timestamp("ms")),
        pa.array([(START + 300) * 10**9 + 1] * 2, pa.timestamp("ns")),
    ],
    ids=["float64", "ms", "ns"],
)
def test_a_fraction_after_a_bins_end_is_not_seen_in_that_bin(write, at):
    assert read_recorded(write(plain(2, timestamp=at))).first_end_s == START + 600


def test_a_trace_may_count_from_zero(write):
    at = np.arange(0, 3000, 300, dtype=np.int64)
    assert read_recorded(write(plain(timestamp=at))).first_end_s == 0


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (stamps(10) * 1000, "milliseconds"),
        (stamps(10) * 1_000_000, "microseconds"),
        (stamps(10) * 1_000_000_000, "nanoseconds"),
        (stamps(10).astype(np.float32), "float"),
        (stamps(10).astype(np.float64) * 1000, "milliseconds"),
        (np.where(np.arange(10) == 4, np.nan, stamps(10)), "no number"),
        (np.where(np.arange(10) == 4, np.inf, stamps(10)), "no number"),
        (np.where(np.arange(10) == 4, -1, stamps(10)), "-1"),
        (np.where(np.arange(10) == 4, 86400, stamps(10)), "three years"),
        (np.full(10, 2**64 - 1, np.uint64), "nanoseconds"),
        (pa.array([None, *stamps(9)]), "missing"),
        (pa.array([None] * 10), "missing"),
        (pa.array(["2023-11-14"] * 10), "string"),
        (pa.array([True] * 10), "bool"),
        (pa.array([19000] * 10, pa.int32()).cast(pa.date32()), "date32"),
        (pa.array([[1]] * 10), "list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_timestamps_that_cannot_be(write, at, words):
    refused(write(plain(timestamp=at)), "timestamp", words)


@pytest.mark.parametrize(
    "kind",
    [pa.float16(), pa.float32(), pa.int8(), pa.uint64(), pa.decimal128(10, 2)],
    ids=str,
)
def test_kpis_may_be_any_kind_of_number(write, kind):
    values = np.array([1, 3], np.float16) if kind == pa.float16() else [1, 3]
    history = read_recorded(write(plain(2, cpu=pa.array(values, kind))))
    assert history.peak[0, 0, 0] == 3
    assert history.mean[0, 0, 0] == 2


def test_integers_beyond_what_a_float_holds_exactly(write):
    history = read_recorded(write(plain(2, memory=pa.array([2**53 + 1, 2**63 - 1]))))
    assert history.peak[0, 1, 0] == np.float32(2**63)


def test_numbers_beyond_float32_are_faults(write):
    history = read_recorded(write(plain(2, memory=[1e300, 5.0])))
    assert history.peak[0, 1, 0] == 5


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        ["1", "2"],
        pa.array(["1", "2"]).dictionary_encode(),
        [[1.0], [2.0]],
        [{"x": 1}, {"x": 2}],
        pa.array(stamps(2), pa.timestamp("s")),
    ],
    ids=["bool", "text", "category", "list", "struct", "timestamp"],
)
def test_kpis_that_are_no_numbers(write, values):
    refused(write(plain(2, cpu=values)), "'cpu'", "float")


@pytest.mark.parametrize(
    "nothing",
    [pa.array([None] * 10), pa.array([None] * 10, pa.float32()), np.full(10, np.nan)],
    ids=["null", "float32", "nan"],
)
def test_a_kpi_that_is_all_missing_is_missing(write, nothing):
    history = read_recorded(write(plain(memory=nothing)))
    assert history.kpis == ("cpu", "memory")
    assert np.isnan(history.peak[:, 1]).all()
    refused(write(plain(cpu=nothing)), "none of its samples")


def test_gaps_and_invalid_samples(write):
    values = [1.0, np.nan, -1.0, np.inf, None]
    history = read_recorded(write(plain(5, cpu=pa.array(values), timestamp=stamps(5, 300))))
    np.testing.assert_array_equal(history.peak[0, 0], np.float32([1] + [np.nan] * 4))


def test_an_entity_whose_samples_are_all_invalid_is_left_out(write):
    columns = plain(3, entity=["a", "b", "c"], group=["A", "B", "C"], cpu=[1.0, np.nan, 2.0])
    history = read_recorded(write(columns))
    assert history.entities == ("a", "c")
    assert history.groups == ("A", "C")
    assert history.peak.shape == history.mean.shape == (2, 1, 1)


def test_a_single_row(write):
    history = read_recorded(write(plain(1)))
    assert history.bins == 1
    assert history.peak[0, 0, 0] == 1


def test_only_the_maximum_inside_the_interval(write):
    columns = plain(2, cpu_max=[2.0, 4.0])
    del columns["cpu"]
    history = read_recorded(write(columns), cpu_per_unit=2)
    assert history.kpis == ("cpu",)
    assert (history.peak[0, 0, 0], history.mean[0, 0, 0]) == (8, 6)


def test_other_columns_are_not_read(write):
    history = read_recorded(write(plain(2, is_test=[True, False], note=["x", "y"], gpu=[[1], [2]])))
    assert history.kpis == ("cpu",)


@pytest.mark.parametrize("missing", ["entity", "timestamp", "cpu"])
def test_a_column_is_missing(write, missing):
    columns = plain()
    del columns[missing]
    refused(write(columns), "entity, timestamp", *(() if missing == "cpu" else (missing,)))


@pytest.mark.parametrize("name", ["entity", "group", "source"])
@pytest.mark.parametrize(
    "values",
    [
        [None, "a"],
        pa.array([None, "a"]).dictionary_encode(),
        pa.array([None, None]),
    ],
    ids=["text", "category", "null"],
)
def test_a_name_is_missing(write, name, values):
    refused(write(plain(2, **{name: values})), f"'{name}'")


@pytest.mark.parametrize("values", [[["a"], ["b"]], [b"\xff\xfe", b"a"]], ids=["list", "bytes"])
def test_names_that_are_no_text(write, values):
    refused(write(plain(2, entity=values)), "'entity'", "text")


def test_no_rows(write):
    refused(write({k: v[:0] for k, v in plain(1).items()}), "no rows")


def test_a_column_twice(tmp_path):
    path = tmp_path / "fleet.parquet"
    table = pa.table([["a"], stamps(1), [1.0], [2.0]], ["entity", "timestamp", "cpu", "cpu"])
    pq.write_table(table, path)
    refused(path, "2 columns named 'cpu'")


def test_no_file_a_folder_and_what_is_no_parquet(tmp_path):
    refused(tmp_path / "nowhere.parquet", "no such file")
    refused(tmp_path, "folder")
    for name, content in {
        "empty": b"",
        "text": b"entity,timestamp,cpu\na,1,2\n",
        "magic": b"PAR1PAR1",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        refused(path, "Parquet")


def test_a_file_cut_short_or_with_flipped_bytes(tmp_path, write):
    whole = write(plain(5000, cpu=np.random.default_rng(1).random(5000))).read_bytes()
    path = tmp_path / "broken.parquet"
    for size in (len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        refused(path, "Parquet")
    # Damage inside a page is found by the codec, if at all; it must never be a foreign error.
    for place in range(4, len(whole), 613):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            read_recorded(path)
        except MalformedHistory as error:
            assert error.fix  # noqa: PT017 - either outcome is right


def test_blocks_hold_the_history_bin_by_bin(write):
    rng = np.random.default_rng(5)
    history = read_recorded(write(plain(400, cpu=rng.random(400), net_tx=rng.random(400))))
    columns = [KPIS.index("cpu"), KPIS.index("net_tx")]
    for block_bins in (1, 7, 288):
        blocks = list(RecordedSource(history, block_bins).blocks(0, history.last_end_s))
        assert all(block.step_s == 300 for block in blocks)
        ends = [b.first_end_s + 300 * i for b in blocks for i in range(b.peak.shape[2])]
        assert ends == list(range(history.first_end_s, history.last_end_s + 1, 300))
        peak = np.concatenate([block.peak for block in blocks], axis=2)
        np.testing.assert_array_equal(peak[:, columns], history.peak)
        rest = [k for k in range(len(KPIS)) if k not in columns]
        assert np.isnan(peak[:, rest]).all()


def test_blocks_begin_after_their_start_and_stop_at_their_end(write):
    history = read_recorded(write(plain(400)))
    source = RecordedSource(history)

    def ends(start, end):
        blocks = source.blocks(start, end)
        return [b.first_end_s + 300 * i for b in blocks for i in range(b.peak.shape[2])]

    first = history.first_end_s
    assert ends(first, first + 600) == [first + 300, first + 600]
    assert ends(first - 1, first + 599) == [first, first + 300]
    assert ends(0, first - 1) == []
    assert ends(history.last_end_s, history.last_end_s + 9000) == []
    assert ends(first + 600, first) == []
