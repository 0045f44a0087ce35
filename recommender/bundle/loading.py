"""Loading a bundle: all of its checks, then its network, run in batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from recommender.bundle.manifest import FORMAT_VERSION, Manifest, Schema
from recommender.bundle.parity import parity_inputs
from recommender.errors import BundleCorrupt, BundleMismatch, BundleMissing

FloatArray = NDArray[np.float32]

BATCH: Final = 128
FILES: Final = ("model.onnx", "bundle.json", "CARD.md")
DEFAULT_STORE: Final = Path(__file__).parent / "default"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network says of some containers.

    Attributes:
        fingerprint: float32 ``[n, 64]``.
        quantiles: float32 ``[n, 4, horizons, levels]``, log of the peak over the row's scale.
        profile: float32 ``[n, 4, 24, 2]``, log mean and log variance over the scale.
    """

    fingerprint: FloatArray
    quantiles: FloatArray
    profile: FloatArray


class Bundle:
    """A loaded bundle."""

    def __init__(self, manifest: Manifest, session: Any) -> None:
        self.manifest = manifest
        self._session = session

    def run(self, hours: FloatArray, days: FloatArray, features: FloatArray) -> Outputs:
        """Run the network over any number of containers, :data:`BATCH` at a time.

        Args:
            hours: ``[n, 24, hour width]``.
            days: ``[n, 15, day width]``.
            features: ``[n, 4, features]``, NaN where missing.
        """
        parts = [
            self._session.run(
                None,
                {
                    "hours": hours[begin : begin + BATCH],
                    "days": days[begin : begin + BATCH],
                    "features": features[begin : begin + BATCH],
                },
            )
            for begin in range(0, len(hours), BATCH)
        ]
        if not parts:
            schema = self.manifest.schema
            resources = len(schema.resources)
            return Outputs(
                np.zeros((0, schema.fingerprint), np.float32),
                np.zeros((0, resources, len(schema.horizons_s), len(schema.levels)), np.float32),
                np.zeros((0, resources, schema.profile_hours, 2), np.float32),
            )
        return Outputs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def load_bundle(folder: Path, schema: Schema, *, threads: int = 1) -> Bundle:
    """Load and verify the bundle in ``folder``; a store's folder stands for its current bundle.

    Args:
        folder: ``<id>/`` itself, or a folder with bundles and a file ``current``.
        schema: what this release computes; the bundle must have been made for it.
        threads: that one inference may use.

    Raises:
        BundleMissing: there is none.
        BundleCorrupt: a file is missing, does not match its checksum, cannot be read, or the
            network answers the parity inputs differently from when it was exported.
        BundleMismatch: made for another feature schema or a newer format.
    """
    folder = _current(folder)
    _verify_checksums(folder)
    manifest = _read_manifest(folder)
    if manifest.schema_sha256 != manifest.schema.digest():
        raise BundleCorrupt(f"bundle {folder}: its schema does not match the schema's digest")
    if manifest.schema != schema:
        raise BundleMismatch(
            f"bundle {folder} was made for another feature schema "
            f"({manifest.schema_sha256[:12]}, here {schema.digest()[:12]})",
            fix="Train it anew with this release, or use the release that made it",
        )
    _verify_calibration(manifest, folder)
    bundle = Bundle(manifest, _session(folder / "model.onnx", threads))
    _verify_parity(bundle, folder)
    return bundle


@lru_cache(maxsize=4)
def default_bundle(schema: Schema) -> Bundle:
    """Return the bundle that ships inside the package."""
    return load_bundle(DEFAULT_STORE, schema)


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over the bundle's files, in the format of ``sha256sum``."""
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in FILES]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _current(folder: Path) -> Path:
    if not folder.is_dir():
        raise BundleMissing(f"no bundle at {folder}", fix="Name a bundle's folder or a store")
    pointer = folder / "current"
    if not pointer.is_file():
        return folder
    name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not name or name.startswith(".") or Path(name).name != name:
        raise BundleCorrupt(f"{pointer} does not name a bundle: {name!r}")
    if not (folder / name).is_dir():
        raise BundleMissing(f"{pointer} names bundle {name}, which is not there")
    return folder / name


def _verify_checksums(folder: Path) -> None:
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleCorrupt(f"bundle {folder}: SHA256SUMS cannot be read: {error}") from error
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in FILES:
        if name not in wanted:
            raise BundleCorrupt(f"bundle {folder}: SHA256SUMS has no line for {name}")
        if not (folder / name).is_file():
            raise BundleCorrupt(f"bundle {folder}: {name} is missing")
        if _sha256(folder / name) != wanted[name]:
            raise BundleCorrupt(
                f"bundle {folder}: {name} does not match its checksum",
                fix="Copy the bundle again; it was changed or cut short",
            )


def _read_manifest(folder: Path) -> Manifest:
    try:
        content = (folder / "bundle.json").read_bytes()
        version = msgspec.json.decode(content, type=dict[str, Any]).get("format_version")
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleCorrupt(f"bundle {folder}: bundle.json cannot be read: {error}") from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise BundleMismatch(
            f"bundle {folder} has format {version}, this release reads up to {FORMAT_VERSION}",
            fix="Use a newer release of peakcast",
        )
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BundleCorrupt(f"bundle {folder}: bundle.json is not as expected: {error}") from error


def _verify_calibration(manifest: Manifest, folder: Path) -> None:
    schema, table = manifest.schema, manifest.calibration
    groups, resources = len(table.centres), len(schema.resources)
    wanted = {
        "centres": (groups, schema.fingerprint),
        "offsets": (groups, resources, len(schema.horizons_s), len(schema.levels)),
        "counts": (groups, resources),
    }
    for name, shape in wanted.items():
        try:
            values = np.asarray(getattr(table, name), np.float32)
        except ValueError as error:  # rows of different lengths
            raise BundleCorrupt(f"bundle {folder}: calibration {name}: {error}") from error
        if groups == 0 or values.shape != shape or not np.isfinite(values).all():
            raise BundleCorrupt(
                f"bundle {folder}: calibration {name} has shape {values.shape} or values that are "
                f"no numbers; {shape} is needed"
            )


def _session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # An idle session would otherwise spin on every core it was given.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own, without a common base
        raise BundleCorrupt(f"{path}: onnxruntime cannot load it: {error}") from error


def _verify_parity(bundle: Bundle, folder: Path) -> None:
    manifest = bundle.manifest
    try:
        found = bundle.run(*parity_inputs(manifest.schema))
    except Exception as error:  # as above
        raise BundleCorrupt(f"bundle {folder}: the network cannot be run: {error}") from error
    for name in ("fingerprint", "quantiles", "profile"):
        wanted = np.asarray(getattr(manifest.parity, name), np.float32)
        answer = getattr(found, name).reshape(len(wanted), -1)
        if answer.shape != wanted.shape:
            raise BundleCorrupt(f"bundle {folder}: parity vectors of {name} have another shape")
        apart = float(np.abs(answer - wanted).max())
        if not apart <= manifest.parity.tolerance:
            raise BundleCorrupt(
                f"bundle {folder}: {name} differs by {apart:.2e} from the answers recorded at "
                f"export (at most {manifest.parity.tolerance:.0e} allowed)",
                fix="Another onnxruntime may compute it differently: pin the tested one",
            )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
