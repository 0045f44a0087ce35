"""What can go wrong with a Prometheus, each as an error that names cause and fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import requests
import urllib3

from recommender.errors import MalformedHistory, SourceRefused, SourceUnreachable, TelemetryError

_LONGEST_QUOTE: Final = 300
_ERROR_BYTES: Final = 65_536


class AccessDenied(SourceRefused):
    """Our credentials are not accepted, or do not allow to query."""


class QueryTooLarge(SourceRefused):
    """The query, or its answer, is more than the server or this client takes; ask for less."""


class ServerFault(SourceUnreachable):
    """No usable answer from the server, after retries; later it may be there again."""


class OutOfTime(ServerFault):
    """No answer in time: the server is too slow for this query, or does not answer at all."""


class _Refusal(msgspec.Struct, rename="camel"):
    status: str = ""
    error_type: str = ""
    error: str = ""


def check_response(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
    """Raise for an answer that is not a success in JSON (a requests response hook).

    Raises:
        SourceRefused: credentials, path or query are not accepted.
        SourceUnreachable: the server or a proxy before it is not able to answer.
        MalformedHistory: something other than a Prometheus answered.
    """
    if response.is_redirect:
        return
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    status = response.status_code
    if status == 200:
        if not kind.endswith(("html", "xml")):
            return
        response.close()
        raise MalformedHistory(
            f"{_address(response)} answered with {kind} instead of JSON",
            fix="Check prometheus.url and prometheus.path_prefix; a login page in between also "
            "looks like this",
        )
    raise _refusal(response, status)


@contextmanager
def named(address: str, timeout_s: float) -> Iterator[None]:
    """Turn what requests and urllib3 raise into errors of this package."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise ServerFault(
            f"TLS with {address} failed: {_reason(error)}",
            fix="Set prometheus.ca_file to the authority that signed the server's certificate, "
            "and check that the name in the URL is in that certificate",
        ) from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        slow = not isinstance(error, requests.exceptions.ConnectTimeout)
        raise (OutOfTime if slow else ServerFault)(
            f"{address} gave no answer within {timeout_s:g} s",
            fix="Raise prometheus.timeout_s, or give Prometheus more CPU or memory",
        ) from error
    except (
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
        urllib3.exceptions.ProtocolError,
        urllib3.exceptions.DecodeError,
    ) as error:
        raise MalformedHistory(
            f"the answer of {address} was cut short: {_reason(error)}",
            fix="Check for a proxy that limits answers, and whether Prometheus was restarted",
        ) from error
    except (requests.exceptions.ConnectionError, OSError) as error:
        raise ServerFault(
            f"{address} cannot be reached: {_reason(error)}",
            fix="Check prometheus.url, the service's name and port, and network policies",
        ) from error
    except requests.exceptions.RequestException as error:
        raise ServerFault(
            f"the request to {address} could not be made: {_reason(error)}",
            fix="Check prometheus.url",
        ) from error


def _refusal(response: requests.Response, status: int) -> TelemetryError:  # noqa: PLR0911 -- a list
    said = _said(response)
    words = f": {said.error[:_LONGEST_QUOTE]}" if said.error else ""
    address = _address(response)
    if status in (401, 407):
        return AccessDenied(
            f"{address} does not accept our credentials ({status}){words}",
            fix="Set prometheus.token_file, or username and password_file",
        )
    if status == 403:
        return AccessDenied(
            f"{address} does not allow us to query (403){words}",
            fix="Give this account the right to query, or set prometheus.tenant",
        )
    if status in (404, 405):
        return SourceRefused(
            f"{address} has no Prometheus API at this path ({status}){words}",
            fix="Check prometheus.url and prometheus.path_prefix (/prometheus for Mimir)",
        )
    if status == 413 or "too many samples" in said.error or "too many" in said.error.lower():
        return QueryTooLarge(
            f"{address} finds the query too large ({status}){words}",
            fix="Lower prometheus.max_points, or raise --query.max-samples of the server",
        )
    if status == 429:
        return ServerFault(
            f"{address} asks us to slow down (429){words}",
            fix="Lower prometheus.requests_per_s and prometheus.concurrency",
        )
    if said.error_type == "timeout" or status in (408, 504):
        return OutOfTime(
            f"{address} ran out of time over a query ({status}){words}",
            fix="Raise prometheus.timeout_s, or give Prometheus more CPU",
        )
    if status >= 500:
        return ServerFault(
            f"{address} is not able to answer ({status}){words}",
            fix="Look into the logs of Prometheus and of proxies before it",
        )
    return SourceRefused(
        f"{address} refuses the query ({status}){words}",
        fix="Check the changed queries, if there are any",
    )


def _said(response: requests.Response) -> _Refusal:
    """Return Prometheus's own words, as far as the body holds any."""
    try:
        body = response.raw.read(_ERROR_BYTES, decode_content=True)
        return msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Refusal()
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        return _Refusal()
    finally:
        response.close()


def _address(response: requests.Response) -> str:
    return (response.url or "Prometheus").split("?")[0]


def _reason(error: BaseException) -> str:
    """Return the innermost cause's text: the outer ones repeat it in brackets."""
    inner: BaseException = error
    for _ in range(8):
        below = getattr(inner, "reason", None)
        if not isinstance(below, BaseException):
            below = next((arg for arg in inner.args if isinstance(arg, BaseException)), None)
        if not isinstance(below, BaseException):
            break
        inner = below
    text = str(inner)
    _, _, after_object = text.rpartition(">: ")  # "<urllib3... object at 0x7f...>: what happened"
    return after_object[:_LONGEST_QUOTE] or type(inner).__name__
