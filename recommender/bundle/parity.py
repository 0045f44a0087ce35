"""Synthetic inputs on which a bundle must answer as it did when it was exported."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.bundle.manifest import Schema

CASES: Final = 5
FloatArray = NDArray[np.float32]


def parity_inputs(schema: Schema) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return hour patches, day patches and features of five made-up containers.

    Waves of several lengths, one container all zero, one with nothing known: computed, not drawn,
    so that they are the same on every machine and release.
    """
    hours = _waves((CASES, *schema.hours_shape), 0.37)
    days = _waves((CASES, *schema.days_shape), 0.61)
    features = _waves((CASES, len(schema.resources), len(schema.features)), 1.13)
    features[..., -1] = np.arange(len(schema.resources), dtype=np.float32)
    hours[3], days[3], features[3, :, :-1] = 0, 0, 0
    hours[4], days[4], features[4, :, :-1] = 0, 0, np.nan
    return hours, days, features


def _waves(shape: tuple[int, ...], pace: float) -> FloatArray:
    place = np.arange(int(np.prod(shape)), dtype=np.float64)
    wave = np.sin(pace * place) - 0.8 + 0.5 * np.sin(0.013 * place)
    return wave.reshape(shape).astype(np.float32)
