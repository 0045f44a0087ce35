"""What a fingerprint tells apart: does its nearest neighbour have the same shape?

Made-up workloads (:mod:`.shapes`) are drawn twice. Each of the second draw asks for its nearest
among the first, by the cosine of some vector: the fingerprint, or a peer's. Beside it, a linear
read-out of the vector, fitted on the first draw and judged on the second, says what is in it even
where it does not make neighbours.

The last four shapes have the same marginals and differ only in which KPIs move together. Told apart
two by two, where chance is one half, they show whether a vector carries dependencies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.fingerprint.embedding import embed
from recommender.fingerprint.features import MODEL_KPIS, features
from recommender.fingerprint.neighbours import neighbours
from recommender.kpis import KPIS
from recommender.telemetry import codes
from recommender.telemetry.clock import Clock
from recommender.telemetry.window import WindowBatch
from trainer.arena.shapes import SHAPES, Drawn, draw_shapes

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Vectors = Callable[[WindowBatch], FloatArray]

FINGERPRINT: Final = "fingerprint"
EACH: Final = 100
NEAREST: Final = 5
KNOWN_SEED, ASKED_SEED = 1, 2
RIDGE: Final = 10.0
LACKING: Final = 0.3

UNTRAINED: Final = (
    ("untrained", True, "the same network with random weights, not trained"),
    ("recurrence", False, "the recurrence alone with random weights, without the relations"),
)

PAIRS: Final = (
    ("cpu_follows_net", "unrelated_loads"),
    ("cpu_against_net", "unrelated_loads"),
    ("cpu_with_memory", "unrelated_loads"),
    ("cpu_follows_net", "cpu_against_net"),
)
"""Shapes with the same marginals, which differ only in which KPIs move together."""


class PairScore(msgspec.Struct, frozen=True, kw_only=True):
    """Two shapes told apart; chance is one half.

    Attributes:
        first: name of a shape.
        second: name of another.
        nearest: share whose nearest neighbour among the two has the same shape.
        linear: share that the linear read-out gets right.
        beyond_chance: what chance would pass in 1 of 100 draws (normal approximation).
    """

    first: str
    second: str
    nearest: float
    linear: float
    beyond_chance: float


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one vector does.

    Attributes:
        name: the vector.
        what: what it is.
        precision_1: share of nearest neighbours with the same shape.
        precision_5: the same over the five nearest.
        linear: share of shapes that the linear read-out gets right.
        pairs: dependencies.
        confusion: of the nearest neighbour, ``[asked shape][found shape]``, shares of each row.
    """

    name: str
    what: str
    precision_1: float
    precision_5: float
    linear: float
    pairs: tuple[PairScore, ...]
    confusion: tuple[tuple[float, ...], ...]


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """Retrieval by fingerprint when some KPIs are missing.

    Attributes:
        what: which KPIs are hidden.
        precision_1: share of nearest neighbours with the same shape.
        precision_5: the same over the five nearest.
        lost: shapes that lose the most, with precision at 1 before and after.
    """

    what: str
    precision_1: float
    precision_5: float
    lost: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Draws:
    """The workloads that are known and those that ask."""

    known: Drawn
    asked: Drawn


def draws(each: int = EACH, *, hidden: tuple[str, ...] = (), missing: float = 0.0) -> Draws:
    """Draw ``each`` workloads of every shape twice, disjoint."""
    return Draws(
        draw_shapes(SHAPES, each, KNOWN_SEED, hidden=hidden, missing=missing),
        draw_shapes(SHAPES, each, ASKED_SEED, hidden=hidden, missing=missing),
    )


def hide(drawn: Draws, hidden: tuple[str, ...]) -> Draws:
    """Return the draws as if ``hidden`` KPIs had never been recorded."""
    return Draws(_without(drawn.known, hidden), _without(drawn.asked, hidden))


def score(name: str, what: str, known: FloatArray, asked: FloatArray, drawn: Draws) -> Score:
    """Score a vector.

    Args:
        name: of the vector.
        what: it is.
        known: float32 ``[n, d]``, of ``drawn.known``.
        asked: float32 ``[m, d]``, of ``drawn.asked``.
        drawn: the workloads.
    """
    names, have, want = drawn.known.names, drawn.known.label, drawn.asked.label
    found = have[neighbours(asked, known, NEAREST).place]
    same = found == want[:, None]
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (want, found[:, 0]), 1)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
    return Score(
        name=name,
        what=what,
        precision_1=float(same[:, 0].mean()),
        precision_5=float(same.mean()),
        linear=linear_readout(known, have, asked, want),
        pairs=tuple(_pair(names.index(a), names.index(b), known, asked, drawn) for a, b in PAIRS),
        confusion=tuple(tuple(row) for row in table.tolist()),
    )


def _pair(first: int, second: int, known: FloatArray, asked: FloatArray, drawn: Draws) -> PairScore:
    have = np.isin(drawn.known.label, (first, second))
    want = np.isin(drawn.asked.label, (first, second))
    near = neighbours(asked[want], known[have], 1).place[:, 0]
    right = drawn.known.label[have][near] == drawn.asked.label[want]
    return PairScore(
        first=drawn.known.names[first],
        second=drawn.known.names[second],
        nearest=float(right.mean()),
        linear=linear_readout(
            known[have], drawn.known.label[have], asked[want], drawn.asked.label[want]
        ),
        beyond_chance=0.5 + 2.33 * 0.5 / float(np.sqrt(max(int(want.sum()), 1))),
    )


