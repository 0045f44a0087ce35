"""Who we are, whom we trust, how gently we ask, and what we say when it does not work."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import (
    SettingsError,
    SourceRefused,
    SourceUnreachable,
    TelemetryError,
)
from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus import PrometheusSource, transport
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.faults import AccessDenied
from recommender.telemetry.prometheus.transport import TokenBucket

pytestmark = pytest.mark.prometheus

TLS = Path(__file__).parent / "data" / "tls"
T0 = 1_700_000_400 // 3600 * 3600
TIMES = np.arange(T0, T0 + 3601, 30)
SECRET, PASSWORD = "s3cret", "päss: word"
# bcrypt of PASSWORD, cost 4
BASIC = (
    'basic_auth_users:\n  reader: "$2b$04$DtUIqmF9jluYgZmbPOa2hOH4n5cUa5SCP6eQ9TTOYh30cZHcO3Ile"\n'
)


@pytest.fixture(scope="module")
def lines(new_cluster):
    cluster = new_cluster()
    cluster.container(("ns", "p", "app"), TIMES, memory=np.full(len(TIMES), 1e8))
    cluster.owner(("Pod", "ns", "p"), ("", ""), TIMES)
    return cluster.lines


@pytest.fixture(scope="module")
def server(launch, lines):
    return launch(lines)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(transport, "BACK_OFF_S", 0.01)


@pytest.fixture
def proxy(server, proxied):
    return proxied(server)


def memory_of(url, **options):
    options = {"requests_per_s": 1000} | options
    with PrometheusSource(PrometheusSettings(url=url, **options)) as source:
        (block,) = source.blocks(T0, T0 + 3600)
        assert (block.peak[0, 1] == np.float32(1e8)).all()
        return source


def ask(url, **options):
    client = PrometheusClient(PrometheusSettings(url=url, **({"requests_per_s": 1000} | options)))
    try:
        return client.matrix("vector(1)", T0, T0 + 600, 300)
    finally:
        client.close()


def test_bearer_token_tenant_and_own_headers_go_with_every_request(proxy):
    memory_of(
        proxy.url, token=SECRET, tenant="team-a", headers={"X-Scope": "yes", "User-Agent": "me"}
    )
    assert {path.split("?")[0] for _, path, _ in proxy.seen} == {
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/series",
    }
    for _, _, headers in proxy.seen:
        assert headers["Authorization"] == f"Bearer {SECRET}"
        assert headers["X-Scope-OrgID"] == "team-a"
        assert headers["X-Scope"] == "yes"
        assert headers["User-Agent"] == "me"


def test_a_token_file_is_read_again_when_it_changes(proxy, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    client = PrometheusClient(PrometheusSettings(url=proxy.url, token_file=token))
    client.clock_skew_s()
    new = tmp_path / "new"
    new.write_text("second\n")
    new.replace(token)  # as kubelet does, by a rename
    client.matrix("vector(1)", T0, T0, 300)
    token.unlink()
    with pytest.raises(SourceRefused, match="token file"):
        client.clock_skew_s()
    token.write_text(" \n")
    with pytest.raises(SourceRefused, match="is empty"):
        client.clock_skew_s()
    client.close()
    sent = [headers["Authorization"] for _, _, headers in proxy.seen]
    assert sent == ["Bearer first", "Bearer second"]


def test_netrc_is_not_looked_at(proxy, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    memory_of(proxy.url)
    assert not any("Authorization" in headers for _, _, headers in proxy.seen)


def test_path_prefix(launch, lines):
    server = launch(lines, prefix="/prometheus/deep")
    memory_of(server.url, path_prefix="/prometheus/deep/")
    with pytest.raises(TelemetryError, match="path_prefix"):
        ask(server.url)
    with pytest.raises(SourceRefused, match="path_prefix"):
        ask(server.url, path_prefix="/prometheus/deep/nowhere")


def test_basic_authentication_over_tls_with_own_ca(launch, lines, tmp_path, caplog):
    config = (
        f"tls_server_config:\n  cert_file: {TLS / 'server.pem'}\n  key_file: {TLS / 'server.key'}\n"
    )
    server = launch(lines, scheme="https", web_config=config + BASIC)
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    user = {"username": "reader", "password_file": password}
    memory_of(server.url, ca_file=TLS / "ca.pem", **user)
    memory_of(server.url, ca_file=TLS / "ca.pem", username="reader", password=PASSWORD)
    with pytest.raises(AccessDenied, match=r"401.*Unauthorized|credentials"):
        ask(server.url, ca_file=TLS / "ca.pem")
    with pytest.raises(AccessDenied, match="token_file"):
        ask(server.url, ca_file=TLS / "ca.pem", username="reader", password=SECRET)
    for how in ({}, {"ca_file": TLS / "other-ca.pem"}):
        with pytest.raises(SourceUnreachable, match=r"TLS .*certificate.*ca_file"):
            ask(server.url, **how, **user)
    assert "insecure" not in caplog.text
    memory_of(server.url, insecure=True, **user)
    assert "prometheus.insecure is on" in caplog.text
    other = server.url.replace("127.0.0.1", "localhost.localdomain")
    with pytest.raises(SourceUnreachable):
        ask(other, ca_file=TLS / "ca.pem", **user)
    with pytest.raises(TelemetryError):
        ask(server.url.replace("https", "http"), **user)


def test_queries_too_long_for_a_url_are_posted(server):
    names = "|".join(f"pod-number-{number}" for number in range(2000))
    client = PrometheusClient(PrometheusSettings(url=server.url))
    assert len(client.matrix(f'up{{pod=~"{names}"}}', T0, T0, 300)) == 0
    client.close()


def test_the_rate_limit_holds_over_all_threads_and_few_are_under_way(proxy):
    memory_of(proxy.url, requests_per_s=50, concurrency=2)
    times = sorted(at for at, _, _ in proxy.seen)
    assert len(times) > 25
    per_second = Counter(int(at - times[0]) for at in times)
    assert max(per_second.values()) <= 51
    assert times[-1] - times[0] >= (len(times) - 1) / 50 * 0.98
    assert proxy.busiest <= 2


def test_a_token_bucket_spaces_and_lets_a_burst_through_after_a_rest():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    bucket = TokenBucket(10, burst=3, clock=lambda: now[0], sleep=sleep)
    for _ in range(5):
        bucket.take()
    assert slept == pytest.approx([0.1, 0.1])
    now[0] += 100
    slept.clear()
    for _ in range(4):
        bucket.take()
    assert slept == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": None}, "no Prometheus is set"),
        ({"ca_file": Path("/no/such/ca.pem")}, "CA file"),
        ({"username": "a", "password_file": Path("/no/such/file")}, "password file"),
        ({"headers": {"X": "a\r\nEvil: yes"}}, "header"),
        ({"tenant": "a\nb"}, "header"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(options, words):
    with pytest.raises(SettingsError, match=words):
        PrometheusClient(PrometheusSettings(**({"url": "http://localhost:9"} | options)))
