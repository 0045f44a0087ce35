"""The HTTP session under prometheus-api-client: who we are, and how gently we ask.

Everything that is true of every request lives here, so that it also holds for the requests that
prometheus-api-client makes itself: credentials, certificates, headers, the rate limit, retries
with back-off, and errors that say what to do.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from recommender.errors import SettingsError, SourceRefused
from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus import faults

log = logging.getLogger(__name__)

RETRIES: Final = 3
BACK_OFF_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
PATIENCE_S: Final = 5.0
"""What took a server longer to refuse is not asked again as it was: it ran out of time over it."""
RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})


class TokenBucket:
    """Spaces requests: at most ``rate`` starts in a second, and ``burst`` at once after a rest."""

    def __init__(
        self,
        rate: float,
        burst: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._burst = rate, max(burst, 1.0)
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._tokens, self._at = self._burst, clock()

    def take(self) -> None:
        """Wait for a token and take it. Waiters are served in the order they came."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            self._tokens -= 1.0
            wait = -self._tokens / self._rate
        if wait > 0:
            self._sleep(wait)


class TokenFileAuth(AuthBase):
    """A bearer token from a file that is read anew whenever it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into a request's header."""
        request.headers["Authorization"] = f"Bearer {self._read()}"
        return request

    def _read(self) -> str:
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._token = self._path.read_text(encoding="ascii").strip()
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            raise SourceRefused(
                f"the token file {self._path} cannot be read: {error}",
                fix="Check prometheus.token_file and its mount",
            ) from error
        if not self._token:
            raise SourceRefused(
                f"the token file {self._path} is empty", fix="Check prometheus.token_file"
            )
        return self._token


class TokenAuth(AuthBase):
    """A fixed bearer token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into a request's header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class PoliteAdapter(HTTPAdapter):
    """Takes a token before each attempt and tries again, later, what may then go well.

    Attributes:
        attempts: requests sent so far, retries included.
    """

    def __init__(
        self,
        bucket: TokenBucket,
        connections: int,
        back_off_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections)
        self._bucket, self._back_off_s, self._sleep = bucket, back_off_s, sleep
        self.attempts = 0

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request, at most ``1 + RETRIES`` times."""
        for attempt in range(RETRIES + 1):
            self._bucket.take()
            self.attempts += 1
            last = attempt == RETRIES
            try:
                response = super().send(request, *args, **kwargs)
            except (requests.ConnectionError, requests.Timeout) as error:
                if last or isinstance(error, requests.exceptions.SSLError):
                    raise
                if isinstance(error, requests.ReadTimeout) and attempt > 0:
                    raise  # it worked all that time; once more would only wear it down
                wait, why = self._wait(attempt, None), type(error).__name__
            else:
                slow = response.elapsed.total_seconds() > PATIENCE_S
                if last or slow or response.status_code not in RETRIED:
                    return response
                wait, why = self._wait(attempt, response), str(response.status_code)
                response.close()
            log.info("Prometheus answered %s; asking again in %.1f s", why, wait)
            self._sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    def _wait(self, attempt: int, response: requests.Response | None) -> float:
        asked = response.headers.get("Retry-After", "") if response is not None else ""
        if asked.isascii() and asked.isdigit():
            return min(float(asked[:6]), LONGEST_WAIT_S)
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 -- spreads retries, keeps no secret
        return min(self._back_off_s * 2.0**attempt * jitter, LONGEST_WAIT_S)


def open_connection(settings: PrometheusSettings) -> tuple[PrometheusConnect, PoliteAdapter]:
    """Return a connection for ``settings`` and the adapter that all its requests go through.

    Raises:
        SettingsError: no URL, a CA or password file that cannot be read, or a header that HTTP
            does not allow.
    """
    if settings.url is None:
        raise SettingsError(
            "no Prometheus is set", fix="Set prometheus.url (PEAKCAST_PROMETHEUS__URL)"
        )
    session = requests.Session()
    session.headers["User-Agent"] = "peakcast"
    # Inside a cluster, bytes are cheaper than the server's time to compress them.
    session.headers["Accept-Encoding"] = "identity"
    if settings.tenant is not None:
        session.headers["X-Scope-OrgID"] = settings.tenant
    session.headers.update(settings.headers)
    session.auth = _auth(settings)
    session.verify = _verify(settings)
    session.hooks["response"].append(faults.check_response)
    _check_headers(session)
    base = f"{settings.url}{settings.path_prefix}"
    connection = PrometheusConnect(
        url=base, session=session, timeout=max(1, round(settings.timeout_s))
    )
    adapter = PoliteAdapter(
        TokenBucket(settings.requests_per_s), settings.concurrency + 2, BACK_OFF_S
    )
    session.mount(base, adapter)  # in place of the connection's own, which knows no rate
    return connection, adapter


def _auth(settings: PrometheusSettings) -> AuthBase | None:
    if settings.token_file is not None:
        return TokenFileAuth(settings.token_file)
    if settings.token is not None:
        return TokenAuth(settings.token.get_secret_value())
    if settings.username is None:
        return _NoAuth()
    if settings.password_file is not None:
        try:
            password = settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the password file {settings.password_file} cannot be read: {error}",
                fix="Check prometheus.password_file",
            ) from error
    else:
        password = settings.password.get_secret_value() if settings.password else ""
    return HTTPBasicAuth(settings.username.encode(), password.encode())


class _NoAuth(AuthBase):
    """Keeps requests from taking credentials from a .netrc that nobody thought of."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _verify(settings: PrometheusSettings) -> bool | str:
    if settings.insecure:
        log.warning(
            "prometheus.insecure is on: whoever can reach the network between us can read the "
            "token and forge the metrics. Set prometheus.ca_file instead"
        )
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    if settings.ca_file is None:
        return True
    try:
        settings.ca_file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the CA file {settings.ca_file} cannot be read: {error.strerror}",
            fix="Check prometheus.ca_file",
        ) from error
    return str(settings.ca_file)


def _check_headers(session: requests.Session) -> None:
    try:
        session.prepare_request(requests.Request("GET", "http://localhost/", auth=_NoAuth()))
    except (requests.exceptions.InvalidHeader, UnicodeError) as error:
        raise SettingsError(
            f"a header for Prometheus is not allowed in HTTP: {error}",
            fix="Check prometheus.headers and prometheus.tenant",
        ) from error
