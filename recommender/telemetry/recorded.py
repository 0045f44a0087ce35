"""Recorded histories in Parquet: one long table of samples, as the traces are kept.

Columns: ``entity`` and ``timestamp`` (int64, seconds since the epoch, UTC), any of the KPIs, and
optionally ``source``, ``group`` and ``cpu_max`` (the true maximum inside each sample's interval).
Other columns are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.kpis import BIN_S, KPIS
from recommender.telemetry.grid import bin_end, to_bins
from recommender.telemetry.history import Block, WorkloadKey

MAX_SPAN_S = 3 * 366 * 86400
"""Longer spans in one file are taken for a corrupt timestamp."""

LATEST_S = 32_503_680_000
"""The year 3000; later timestamps are in a smaller unit than seconds, or corrupt."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SCHEMA_FIX = (
    "The file needs the columns entity, timestamp (whole seconds since the epoch, UTC) and at "
    f"least one of {', '.join(KPIS)}"
)


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """The histories of one file, every entity on the same five-minute grid.

    Attributes:
        source: the file's own name for itself.
        entities: one per row, in order of first appearance; those without any valid sample are
            left out.
        groups: each entity's group (the entity itself where the file has none).
        first_end_s: end of the first bin.
        kpis: the KPIs that the file has, in catalogue order.
        peak: float32 ``[entities, kpis, bins]``, NaN where nothing was recorded.
        mean: as ``peak``.
    """

    source: str
    entities: tuple[str, ...]
    groups: tuple[str, ...]
    first_end_s: int
    kpis: tuple[str, ...]
    peak: NDArray[np.float32]
    mean: NDArray[np.float32]

    @property
    def bins(self) -> int:
        """Number of five-minute bins."""
        return int(self.peak.shape[2])

    @property
    def last_end_s(self) -> int:
        """End of the last bin."""
        return self.first_end_s + BIN_S * (self.bins - 1)

    def key(self, row: int) -> WorkloadKey:
        """Return the workload key that stands for an entity of the file."""
        return WorkloadKey(self.source, "Recorded", self.groups[row], self.entities[row])


def read_recorded(
    path: Path, *, cpu_per_unit: float = 1.0, memory_per_unit: float = 1.0
) -> RecordedHistory:
    """Read a file of recorded samples onto the five-minute grid.

    Args:
        path: the Parquet file.
        cpu_per_unit: cores that 1.0 in the file's ``cpu`` stands for.
        memory_per_unit: bytes that 1.0 in the file's ``memory`` stands for.

    Raises:
        MalformedHistory: the file is no Parquet, lacks a column, has one of another type, has no
            valid sample, or its timestamps cannot be seconds since the epoch.
    """
    table = _read_table(path)
    timestamp = _timestamps(table, path)
    names, entity = _categories(table, "entity", path)
    order = np.lexsort((timestamp, entity))
    timestamp = timestamp[order]
    starts = np.searchsorted(entity[order], np.arange(len(names) + 1))
    first_end = int(bin_end(timestamp.min(keepdims=True))[0])
    bins = (int(bin_end(timestamp.max(keepdims=True))[0]) - first_end) // BIN_S + 1

    present = [kpi for kpi in KPIS if not {kpi, f"{kpi}_max"}.isdisjoint(table.column_names)]
    shape = (len(names), len(present), bins)
    peak, mean = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    unit = {"cpu": cpu_per_unit, "memory": memory_per_unit}
    for column, kpi in enumerate(present):
        value, top = (
            _numbers(table, name, path)[order] * unit.get(kpi, 1.0)
            if name in table.column_names
            else None
            for name in (kpi, f"{kpi}_max")
        )
        if value is None:  # one of the two is there, and stands for both
            value, top = cast("NDArray[np.float64]", top), None
        for row in range(len(names)):
            span = slice(int(starts[row]), int(starts[row + 1]))
            placed = to_bins(
                timestamp[span], value[span], first_end, bins, None if top is None else top[span]
            )
            peak[row, column], mean[row, column] = placed.peak, placed.mean
    groups = _groups(table, names, order[starts[:-1]], path)
    used = np.flatnonzero(~np.isnan(peak).all(axis=(1, 2)))
    if len(used) == 0:
        raise MalformedHistory(
            f"{path}: none of its samples is a number of zero or more", fix=_SCHEMA_FIX
        )
    if len(used) < len(names):
        peak, mean = peak[used], mean[used]
    return RecordedHistory(
        source=_single(table, "source", path),
        entities=tuple(names[row] for row in used),
        groups=tuple(groups[row] for row in used),
        first_end_s=first_end,
        kpis=tuple(present),
        peak=peak,
        mean=mean,
    )


