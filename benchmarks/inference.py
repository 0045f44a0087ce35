"""How many containers a second one core forecasts, with everything that belongs to a forecast.

Fills rolling windows with made-up histories of ``--containers`` containers (four resources and two
disk KPIs, 15 days), then times, per CPU second of this process and on one thread:

- *windows*: a copy of the windows as they stand;
- *sequences*, *features*: what the network reads;
- *network*: onnxruntime over the bundle;
- *calibration*: group offsets, learning from matured windows, correction;
- *forecast*: all of these but the first, as ``Forecaster.forecast`` runs them at a full hour;
- *sizing*: targets and bounds.

Beside them, in the same run, the peer: one LightGBM quantile model for each horizon and level (35),
over the same features, where lightgbm is installed. Its trees are fitted on the made-up windows:
their speed depends on number and size, not on what they learned.

numpy's own threads are not used by anything here; onnxruntime and lightgbm are told to use one.

Usage: python benchmarks/inference.py [--bundle DIR] [--containers 2000] [--repeat 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recommender.bundle import Bundle, default_bundle, load_bundle
from recommender.errors import BundleError
from recommender.fingerprint.features import MODEL_KPIS, FeatureBatch, features
from recommender.fingerprint.schema import SCHEMA
from recommender.fingerprint.sequences import sequences
from recommender.forecast.calibration import CoverageTracker, GroupCalibration
from recommender.forecast.forecaster import Forecaster
from recommender.kpis import BIN_S, HORIZONS_S, KPIS, LEVELS, RESOURCES
from recommender.sizing.policy import BALANCED
from recommender.sizing.sizer import Sizer
from recommender.telemetry.clock import Clock
from recommender.telemetry.history import Block, WorkloadKey
from recommender.telemetry.window import HOUR_S, RollingWindows, WindowBatch

NOW_S = 1_700_000_000 // HOUR_S * HOUR_S
DAY_S = 24 * HOUR_S
GOAL = 2000
TREES = 250
LEAVES = 31
PEER_MODELS = len(HORIZONS_S) * len(LEVELS)
PEER_CONTAINERS = 250  # trees take each row by itself: more rows, the same pace


def fill(containers: int) -> RollingWindows:
    """Return windows of containers with daily rhythms, noise and gaps."""
    rng = np.random.default_rng(20)
    keys = tuple(WorkloadKey("bench", "Deployment", f"w{i}", "main") for i in range(containers))
    windows = RollingWindows()
    columns = [KPIS.index(kpi) for kpi in MODEL_KPIS]
    for step_s, bins in ((HOUR_S, 360), (BIN_S, 288)):
        first = NOW_S - (bins - 1) * step_s
        ends = first + step_s * np.arange(bins)
        rhythm = 1 + 0.6 * np.sin(2 * np.pi * ends / DAY_S)
        size = np.exp(rng.normal(0, 2, (containers, len(columns), 1)))
        noise = np.exp(rng.normal(0, 0.3, (containers, len(columns), bins)))
        peak = np.full((containers, len(KPIS), bins), np.nan, np.float32)
        peak[:, columns] = size * rhythm * noise
        peak[rng.random(peak.shape) < 0.01] = np.nan
        std = 0.1 * peak if step_s == HOUR_S else None
        windows.ingest(Block(keys, step_s, first, peak, 0.7 * peak, std))
    return windows


def best_of(repeat: int, work: Callable[[], object]) -> float:
    """Return the CPU seconds of the quickest of some runs."""
    found = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def measure(bundle: Bundle, containers: int, repeat: int) -> dict[str, float]:
    """Return containers per CPU second for each part."""
    windows = fill(containers)
    rows = np.arange(containers)
    batch, clock = windows.snapshot(), Clock()
    found, patches = features(batch, clock.day_lags(NOW_S)), sequences(batch)
    outputs = bundle.run(patches.hours, patches.days, found.values)
    groups = GroupCalibration(bundle.manifest.calibration)
    quantiles = outputs.quantiles + found.log_scale[..., None, None]

    tracker, forecaster = CoverageTracker(), Forecaster(bundle, CoverageTracker())
    made = forecaster.forecast(batch, rows, clock)
    sizer = Sizer(BALANCED, 3600)
    hour = 0

    def later() -> WindowBatch:
        nonlocal hour
        hour += 1
        return WindowBatch(NOW_S + HOUR_S * hour, batch.recent, batch.hourly, batch.age_bins)

    def calibrate() -> None:
        now = later()
        corrected = quantiles + groups.offsets(groups.nearest(outputs.fingerprint))
        tracker.learn(now, rows)
        tracker.issue(now.now_s, rows, corrected)
        tracker.correct(rows, corrected)

    for _ in range(24):  # so that windows of every horizon mature
        calibrate()
    seconds = {
        "windows": best_of(repeat, windows.snapshot),
        "sequences": best_of(repeat, lambda: sequences(batch)),
        "features": best_of(repeat, lambda: features(batch, clock.day_lags(NOW_S))),
        "network": best_of(repeat, lambda: bundle.run(patches.hours, patches.days, found.values)),
        "calibration": best_of(repeat, calibrate),
        "forecast": best_of(repeat, lambda: forecaster.forecast(later(), rows, clock)),
        "sizing": best_of(repeat, lambda: sizer.decide(later(), rows, made)),
    }
    figures = {part: containers / second for part, second in seconds.items()}
    peer = peer_seconds(found)
    if peer is not None:
        each = seconds["features"] / containers
        figures |= {"lightgbm_models": 1 / peer, "lightgbm": 1 / (peer + each)}
    return figures


def peer_seconds(found: FeatureBatch) -> float | None:
    """Return a container's CPU seconds in 35 LightGBM models; None without lightgbm."""
    try:
        import lightgbm  # noqa: PLC0415 - a peer that may be missing
    except ImportError:
        return None
    values = found.values[:PEER_CONTAINERS]
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
    rng = np.random.default_rng(1)
    label = np.nan_to_num(rows[:, 0]) + rng.normal(0, 0.3, len(rows))
    fitted = lightgbm.train(
        {
            "objective": "quantile",
            "alpha": 0.95,
            "num_leaves": LEAVES,
            "min_data_in_leaf": 20,
            "num_threads": 1,
            "verbosity": -1,
            "feature_pre_filter": False,
        },
        lightgbm.Dataset(rows, label),
        TREES,
    )

    def predict() -> None:
        for _ in range(PEER_MODELS):
            fitted.predict(rows, num_threads=1)

    return best_of(2, predict) / len(values)


