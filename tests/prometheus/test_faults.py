"""What we say when it does not work, and that nothing a server sends makes us crash."""

import socket
import time

import pytest

from recommender.errors import MalformedHistory, SourceRefused, SourceUnreachable
from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus import PrometheusClient, transport
from recommender.telemetry.prometheus.faults import AccessDenied, OutOfTime, QueryTooLarge

pytestmark = pytest.mark.prometheus

SECRET = "hunter2"  # noqa: S105
TOO_MANY_SAMPLES = (
    b'{"status":"error","errorType":"execution","error":"query processing would load too many '
    b'samples into memory in query execution"}'
)
T0 = 1_700_000_400


@pytest.fixture(scope="module")
def server(launch):
    return launch([f"up 1 {T0}"])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(transport, "BACK_OFF_S", 0.01)


@pytest.fixture
def proxy(server, proxied):
    return proxied(server)


def status(code, body=b"", **headers):
    return lambda handler: handler.reply(code, body, **headers)


def ask(url, **options):
    client = PrometheusClient(PrometheusSettings(url=url, **({"requests_per_s": 1000} | options)))
    try:
        return client.matrix("vector(1)", T0, T0 + 600, 300)
    finally:
        client.close()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_may_go_well_later_is_asked_again(proxy, code):
    proxy.faults = [status(code), status(code)]
    assert len(ask(proxy.url)) == 1
    assert len(proxy.seen) == 3


def test_retry_after_is_obeyed(proxy):
    proxy.faults = [status(429, Retry_After="1")]
    ask(proxy.url)
    assert 1.0 <= proxy.seen[1][0] - proxy.seen[0][0] < 5.0


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (401, b"", AccessDenied, "token_file"),
        (403, b"forbidden by policy", AccessDenied, "right to query"),
        (404, b"404 page not found", SourceRefused, "path_prefix"),
        (429, b"", SourceUnreachable, "requests_per_s"),
        (503, b"<html>", SourceUnreachable, "503"),
        (500, b'{"status":"error","error":"disk on fire"}', SourceUnreachable, "disk on fire"),
        (
            400,
            b'{"status":"error","errorType":"bad_data","error":"parse error at char 3"}',
            SourceRefused,
            "parse error at char 3",
        ),
        (
            422,
            TOO_MANY_SAMPLES,
            QueryTooLarge,
            "too large",
        ),
        (
            503,
            b'{"status":"error","errorType":"timeout","error":"query timed out"}',
            OutOfTime,
            "ran out of time",
        ),
        (413, b"", QueryTooLarge, "too large"),
        (400, b"[" * 100_000, SourceRefused, "400"),
        (418, b"\xff\xfe", SourceRefused, "418"),
    ],
)
def test_refusals_name_cause_and_fix(proxy, code, body, kind, words):
    proxy.faults = [status(code, body)] * 4
    with pytest.raises(kind, match=words) as caught:
        ask(proxy.url)
    assert caught.value.fix
    assert "127.0.0.1" in caught.value.cause


def test_a_web_page_is_no_answer(proxy):
    page = status(200, b"<html><title>Log in</title>", kind="text/html; charset=utf-8")
    proxy.faults = [page] * 2
    with pytest.raises(MalformedHistory, match=r"text/html.*login page"):
        ask(proxy.url)
    proxy.faults = [page]
    with pytest.raises(MalformedHistory, match="text/html"):
        PrometheusClient(PrometheusSettings(url=proxy.url)).clock_skew_s()


def test_a_truncated_answer_is_asked_for_once_more(proxy):
    cut = status(200, b'{"status":"success","data":{"resultType":"mat', length=9999)
    proxy.faults = [cut]
    assert len(ask(proxy.url)) == 1
    proxy.faults = [cut, cut]
    with pytest.raises(MalformedHistory, match="cut short"):
        ask(proxy.url)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"status":"success"}', b'{"status":"success","data":null}', b"{" * 9,
     b'{"status":"success","data":{"result":{"a":1}}}', b'{"data":[1,2]}', b"\xff", b"[" * 100_000,
     b'{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}'],
)  # fmt: skip
def test_hostile_answers_never_crash_any_question(proxy, body):
    client = PrometheusClient(PrometheusSettings(url=proxy.url, requests_per_s=1000))
    for question in (
        client.clock_skew_s,
        lambda: client.matrix("up", T0, T0, 300),
        lambda: client.series("up", T0, T0),
        lambda: client.label_values("pod", "up", T0, T0),
    ):
        proxy.faults = [status(200, body)] * 2
        with pytest.raises(MalformedHistory):
            question()
    client.close()


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceUnreachable, match=rf"127.0.0.1:{port} cannot be reached: .*refused"):
        ask(f"http://127.0.0.1:{port}")
    with pytest.raises(SourceUnreachable, match="cannot be reached"):
        ask("http://no-such-host.invalid:9090")


def test_a_server_that_does_not_answer(proxy):
    proxy.faults = [lambda _: time.sleep(0.6)] * 2
    with pytest.raises(SourceUnreachable, match=r"no answer within 0\.2 s"):
        ask(proxy.url, timeout_s=0.2)
    assert len(proxy.seen) == 2


def test_an_answer_larger_than_allowed_is_not_read_to_its_end(proxy, monkeypatch):
    monkeypatch.setattr("recommender.telemetry.prometheus.client.LARGEST_ANSWER", 1000)
    proxy.faults = [status(200, b" " * 5000)]
    with pytest.raises(QueryTooLarge, match="larger than"):
        ask(proxy.url)


def test_secrets_are_in_no_message(proxy):
    proxy.faults = [status(401)]
    with pytest.raises(AccessDenied) as caught:
        ask(proxy.url, token=SECRET)
    assert SECRET not in str(caught.value)
