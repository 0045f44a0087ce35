"""From windows to fingerprints, without forecasting anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.bundle import Bundle
from recommender.fingerprint.sequences import sequences
from recommender.telemetry.window import WindowBatch

FloatArray = NDArray[np.float32]


def embed(bundle: Bundle, batch: WindowBatch) -> FloatArray:
    """Return the fingerprints of the containers of ``batch``, float32 ``[n, 64]``.

    A fingerprint rests on the sequences alone, so the head's features are left missing.
    """
    patches = sequences(batch)
    schema = bundle.manifest.schema
    unknown = np.full((len(batch), len(schema.resources), len(schema.features)), np.nan, np.float32)
    unknown[..., -1] = np.arange(len(schema.resources), dtype=np.float32)
    return bundle.run(patches.hours, patches.days, unknown).fingerprint
