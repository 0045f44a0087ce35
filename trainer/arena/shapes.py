"""Made-up workloads of known shape, to ask what a fingerprint tells apart.

Fifteen days of five-minute bins, drawn from seeded generators: each workload has its own scale,
phase, strength and noise, so what two workloads of one shape share is the shape and nothing else.
The last four shapes have the same three loads and differ only in which KPIs move together.

They are made up and stand beside no recorded history: no figure of accuracy comes from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from recommender.fingerprint.features import MODEL_KPIS
from recommender.kpis import KPIS
from recommender.telemetry import codes
from recommender.telemetry.window import (
    BINS_PER_HOUR,
    HOURLY_BINS,
    RECENT_BINS,
    WindowBatch,
    moments,
)

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Loads = dict[str, DoubleArray]
Maker = Callable[[np.random.Generator, int], Loads]

BINS: Final = HOURLY_BINS * BINS_PER_HOUR
DAY: Final = 24 * BINS_PER_HOUR
NOW_S: Final = 1_700_006_400
"""A full hour; the encoder sees no clock, so the day does not matter."""

_SIZES: Final[dict[str, tuple[float, float]]] = {
    "cpu": (0.05, 8.0),
    "memory": (64 * 2.0**20, 16 * 2.0**30),
    "net_rx": (2e4, 5e7),
    "net_tx": (2e4, 5e7),
    "disk_read": (1e4, 5e7),
    "disk_write": (1e4, 5e7),
}
"""Smallest and largest typical usage; a workload's own lies between, evenly in the logarithm."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of workload.

    Attributes:
        name: its label.
        what: what its workloads do.
        kpis: the KPIs that show it; the others are quiet.
        maker: from a generator and a count to loads ``[n, BINS]`` around 1, by KPI.
    """

    name: str
    what: str
    kpis: tuple[str, ...]
    maker: Maker


@dataclass(frozen=True, slots=True)
class Drawn:
    """Made-up workloads.

    Attributes:
        batch: their windows.
        label: int64 ``[n]``, place of each workload's shape in ``names``.
        names: the shapes.
    """

    batch: WindowBatch
    label: IntArray
    names: tuple[str, ...]


def draw_shapes(
    shapes: tuple[Shape, ...],
    each: int,
    seed: int,
    *,
    hidden: tuple[str, ...] = (),
    missing: float = 0.0,
) -> Drawn:
    """Draw workloads of every shape.

    Args:
        shapes: which.
        each: workloads of each shape.
        seed: the same one gives the same workloads, whatever is hidden.
        hidden: KPIs that no workload has.
        missing: chance that a workload lacks a KPI that its shape does not show in.
    """
    parts: list[WindowBatch] = []
    for place, shape in enumerate(shapes):
        rng = np.random.default_rng((seed, place))
        loads = _quiet(rng, each) | shape.maker(rng, each)
        gone = np.zeros((each, len(MODEL_KPIS)), bool)
        lacking = rng.random(gone.shape) < missing
        for column, kpi in enumerate(MODEL_KPIS):
            gone[:, column] = lacking[:, column] if kpi not in shape.kpis else False
            gone[:, column] |= kpi in hidden
        parts.append(_windows(rng, loads, gone))
    batch = WindowBatch(
        NOW_S,
        np.concatenate([part.recent for part in parts]),
        np.concatenate([part.hourly for part in parts]),
        np.concatenate([part.age_bins for part in parts]),
    )
    label = np.repeat(np.arange(len(shapes), dtype=np.int64), each)
    return Drawn(batch, label, tuple(shape.name for shape in shapes))


def _windows(rng: np.random.Generator, loads: Loads, gone: NDArray[np.bool_]) -> WindowBatch:
    n = len(gone)
    recent = np.zeros((n, len(KPIS), 2, RECENT_BINS), np.uint16)
    hourly = np.zeros((n, len(KPIS), 3, HOURLY_BINS), np.uint16)
    for column, kpi in enumerate(MODEL_KPIS):
        low, high = np.log(_SIZES[kpi])
        mean = loads[kpi] * np.exp(rng.uniform(low, high, (n, 1)))
        peak = mean * (1 + rng.uniform(0.01, 0.1, (n, 1)) * np.abs(_normal(rng, n)))
        row = KPIS.index(kpi)
        recent[:, row, 0] = codes.encode(peak[:, -RECENT_BINS:])
        recent[:, row, 1] = codes.encode(mean[:, -RECENT_BINS:])
        by_hour = (n, HOURLY_BINS, BINS_PER_HOUR)
        average, spread = moments(mean.reshape(by_hour).astype(np.float32), axis=-1)
        hourly[:, row, 0] = codes.encode(peak.reshape(by_hour).max(axis=-1))
        hourly[:, row, 1] = codes.encode(average)
        hourly[:, row, 2] = codes.encode(spread)
        recent[gone[:, column], row] = codes.MISSING
        hourly[gone[:, column], row] = codes.MISSING
    return WindowBatch(NOW_S, recent, hourly, np.full(n, BINS, np.int64))


def _column(rng: np.random.Generator, n: int, low: float, high: float) -> DoubleArray:
    """Return one number per workload, ``[n, 1]``, evenly in the logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))


