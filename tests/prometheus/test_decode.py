"""Answers become arrays, and no answer, however odd, becomes anything but arrays or an error."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import MalformedHistory
from recommender.telemetry.prometheus.decode import decode_matrix

values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["NaN", "+Inf", "-Inf", "0", "-0", "1e-320", "1.7976931348623157e+308", "5e+08"]
    ),
    st.integers(-(10**25), 10**25).map(str),
)
whole_times = st.integers(0, 2**40)
broken_times = st.floats(0, 2**40, allow_nan=False).map(lambda time: round(time, 3))
labels = st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4)


def answer(series, **more):
    result = [
        {"metric": metric, "values": [[time, value] for time, value in samples]}
        for metric, samples in series
    ]
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return body | more


@given(
    st.lists(st.tuples(labels, st.lists(st.tuples(whole_times, values), max_size=6)), max_size=6),
    st.booleans(),
)
def test_every_sample_comes_out_as_json_and_float_would_read_it(series, spaced):
    body = json.dumps(answer(series), separators=None if spaced else (",", ":")).encode()
    matrix = decode_matrix(body)
    assert list(matrix.labels) == [metric for metric, _ in series]
    assert matrix.starts.tolist() == [0, *np.cumsum([len(samples) for _, samples in series])]
    expected = [float(value) for _, samples in series for _, value in samples]
    expected = [value if math.isfinite(value) else math.nan for value in expected]
    np.testing.assert_array_equal(matrix.value, expected)
    times = [time for _, samples in series for time, _ in samples]
    np.testing.assert_array_equal(matrix.timestamp_s, times)


@given(st.lists(st.tuples(broken_times, values), min_size=1, max_size=5))
def test_times_with_milliseconds(samples):
    matrix = decode_matrix(json.dumps(answer([({}, samples)])).encode())
    np.testing.assert_allclose(matrix.timestamp_s, [time for time, _ in samples], rtol=1e-15)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["metric", "values", "status", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_hostile_values_are_refused_or_are_pairs_of_numbers(hostile):
    body = json.dumps(
        {
            "status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": {}, "values": hostile}]},
        }
    ).encode()
    try:
        matrix = decode_matrix(body)
    except MalformedHistory:
        return
    assert len(matrix.value) == len(matrix.timestamp_s) == matrix.starts[-1]


@given(json_values)
def test_hostile_documents_are_refused(hostile):
    with pytest.raises(MalformedHistory):
        decode_matrix(json.dumps(hostile).encode())


@given(st.binary(max_size=60))
def test_noise_is_refused(noise):
    with pytest.raises(MalformedHistory):
        decode_matrix(noise)


GOOD = json.dumps(answer([({"pod": "a"}, [(300, "1"), (600, "2.5")])])).encode()


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_an_answer_cut_anywhere_is_refused(cut):
    with pytest.raises(MalformedHistory):
        decode_matrix(GOOD[:cut])


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":'
        + b"[" * 200_000,
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":'
        + b"[" * 5_000
        + b"]" * 5_000
        + b"}]}}",
    ],
)
def test_deep_answers_are_refused(body):
    with pytest.raises(MalformedHistory):
        decode_matrix(body)


@pytest.mark.parametrize(
    "samples",
    [
        [[300, "1"], [600]],
        [[300, "1", "2"]],
        [[300, "1,2"]],
        [[300, "1"], [600, "1\n,900,1"]],
        [[300, "one"]],
        [["", "1"]],
        [[None, "1"]],
        [[300, None]],
        [[300, {"count": "1"}]],
        [300, "1"],
        [[[300, "1"]]],
        "text",
        {"300": "1"},
        300,
    ],
)
def test_samples_that_are_no_pairs_of_numbers_are_refused(samples):
    body = answer([])
    body["data"]["result"] = [{"metric": {}, "values": samples}]
    with pytest.raises(MalformedHistory):
        decode_matrix(json.dumps(body).encode())


def test_one_bad_series_does_not_shift_the_samples_of_another():
    body = answer([])
    body["data"]["result"] = [
        {"metric": {"pod": "a"}, "values": [[[300, "1"]]]},
        {"metric": {"pod": "b"}, "values": [[300, "1"]]},
    ]
    with pytest.raises(MalformedHistory):
        decode_matrix(json.dumps(body).encode())


def test_the_kind_of_a_wrong_answer_is_named():
    body = {"status": "success", "data": {"resultType": "scalar", "result": [300, "1"]}}
    with pytest.raises(MalformedHistory, match="'scalar'"):
        decode_matrix(json.dumps(body).encode())


def test_warnings_and_native_histograms_do_not_matter():
    body = answer([({"pod": "a"}, [(300, "1")])], warnings=["slow store"], infos=["x"])
    body["data"]["result"].append({"metric": {"pod": "h"}, "histograms": [[300, {"count": "1"}]]})
    matrix = decode_matrix(json.dumps(body).encode())
    assert matrix.warnings == ("slow store",)
    assert matrix.starts.tolist() == [0, 1, 1]


def test_no_series():
    matrix = decode_matrix(json.dumps(answer([])).encode())
    assert len(matrix) == 0
    assert matrix.value.shape == (0,)
