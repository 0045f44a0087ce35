"""A real Prometheus, backfilled: started on a free port of loopback, stopped whatever happens."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("prometheus", deadline=None)  # a shared machine has slow moments
settings.load_profile("prometheus")

OWNER_METRICS = {
    "Pod": ("kube_pod_owner", "pod"),
    "ReplicaSet": ("kube_replicaset_owner", "replicaset"),
    "Job": ("kube_job_owner", "job_name"),
}
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
START_S = 30.0


@dataclass
class Server:
    """A running Prometheus."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    scheme: str = "http"
    prefix: str = ""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@dataclass
class Launcher:
    """Backfills and starts servers; each is stopped at the end of its scope."""

    folder: Path
    started: list[Server] = field(default_factory=list)

    def __call__(
        self,
        openmetrics: Iterable[str],
        *flags: str,
        scheme: str = "http",
        prefix: str = "",
        web_config: str | None = None,
        expect: tuple[int, ...] = (200, 401),
    ) -> Server:
        here = self.folder / str(len(self.started))
        data = here / "data"
        data.mkdir(parents=True)
        backfill(openmetrics, data)
        (here / "prometheus.yml").write_text("global: {}\n")
        port = free_port()
        command = [
            PROMETHEUS or "prometheus",
            f"--config.file={here / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            *flags,
        ]
        if prefix:
            command.append(f"--web.route-prefix={prefix}")
        if web_config is not None:
            (here / "web.yml").write_text(web_config)
            command.append(f"--web.config.file={here / 'web.yml'}")
        log = here / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        server = Server(port, process, log, scheme, prefix)
        self.started.append(server)
        wait_for(server, expect)
        return server

    def stop(self) -> None:
        for server in self.started:
            server.process.terminate()
        for server in self.started:
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait(10)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def backfill(openmetrics: Iterable[str], data: Path) -> None:
    source = data.parent / "history.om"
    with source.open("w") as out:
        for line in openmetrics:
            out.write(line)
            out.write("\n")
        out.write("# EOF\n")
    if source.stat().st_size > len("# EOF\n"):
        subprocess.run(
            [
                PROMTOOL or "promtool",
                *("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"),
                *(str(source), str(data)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    source.unlink()


def wait_for(server: Server, expect: tuple[int, ...]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", server.port)) == 0 and ready(server, expect):
                return
        time.sleep(0.05)
    pytest.fail(f"Prometheus did not start: {server.log.read_text()[-2000:]}")


def ready(server: Server, expect: tuple[int, ...]) -> bool:
    if server.scheme == "https":
        return True  # listening; the test brings the certificate
    try:
        url = f"{server.url}{server.prefix}/-/ready"
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 -- loopback
            return answer.status in expect
    except urllib.error.HTTPError as error:
        return error.code in expect
    except OSError:
        return False


class Cluster:
    """Histories under the names that cAdvisor and kube-state-metrics give them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def samples(self, name: str, labels: dict[str, str], times: Any, values: Any) -> None:
        text = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
        self.lines.extend(
            f"{name}{{{text}}} {value!r} {time}"
            for time, value in zip(
                np.asarray(times).tolist(), np.asarray(values).tolist(), strict=True
            )
        )

    def counter(self, name: str, labels: dict[str, str], times: Any, rates: Any) -> None:
        """``rates[i]`` holds between ``times[i - 1]`` and ``times[i]``."""
        times = np.asarray(times, np.float64)
        grown = np.concatenate(([0.0], np.cumsum(np.diff(times) * np.asarray(rates)[1:])))
        self.samples(name, labels, times.astype(np.int64), grown)

    def owner(
        self, child: tuple[str, str, str], owner: tuple[str, str], times: Any, **more: str
    ) -> None:
        """``child``: kind, namespace, name. ``owner``: kind, name."""
        kind, namespace, name = child
        metric, label = OWNER_METRICS[kind]
        labels = {
            "namespace": namespace,
            label: name,
            "owner_kind": owner[0],
            "owner_name": owner[1],
            "owner_is_controller": "true" if owner[0] else "",
        }
        self.samples(metric, labels | more, times, np.ones(len(times)))

    def deployment_pod(
        self, namespace: str, deployment: str, rs: str, pod: str, times: Any
    ) -> None:
        self.owner(("Pod", namespace, pod), ("ReplicaSet", rs), times)
        self.owner(("ReplicaSet", namespace, rs), ("Deployment", deployment), times)

    def container(
        self,
        names: tuple[str, str, str],
        times: Any,
        cpu: Any = None,
        memory: Any = None,
        **more: str,
    ) -> None:
        """``names``: namespace, pod, container."""
        labels = dict(zip(("namespace", "pod", "container"), names, strict=True))
        labels |= {"id": f"/kubepods/{names[1]}/{names[2]}", "image": "registry/app:1"} | more
        if cpu is not None:
            self.counter("container_cpu_usage_seconds_total", labels | {"cpu": "total"}, times, cpu)
        if memory is not None:
            self.samples("container_memory_working_set_bytes", labels, times, memory)


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a real Prometheus, notes them, and misbehaves when told to."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.seen, self.faults = target, [], []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.busy, self.busiest, self.lock = 0, 0, threading.Lock()

    def handle_error(self, *_):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with self.server.lock:
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
        try:
            self.server.seen.append((time.monotonic(), self.path, dict(self.headers)))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            fault = self.server.faults.pop(0) if self.server.faults else None
            if fault is not None:
                fault(self)
            else:
                self.pass_on(body)
        finally:
            with self.server.lock:
                self.server.busy -= 1

    do_POST = do_GET  # noqa: N815 -- http.server's name

    def pass_on(self, body):
        request = urllib.request.Request(self.server.target + self.path, data=body)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 -- loopback
                self.reply(answer.status, answer.read(), answer.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            self.reply(error.code, error.read(), error.headers["Content-Type"])

    def reply(self, status, body=b"", kind="application/json", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if length is not None:
            self.close_connection = True


@pytest.fixture
def proxied() -> Iterator[Callable[[Server], Proxy]]:
    """A proxy before a server."""
    running: list[tuple[Proxy, threading.Thread]] = []

    def start(server: Server) -> Proxy:
        proxy = Proxy(server.url)
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,))
        thread.start()
        running.append((proxy, thread))
        return proxy

    try:
        yield start
    finally:
        for proxy, thread in running:
            proxy.shutdown()
            thread.join()
            proxy.server_close()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(scope="module")
def new_cluster() -> Callable[[], Cluster]:
    return Cluster


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    if PROMETHEUS is None or PROMTOOL is None:
        pytest.skip("prometheus and promtool are not installed (Debian: apt install prometheus)")
    launcher = Launcher(tmp_path_factory.mktemp("prometheus"))
    try:
        yield launcher
    finally:
        launcher.stop()