def _noise(rng: np.random.Generator, n: int, low: float = 0.02, high: float = 0.15) -> DoubleArray:
    """Return white noise around 1, of a strength that each workload has of its own."""
    noise: DoubleArray = np.exp(_column(rng, n, low, high) * _normal(rng, n))
    return noise


def _normal(rng: np.random.Generator, n: int) -> DoubleArray:
    return rng.standard_normal((n, BINS), np.float32).astype(np.float64)


def _wander(rng: np.random.Generator, memory_bins: DoubleArray) -> DoubleArray:
    """Return first-order autoregressions of variance 1, ``[n, BINS]``.

    Args:
        rng: source of chance.
        memory_bins: ``[n]``, after how many bins a deviation has fallen to 1/e.
    """
    keep = np.exp(-1 / memory_bins)
    shocks = _normal(rng, len(keep))
    shocks[:, 1:] *= np.sqrt(1 - keep[:, None] ** 2)
    rows = [lfilter([1.0], [1.0, -share], row) for share, row in zip(keep, shocks, strict=True)]
    return np.asarray(rows, np.float64)


def _bins(phase: DoubleArray | IntArray | float = 0.0) -> DoubleArray:
    """Return ``[n, BINS]``, the bins' places moved by each workload's phase ``[n, 1]``."""
    return np.asarray(np.arange(BINS)[None, :] + phase, np.float64)


def _quiet(rng: np.random.Generator, n: int) -> Loads:
    return {kpi: _noise(rng, n) for kpi in MODEL_KPIS}


def _on_cpu(make: Callable[[np.random.Generator, int], DoubleArray]) -> Maker:
    return lambda rng, n: {"cpu": make(rng, n) * _noise(rng, n)}


def _flat(rng: np.random.Generator, n: int) -> DoubleArray:
    return np.ones((n, 1)) * _column(rng, n, 1.0, 1.0)


def _idle(rng: np.random.Generator, n: int) -> DoubleArray:
    return np.asarray(0.05 * np.exp(_column(rng, n, 0.7, 1.2) * _normal(rng, n)), np.float64)


def _wave(rng: np.random.Generator, n: int) -> DoubleArray:
    angle = 2 * np.pi * _bins(rng.uniform(0, DAY, (n, 1))) / DAY
    return np.exp(_column(rng, n, 0.4, 1.2) * np.sin(angle))


def _working_days(rng: np.random.Generator, n: int) -> DoubleArray:
    places = _bins(DAY * rng.integers(0, 7, (n, 1)) + rng.uniform(0, DAY, (n, 1)))
    busy = np.maximum(np.sin(2 * np.pi * places / DAY), 0)
    works = places // DAY % 7 < 5
    return 1 + _column(rng, n, 2.0, 6.0) * busy * works


def _hourly(rng: np.random.Generator, n: int) -> DoubleArray:
    into = _bins(rng.integers(0, BINS_PER_HOUR, (n, 1))) % BINS_PER_HOUR
    return 1 + _column(rng, n, 2.0, 9.0) * (into < rng.integers(1, 3, (n, 1)))


def _nightly(rng: np.random.Generator, n: int) -> DoubleArray:
    into = _bins(rng.integers(0, DAY, (n, 1))) % DAY
    return 1 + _column(rng, n, 2.0, 9.0) * (into < rng.integers(12, 37, (n, 1)))


def _rare(rng: np.random.Generator, n: int) -> DoubleArray:
    begins = rng.random((n, BINS)) < _column(rng, n, 1.0, 4.0) / DAY
    height = begins * rng.uniform(2, 9, begins.shape)
    long = rng.random((n, 1)) < 0.5
    height[:, 1:] = np.maximum(height[:, 1:], height[:, :-1] * long)
    return 1 + height


