"""What a training run does: its data, network and schedule."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.network import NetworkShape


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the fit.

    Attributes:
        epochs: passes over the samples.
        batch: rows or windows per step.
        learning_rate: at its highest, after a tenth of the steps.
        weight_decay: AdamW's.
    """

    epochs: float
    batch: int
    learning_rate: float
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training run.

    Attributes:
        seed: of sampling, initial weights and order.
        share: of the usual number of windows; below 1 for quick runs.
        head: fit of the head alone, on rows of one container and resource.
        whole: fit of encoder and head together, on windows.
        shape: of the network.
        threads: of torch.
        describe: weight of the loss that asks the window's relations back from the fingerprint
            (:class:`trainer.relations.Readout`); 0: not asked.
    """

    seed: int = 1
    share: float = 1.0
    head: Stage = field(default_factory=lambda: Stage(5.0, 1024, 2e-3))
    whole: Stage = field(default_factory=lambda: Stage(1.5, 512, 7e-4))
    shape: NetworkShape = field(default_factory=NetworkShape)
    threads: int = 1
    describe: float = 0.2
