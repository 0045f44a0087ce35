"""How many series a second the telemetry path takes in from a real Prometheus.

Starts Prometheus on a free port of loopback, backfilled with ``--series`` container series of
2,016 five-minute samples (seven days), and asks for all of them through range queries:

- *telemetry path*: HTTP read, decode and placing on the grid, as in the product;
- *plain decode*: the same bytes through ``json.loads`` and ``numpy.array``, as most clients do,
  reading and placing not counted.

Both on this process's CPU-time clock, in one run, so that their ratio does not depend on the
machine. Prints a table, or with ``--json`` one object.

Usage: python benchmarks/ingest.py [--series 1000] [--repeat 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.placement import place

SAMPLES = 2016
STEP_S = 300
FIRST_END_S = 1_700_000_100 // STEP_S * STEP_S
LAST_END_S = FIRST_END_S + (SAMPLES - 1) * STEP_S
METRIC = "container_memory_working_set_bytes"
PER_QUERY = 250


def write_history(path: Path, series: int) -> None:
    """Write gamma-distributed usage with all the digits that real averages have."""
    rng = np.random.default_rng(7)
    with path.open("w") as out:
        for number in range(series):
            labels = f'namespace="bench-{number // PER_QUERY}",pod="pod-{number}",container="app"'
            values = rng.gamma(2.0, 0.1, SAMPLES).tolist()
            out.writelines(
                f"{METRIC}{{{labels}}} {value!r} {FIRST_END_S + STEP_S * at}\n"
                for at, value in enumerate(values)
            )
        out.write("# EOF\n")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def prometheus(series: int) -> Iterator[str]:
    """Run a backfilled Prometheus and give its URL."""
    with tempfile.TemporaryDirectory(prefix="peakcast-ingest-") as name:
        folder = Path(name)
        history, data = folder / "history.om", folder / "data"
        write_history(history, series)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
        subprocess.run(  # noqa: S603 -- our own arguments
            [*command, "--quiet", "--max-block-duration=720h", str(history), str(data)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        history.unlink()
        (folder / "prometheus.yml").write_text("global: {}\n")
        port = free_port()
        server = subprocess.Popen(  # noqa: S603 -- the same
            [
                *("prometheus", f"--config.file={folder / 'prometheus.yml'}"),
                *(f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
            ],
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{url}/-/ready")
            yield url
        finally:
            server.terminate()
            server.wait(20)


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 -- loopback
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("Prometheus did not start")


def best_of(repeat: int, work: Callable[[], int]) -> float:
    """Return the series a CPU second of the fastest of several runs."""
    best = 0.0
    for _ in range(repeat):
        before = time.process_time()
        count = work()
        best = max(best, count / (time.process_time() - before))
    return best


def measure(url: str, series: int, repeat: int) -> dict[str, float]:
    """Measure both ways on the same answers."""
    client = PrometheusClient(PrometheusSettings(url=url, requests_per_s=1000.0))
    queries = [
        f'max by (namespace, pod, container) ({METRIC}{{namespace="bench-{number}"}})'
        for number in range(math.ceil(series / PER_QUERY))
    ]

    def path() -> int:
        count = 0
        for query in queries:
            matrix = client.matrix(query, FIRST_END_S, LAST_END_S, STEP_S)
            grid = place(matrix, FIRST_END_S, STEP_S, SAMPLES)
            if not np.isfinite(grid).all():
                sys.exit("samples were lost on the way")
            count += len(grid)
        return count

    bodies = [
        client._read(  # noqa: SLF001 -- the same bytes for the other way
            "query_range",
            {"query": query, "start": FIRST_END_S, "end": LAST_END_S, "step": STEP_S},
        )
        for query in queries
    ]

    def plain() -> int:
        count = 0
        for body in bodies:
            for one in json.loads(body)["data"]["result"]:
                np.array(one["values"], dtype=np.float64)
                count += 1
        return count

    def loads() -> int:
        return sum(len(json.loads(body)["data"]["result"]) for body in bodies)

    if path() != series:  # also warms the server up
        sys.exit("series were lost on the way")
    figures = {
        "telemetry_path": best_of(repeat, path),
        "json_to_numpy": best_of(repeat, plain),
        "json_loads": best_of(repeat, loads),
        "bytes_per_sample": sum(map(len, bodies)) / series / SAMPLES,
    }
    client.close()
    return figures


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        sys.exit("prometheus and promtool are not installed (Debian: apt install prometheus)")
    with prometheus(options.series) as url:
        figures = measure(url, options.series, options.repeat)
    figures["ratio"] = figures["telemetry_path"] / figures["json_to_numpy"]
    if options.json:
        print(json.dumps({"samples_per_series": SAMPLES, **figures}))
        return
    print(f"{options.series} series of {SAMPLES} samples, per CPU second of this process")
    print(f"  telemetry path (HTTP, decode, grid)   {figures['telemetry_path']:7.0f} series/s")
    print(f"  json.loads and numpy, decode alone    {figures['json_to_numpy']:7.0f} series/s")
    print(f"  json.loads alone                      {figures['json_loads']:7.0f} series/s")
    print(f"  telemetry path / plain decode         {figures['ratio']:7.1f} x")


if __name__ == "__main__":
    main()
