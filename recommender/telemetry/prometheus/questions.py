"""Asking for one rectangle of history: many small queries at once, answers placed on the grid."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from recommender.errors import TelemetryError
from recommender.kpis import BIN_S, CATALOGUE, RESOURCES
from recommender.telemetry.prometheus import promql
from recommender.telemetry.prometheus.batches import Batch, Selection, pieces, steps_at_once
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.faults import (
    AccessDenied,
    OutOfTime,
    QueryTooLarge,
    ServerFault,
)
from recommender.telemetry.prometheus.placement import FloatArray, place
from recommender.telemetry.prometheus.promql import Cadence, RangeQuery, Statistic

SAMPLES_PER_QUERY: Final = 500_000

MOST_FAULTS: Final = 5
"""Queries in a row that may go unanswered before the pass is given up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server is asked to do at once.

    Attributes:
        samples: values that one query may make the server hold, at 16 bytes each and several
            times that before its garbage collector comes round; the server's own limit is 50
            million by default.
        points: steps of one query.
        concurrency: queries under way, for recent history; for older, one at a time.
    """

    samples: int = SAMPLES_PER_QUERY
    points: int = 10_000
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class Grid:
    """Consecutive bins.

    Attributes:
        first_end_s: end of the first.
        step_s: their width.
        bins: how many.
    """

    first_end_s: int
    step_s: int
    bins: int

    @property
    def last_end_s(self) -> int:
        """End of the last bin."""
        return self.first_end_s + (self.bins - 1) * self.step_s

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What is kept of each bin."""
        return ("peak", "mean") if self.step_s == BIN_S else ("peak", "mean", "std")


@dataclass(frozen=True, slots=True)
class Answer:
    """The series of one answer, on the grid.

    Attributes:
        kpi: position in the catalogue.
        statistic: what was asked for.
        offset: the first column's place in the grid.
        labels: of each row.
        rows: float32 ``[series, columns]``.
    """

    kpi: int
    statistic: Statistic
    offset: int
    labels: tuple[dict[str, str], ...]
    rows: FloatArray


@dataclass(frozen=True, slots=True)
class _Question:
    kpi: int
    statistic: Statistic
    selection: Selection
    offset: int
    bins: int


def cadence_of(kpi: str, cadence: Cadence, bin_s: int) -> Cadence:
    """Return how finely a KPI is looked at: short peaks in old history only of what is sized.

    An hour of short rates costs the server ten times an hour of five-minute rates.
    """
    coarse = bin_s > BIN_S and kpi not in RESOURCES and cadence.window_s < BIN_S
    return Cadence(BIN_S, BIN_S) if coarse else cadence


@dataclass
class Asking:
    """One pass over one batch.

    Attributes:
        client: who is asked.
        templates: of each KPI.
        cadence: how finely peaks are looked for.
        limits: how much at once.
        matchers: label matchers of every query, besides the batch's own.
        failures: by KPI, the first error.
        halved: questions that had to be divided.
    """

    client: PrometheusClient
    templates: Mapping[str, str]
    cadence: Cadence
    limits: Limits
    matchers: str = ""
    failures: dict[str, TelemetryError] = field(default_factory=dict)
    halved: int = 0
    _faults: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, batch: Batch, grid: Grid, from_bin: Mapping[str, int]) -> list[Answer]:
        """Ask for every KPI and statistic of a batch.

        Args:
            batch: the pods.
            grid: the bins.
            from_bin: by KPI, the first bin to ask for; a KPI that is not in it is not asked for.

        Raises:
            AccessDenied: our credentials are no longer accepted.
            ServerFault: the server stays away.
        """
        questions = [
            question
            for kpi, known in enumerate(CATALOGUE)
            if known.name in self.templates and known.name in from_bin
            for question in self._questions(kpi, batch, grid, from_bin[known.name])
        ]
        # Nobody waits for older history, and it is what costs a server most.
        at_once = self.limits.concurrency if grid.step_s == BIN_S else 1
        with ThreadPoolExecutor(at_once, "prometheus") as pool:
            waiting = [pool.submit(self._answers, question, grid) for question in questions]
            try:
                return [answer for future in waiting for answer in future.result()]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _questions(self, kpi: int, batch: Batch, grid: Grid, from_bin: int) -> Iterator[_Question]:
        for statistic in grid.statistics:
            cost = self._query(kpi, statistic, batch[0], grid).samples_per_step
            for selection in batch:
                at_once = steps_at_once(selection, cost, self.limits.samples, self.limits.points)
                for offset, bins in pieces(grid.bins - from_bin, at_once):
                    yield _Question(kpi, statistic, selection, from_bin + offset, bins)

    def _query(
        self, kpi: int, statistic: Statistic, selection: Selection, grid: Grid
    ) -> RangeQuery:
        name = CATALOGUE[kpi].name
        cadence = cadence_of(name, self.cadence, grid.step_s)
        matchers = promql.both(self.matchers, selection.matchers)
        return promql.range_query(self.templates[name], statistic, grid.step_s, cadence, matchers)

    def _answers(self, question: _Question, grid: Grid) -> Sequence[Answer]:
        try:
            answers = self._whole_or_halves(question, grid)
        except AccessDenied:
            raise
        except ServerFault as error:
            with self._lock:
                self._faults += not isinstance(error, OutOfTime)  # those are counted already
                given_up = self._faults >= MOST_FAULTS
            if given_up:
                raise
            return self._failed(question, error)
        except TelemetryError as error:
            return self._failed(question, error)
        with self._lock:
            self._faults = 0
        return answers

    def _failed(self, question: _Question, error: TelemetryError) -> Sequence[Answer]:
        with self._lock:
            self.failures.setdefault(CATALOGUE[question.kpi].name, error)
        return ()

    def _whole_or_halves(self, question: _Question, grid: Grid) -> list[Answer]:
        first = grid.first_end_s + question.offset * grid.step_s
        last = first + (question.bins - 1) * grid.step_s
        query = self._query(question.kpi, question.statistic, question.selection, grid)
        try:
            matrix = self.client.matrix(query.expr, first, last, grid.step_s)
        except (QueryTooLarge, OutOfTime) as error:
            parts = _halves(question)
            with self._lock:
                self._faults += isinstance(error, OutOfTime)
                if not parts or self._faults >= MOST_FAULTS:
                    raise
                self.halved += 1
            return [answer for part in parts for answer in self._whole_or_halves(part, grid)]
        rows = place(matrix, first, grid.step_s, question.bins)
        return [Answer(question.kpi, question.statistic, question.offset, matrix.labels, rows)]


def _halves(question: _Question) -> list[_Question]:
    kpi, statistic, offset, bins = (
        question.kpi,
        question.statistic,
        question.offset,
        question.bins,
    )
    parts = question.selection.halves()
    if parts:
        return [_Question(kpi, statistic, part, offset, bins) for part in parts]
    if bins > 1:
        half = bins // 2
        return [
            _Question(kpi, statistic, question.selection, offset, half),
            _Question(kpi, statistic, question.selection, offset + half, bins - half),
        ]
    return []
