"""What ``bundle.json`` says."""

from __future__ import annotations

import hashlib
import json
from typing import Final

import msgspec

FORMAT_VERSION: Final = 1


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """One source of training data.

    Attributes:
        name: the source's name.
        sha256: digest of its file.
        licence: under which terms it was used.
        entities: how many of its entities were trained on.
        samples: how many windows were drawn from them.
    """

    name: str
    sha256: str
    licence: str
    entities: int
    samples: int


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """What the network reads and writes; a loader refuses a bundle made for another one.

    Attributes:
        features: names, in order.
        kpis: channels of the encoder, in order.
        resources: rows of the outputs, in order.
        horizons_s: horizons, ascending.
        levels: quantile levels, ascending.
        hours_shape: shape of one container's hour patches.
        days_shape: shape of one container's day patches.
        fingerprint: length of the fingerprint.
        profile_hours: length of the profile.
    """

    features: tuple[str, ...]
    kpis: tuple[str, ...]
    resources: tuple[str, ...]
    horizons_s: tuple[int, ...]
    levels: tuple[float, ...]
    hours_shape: tuple[int, int]
    days_shape: tuple[int, int]
    fingerprint: int
    profile_hours: int

    def digest(self) -> str:
        """Return the schema's SHA-256."""
        text = json.dumps(msgspec.to_builtins(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class CalibrationTable(msgspec.Struct, frozen=True, kw_only=True):
    """Conformal offsets, in log ratio, learned on groups and times kept out of training.

    Attributes:
        centres: fingerprints around which the groups lie, ``[groups][64]``; a container belongs to
            the nearest one.
        offsets: added to the network's quantiles, ``[groups][resources][horizons][levels]``.
        counts: independent windows behind each group's offsets, ``[groups][resources]``.
    """

    centres: list[list[float]]
    offsets: list[list[list[list[float]]]]
    counts: list[list[int]]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """What the network answered to :func:`recommender.bundle.parity.parity_inputs` when exported.

    Attributes:
        fingerprint: ``[cases][64]``.
        quantiles: ``[cases][resources * horizons * levels]``.
        profile: ``[cases][resources * hours * 2]``.
        tolerance: largest difference that still counts as the same, absolute.
    """

    fingerprint: list[list[float]]
    quantiles: list[list[float]]
    profile: list[list[float]]
    tolerance: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of ``bundle.json``.

    Attributes:
        format_version: of this file; a newer one than :data:`FORMAT_VERSION` is refused.
        id: the bundle's name, also its folder's.
        created_at_s: when it was written.
        schema: what the network reads and writes.
        schema_sha256: digest of ``schema``.
        calibration: conformal offsets.
        training_window_s: first and last moment seen in training, per source.
        data: where the training data came from.
        code_revision: the revision that trained it.
        parameters: number of the network's parameters.
        seed: of every random choice.
        settings: the trainer's settings, as text.
        results: arena figures, free-form, for the model card.
        parity: answers to the parity inputs.
    """

    format_version: int
    id: str
    created_at_s: int
    schema: Schema
    schema_sha256: str
    calibration: CalibrationTable
    training_window_s: dict[str, tuple[int, int]]
    data: list[DataSource]
    code_revision: str
    parameters: int
    seed: int
    settings: dict[str, str]
    results: dict[str, float]
    parity: Parity
