"""What a window says of its KPIs in a few numbers: how they move together, and with themselves.

Computed inside the network from the patches it is given anyway, so neither the schema nor a server
changes. A recurrence learns such products of channels only if it is made to; here they are offered
to the fingerprint's last layer, and asked back from the fingerprint (:class:`Readout`).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from recommender.fingerprint.features import MODEL_KPIS
from recommender.fingerprint.sequences import CHANNELS, DAY_PATCHES, HOUR_PATCHES
from recommender.telemetry.window import BINS_PER_HOUR

_KPIS: Final = len(MODEL_KPIS)
_PAIRS: Final = [(a, b) for a in range(_KPIS) for b in range(a + 1, _KPIS)]
RECENT_LAGS: Final = (1, 3, 12)
"""In five-minute bins: the last bin, a quarter of an hour, jobs that run each hour."""

HOURLY_LAGS: Final = (1, 24, 168)
"""In hours: the last hour, the day before, the week before."""

RELATIONS: Final = 2 * (len(_PAIRS) + _KPIS * (len(RECENT_LAGS) + 5))
_FAINT: Final = 1e-3
"""Variance of log usage below which movement counts as noise: 3 %."""


def relations(hours: Tensor, days: Tensor) -> Tensor:
    """Return ``[n, RELATIONS]`` of patches ``[n, 24, width]`` and ``[n, 15, width]``.

    Of the last day's five-minute bins and of the last 15 days' hours, in log usage over the bins in
    which both were seen: correlations of all pairs of KPIs; per KPI its correlation with itself a
    few lags before, spread, skewness, correlation with time, height of its end and share seen. All
    are of the order of 1 and zero where nothing is known.
    """
    return torch.cat(
        (
            _moments(hours, HOUR_PATCHES, BINS_PER_HOUR, RECENT_LAGS),
            _moments(days, DAY_PATCHES, 24, HOURLY_LAGS),
        ),
        dim=-1,
    )


def _moments(patches: Tensor, count: int, width: int, lags: tuple[int, ...]) -> Tensor:
    shaped = patches.reshape(-1, count, _KPIS, CHANNELS, width).permute(0, 2, 3, 1, 4)
    series = shaped.reshape(-1, _KPIS, CHANNELS, count * width)
    # Patches hold half of the log peak over the scale, and whether the bin was seen.
    log = (2 * series[:, :, 0]).clamp(-10, 10)
    seen = (series[:, :, 3] > 0.5).to(log)
    bins = seen.sum(-1, keepdim=True).clamp(min=1.0)
    centred = (log - (log * seen).sum(-1, keepdim=True) / bins) * seen
    variance = (centred**2).sum(-1, keepdim=True) / bins
    level = centred / torch.sqrt(variance + _FAINT)
    together = level @ level.transpose(1, 2) / (seen @ seen.transpose(1, 2)).clamp(min=1.0)
    pairs = torch.stack([together[:, a, b] for a, b in _PAIRS], dim=-1)
    own = [
        (level[..., lag:] * level[..., :-lag]).sum(-1)
        / (seen[..., lag:] * seen[..., :-lag]).sum(-1).clamp(min=1.0)
        for lag in lags
    ]
    size = count * width
    time = torch.linspace(-1.7, 1.7, size)  # variance 1 over the span
    own.append(torch.sqrt(variance + 1e-8)[..., 0])
    own.append((level**3).sum(-1).div(bins[..., 0]).clamp(-8, 8) / 4)
    own.append((level * time).sum(-1) / bins[..., 0])
    own.append(level[..., -width:].mean(-1).clamp(-4, 4) / 2)
    own.append(seen.mean(-1))
    return torch.cat((pairs, torch.cat(own, dim=-1)), dim=-1)


class Readout(nn.Module):
    """Gives the relations back from a fingerprint by one linear layer; used in training only."""

    def __init__(self, fingerprint: int) -> None:
        super().__init__()
        self.linear = nn.Linear(fingerprint, RELATIONS)

    def loss(self, fingerprint: Tensor, hours: Tensor, days: Tensor) -> Tensor:
        """Return the mean squared error of the read-out, a scalar."""
        with torch.no_grad():
            wanted = relations(hours, days)
        apart: Tensor = self.linear(fingerprint) - wanted
        return (apart**2).mean()
