"""Fitting a network to samples, in two stages.

First the head alone, on the features of every container and resource: fast, so it sees each
sample many times. Then encoder and head together, the fingerprint's way into the head starting at
nothing, so the second stage goes on from where the first ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.fingerprint.sequences import from_codes
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from trainer.dataset import Samples, WindowGather, batches
from trainer.loss import Labels, peak_loss, profile_loss
from trainer.network import FINGERPRINT_SIZE, Network
from trainer.plan import Stage, TrainingPlan
from trainer.relations import Readout

IntArray = NDArray[np.int64]

EVALUATION_BATCH: Final = 2048
REPORT_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fit is.

    Attributes:
        stage: ``head`` or ``whole``.
        step: done in this stage.
        steps: of this stage in all.
        loss: mean over the last steps.
    """

    stage: str
    step: int
    steps: int
    loss: float


def fit(
    samples: list[Samples],
    gather: WindowGather,
    plan: TrainingPlan,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Network:
    """Train a network from new weights.

    Deterministic for one machine, one number of threads and one release of torch.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    network = Network(plan.shape)
    _standardise(network, samples)
    rng = np.random.default_rng(plan.seed)
    rows = _rows(samples)
    network.train()
    _run(
        network,
        plan.head,
        _head_losses(network, rows, plan.head, rng),
        len(rows.resource),
        lambda step, steps, loss: progress(Progress("head", step, steps, loss)),
    )
    del rows
    readout = Readout(FINGERPRINT_SIZE) if plan.describe > 0 else None
    _run(
        network if readout is None else nn.ModuleList((network, readout)),
        plan.whole,
        _whole_losses(network, samples, gather, plan, rng, readout),
        sum(len(part) for part in samples),
        lambda step, steps, loss: progress(Progress("whole", step, steps, loss)),
    )
    network.eval()
    return network


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
            hours, days = _patches(samples, places, gather)
            features = torch.from_numpy(samples.features[places])
            fingerprint, quantile, _ = network(hours, days, features)
            fingerprints[places], quantiles[places] = fingerprint.numpy(), quantile.numpy()
    return fingerprints, quantiles


@dataclass(frozen=True, slots=True)
class _Rows:
    """Every container and resource that was seen, of all samples together."""

    features: Tensor
    target: Tensor
    profile: Tensor
    headroom: Tensor
    resource: Tensor

    def take(self, places: Tensor) -> tuple[Tensor, Labels]:
        return self.features[places], Labels(
            self.target[places], self.profile[places], self.headroom[places], self.resource[places]
        )


def _rows(samples: list[Samples]) -> _Rows:
    seen = [np.isfinite(part.log_scale) for part in samples]

    def joined(pick: Callable[[Samples], NDArray[np.float32]]) -> Tensor:
        parts = [pick(part)[mask] for part, mask in zip(samples, seen, strict=True)]
        return torch.from_numpy(np.concatenate(parts))

    return _Rows(
        joined(lambda part: part.features),
        joined(lambda part: part.target),
        joined(lambda part: part.profile),
        joined(lambda part: part.log_scale - part.log_floor),
        torch.from_numpy(np.concatenate([np.nonzero(mask)[1] for mask in seen])),
    )


def _head_losses(
    network: Network, rows: _Rows, stage: Stage, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the loss of one batch of rows after another, for as many as are asked for."""
    while True:
        order = rng.permutation(len(rows.resource))
        for begin in range(0, len(order), stage.batch):
            features, label = rows.take(torch.from_numpy(order[begin : begin + stage.batch]))
            yield _loss(network.answers(features, None), label)


def _whole_losses(
    network: Network,
    samples: list[Samples],
    gather: WindowGather,
    plan: TrainingPlan,
    rng: np.random.Generator,
    readout: Readout | None,
) -> Iterator[Tensor]:
    """Yield the loss of one batch of windows after another, for as many as are asked for."""
    while True:
        for place, positions in batches(samples, plan.whole.batch, rng):
            part = samples[place]
            container, resource = np.nonzero(np.isfinite(part.log_scale[positions]))
            if len(container) == 0:
                continue
            chosen = positions[container]
            features = torch.from_numpy(part.features[chosen, resource])
            label = Labels(
                torch.from_numpy(part.target[chosen, resource]),
                torch.from_numpy(part.profile[chosen, resource]),
                torch.from_numpy(
                    part.log_scale[chosen, resource] - part.log_floor[chosen, resource]
                ),
                torch.from_numpy(resource),
            )
            hours, days = _patches(part, positions, gather)
            fingerprint = network.encode(hours, days)
            shown = fingerprint[torch.from_numpy(container)] if network.shape.fingerprint else None
            loss = _loss(network.answers(features, shown), label)
            if readout is not None:
                loss = loss + plan.describe * readout.loss(fingerprint, hours, days)
            yield loss


def _loss(answers: list[tuple[Tensor, Tensor]], label: Labels) -> Tensor:
    """Return the sum over the heads, so that each learns as if alone."""
    return torch.stack(
        [
            peak_loss(quantiles, label) + profile_loss(profile, label)
            for quantiles, profile in answers
        ]
    ).sum()


def _run(
    network: nn.Module,
    stage: Stage,
    losses: Iterator[Tensor],
    size: int,
    report: Callable[[int, int, float], None],
) -> None:
    """Take the steps of one stage."""
    steps = max(1, round(stage.epochs * size / stage.batch))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    mean = float("nan")
    for step, loss in enumerate(itertools.islice(losses, steps), start=1):
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotation is missing
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        value = float(loss.detach())
        mean = value if step == 1 else mean + 0.02 * (value - mean)
        if step % REPORT_EVERY == 0 or step == steps:
            report(step, steps, mean)


def _patches(samples: Samples, places: IntArray, gather: WindowGather) -> tuple[Tensor, Tensor]:
    """Return hour patches ``[n, 24, width]`` and day patches ``[n, 15, width]`` of samples."""
    recent, hourly = gather.windows(
        samples.source,
        samples.row[places],
        samples.index[places],
        samples.age[places],
        samples.kept[places],
    )
    patches = from_codes(recent, hourly)
    return torch.from_numpy(patches.hours), torch.from_numpy(patches.days)


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
