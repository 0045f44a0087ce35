"""What training minimises: pinball loss of horizon peaks, and a likelihood of hourly profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from recommender.kpis import LEVELS

HORIZON_WEIGHTS: Final = (1.0, 1.0, 1.5, 0.7, 0.7)
LEVEL_WEIGHTS: Final = (0.5, 0.7, 1.0, 1.3, 1.6, 1.8, 2.0)
RESOURCE_WEIGHTS: Final = (1.0, 0.6, 0.25, 0.25)
IDLE_WEIGHT: Final = 0.3
"""Weight of rows whose scale is near the noise floor: there is little to save on them."""

IDLE_HEADROOM: Final = 1.5
TARGET_LIMIT: Final = 6.0


@dataclass(frozen=True, slots=True)
class Labels:
    """What came after, for one batch.

    Attributes:
        target: ``[rows, horizons]``, log of the future peak over the scale; NaN: none.
        profile: ``[rows, 24, 2]``, mean and standard deviation over the scale; NaN: none.
        headroom: ``[rows]``, log of the scale over the noise floor.
        resource: int64 ``[rows]``, which resource a row is about.
    """

    target: Tensor
    profile: Tensor
    headroom: Tensor
    resource: Tensor


def pinball(quantiles: Tensor, target: Tensor) -> Tensor:
    """Return the pinball loss ``[..., levels]`` of ``quantiles`` ``[..., levels]``.

    Koenker and Bassett 1978: ``max(tau d, (tau - 1) d)`` with ``d = target - quantile``.
    """
    levels = torch.tensor(LEVELS)
    apart = target[..., None] - quantiles
    return torch.maximum(levels * apart, (levels - 1) * apart)


def row_weights(labels: Labels) -> Tensor:
    """Return the weight of each row."""
    weight = torch.where(labels.headroom < IDLE_HEADROOM, IDLE_WEIGHT, 1.0)
    return weight * torch.tensor(RESOURCE_WEIGHTS)[labels.resource]


def peak_loss(quantiles: Tensor, labels: Labels) -> Tensor:
    """Return the weighted mean pinball loss of ``quantiles`` ``[rows, horizons, levels]``."""
    known = torch.isfinite(labels.target)
    target = torch.where(known, labels.target, 0.0).clamp(-TARGET_LIMIT, TARGET_LIMIT)
    each = (pinball(quantiles, target) * torch.tensor(LEVEL_WEIGHTS)).mean(-1)
    weight = torch.where(known, row_weights(labels)[..., None], 0.0)
    return (each * torch.tensor(HORIZON_WEIGHTS) * weight).sum() / weight.sum().clamp(min=1.0)


def profile_loss(profile: Tensor, labels: Labels) -> Tensor:
    """Return the loss of ``profile`` ``[rows, 24, 2]``, log mean and log variance.

    The mean is fitted by a squared error relative to itself, so it is the conditional mean, which
    adds up over containers. The variance is fitted by a Gaussian likelihood of the hour's
    five-minute values around that mean, so it holds the forecast's own error as well.
    """
    known = torch.isfinite(labels.profile).all(-1)
    label = torch.where(known[..., None], labels.profile, 0.0)
    mean = torch.exp(profile[..., 0].clamp(-9, 3))
    log_variance = profile[..., 1].clamp(-12, 5)
    apart = label[..., 0] - mean
    squared = apart**2 / (mean.detach() ** 2 + 0.05)
    spread = apart.detach() ** 2 + label[..., 1] ** 2
    likelihood = 0.5 * (log_variance + spread * torch.exp(-log_variance))
    each = 0.2 * squared.clamp(max=20.0) + 0.02 * likelihood.clamp(max=20.0)
    weight = torch.where(known, row_weights(labels)[..., None], 0.0)
    return (each * weight).sum() / weight.sum().clamp(min=1.0)