def _ramp(rng: np.random.Generator, n: int) -> DoubleArray:
    return _column(rng, n, 3.0, 10.0) ** (_bins() / BINS)


def _step(rng: np.random.Generator, n: int) -> DoubleArray:
    since = np.exp(rng.uniform(np.log(BINS_PER_HOUR), np.log(5 * DAY), (n, 1)))
    return np.where(_bins() >= BINS - since, _column(rng, n, 2.0, 5.0), 1.0)


def _leak(rng: np.random.Generator, n: int) -> Loads:
    period = _column(rng, n, DAY / 4, 2 * DAY)
    into = _bins(rng.uniform(0, 1, (n, 1)) * period) % period / period
    return {"memory": (1 + _column(rng, n, 1.0, 4.0) * into) * _noise(rng, n, 0.005, 0.03)}


def _net_bursts(rng: np.random.Generator, n: int) -> Loads:
    bursts = _rare(rng, n)
    return {"net_rx": bursts * _noise(rng, n), "net_tx": bursts * _noise(rng, n)}


def _backup(rng: np.random.Generator, n: int) -> Loads:
    job = _nightly(rng, n)
    return {"disk_read": job * _noise(rng, n), "disk_write": job * _noise(rng, n)}


def _loads(cpu: int, network: int, memory: int) -> Maker:
    """Return a maker of loads on three KPIs, each following one of three hidden processes.

    Args:
        cpu: number of the process, from 1, that cpu follows; negative: it falls as that rises.
        network: the same for net_rx and net_tx.
        memory: the same for memory.

    A Gaussian process and its negative have one law, so whatever is followed, each KPI taken alone
    is distributed the same.
    """

    def make(rng: np.random.Generator, n: int) -> Loads:
        memory_bins = _column(rng, n, 4.0, 36.0)[:, 0]
        hidden = [_wander(rng, memory_bins) for _ in range(3)]

        def follow(which: int, low: float, high: float) -> DoubleArray:
            process = np.sign(which) * hidden[abs(which) - 1]
            load = np.exp(_column(rng, n, low, high) * process) * _noise(rng, n, 0.02, 0.1)
            return np.asarray(load, np.float64)

        return {
            "cpu": follow(cpu, 0.4, 1.0),
            "net_rx": follow(network, 0.4, 1.0),
            "net_tx": follow(network, 0.4, 1.0),
            "memory": follow(memory, 0.2, 0.5),
        }

    return make


_LOADED: Final = ("cpu", "memory", "net_rx", "net_tx")

PATTERNS: Final[tuple[Shape, ...]] = (
    Shape("flat", "constant", ("cpu",), _on_cpu(_flat)),
    Shape("noisy_idle", "next to nothing, and that erratic", ("cpu",), _on_cpu(_idle)),
    Shape("daily_wave", "cpu rises and falls each day", ("cpu",), _on_cpu(_wave)),
    Shape("working_days", "busy five days of seven", ("cpu",), _on_cpu(_working_days)),
    Shape("hourly_burst", "a job of 5 to 10 minutes each hour", ("cpu",), _on_cpu(_hourly)),
    Shape("nightly_job", "a job of 1 to 3 hours each day", ("cpu",), _on_cpu(_nightly)),
    Shape("rare_bursts", "1 to 4 short bursts a day, at random", ("cpu",), _on_cpu(_rare)),
    Shape("ramp", "grows 3 to 10 times in 15 days", ("cpu",), _on_cpu(_ramp)),
    Shape("step", "2 to 5 times higher since 1 hour to 5 days", ("cpu",), _on_cpu(_step)),
    Shape("memory_leak", "memory grows until a restart, again and again", ("memory",), _leak),
    Shape("net_bursts", "1 to 4 bursts of traffic a day", ("net_rx", "net_tx"), _net_bursts),
    Shape("disk_backup", "disks busy 1 to 3 hours a day", ("disk_read", "disk_write"), _backup),
)

DEPENDENCIES: Final[tuple[Shape, ...]] = (
    Shape("cpu_follows_net", "cpu rises with traffic, at once", _LOADED, _loads(1, 1, 2)),
    Shape("cpu_against_net", "cpu falls as traffic rises", _LOADED, _loads(-1, 1, 2)),
    Shape("cpu_with_memory", "cpu rises with memory", _LOADED, _loads(1, 2, 1)),
    Shape("unrelated_loads", "cpu, memory and traffic each for itself", _LOADED, _loads(1, 2, 3)),
)

SHAPES: Final = PATTERNS + DEPENDENCIES