PARTS = (
    ("windows", "windows as they stand"),
    ("sequences", "sequences"),
    ("features", "features"),
    ("network", "network (onnxruntime)"),
    ("calibration", "calibration"),
    ("forecast", "forecast, all of the above but windows"),
    ("sizing", "sizing"),
    ("lightgbm_models", f"peer: {PEER_MODELS} LightGBM models of {TREES} trees"),
    ("lightgbm", "peer, the same features included"),
)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--bundle", type=Path, help="a bundle or a store; default: the shipped one")
    parser.add_argument("--containers", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        given = options.bundle
        bundle = default_bundle(SCHEMA) if given is None else load_bundle(given, SCHEMA)
    except BundleError as error:
        sys.exit(str(error))
    figures = measure(bundle, options.containers, options.repeat)
    if "lightgbm" in figures:
        figures["ratio"] = figures["forecast"] / figures["lightgbm"]
    if options.json:
        print(json.dumps({"containers": options.containers, **figures}))
        return
    print(
        f"bundle {bundle.manifest.id}, {bundle.manifest.parameters:,} parameters; "
        f"{options.containers} containers, {len(RESOURCES)} resources, one core"
    )
    for part, text in PARTS:
        if part in figures:
            print(f"  {text:40} {figures[part]:9,.0f} containers/s")
    if "ratio" in figures:
        print(f"  forecast / peer {figures['ratio']:34.1f} x")
    else:
        print("  (lightgbm is not installed: no peer)")
    word = "reached" if figures["forecast"] >= GOAL else "missed"
    print(f"  goal {word}: {GOAL:,} containers/s on one core")


if __name__ == "__main__":
    main()
