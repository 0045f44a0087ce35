"""Recorded histories in Parquet: one long table of samples, as the traces are kept.

Columns: ``entity`` and ``timestamp`` (int64, seconds since the epoch, UTC), any of the KPIs, and
optionally ``source``, ``group`` and ``cpu_max`` (the true maximum inside each sample's interval).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.kpis import BIN_S, KPIS
from recommender.telemetry.grid import bin_end, to_bins
from recommender.telemetry.history import Block, WorkloadKey

MAX_SPAN_S = 3 * 366 * 86400
"""Longer spans in one file are taken for a corrupt timestamp."""


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """The histories of one file, every entity on the same five-minute grid.

    Attributes:
        source: the file's own name for itself.
        entities: one per row, in order of first appearance.
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
        MalformedHistory: the file is no Parquet, lacks a column, has no KPI, or its timestamps
            cannot be seconds since the epoch.
    """
    table = _read_table(path)
    timestamp = _timestamps(table, path)
    entity_names, entity = _categories(table, "entity", path)
    order = np.lexsort((timestamp, entity))
    entity, timestamp = entity[order], timestamp[order]
    starts = np.searchsorted(entity, np.arange(len(entity_names) + 1))
    first_end = int(bin_end(timestamp.min(keepdims=True))[0])
    bins = (int(bin_end(timestamp.max(keepdims=True))[0]) - first_end) // BIN_S + 1

    present = [kpi for kpi in KPIS if kpi in table.column_names]
    if not present:
        raise MalformedHistory(
            f"{path}: no KPI column; at least one of {', '.join(KPIS)} is needed"
        )
    shape = (len(entity_names), len(present), bins)
    peak, mean = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    unit = {"cpu": cpu_per_unit, "memory": memory_per_unit}
    for column, kpi in enumerate(present):
        value = _numbers(table, kpi, path)[order] * unit.get(kpi, 1.0)
        top_name = f"{kpi}_max"
        top = (
            _numbers(table, top_name, path)[order] * unit.get(kpi, 1.0)
            if top_name in table.column_names
            else None
        )
        for row in range(len(entity_names)):
            span = slice(int(starts[row]), int(starts[row + 1]))
            placed = to_bins(
                timestamp[span], value[span], first_end, bins, None if top is None else top[span]
            )
            peak[row, column], mean[row, column] = placed.peak, placed.mean
    return RecordedHistory(
        source=_single(table, "source", path),
        entities=tuple(entity_names),
        groups=_groups(table, entity_names, entity, order, starts, path),
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
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise MalformedHistory(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise MalformedHistory(f"{path}: cannot be read as Parquet: {error}") from error
    for name in ("entity", "timestamp"):
        if name not in table.column_names:
            raise MalformedHistory(f"{path}: column '{name}' is missing")
    if table.num_rows == 0:
        raise MalformedHistory(f"{path}: has no rows")
    return table


def _timestamps(table: pa.Table, path: Path) -> NDArray[np.int64]:
    column = table.column("timestamp")
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("s"), safe=False).cast(pa.int64())
    try:
        values = column.cast(pa.int64()).to_numpy()
    except (pa.ArrowException, ValueError) as error:
        raise MalformedHistory(
            f"{path}: column 'timestamp' must hold whole seconds since the epoch: {error}"
        ) from error
    if column.null_count or values.min() <= 0 or values.max() > 32_503_680_000:
        raise MalformedHistory(
            f"{path}: column 'timestamp' must hold seconds since the epoch "
            "(found missing, negative or far-future values; milliseconds?)"
        )
    if values.max() - values.min() > MAX_SPAN_S:
        raise MalformedHistory(f"{path}: timestamps span more than three years; one is corrupt")
    return np.asarray(values, dtype=np.int64)


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(
            table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64
        )
    except pa.ArrowException as error:
        raise MalformedHistory(f"{path}: column '{name}' must hold numbers: {error}") from error


def _categories(
    table: pa.Table, name: str, path: Path
) -> tuple[list[str], NDArray[np.int64]]:
    column = table.column(name)
    if column.null_count:
        raise MalformedHistory(f"{path}: column '{name}' has missing values")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _groups(
    table: pa.Table,
    entity_names: list[str],
    entity: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    path: Path,
) -> tuple[str, ...]:
    if "group" not in table.column_names:
        return tuple(entity_names)
    names, group = _categories(table, "group", path)
    return tuple(names[group[order[start]]] for start in starts[:-1])


def _single(table: pa.Table, name: str, path: Path) -> str:
    if name not in table.column_names:
        return path.stem
    names, _ = _categories(table, name, path)
    return names[0]
