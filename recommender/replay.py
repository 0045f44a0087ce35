"""Replay: what would have been recommended, decision by decision, over a recorded history.

It runs the service's own path: bins go into the rolling windows as they end, the forecaster reads
the windows, calibration learns from what has passed, sizing decides within its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommender.errors import SettingsError
from recommender.forecast.forecaster import Forecast, Forecaster
from recommender.kpis import BIN_S, HORIZONS_S, LEVELS, RESOURCES
from recommender.sizing.policy import BALANCED, Policy
from recommender.sizing.sizer import SIZED, Sizer, Sizing, undecided
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.recorded import RecordedHistory, RecordedSource
from recommender.telemetry.window import HOUR_S, RollingWindows, WindowBatch

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

QUANTILE_NAMES: Final = tuple(f"q{round(1000 * level)}" for level in LEVELS)
SCHEMA: Final = pa.schema(
    [
        ("entity", pa.dictionary(pa.int32(), pa.string())),
        ("decision_time_s", pa.int64()),
        ("resource", pa.dictionary(pa.int8(), pa.string())),
        ("horizon_s", pa.int32()),
        *((name, pa.float32()) for name in QUANTILE_NAMES),
        ("target", pa.float32()),
        ("lower", pa.float32()),
        ("upper", pa.float32()),
        ("reason", pa.dictionary(pa.int32(), pa.string())),
    ],
    metadata={"format_version": "1"},
)
FLUSH_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One decision over all containers with a history.

    Attributes:
        now_s: when it was taken.
        rows: int64 ``[n]``, the containers' rows in the windows (and in the recorded history).
        forecast: of those containers.
        sizing: of those containers.
    """

    now_s: int
    rows: IntArray
    forecast: Forecast
    sizing: Sizing


@dataclass(slots=True)
class Replay:
    """A recorded history, replayed.

    Args:
        history: what was recorded.
        forecaster: with a tracker of its own, since it learns on the way.
        every_s: time between decisions, a multiple of 300.
        policy: how requests are sized.
        clock: the cluster's local time.
        progress: called with the number of five-minute bins done.
        in_force: asked at each decision for the requests that a cluster would report then,
            float32 ``[entities, 2]`` in cores and bytes, NaN where unknown; None: those that
            sizing last decided are in force.
        decides_from_s: before it everything is forecast and learned from, but nothing decided.
    """

    history: RecordedHistory
    forecaster: Forecaster
    every_s: int
    policy: Policy = BALANCED
    clock: Clock = field(default_factory=Clock)
    progress: Callable[[int], None] = lambda _: None
    in_force: Callable[[int], FloatArray | None] = lambda _: None
    decides_from_s: int = 0

    def steps(self) -> Iterator[Step]:
        """Yield each decision, in order of time."""
        if self.every_s < BIN_S or self.every_s % BIN_S:
            raise SettingsError(
                f"decisions every {self.every_s} s are not possible",
                fix=f"Give a multiple of {BIN_S} s, such as 5m, 15m, 1h or 24h",
            )
        windows = RollingWindows()
        sizer = Sizer(self.policy, self.every_s)
        source = RecordedSource(self.history, block_bins=1)
        rows = windows.rows(self.history.key(row) for row in range(len(self.history.entities)))
        for block in source.blocks(0, self.history.last_end_s):
            windows.ingest(block)
            now = block.first_end_s
            decides = now % self.every_s == 0
            if decides or now % HOUR_S == 0:
                batch = windows.snapshot()
                # Who was silent for a whole day has ended: no data, no number.
                alive = (batch.recent[:, :, 0] != codes.MISSING).any(axis=(1, 2))
                seen = np.flatnonzero(alive)
                if len(seen) == 0:
                    self.progress(1)
                    continue
                batch = batch.take(seen)
                forecast = self.forecaster.forecast(batch, rows[seen], self.clock)
                if decides:
                    sizing = self._size(sizer, batch, rows[seen], forecast)
                    yield Step(now, rows[seen], forecast, sizing)
            self.progress(1)

    def _size(self, sizer: Sizer, batch: WindowBatch, rows: IntArray, forecast: Forecast) -> Sizing:
        if batch.now_s < self.decides_from_s:
            return undecided(len(rows))
        requests = self.in_force(batch.now_s)
        if requests is not None:
            sizer.assume(rows, requests[rows])
        return sizer.decide(batch, rows, forecast)


def write_replay(
    replay: Replay,
    out: Path,
    *,
    cpu_per_unit: float = 1.0,
    memory_per_unit: float = 1.0,
    watch: Callable[[Step], None] = lambda _: None,
) -> int:
    """Write a replay file and return its number of rows.

    Args:
        replay: what to run.
        out: the Parquet file; it appears whole or not at all.
        cpu_per_unit: cores that 1.0 of CPU in the output stands for.
        memory_per_unit: bytes that 1.0 of memory in the output stands for.
        watch: called with each decision.
    """
    unit = np.ones(len(RESOURCES), np.float32)
    unit[RESOURCES.index("cpu")] = cpu_per_unit
    unit[RESOURCES.index("memory")] = memory_per_unit
    entities = pa.array(replay.history.entities, pa.string())
    partial = out.with_name(out.name + ".partial")
    written = 0
    pending: list[pa.RecordBatch] = []
    waiting = 0
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            for step in replay.steps():
                watch(step)
                batch = _to_batch(step, entities, unit)
                pending.append(batch)
                waiting += batch.num_rows
                written += batch.num_rows
                if waiting >= FLUSH_ROWS:
                    writer.write_table(pa.Table.from_batches(pending, SCHEMA).unify_dictionaries())
                    pending, waiting = [], 0
            if pending:
                writer.write_table(pa.Table.from_batches(pending, SCHEMA).unify_dictionaries())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return written


def _to_batch(step: Step, entities: pa.Array, unit: FloatArray) -> pa.RecordBatch:
    """Return one row per container, resource that it was seen to use, and horizon."""
    quantiles = step.forecast.quantiles / unit[None, :, None, None]
    container, resource = np.nonzero(np.isfinite(step.forecast.log_scale))
    horizons = len(HORIZONS_S)
    sized = np.full((3, len(step.rows), len(RESOURCES)), np.nan, np.float32)
    for place, values in enumerate((step.sizing.target, step.sizing.lower, step.sizing.upper)):
        sized[place, :, : len(SIZED)] = values / unit[None, : len(SIZED)]
    chosen = np.repeat(sized[:, container, resource], horizons, axis=1)
    missing = ~np.isfinite(chosen)
    codes = np.full((len(step.rows), len(RESOURCES)), len(step.sizing.reasons), np.int32)
    codes[:, : len(SIZED)] = step.sizing.reason
    reasons = pa.array([*step.sizing.reasons, "forecast only"], pa.string())
    rows = quantiles[container, resource].reshape(-1, len(LEVELS))
    columns = [
        pa.DictionaryArray.from_arrays(
            np.repeat(step.rows[container], horizons).astype(np.int32), entities
        ),
        pa.array(np.full(len(rows), step.now_s, np.int64)),
        pa.DictionaryArray.from_arrays(
            np.repeat(resource, horizons).astype(np.int8), pa.array(RESOURCES, pa.string())
        ),
        pa.array(np.tile(np.array(HORIZONS_S, np.int32), len(container))),
        *(pa.array(rows[:, level]) for level in range(len(LEVELS))),
        *(pa.array(chosen[place], mask=missing[place]) for place in range(3)),
        pa.DictionaryArray.from_arrays(np.repeat(codes[container, resource], horizons), reasons),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
