"""Conformal offsets per group of fingerprints, from entities kept out of training."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle.manifest import CalibrationTable
from recommender.kpis import LEVELS, RESOURCES

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

GROUPS: Final = 6
ROUNDS: Final = 25
SHRINKAGE: Final = 3000.0
"""Windows at which a group's own offset counts as much as that of all groups together."""

LEAST_WINDOWS: Final = 500


def calibrate(
    fingerprints: FloatArray,
    quantiles: FloatArray,
    targets: FloatArray,
    headroom: FloatArray,
    rng: np.random.Generator,
    groups: int = GROUPS,
) -> CalibrationTable:
    """Return the offsets at which each group's quantiles cover what they should.

    Split conformal prediction (Romano, Patterson, Candes 2019) on one-sided scores
    ``target - quantile``, one table per group (Mondrian), shrunk towards all groups together.

    Args:
        fingerprints: ``[n, 64]``.
        quantiles: ``[n, 4, horizons, levels]``, log ratio to the scale.
        targets: ``[n, 4, horizons]``, NaN where there is no label.
        headroom: ``[n, 4]``, log of scale over noise floor; rows near the floor tell nothing.
        rng: for the first centres.
        groups: how many.
    """
    centres = k_means(fingerprints, groups, rng)
    group = nearest(fingerprints, centres)
    useful = np.isfinite(targets) & (headroom > 1.0)[..., None]
    scores = targets[..., None] - quantiles
    shape = (groups, *quantiles.shape[1:])
    offsets = np.zeros(shape, np.float32)
    counts = np.zeros((groups, len(RESOURCES)), np.int64)
    for resource in range(len(RESOURCES)):
        for horizon in range(quantiles.shape[2]):
            known = useful[:, resource, horizon]
            if known.sum() < LEAST_WINDOWS:
                continue
            pooled = conformal(scores[known, resource, horizon])
            for place in range(groups):
                mine = known & (group == place)
                count = int(mine.sum())
                counts[place, resource] = max(counts[place, resource], count)
                own = conformal(scores[mine, resource, horizon]) if count else pooled
                weight = count / (count + SHRINKAGE)
                offsets[place, resource, horizon] = weight * own + (1 - weight) * pooled
    return CalibrationTable(
        centres=np.round(centres.astype(float), 5).tolist(),
        offsets=np.round(offsets.astype(float), 5).tolist(),
        counts=counts.tolist(),
    )


def conformal(scores: FloatArray) -> FloatArray:
    """Return, per level, the ``ceil((n + 1) level) / n`` quantile of scores ``[n, levels]``."""
    count = len(scores)
    ordered = np.sort(scores, axis=0)
    place = np.ceil((count + 1) * np.array(LEVELS)).astype(int) - 1
    found: FloatArray = ordered[np.clip(place, 0, count - 1), np.arange(len(LEVELS))]
    return found


def nearest(points: FloatArray, centres: FloatArray) -> IntArray:
    """Return the nearest centre of each point."""
    square = (centres**2).sum(axis=1) - 2 * points @ centres.T
    group: IntArray = np.argmin(square, axis=1).astype(np.int64)
    return group


def k_means(points: FloatArray, groups: int, rng: np.random.Generator) -> FloatArray:
    """Return ``[groups, d]`` centres: Lloyd's rounds from k-means++ seeds."""
    centres = [points[rng.integers(len(points))]]
    for _ in range(groups - 1):
        apart = np.min([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
        total = float(apart.sum())
        share = apart / total if total > 0 else np.full(len(points), 1 / len(points))
        centres.append(points[rng.choice(len(points), p=share / share.sum())])
    found = np.array(centres, np.float32)
    for _ in range(ROUNDS):
        group = nearest(points, found)
        for place in range(groups):
            members = points[group == place]
            if len(members):
                found[place] = members.mean(axis=0)
    return found
