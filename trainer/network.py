"""The network: a recurrent encoder whose output is the fingerprint, and a head of quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.sequences import DAY_PATCHES, DAY_WIDTH, HOUR_PATCHES, HOUR_WIDTH
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from trainer.relations import RELATIONS, relations

FINGERPRINT_SIZE = 64
PROFILE_HOURS = 24


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of the network.

    Attributes:
        encoder: ``gru`` or ``transformer``.
        hidden: width of the encoder.
        heads: how many learn side by side.
        head: width of a head's layers.
        blocks: residual layers of a head.
        fingerprint: whether the head sees the fingerprint (false for the ablation).
        dropout: in the head.
        relations: whether the fingerprint's last layer also sees :func:`.relations.relations`.
    """

    encoder: str = "gru"
    hidden: int = 64
    heads: int = 2
    head: int = 176
    blocks: int = 2
    fingerprint: bool = True
    dropout: float = 0.1
    relations: bool = True


class GruEncoder(nn.Module):
    """One recurrence over 15 day patches, then 24 hour patches."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.day = nn.Linear(DAY_WIDTH, hidden)
        self.hour = nn.Linear(HOUR_WIDTH, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, hours: Tensor, days: Tensor) -> Tensor:
        """Return ``[n, hidden]`` of patches ``[n, 24, width]`` and ``[n, 15, width]``."""
        steps = torch.cat((self.day(days), self.hour(hours)), dim=1)
        last: Tensor = self.gru(nn.functional.silu(steps))[1]
        return last[0]


class TransformerEncoder(nn.Module):
    """The same patches with learned positions through three pre-norm layers, read at the last."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.day = nn.Linear(DAY_WIDTH, hidden)
        self.hour = nn.Linear(HOUR_WIDTH, hidden)
        self.place = nn.Parameter(0.02 * torch.randn(1, DAY_PATCHES + HOUR_PATCHES, hidden))
        layer = nn.TransformerEncoderLayer(
            hidden, 4, 2 * hidden, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, hours: Tensor, days: Tensor) -> Tensor:
        """Return ``[n, hidden]`` of patches ``[n, 24, width]`` and ``[n, 15, width]``."""
        steps = torch.cat((self.day(days), self.hour(hours)), dim=1) + self.place
        last: Tensor = self.norm(self.layers(steps)[:, -1])
        return last


class Block(nn.Module):
    """A residual layer of the head."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., width]`` of ``[..., width]``."""
        step: Tensor = self.down(self.dropout(nn.functional.silu(self.up(self.norm(x)))))
        return x + step


class Head(nn.Module):
    """Features and fingerprint to quantiles and profile.

    Quantiles come as log ratios to the row's scale and never cross: within a horizon each level
    adds a positive step to the one below, and along the horizons the running maximum is taken,
    since a longer window's peak is never lower.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.first = nn.Linear(2 * len(FEATURES) + len(RESOURCES), shape.head)
        # Starts at nothing: a head trained on features alone goes on from where it was.
        self.from_fingerprint = nn.Linear(FINGERPRINT_SIZE, shape.head, bias=False)
        nn.init.zeros_(self.from_fingerprint.weight)
        self.blocks = nn.ModuleList(Block(shape.head, shape.dropout) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.head)
        self.dropout = nn.Dropout(shape.dropout)
        self.quantiles = nn.Linear(shape.head, len(HORIZONS_S) * len(LEVELS))
        self.profile = nn.Linear(shape.head, 2 * PROFILE_HOURS)
        nn.init.constant_(self.quantiles.bias, -1.0)
        nn.init.zeros_(self.profile.weight)

    def forward(self, row: Tensor, fingerprint: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return quantiles ``[..., 5, 7]`` and profile ``[..., 24, 2]`` of ``[..., width]``."""
        x = self.first(row)
        if fingerprint is not None:
            x = x + self.from_fingerprint(fingerprint)
        x = self.dropout(nn.functional.silu(x))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        raw = self.quantiles(x).unflatten(-1, (len(HORIZONS_S), len(LEVELS)))
        base = raw[..., :1] + 1.0
        steps = 0.3 * nn.functional.softplus(raw[..., 1:])
        rising = torch.cat((base, base + torch.cumsum(steps, dim=-1)), dim=-1)
        held = [rising[..., 0, :]]
        for horizon in range(1, len(HORIZONS_S)):
            held.append(torch.maximum(held[-1], rising[..., horizon, :]))
        profile = self.profile(x).unflatten(-1, (PROFILE_HOURS, 2))
        return torch.stack(held, dim=-2), profile


class Network(nn.Module):
    """Windows and features to fingerprint, quantiles of horizon peaks and the hourly profile.

    Several heads learn side by side, each from the whole loss; what is served is their mean, which
    errs less than any of them.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        encoder = {"gru": GruEncoder, "transformer": TransformerEncoder}[shape.encoder]
        self.encoder = encoder(shape.hidden)
        seen = shape.hidden + (RELATIONS if shape.relations else 0)
        self.to_fingerprint = nn.Linear(seen, FINGERPRINT_SIZE)
        self.register_buffer("centre", torch.zeros(len(FEATURES)))
        self.register_buffer("spread", torch.ones(len(FEATURES)))
        self.heads = nn.ModuleList(Head(shape) for _ in range(shape.heads))

    def forward(
        self, hours: Tensor, days: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return fingerprint ``[n, 64]``, quantiles ``[n, 4, 5, 7]``, profile ``[n, 4, 24, 2]``.

        Args:
            hours: float32 ``[n, 24, 288]``.
            days: float32 ``[n, 15, 576]``.
            features: float32 ``[n, 4, features]``, NaN where missing.

        The profile holds log mean and log variance, both relative to the scale.
        """
        fingerprint = self.encode(hours, days)
        shown = fingerprint[:, None] if self.shape.fingerprint else None
        answers = self.answers(features, shown)
        quantiles = torch.stack([quantile for quantile, _ in answers]).mean(0)
        profile = torch.stack([hourly for _, hourly in answers]).mean(0)
        return fingerprint, quantiles, profile

    def encode(self, hours: Tensor, days: Tensor) -> Tensor:
        """Return fingerprints ``[n, 64]``, all of length 8."""
        known = self.encoder(hours, days)
        if self.shape.relations:
            known = torch.cat((known, relations(hours, days)), dim=-1)
        return 8.0 * nn.functional.normalize(self.to_fingerprint(known), dim=-1)

    def answers(self, features: Tensor, fingerprint: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Return each head's quantiles ``[..., 5, 7]`` and profile ``[..., 24, 2]``.

        Args:
            features: float32 ``[..., features]``, NaN where missing.
            fingerprint: broadcast to ``[..., 64]``; None: from features alone.
        """
        missing = torch.isnan(features)
        known = (torch.where(missing, self.centre, features) - self.centre) / self.spread
        resource = features[..., -1:]  # the last feature is the resource's number
        which = torch.cat([(resource == float(i)).to(features) for i in range(len(RESOURCES))], -1)
        row = torch.cat((known.clamp(-6, 6), missing.to(features), which), dim=-1)
        return [head(row, fingerprint) for head in self.heads]
