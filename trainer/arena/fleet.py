"""The entities that are judged: test groups of one source, in the last quarter of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.errors import MalformedHistory
from recommender.forecast.baselines import UsageMatrix
from recommender.kpis import BIN_S
from recommender.telemetry.window import BINS_PER_HOUR, HOUR_S
from trainer.traces import TEST_SHARE, Source

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

IDLE_CORES: Final = 0.05
"""Entities whose mean CPU in the judged time is below this are reported apart."""

NOT_SCORED: Final[dict[str, str]] = {
    "smd": "normalised over its whole span, so the scale leaks the future maximum",
    "nezha_lab": "readings of a generated load, with months between its two parts",
}
"""Sources that are judged only where they are asked for by name, and why."""

ACTIVE, IDLE, USER, EVERY = "active", "idle", "user workloads", "all"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The judged entities of one source.

    Attributes:
        source: the whole source.
        rows: int64 ``[E]``, the entities' rows in the source.
        group: int64 ``[E]``, number of each entity's group, from 0.
        start: bin of the first decision: the first full UTC hour in the last quarter. It sees the
            bins up to itself; what is served begins with the next.
        populations: name to bool ``[E]``; overlapping subsets that are reported.
    """

    source: Source
    rows: IntArray
    group: IntArray
    start: int
    populations: dict[str, BoolArray]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def served(self) -> int:
        """Number of bins that are served: ``start + 1 .. start + served``."""
        return self.source.bins - self.start - 1

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1

    def has(self, resource: str) -> bool:
        """Tell whether the source records a resource."""
        return resource in self.source.history.kpis

    def usage(self, resource: str) -> UsageMatrix:
        """Return the judged entities' usage of a resource over the source's whole time."""
        column = self.source.history.kpis.index(resource)
        history = self.source.history
        return UsageMatrix(
            history.first_end_s, history.peak[self.rows, column], history.mean[self.rows, column]
        )

    def served_peak(self, resource: str, every_bins: int = 1) -> FloatArray:
        """Return float32 ``[E, served]``: the peak of each served bin, NaN where none counts.

        A bin counts where something was recorded and the resource had been seen at the decision
        that serves it, since before its first sample no method can have a number.

        Args:
            resource: which.
            every_bins: bins from one decision to the next.
        """
        peak = self.usage(resource).peak
        seen = np.maximum.accumulate(np.isfinite(peak), axis=1)[:, self.decisions(every_bins)]
        known = np.repeat(seen, every_bins, axis=1)[:, : self.served]
        return np.where(known, peak[:, self.start + 1 :], np.nan).astype(np.float32)

    def decisions(self, every_bins: int) -> IntArray:
        """Return the bins at which decisions fall, from the start on."""
        return np.arange(self.start, self.source.bins - 1, every_bins, dtype=np.int64)

    def end_s(self, index: int) -> int:
        """Return the end of a bin of the source."""
        return self.source.end_s(index)


def fleet_of(source: Source) -> Fleet:
    """Return the test groups of a source as a fleet.

    Raises:
        MalformedHistory: the source has no test group with samples in the last quarter, or that
            quarter is shorter than two hours.
    """
    start = _first_full_hour(source)
    if source.bins - start - 1 < 2 * BINS_PER_HOUR:
        raise MalformedHistory(f"{source.name}: its last quarter is too short to be judged")
    rows = np.flatnonzero(source.lot < TEST_SHARE)
    seen = np.isfinite(source.history.peak[rows, :, start + 1 :]).any(axis=(1, 2))
    rows = rows[seen].astype(np.int64)
    if len(rows) == 0:
        raise MalformedHistory(f"{source.name}: no test group has samples in the last quarter")
    names = np.array([source.history.groups[row] for row in rows])
    group = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return Fleet(source, rows, group, start, _populations(source, rows, start, names))


def _first_full_hour(source: Source) -> int:
    """Return the first bin of the last quarter that ends on a full UTC hour."""
    quarter = source.quarter_bin()
    return quarter + (-source.end_s(quarter) % HOUR_S) // BIN_S


def _populations(
    source: Source, rows: IntArray, start: int, names: NDArray[np.str_]
) -> dict[str, BoolArray]:
    every = np.ones(len(rows), bool)
    if "cpu" not in source.history.kpis:
        return {EVERY: every}
    mean = source.history.mean[rows, source.history.kpis.index("cpu"), start + 1 :]
    seen = np.isfinite(mean)
    total = np.where(seen, mean, 0).sum(axis=1, dtype=np.float64)
    active = total >= IDLE_CORES * np.maximum(seen.sum(axis=1), 1)
    found = {ACTIVE: active, IDLE: ~active, EVERY: every}
    # operatefirst marks what people run, as against the cluster's own containers.
    user = np.array(["user#" in name for name in names])
    if user.any():
        found[USER] = user
    return {name: members for name, members in found.items() if members.any()}