def linear_readout(known: FloatArray, have: IntArray, asked: FloatArray, want: IntArray) -> float:
    """Return the share that a ridge regression on the labels, fitted on the known, gets right."""
    centre, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    names = np.unique(have)

    def design(vectors: FloatArray) -> NDArray[np.float64]:
        scaled = ((vectors - centre) / spread).astype(np.float64)
        return np.concatenate((scaled, np.ones((len(scaled), 1))), axis=1)

    left = design(known)
    target = np.where(have[:, None] == names, 1.0, -1.0)
    square = left.T @ left + RIDGE * np.eye(left.shape[1])
    weights = np.linalg.solve(square, left.T @ target)
    return float((names[(design(asked) @ weights).argmax(axis=1)] == want).mean())


def fingerprint_score(bundle: Bundle, drawn: Draws) -> Score:
    """Score a bundle's fingerprint."""
    what = "the shipped fingerprint, 64 numbers"
    known, asked = embed(bundle, drawn.known.batch), embed(bundle, drawn.asked.batch)
    return score(FINGERPRINT, what, known, asked, drawn)


def peer_scores(drawn: Draws) -> list[Score]:
    """Score what needs no training: the head's own features, an untrained encoder, correlations."""
    found = []
    known, asked = feature_vectors(drawn.known.batch), feature_vectors(drawn.asked.batch)
    known, asked = _standardised(known, asked)
    what = f"the features of all four resources, z-scored, {known.shape[1]} numbers"
    found.append(score("features", what, known, asked, drawn))
    for name, related, what in UNTRAINED:
        vectors = untrained_vectors(related=related)
        known, asked = vectors(drawn.known.batch), vectors(drawn.asked.batch)
        found.append(score(name, what, known, asked, drawn))
    known, asked = correlations(drawn.known.batch), correlations(drawn.asked.batch)
    what = f"correlations of the KPIs over the last day, {known.shape[1]} numbers"
    found.append(score("correlations", what, known, asked, drawn))
    return found


def feature_vectors(batch: WindowBatch) -> FloatArray:
    """Return the features of all resources in a row, ``[n, 4 * features]``; NaN where missing."""
    return features(batch, Clock().day_lags(batch.now_s)).values.reshape(len(batch), -1)


def untrained_vectors(*, related: bool, seed: int = 1) -> Vectors:
    """Return fingerprints of a network whose weights were drawn and never trained.

    Args:
        related: whether its last layer sees the relations beside the recurrence.
        seed: of the weights.
    """
    import torch  # noqa: PLC0415  # the tables of a finished run need no torch

    from recommender.fingerprint.sequences import sequences  # noqa: PLC0415
    from trainer.network import Network, NetworkShape  # noqa: PLC0415

    torch.manual_seed(seed)
    network = Network(NetworkShape(relations=related)).eval()

    def vectors(batch: WindowBatch) -> FloatArray:
        patches = sequences(batch)
        with torch.no_grad():
            hours, days = torch.from_numpy(patches.hours), torch.from_numpy(patches.days)
            return np.asarray(network.encode(hours, days).numpy(), np.float32)

    return vectors


def correlations(batch: WindowBatch) -> FloatArray:
    """Return the correlations of log usage between all pairs of KPIs, ``[n, pairs]``."""
    rows = [KPIS.index(kpi) for kpi in MODEL_KPIS]
    log = codes.logarithm(batch.recent[:, rows, 0])
    known = np.isfinite(log)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    level = np.where(known, log, 0)
    level = np.where(known, level - level.sum(axis=-1, keepdims=True) / count, 0)
    level /= np.sqrt((level**2).sum(axis=-1, keepdims=True)) + 1e-9
    together = level @ level.transpose(0, 2, 1)
    first, second = np.triu_indices(len(rows), 1)
    return np.asarray(together[:, first, second], np.float32)


def hidden_scores(bundle: Bundle, drawn: Draws, whole: Score) -> list[Hidden]:
    """Score the fingerprint with each KPI hidden, and with random KPIs missing."""
    found = [_hidden(bundle, f"without {kpi}", hide(drawn, (kpi,)), whole) for kpi in MODEL_KPIS]
    each = len(drawn.known.label) // len(drawn.known.names)
    some = draws(each, missing=LACKING)
    what = f"{LACKING:.0%} of the KPIs that a shape does not need"
    found.append(_hidden(bundle, what, some, whole))
    return found


def _hidden(bundle: Bundle, what: str, drawn: Draws, whole: Score) -> Hidden:
    part = fingerprint_score(bundle, drawn)
    before = np.diag(np.array(whole.confusion))
    after = np.diag(np.array(part.confusion))
    worst = np.argsort(after - before, kind="stable")[:3]
    return Hidden(
        what=what,
        precision_1=part.precision_1,
        precision_5=part.precision_5,
        lost=tuple(
            (drawn.known.names[place], float(before[place]), float(after[place]))
            for place in worst
            if after[place] < before[place]
        ),
    )


def _without(drawn: Drawn, hidden: tuple[str, ...]) -> Drawn:
    batch = drawn.batch
    seen = np.array([kpi not in hidden for kpi in KPIS], np.uint16)[:, None, None]
    return Drawn(
        WindowBatch(batch.now_s, batch.recent * seen, batch.hourly * seen, batch.age_bins),
        drawn.label,
        drawn.names,
    )


def _standardised(known: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both z-scored by the known; the mean stands in for what is missing."""
    seen = np.isfinite(known)
    count = np.maximum(seen.sum(axis=0), 1)
    centre = np.where(seen, known, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(seen, known - centre, 0) ** 2).sum(axis=0) / count) + 1e-3

    def scaled(vectors: FloatArray) -> FloatArray:
        apart = np.where(np.isfinite(vectors), vectors - centre, 0)
        return np.asarray(apart / spread, np.float32)

    return scaled(known), scaled(asked)
