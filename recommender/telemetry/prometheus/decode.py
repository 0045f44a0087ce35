"""From the JSON of ``/api/v1/query_range`` to arrays, fast.

msgspec reads the envelope and the labels and leaves each series' ``values`` as raw bytes. These
are turned into lines of numbers by two passes over bytes and parsed by pyarrow's CSV reader all at
once, so that a response of many short series costs the same per sample as one of few long ones.
No Python object is made for a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
from numpy.typing import NDArray

from recommender.errors import MalformedHistory

_LINES: Final = bytes.maketrans(b"]", b"\n")
_NOISE: Final = b'"[ \t\r\n'
_MISSING: Final = ["", "NaN", "+Inf", "-Inf"]
_EMPTY_SERIES: Final = 2  # bytes in []
_BLOCK: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Matrix:
    """The series of one answer.

    Attributes:
        labels: one mapping per series.
        starts: int64 ``[series + 1]``; samples of series ``i`` are ``starts[i]:starts[i + 1]``.
        timestamp_s: int64 or float64 ``[samples]``, seconds since the epoch, as sent.
        value: float64 ``[samples]``; NaN where the server sent NaN or an infinity.
        warnings: what the server had to say besides.
    """

    labels: tuple[dict[str, str], ...]
    starts: NDArray[np.int64]
    timestamp_s: NDArray[np.int64] | NDArray[np.float64]
    value: NDArray[np.float64]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: msgspec.Raw = msgspec.Raw(b"[]")


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Series]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    warnings: list[str] | None = None


class _AnyData(msgspec.Struct, rename="camel"):
    result_type: str = "nothing"


class _Anything(msgspec.Struct):
    """An answer of which only the kind is looked at, to say what came instead of a matrix."""

    data: _AnyData


_ANSWER: Final = msgspec.json.Decoder(_Answer)


def decode_matrix(body: bytes) -> Matrix:
    """Decode the answer to a range query.

    Raises:
        MalformedHistory: not JSON, cut short, or not a matrix of numbers.
    """
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedHistory(
            f"the answer to a range query is not what Prometheus sends: {error}{_kind(body)}",
            fix="Check that the URL leads to a Prometheus API and that no proxy cuts answers short",
        ) from error
    if answer.status != "success" or answer.data is None:
        raise MalformedHistory(f"Prometheus answered with status {answer.status[:40]!r}")
    if answer.data.result_type != "matrix":
        raise MalformedHistory(f"the answer to a range query is no matrix{_kind(body)}")
    series = answer.data.result
    raws = [bytes(one.values) for one in series]
    counts = np.fromiter((max(raw.count(b"[") - 1, 0) for raw in raws), np.int64, len(raws))
    timestamp, value = _numbers([raw for raw in raws if len(raw) > _EMPTY_SERIES])
    if int(counts.sum()) != len(value):
        raise MalformedHistory("the samples of an answer are not pairs of time and value")
    return Matrix(
        tuple(one.metric for one in series),
        np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))),
        timestamp,
        value,
        tuple(answer.warnings or ()),
    )


def _kind(body: bytes) -> str:
    try:
        return f" (a {msgspec.json.decode(body, type=_Anything).data.result_type[:40]!r} came)"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _numbers(
    raws: list[bytes],
) -> tuple[NDArray[np.int64] | NDArray[np.float64], NDArray[np.float64]]:
    if not raws:
        return np.zeros(0, np.int64), np.zeros(0, np.float64)
    # `[[t,"v"],[t,"v"]]` becomes the lines `,t,v`: a first, empty column takes the comma between.
    lines = (b"," + b",".join(raws)).translate(_LINES, _NOISE)
    try:
        table = _parse(lines, pa.int64())
    except pa.ArrowInvalid:
        table = _parse(lines, pa.float64())
    return _column(table, "timestamp"), _column(table, "value")


def _parse(lines: bytes, timestamp: pa.DataType) -> pa.Table:
    types = {"comma": pa.null(), "timestamp": timestamp, "value": pa.float64()}
    try:
        return pv.read_csv(
            pa.BufferReader(lines),
            pv.ReadOptions(use_threads=False, column_names=list(types), block_size=_BLOCK),
            pv.ParseOptions(quote_char=False),
            pv.ConvertOptions(
                column_types=types,
                include_columns=["timestamp", "value"],
                null_values=_MISSING,
            ),
        )
    except pa.ArrowInvalid as error:
        if timestamp == pa.float64():
            raise MalformedHistory(
                f"a sample of an answer is no pair of time and value: {error}"
            ) from error
        raise


def _column(table: pa.Table, name: str) -> NDArray[np.float64]:
    column = table.column(name)
    if name == "timestamp" and column.null_count:
        raise MalformedHistory("a sample of an answer has no time")
    numbers: NDArray[np.float64] = column.to_numpy()
    return numbers
