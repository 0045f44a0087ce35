"""Packing a trained network as a model bundle: whole and verified, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from torch import nn

from recommender.bundle.loading import FILES, load_bundle, write_checksums
from recommender.bundle.manifest import (
    FORMAT_VERSION,
    CalibrationTable,
    DataSource,
    Manifest,
    Parity,
    Schema,
)
from recommender.bundle.parity import parity_inputs
from recommender.errors import BundleError
from recommender.fingerprint.schema import SCHEMA
from trainer.export import answers, export_network
from trainer.model_card import render_card
from trainer.plan import TrainingPlan
from trainer.train import Trained, code_revision, plan_as_text

MOST_BYTES: Final = 4 * 2**20
PARITY_TOLERANCE: Final = 1e-3
"""Largest absolute difference a loader accepts. Outputs are logarithms: 0.1 % of a peak, wide
enough for another processor's order of additions, far below what a wrong graph gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a bundle says of itself beside its weights; see the manifest for each field.

    Attributes:
        calibration: conformal offsets.
        data: sources trained on.
        training_window_s: first and last moment seen in training, per source.
        code_revision: revision that trained it.
        seed: of every random choice.
        settings: the trainer's settings, as text.
        results: figures of the evaluation.
        limits: what not to expect of it, one sentence each, for the model card.
    """

    calibration: CalibrationTable
    data: list[DataSource]
    training_window_s: dict[str, tuple[int, int]]
    code_revision: str
    seed: int
    settings: dict[str, str] = field(default_factory=dict)
    results: dict[str, float] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


def pack(
    store: Path,
    trained: Trained,
    plan: TrainingPlan,
    *,
    results: dict[str, float] | None = None,
    limits: tuple[str, ...] = (),
    only: bool = False,
) -> Path:
    """Pack what a training run made; see :func:`pack_network`.

    Args:
        store: folder of bundles.
        trained: what the run made.
        plan: how it was made.
        results: figures of the evaluation.
        limits: what not to expect of it, one sentence each.
        only: remove all other bundles of the store afterwards.
    """
    provenance = Provenance(
        calibration=trained.calibration,
        data=trained.data,
        training_window_s=trained.window_s,
        code_revision=code_revision(),
        seed=plan.seed,
        settings=plan_as_text(plan),
        results=results or {},
        limits=limits,
    )
    return pack_network(store, trained.network, provenance, only=only)


def pack_network(
    store: Path,
    network: nn.Module,
    provenance: Provenance,
    *,
    bundle_id: str | None = None,
    created_at_s: int | None = None,
    only: bool = False,
) -> Path:
    """Write ``<store>/<id>/`` and let ``<store>/current`` name it; return the bundle's folder.

    The bundle is exported, written and loaded again beside the others under a hidden name, then
    renamed; ``current`` changes last, by a rename. A reader finds the old bundle or the new one.

    Args:
        store: folder of bundles; made if it is not there.
        network: see :func:`trainer.export.export_network`.
        provenance: what the manifest and the card say.
        bundle_id: its name; by default the date and the first digits of the network's digest.
        created_at_s: when it was made; by default now, or ``SOURCE_DATE_EPOCH`` where that is set.
        only: remove all other bundles of the store afterwards.

    Raises:
        ParityError: the export does not answer as the network does.
        BundleError: a bundle of this name is there already, or this one is too large.
    """
    store.mkdir(parents=True, exist_ok=True)
    made = _now_s() if created_at_s is None else created_at_s
    draft = Path(tempfile.mkdtemp(prefix=".packing-", dir=store))
    try:
        export_network(network, draft / "model.onnx")
        name = bundle_id or _name(draft / "model.onnx", made)
        if Path(name).name != name or name.startswith(".") or name == "current":
            raise BundleError(f"{name!r} cannot name a bundle")
        if (store / name).exists():
            raise BundleError(f"{store / name} is there already", fix="Give another name")
        manifest = _manifest(network, provenance, name, made)
        (draft / "bundle.json").write_bytes(msgspec.json.encode(manifest))
        card = render_card(manifest, provenance.limits)
        (draft / "CARD.md").write_text(card, encoding="utf-8")
        write_checksums(draft)
        size = sum(file.stat().st_size for file in draft.iterdir())
        if size > MOST_BYTES:
            raise BundleError(f"the bundle takes {size} bytes, at most {MOST_BYTES} are allowed")
        load_bundle(draft, SCHEMA)
        for file in (*FILES, "SHA256SUMS"):
            _sync(draft / file)
        draft.chmod(0o755)  # mkdtemp's own mode would hide it from the service's user
        draft.rename(store / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _point(store, name)
    if only:
        _remove_others(store, name)
    return store / name


def uncalibrated(schema: Schema = SCHEMA) -> CalibrationTable:
    """Return a table of one group that changes nothing, for a network not yet calibrated."""
    shape = (1, len(schema.resources), len(schema.horizons_s), len(schema.levels))
    return CalibrationTable(
        centres=[[0.0] * schema.fingerprint],
        offsets=np.zeros(shape).tolist(),
        counts=[[0] * len(schema.resources)],
    )


def _manifest(network: nn.Module, provenance: Provenance, name: str, made_s: int) -> Manifest:
    fingerprint, quantiles, profile = (
        array.reshape(len(array), -1).tolist() for array in answers(network, parity_inputs(SCHEMA))
    )
    return Manifest(
        format_version=FORMAT_VERSION,
        id=name,
        created_at_s=made_s,
        schema=SCHEMA,
        schema_sha256=SCHEMA.digest(),
        calibration=provenance.calibration,
        training_window_s=provenance.training_window_s,
        data=provenance.data,
        code_revision=provenance.code_revision,
        parameters=sum(weight.numel() for weight in network.parameters()),
        seed=provenance.seed,
        settings=provenance.settings,
        results=provenance.results,
        parity=Parity(
            fingerprint=fingerprint,
            quantiles=quantiles,
            profile=profile,
            tolerance=PARITY_TOLERANCE,
        ),
    )


def _now_s() -> int:
    """Return the time, or the one that a reproducible build asks for (SOURCE_DATE_EPOCH)."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())


def _name(model: Path, made_s: int) -> str:
    day = datetime.fromtimestamp(made_s, UTC).strftime("%Y%m%d")
    return f"{day}-{sha256(model.read_bytes()).hexdigest()[:10]}"


def _point(store: Path, name: str) -> None:
    handle, draft = tempfile.mkstemp(prefix=".current-", dir=store)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())
    pointer = Path(draft)
    pointer.chmod(0o644)
    pointer.replace(store / "current")


def _remove_others(store: Path, name: str) -> None:
    for folder in store.iterdir():
        if folder.name != name and (folder / "bundle.json").is_file():
            shutil.rmtree(folder)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
