"""A Prometheus as a source of histories."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from types import TracebackType
from typing import Final, Self

from recommender.kpis import BIN_S, KPIS
from recommender.settings import PrometheusSettings
from recommender.telemetry.history import Block
from recommender.telemetry.prometheus.batches import CONTAINERS_PER_POD, Batch
from recommender.telemetry.prometheus.blocks import Assembly, Leftovers
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.inventory import batches, scrape_interval
from recommender.telemetry.prometheus.ownership import Owners, host_network_pods
from recommender.telemetry.prometheus.promql import Cadence, both, one_of, range_query, templates
from recommender.telemetry.prometheus.questions import (
    SAMPLES_PER_QUERY,
    Asking,
    Grid,
    Limits,
    cadence_of,
)
from recommender.telemetry.prometheus.report import KpiHealth, SourceReport

log = logging.getLogger(__name__)

HOUR_S: Final = 3600
RECENT_S: Final = 24 * HOUR_S
HISTORY_S: Final = 15 * RECENT_S
USUAL_INTERVAL_S: Final = 30.0


class PrometheusSource:
    """Reads KPI histories from Prometheus, Thanos, Mimir or VictoriaMetrics.

    The first load comes in two passes, each in blocks of a batch of workloads: the last 24 hours
    in five-minute bins, so that there is something to forecast from soon, then what is older in
    hourly bins. After it, :meth:`delta` asks for what is new.

    Attributes:
        report: how the last pass went.
    """

    def __init__(
        self,
        settings: PrometheusSettings,
        *,
        queries: Mapping[str, str] | None = None,
        namespaces: Collection[str] = (),
        labels: Mapping[str, str] | None = None,
        samples_per_query: int = SAMPLES_PER_QUERY,
        lag_s: int = 60,
        overlap_bins: int = 2,
        recent_s: int = RECENT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: where and as whom.
            queries: own query templates by KPI name, see
                :mod:`recommender.telemetry.prometheus.promql`; an empty one switches a KPI off.
            namespaces: only these; empty stands for all.
            labels: values that every series must have, such as the cluster's where one server
                holds several.
            samples_per_query: values that one query may make the server hold in memory.
            lag_s: how long after its end a bin is read: scrapes take time to arrive.
            overlap_bins: bins that each delta reads again, for samples that came later still.
            recent_s: how far back five-minute bins are read at the first load.
            clock: our time, seconds since the epoch.

        Raises:
            SettingsError: settings or queries that cannot work.
        """
        self.client = PrometheusClient(settings)
        self.report = SourceReport()
        self._settings = settings
        self._templates = templates(queries)
        self._matchers = both(
            *(one_of(label, [value]) for label, value in sorted((labels or {}).items()))
        )
        self._namespaces = tuple(sorted(set(namespaces)))
        self._limits = Limits(samples_per_query, settings.max_points, settings.concurrency)
        self._lag_s, self._overlap_bins, self._clock = lag_s, overlap_bins, clock
        self._recent_s = recent_s
        self._cadence = Cadence.for_scrapes(USUAL_INTERVAL_S)
        self._owners = Owners()
        self._node_network: frozenset[tuple[str, str]] = frozenset()
        self._last_end_s: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    @property
    def last_end_s(self) -> int | None:
        """End of the last bin that every KPI has been read up to; None before the first load."""
        return min(self._last_end_s.values(), default=None)

    def blocks(self, start_s: int, end_s: int) -> Iterator[Block]:
        """Yield the history in ``(start_s, end_s]``: recent five-minute blocks, then hourly ones.

        Five-minute bins reach back ``recent_s`` before ``end_s``; hourly ones cover the hours that
        begin at or after ``start_s``, up to the first hour that is whole in five-minute bins.

        Raises:
            SourceUnreachable: no answer, after retries.
            SourceRefused: credentials are not accepted.
            MalformedHistory: what answers is no Prometheus.
        """
        end = end_s // BIN_S * BIN_S
        start = -(-start_s // BIN_S) * BIN_S
        if end <= start:
            return
        fine_from = max(start, end - self._recent_s)
        self._look_around(start, end)
        fine = Grid(fine_from + BIN_S, BIN_S, (end - fine_from) // BIN_S)
        yield from self._pass(fine, dict.fromkeys(KPIS, 0))
        first_hour = -(-start // HOUR_S) * HOUR_S + HOUR_S
        last_hour = min(-(-fine_from // HOUR_S), end // HOUR_S) * HOUR_S
        if fine_from > start and last_hour >= first_hour:
            hours = Grid(first_hour, HOUR_S, (last_hour - first_hour) // HOUR_S + 1)
            yield from self._pass(hours, dict.fromkeys(KPIS, 0))

    def delta(self, now_s: float | None = None) -> Iterator[Block]:
        """Yield what is new since the last call, and the bins before it once more.

        Without an earlier load, or after one that is more than a day old, this is a first load of
        15 days. Where a KPI could not be read, it is asked for again from where it stopped.

        Args:
            now_s: our time, seconds since the epoch; the server's clock is reckoned from it.

        Raises:
            As :meth:`blocks`.
        """
        now = self._clock() if now_s is None else now_s
        skew = self.client.clock_skew_s() if now_s is None else self.report.skew_s
        end = int(now + skew - self._lag_s) // BIN_S * BIN_S
        last = self.last_end_s
        if last is None or end - last > RECENT_S:
            yield from self.blocks(end - HISTORY_S if last is None else last, end)
            return
        if end <= last:
            return
        begin = last - self._overlap_bins * BIN_S
        self._look_around(begin, end)
        grid = Grid(begin + BIN_S, BIN_S, (end - begin) // BIN_S)
        from_bin = {kpi: (until - last) // BIN_S for kpi, until in self._last_end_s.items()}
        yield from self._pass(grid, from_bin)

    def _look_around(self, start_s: int, end_s: int) -> None:
        """Learn the server's clock and scrape interval, and whose the pods are."""
        report = SourceReport(warnings=self.client.traffic.warnings)
        report.skew_s = self.client.clock_skew_s()
        report.scrape_interval_s = self.report.scrape_interval_s
        if report.scrape_interval_s is None:
            report.scrape_interval_s = scrape_interval(self.client, end_s, self._matchers)
            self._cadence = self._chosen_cadence(report.scrape_interval_s or USUAL_INTERVAL_S)
        report.window_s = self._cadence.window_s
        self._owners.learn(self.client, start_s, end_s, self._matchers)
        self._owners.forget(end_s - RECENT_S)
        self._node_network = host_network_pods(self.client, start_s, end_s, self._matchers)
        report.owned_pods = len(self._owners)
        report.owners_missing = len(self._owners) == 0
        report.kpis = {
            kpi: KpiHealth("missing" if kpi in self._templates else "off") for kpi in KPIS
        }
        self.report = report

    def _chosen_cadence(self, interval_s: float) -> Cadence:
        """Return the cadence for a scrape interval, as far as the settings do not fix it."""
        cadence = Cadence.for_scrapes(interval_s)
        own_window, own_step = self._settings.rate_window_s, self._settings.step_s
        cadence = Cadence.for_window(own_window) if own_window else cadence
        return Cadence(cadence.window_s, own_step or cadence.step_s)

    def _pass(self, grid: Grid, from_bin: Mapping[str, int]) -> Iterator[Block]:
        """Ask for all batches; KPIs without a failure are then known up to the grid's end."""
        failed: set[str] = set()
        leftovers = Leftovers()
        for batch in self._batches(grid):
            asking = Asking(
                self.client, self._templates, self._cadence, self._limits, self._matchers
            )
            answers = asking.ask(batch, grid, from_bin)
            assembly = Assembly(
                grid,
                self._owners,
                self._node_network,
                bare=self.report.owners_missing,
                leftovers=leftovers,
            )
            self._note(asking, {KPIS[answer.kpi] for answer in answers if len(answer.labels)})
            failed |= set(asking.failures)
            block = assembly.block(answers)
            self.report.orphans, self.report.unlabelled = (
                len(leftovers.orphans),
                leftovers.unlabelled,
            )
            if block is not None:
                yield block
        if grid.step_s == BIN_S:
            for kpi in self._templates:
                if kpi not in failed:
                    self._last_end_s[kpi] = grid.last_end_s
                else:
                    self._last_end_s.setdefault(kpi, grid.first_end_s - BIN_S)

    def _note(self, asking: Asking, seen: set[str]) -> None:
        """Put a batch's outcome into the report; give up where nothing at all could be read."""
        if asking.failures and not seen and set(asking.failures) >= set(self._templates):
            raise next(iter(asking.failures.values()))
        self.report.halved += asking.halved
        for kpi, error in asking.failures.items():
            log.warning("%s could not be read: %s", kpi, error)
            self.report.kpis[kpi] = KpiHealth("failed", str(error))
        for kpi in seen:
            if self.report.kpis[kpi].state == "missing":
                self.report.kpis[kpi] = KpiHealth("ok")

    def _batches(self, grid: Grid) -> list[Batch]:
        """Divide the pods so that one query of the costliest kind stays within the limit."""
        start = grid.first_end_s - grid.step_s
        day = min(grid.bins, RECENT_S // grid.step_s)
        costs = [
            range_query(
                text, statistic, grid.step_s, cadence_of(kpi, self._cadence, grid.step_s)
            ).samples_per_step
            for kpi, text in self._templates.items()
            for statistic in grid.statistics
        ]
        per_pod = CONTAINERS_PER_POD * day * (max(costs, default=1) + 1)
        most_pods = max(1, self._limits.samples // per_pod)
        return batches(
            self.client,
            self._owners,
            start,
            grid.last_end_s,
            most_pods=most_pods,
            namespaces=self._namespaces,
            matchers=self._matchers,
        )
