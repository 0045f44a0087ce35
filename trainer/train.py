"""A whole training run: from a folder of traces to a bundle."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from recommender.bundle.manifest import CalibrationTable, DataSource
from recommender.errors import MalformedHistory
from trainer.calibrate import calibrate
from trainer.dataset import Samples, WindowGather, draw
from trainer.fit import Progress, fit, predict
from trainer.mix import LICENCES, SAMPLES, SAMPLES_ELSEWHERE
from trainer.network import Network
from trainer.plan import TrainingPlan
from trainer.traces import HELD_OUT_SHARE, TEST_SHARE, Source, read_source

LEAST_HISTORY: Final = 12
"""Bins an entity must have behind it before a window is drawn."""

CALIBRATION_SHARE: Final = 0.25
"""Windows drawn for calibration, as a share of those drawn for training."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run made.

    Attributes:
        network: with the weights to ship.
        calibration: its conformal offsets.
        data: the sources, with what was drawn from them.
        window_s: first and last moment seen, per source.
    """

    network: Network
    calibration: CalibrationTable
    data: list[DataSource]
    window_s: dict[str, tuple[int, int]]


def find_traces(folder: Path) -> list[Path]:
    """Return the recorded sources of a folder.

    Raises:
        MalformedHistory: there are none.
    """
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise MalformedHistory(
            f"no recorded traces in {folder}", fix="Name a folder with *.parquet files"
        )
    return paths


def train(
    paths: list[Path],
    plan: TrainingPlan,
    *,
    on_source: Callable[[str, int], None] = lambda _name, _samples: None,
    on_step: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train and calibrate on the traces, seeing neither test groups nor the last quarter.

    Groups with a lot from 30 to 39 are kept out of the fit and give the calibration.

    Args:
        paths: recorded sources.
        plan: what to do.
        on_source: called when a source has been drawn from, with its name and windows.
        on_step: called now and then during the fit.

    Raises:
        MalformedHistory: a file cannot be read, or no source has anything to learn from.
    """
    rng = np.random.default_rng(plan.seed)
    sources: list[Source] = []
    fitting: list[Samples] = []
    checking: list[Samples] = []
    data: list[DataSource] = []
    window_s: dict[str, tuple[int, int]] = {}
    for path in paths:
        source = read_source(path)
        place, stop = len(sources), source.quarter_bin()
        count = round(plan.share * SAMPLES.get(source.name, SAMPLES_ELSEWHERE))
        # Some entities first appear in the last quarter, which is not for training.
        early = source.first_bin < stop - LEAST_HISTORY
        entities = np.flatnonzero(early & (source.lot >= HELD_OUT_SHARE))
        kept_out = np.flatnonzero(
            early & (source.lot >= TEST_SHARE) & (source.lot < HELD_OUT_SHARE)
        )
        if len(entities) == 0:
            continue
        sources.append(source)
        fitting.append(draw(source, place, entities, LEAST_HISTORY, stop, count, rng))
        if len(kept_out):
            some = max(1, round(CALIBRATION_SHARE * count))
            checking.append(
                draw(source, place, kept_out, LEAST_HISTORY, stop, some, rng, augment=False)
            )
        data.append(
            DataSource(
                name=source.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                licence=LICENCES.get(source.name, "unknown to this release"),
                entities=len(entities),
                samples=len(fitting[-1]),
            )
        )
        window_s[source.name] = (source.history.first_end_s, source.end_s(stop - 1))
        on_source(source.name, len(fitting[-1]))
    if not fitting or not checking:
        raise MalformedHistory(
            "the traces leave nothing to train on or nothing to calibrate on",
            fix="Give more groups: those with lot 0 to 29 are test groups, 30 to 39 calibrate",
        )
    gather = WindowGather(sources)
    network = fit(fitting, gather, plan, on_step)
    return Trained(network, _calibrate(network, checking, gather, rng), data, window_s)


def _calibrate(
    network: Network, checking: list[Samples], gather: WindowGather, rng: np.random.Generator
) -> CalibrationTable:
    answers = [predict(network, part, gather) for part in checking]
    return calibrate(
        np.concatenate([fingerprint for fingerprint, _ in answers]),
        np.concatenate([quantiles for _, quantiles in answers]),
        np.concatenate([part.target for part in checking]),
        np.concatenate([part.log_scale - part.log_floor for part in checking]),
        rng,
    )


def plan_as_text(plan: TrainingPlan) -> dict[str, str]:
    """Return the plan's settings as the bundle records them."""
    found: dict[str, str] = {}
    for name, value in asdict(plan).items():
        inner = value if isinstance(value, dict) else {"": value}
        found.update({f"{name}_{key}".rstrip("_"): str(part) for key, part in inner.items()})
    return found


def code_revision() -> str:
    """Return the revision of the working tree, or ``unknown`` outside one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607  # whichever git is there
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
