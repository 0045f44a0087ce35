"""Which known fingerprints lie nearest: the cosine between them, and no index to keep up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest known fingerprints of some workloads, nearest first.

    Attributes:
        place: int64 ``[n, k]``, rows of the known fingerprints.
        distance: float32 ``[n, k]``, 1 minus the cosine: 0 the same, 1 nothing alike, 2 opposite.
    """

    place: IntArray
    distance: FloatArray


def neighbours(asked: FloatArray, known: FloatArray, k: int) -> Neighbours:
    """Return the ``k`` nearest of ``known`` for each of ``asked``; ties in order of the rows.

    Args:
        asked: float ``[n, d]``.
        known: float ``[m, d]``; one without length is never near anything (distance 1).
        k: at least 1; as many as there are where ``m`` is smaller.

    Raises:
        ValueError: ``k`` is below 1 or the lengths of the fingerprints differ.
    """
    if k < 1 or asked.shape[-1] != known.shape[-1]:
        raise ValueError(f"{k} neighbours of {asked.shape} among {known.shape}")
    k = min(k, len(known))
    distance = np.clip(1 - unit(asked) @ unit(known).T, 0, 2)
    place = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return Neighbours(place, np.take_along_axis(distance, place, axis=1))


def cosine_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return 1 minus the cosine, ``[...]``, of fingerprints ``[..., d]`` taken in pairs."""
    product: FloatArray = (unit(first) * unit(second)).sum(axis=-1)
    return np.clip(1 - product, 0, 2)


def unit(vectors: FloatArray) -> FloatArray:
    """Return float32 ``[..., d]`` of length 1; zeros where there is no length."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled = vectors / np.where(length > 0, length, 1)
    return np.asarray(scaled, np.float32)
