"""The few questions that telemetry asks a Prometheus."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import requests
from prometheus_api_client.exceptions import PrometheusApiClientException

from recommender.errors import MalformedHistory
from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus.decode import Matrix, decode_matrix
from recommender.telemetry.prometheus.faults import QueryTooLarge, ServerFault, named
from recommender.telemetry.prometheus.transport import open_connection

LARGEST_ANSWER: Final = 128 << 20
_LONGEST_GET: Final = 4000
_READ: Final = 1 << 20


@dataclass
class Traffic:
    """What was asked and what came back since the client was opened."""

    range_queries: int = 0
    series: int = 0
    samples: int = 0
    bytes: int = 0
    warnings: dict[str, int] = field(default_factory=dict)


class _SeriesAnswer(msgspec.Struct):
    data: list[dict[str, str]]


class PrometheusClient:
    """Asks through prometheus-api-client; reads large answers from its session directly.

    May be used from several threads. At most ``settings.concurrency`` requests are under way.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        """Prepare the session; nothing is sent yet.

        Raises:
            SettingsError: see :func:`recommender.telemetry.prometheus.transport.open_connection`.
        """
        self.connection, self.adapter = open_connection(settings)
        self.address = f"{settings.url}{settings.path_prefix}"
        self.traffic = Traffic()
        self._timeout_s = settings.timeout_s
        self._session: requests.Session = self.connection._session  # noqa: SLF001 -- design 9
        self._gate = threading.BoundedSemaphore(settings.concurrency)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def clock_skew_s(self) -> float:
        """Return how far the server's clock is ahead of ours, in seconds."""
        before = time.time()
        answer = self._asked("time()")
        after = time.time()
        try:
            there = float(answer[1])
        except (LookupError, TypeError, ValueError) as error:
            raise MalformedHistory(f"{self.address} gave no time when asked time()") from error
        if not math.isfinite(there):
            raise MalformedHistory(f"{self.address} gave {there} when asked time()")
        return there - (before + after) / 2

    def number(self, query: str, at_s: float) -> float | None:
        """Return the single number that an instant query gives; None where it gives none."""
        answer = self._asked(query, {"time": f"{at_s:.3f}"})
        try:
            value = float(answer[0]["value"][1]) if answer else math.nan
        except (LookupError, TypeError, ValueError) as error:
            raise MalformedHistory(f"the answer to {query} is no number") from error
        return value if math.isfinite(value) else None

    def label_values(self, label: str, selector: str, start_s: int, end_s: int) -> list[str]:
        """Return the values of a label among the series that match, sorted."""
        params = {"match[]": selector, "start": start_s, "end": end_s}
        with self._gate, self._named():
            values = self._checked(lambda: self.connection.get_label_values(label, params=params))
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise MalformedHistory(f"the values of label {label} are no list of texts")
        return sorted(values)

    def series(self, selector: str, start_s: int, end_s: int) -> list[dict[str, str]]:
        """Return the labels of the series that match and have samples in the range."""
        body = self._read("series", {"match[]": selector, "start": start_s, "end": end_s})
        try:
            return msgspec.json.decode(body, type=_SeriesAnswer).data
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedHistory(
                f"the list of series of {self.address} is not what Prometheus sends: {error}"
            ) from error

    def matrix(self, query: str, start_s: int, end_s: int, step_s: int) -> Matrix:
        """Evaluate ``query`` at ``start_s``, ``start_s + step_s`` ... ``end_s``.

        Raises:
            QueryTooLarge: ask for fewer series or a shorter range.
            SourceRefused: the server does not accept us or the query.
            ServerFault: no answer, after retries.
            MalformedHistory: an answer that is no matrix; asked for twice, since an answer may be
                cut short by a restart.
        """
        params = {
            "query": query,
            "start": start_s,
            "end": end_s,
            "step": step_s,
            # The server gives up when we do, instead of working on for nobody.
            "timeout": f"{max(1, round(self._timeout_s))}s",
        }
        try:
            body = self._read("query_range", params)
            matrix = decode_matrix(body)
        except MalformedHistory:
            body = self._read("query_range", params)
            matrix = decode_matrix(body)
        with self._lock:
            traffic = self.traffic
            traffic.range_queries += 1
            traffic.series += len(matrix)
            traffic.samples += len(matrix.value)
            traffic.bytes += len(body)
            for warning in matrix.warnings:
                if warning in traffic.warnings or len(traffic.warnings) < 100:
                    traffic.warnings[warning] = traffic.warnings.get(warning, 0) + 1
        return matrix

    def _asked(self, query: str, params: Mapping[str, Any] | None = None) -> Any:
        with self._gate, self._named():
            return self._checked(
                lambda: self.connection.custom_query(query, params=dict(params or {}))
            )

    def _checked(self, call: Any) -> Any:
        """Call prometheus-api-client, which takes the shape of every answer for granted."""
        try:
            return call()
        except requests.exceptions.JSONDecodeError as error:
            raise self._no_answer(error) from error
        except requests.RequestException:
            raise
        except (
            PrometheusApiClientException,
            json.JSONDecodeError,
            LookupError,
            TypeError,
            AttributeError,
            UnicodeDecodeError,
            RecursionError,
        ) as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> MalformedHistory:
        return MalformedHistory(
            f"the answer of {self.address} is not what Prometheus sends: {str(error)[:200]}",
            fix="Check that prometheus.url leads to a Prometheus API",
        )

    def _read(self, endpoint: str, params: Mapping[str, Any]) -> bytes:
        """Return the body of an answer, read within the time and up to the size allowed."""
        url = f"{self.address}/api/v1/{endpoint}"
        short = sum(len(str(value)) for value in params.values()) < _LONGEST_GET
        how: dict[str, Any] = {"params": params} if short else {"data": params}
        with self._gate, self._named():
            deadline = time.monotonic() + 2 * self._timeout_s
            with self._session.request(
                "GET" if short else "POST",
                url,
                verify=self._session.verify,
                timeout=self._timeout_s,
                stream=True,
                **how,
            ) as response:
                return self._body(response, deadline)

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.raw.stream(_READ, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                raise QueryTooLarge(
                    f"an answer of {self.address} is larger than {LARGEST_ANSWER >> 20} MiB",
                    fix="Lower prometheus.max_points",
                )
            if time.monotonic() > deadline:
                raise ServerFault(
                    f"an answer of {self.address} drips in too slowly",
                    fix="Raise prometheus.timeout_s, or check the network between",
                )
        return b"".join(parts)

    def _named(self) -> Any:
        return named(self.address, self._timeout_s)
