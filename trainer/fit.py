"""Fitting a network to samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.fingerprint.sequences import from_codes
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from trainer.dataset import Samples, WindowGather, batches
from trainer.loss import Labels, peak_loss, profile_loss
from trainer.network import Network
from trainer.plan import TrainingPlan

IntArray = NDArray[np.int64]

AVERAGE_EVERY: Final = 50
AVERAGE_RATE: Final = 0.1
EVALUATION_BATCH: Final = 2048


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fit is.

    Attributes:
        step: done.
        steps: in all.
        loss: mean over the last steps.
    """

    step: int
    steps: int
    loss: float


def inputs(samples: Samples, places: IntArray, gather: WindowGather) -> tuple[Tensor, ...]:
    """Return hour patches, day patches and features of some samples, as the network takes them."""
    recent, hourly = gather.windows(
        samples.source,
        samples.row[places],
        samples.index[places],
        samples.age[places],
        samples.kept[places],
    )
    patches = from_codes(recent, hourly)
    return (
        torch.from_numpy(patches.hours),
        torch.from_numpy(patches.days),
        torch.from_numpy(samples.features[places]),
    )


def labels(samples: Samples, places: IntArray) -> Labels:
    """Return what came after some samples."""
    return Labels(
        torch.from_numpy(samples.target[places]),
        torch.from_numpy(samples.profile[places]),
        torch.from_numpy(samples.log_scale[places] - samples.log_floor[places]),
    )


def fit(
    samples: list[Samples],
    gather: WindowGather,
    plan: TrainingPlan,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Network:
    """Train a network from new weights; the result is the average over the last steps.

    Deterministic for one machine, one number of threads and one release of torch.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    network = Network(plan.shape)
    _standardise(network, samples)
    average = copy.deepcopy(network)
    rng = np.random.default_rng(plan.seed)
    steps = _steps(samples, plan)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    network.train()
    done, recent = 0, 0.0
    while done < steps:
        for place, positions in batches(samples, plan.batch, rng):
            part = samples[place]
            _, quantiles, profile = network(*inputs(part, positions, gather))
            label = labels(part, positions)
            loss = peak_loss(quantiles, label) + profile_loss(profile, label)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            recent += 0.02 * (float(loss) - recent) if done > 1 else float(loss)
            if done % AVERAGE_EVERY == 0:
                _follow(average, network, 1.0 if done < steps // 4 else AVERAGE_RATE)
            if done % 20 == 0 or done == steps:
                progress(Progress(done, steps, recent))
            if done >= steps:
                break
    average.eval()
    return average


def predict(
    network: Network, samples: Samples, gather: WindowGather
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return fingerprints ``[n, 64]`` and quantiles ``[n, 4, 5, 7]`` of samples."""
    fingerprints = np.empty((len(samples), 64), np.float32)
    shape = (len(samples), len(RESOURCES), len(HORIZONS_S), len(LEVELS))
    quantiles = np.empty(shape, np.float32)
    network.eval()
    with torch.no_grad():
        for begin in range(0, len(samples), EVALUATION_BATCH):
            places = np.arange(begin, min(begin + EVALUATION_BATCH, len(samples)))
            fingerprint, quantile, _ = network(*inputs(samples, places, gather))
            fingerprints[places], quantiles[places] = fingerprint.numpy(), quantile.numpy()
    return fingerprints, quantiles


def _steps(samples: list[Samples], plan: TrainingPlan) -> int:
    each = sum(-(-len(part) // plan.batch) for part in samples)
    return max(1, round(plan.epochs * each))


def _standardise(network: Network, samples: list[Samples]) -> None:
    """Give the network the features' means and deviations."""
    total, square, count = (np.zeros(network.centre.shape[0]) for _ in range(3))
    for part in samples:
        values = part.features.reshape(-1, part.features.shape[-1]).astype(np.float64)
        total += np.nansum(values, axis=0)
        square += np.nansum(values**2, axis=0)
        count += np.isfinite(values).sum(axis=0)
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
    network.centre.copy_(torch.from_numpy(mean))
    network.spread.copy_(torch.from_numpy(deviation + 1e-3))


def _follow(average: Network, network: Network, rate: float) -> None:
    with torch.no_grad():
        for kept, current in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, rate)
