"""What a training run does: its data, network and schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trainer.network import NetworkShape

SAMPLES: Final[dict[str, int]] = {
    "azure_v1": 180_000,
    "bitbrains_rnd": 240_000,
    "bitbrains_fast": 200_000,
    "operatefirst": 90_000,
    "smd": 40_000,
    "nezha_lab": 10_000,
}
"""Windows drawn from each known source: more from those with more to tell."""

SAMPLES_ELSEWHERE: Final = 100_000

LICENCES: Final[dict[str, str]] = {
    "azure_v1": "CC-BY 4.0, Azure Public Dataset V1",
    "bitbrains_rnd": "Grid Workloads Archive GWA-T-12, research use with citation (Shen et al., 2015)",
    "bitbrains_fast": "Grid Workloads Archive GWA-T-12, research use with citation (Shen et al., 2015)",
    "operatefirst": "MIT, Operate First",
    "smd": "MIT, Server Machine Dataset",
    "nezha_lab": "MIT, Nezha",
}


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training run.

    Attributes:
        seed: of sampling, initial weights and order.
        share: of the usual number of windows; below 1 for quick runs.
        epochs: passes over the samples.
        batch: windows per step.
        learning_rate: at its highest, after a tenth of the steps.
        weight_decay: AdamW's.
        shape: of the network.
        threads: of torch.
    """

    seed: int = 1
    share: float = 1.0
    epochs: float = 4.0
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    shape: NetworkShape = field(default_factory=NetworkShape)
    threads: int = 2