class RecordedSource:
    """Recorded histories as a history source: five-minute blocks of all entities."""

    def __init__(self, history: RecordedHistory, block_bins: int = 288) -> None:
        self._history = history
        self._block_bins = block_bins

    def blocks(self, start_s: int, end_s: int) -> Iterator[Block]:
        """Yield the bins that end in ``(start_s, end_s]``, oldest first."""
        history = self._history
        keys = tuple(history.key(row) for row in range(len(history.entities)))
        columns = [KPIS.index(kpi) for kpi in history.kpis]
        first = max(0, (start_s - history.first_end_s) // BIN_S + 1)
        last = min(history.bins, (end_s - history.first_end_s) // BIN_S + 1)
        for begin in range(first, last, self._block_bins):
            stop = min(begin + self._block_bins, last)
            peak = np.full((len(keys), len(KPIS), stop - begin), np.nan, np.float32)
            mean = peak.copy()
            peak[:, columns] = history.peak[:, :, begin:stop]
            mean[:, columns] = history.mean[:, :, begin:stop]
            yield Block(keys, BIN_S, history.first_end_s + begin * BIN_S, peak, mean)


def _read_table(path: Path) -> pa.Table:
    """Read the columns that mean something here."""
    if path.is_dir():
        raise MalformedHistory(f"{path}: is a folder", fix="Name one Parquet file")
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_names(names, path)
            known = {"entity", "timestamp", "source", "group", *KPIS, *(f"{k}_max" for k in KPIS)}
            table = file.read([name for name in names if name in known])
    except FileNotFoundError:
        raise MalformedHistory(f"{path}: no such file", fix="Check the path") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise MalformedHistory(
            f"{path}: cannot be read as Parquet: {_reason(error)}",
            fix="Write it again as Parquet, or check that it was copied whole",
        ) from error
    if table.num_rows == 0:
        raise MalformedHistory(f"{path}: has no rows", fix="Record some samples first")
    return table


def _check_names(names: list[str], path: Path) -> None:
    for name in ("entity", "timestamp"):
        if name not in names:
            raise MalformedHistory(f"{path}: column '{name}' is missing", fix=_SCHEMA_FIX)
    if not any(name in names or f"{name}_max" in names for name in KPIS):
        raise MalformedHistory(f"{path}: no KPI column", fix=_SCHEMA_FIX)
    for name in names:
        if names.count(name) > 1:
            raise MalformedHistory(
                f"{path}: has {names.count(name)} columns named '{name}'", fix="Keep one of them"
            )


def _timestamps(table: pa.Table, path: Path) -> NDArray[np.int64]:
    """Return int64 seconds; a fraction counts as the next second, so that no bin ends before it."""
    column = table.column("timestamp")
    fix = "Give whole seconds since the epoch, UTC, as int64"
    if column.null_count:
        raise MalformedHistory(f"{path}: column 'timestamp' has missing values", fix=fix)
    per_second = 1
    if pa.types.is_timestamp(column.type):
        per_second = _PER_SECOND[column.type.unit]
        column = column.cast(pa.int64())
    if pa.types.is_float64(column.type):
        raw = np.ceil(column.to_numpy())
        if not np.isfinite(raw).all():
            raise MalformedHistory(
                f"{path}: column 'timestamp' has values that are no number", fix=fix
            )
    elif pa.types.is_integer(column.type):
        raw = column.to_numpy()
    else:
        raise MalformedHistory(
            f"{path}: column 'timestamp' has type {column.type}, which holds no seconds since the "
            "epoch exactly",
            fix=fix,
        )
    first, last = int(raw.min()) // per_second, int(raw.max()) // per_second
    if first < 0:
        raise MalformedHistory(f"{path}: column 'timestamp' goes down to {first} s", fix=fix)
    if last > LATEST_S:
        sizes = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
        unit = next((name for name, size in sizes.items() if last // size <= LATEST_S), "corrupt")
        raise MalformedHistory(
            f"{path}: column 'timestamp' goes up to {last}, which is no time in seconds ({unit}?)",
            fix=fix,
        )
    if last - first > MAX_SPAN_S:
        raise MalformedHistory(
            f"{path}: timestamps go from {first} to {last}, more than three years; one is corrupt",
            fix="Correct it, or cut the file into shorter ones",
        )
    seconds: NDArray[np.int64] = -(-raw.astype(np.int64) // per_second)
    return seconds


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    column = table.column(name)
    kind = column.type
    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    fix = f"Write '{name}' as float32 or float64"
    if not any(test(kind) for test in known):
        raise MalformedHistory(f"{path}: column '{name}' holds {kind}, not numbers", fix=fix)
    try:
        wide = column.cast(pa.float64(), safe=False)
        return np.asarray(wide.to_numpy(), np.float64)
    except pa.ArrowException as error:
        raise MalformedHistory(
            f"{path}: column '{name}' cannot be read as numbers: {_reason(error)}", fix=fix
        ) from error


def _categories(table: pa.Table, name: str, path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Return a column's distinct texts in order of appearance, and each row's place in them."""
    column = table.column(name)
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        # Encoded chunk by chunk: the whole column as text may be longer than Arrow's offsets reach.
        encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    except pa.ArrowException as error:
        raise MalformedHistory(
            f"{path}: column '{name}' of type {column.type} cannot be read as text: "
            f"{_reason(error)}",
            fix=f"Write '{name}' as text",
        ) from error
    if encoded.null_count:
        raise MalformedHistory(
            f"{path}: column '{name}' has missing values", fix="Fill them or leave the rows out"
        )
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _groups(
    table: pa.Table, entity_names: list[str], first_rows: NDArray[np.int64], path: Path
) -> list[str]:
    """Return each entity's group, as its first sample says."""
    if "group" not in table.column_names:
        return entity_names
    names, group = _categories(table, "group", path)
    return [names[group[row]] for row in first_rows]


def _single(table: pa.Table, name: str, path: Path) -> str:
    if name not in table.column_names:
        return path.stem
    names, _ = _categories(table, name, path)
    return names[0]


def _reason(error: Exception) -> str:
    """Return the first line of what a library says, as a clause."""
    return str(error).partition("\n")[0].strip().rstrip(".")
