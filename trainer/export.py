"""From torch to ONNX, and the gate that the two answer alike.

The exporter has been silently wrong before (pytorch#189225: a GRU written with
``linear_before_reset=0``, up to 14 % off), so no graph leaves here unless onnxruntime answers as
torch does, over several batch sizes and inputs that no workload would send.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from recommender.bundle.manifest import Schema
from recommender.bundle.parity import parity_inputs
from recommender.errors import BundleError
from recommender.fingerprint.schema import SCHEMA

FloatArray = NDArray[np.float32]
Inputs = tuple[FloatArray, FloatArray, FloatArray]

INPUTS: Final = ("hours", "days", "features")
OUTPUTS: Final = ("fingerprint", "quantiles", "profile")
OPSET: Final = 17
BATCH_SIZES: Final = (1, 2, 7, 128, 131)
TOLERANCE: Final = 1e-4
"""Relative, on outputs of at least 1 in size; they are logarithms, so 0.01 % of a peak."""


class ParityError(BundleError):
    """The exported graph answers differently from the network that it was exported from."""


def export_network(network: nn.Module, path: Path) -> None:
    """Write a network as one ONNX file with a free batch dimension, and pass it through the gate.

    The file holds no weights outside itself, no paths of this machine and no time, so the same
    weights give the same bytes. Its metadata carry the digest of the feature schema.

    Args:
        network: ``(hours [n, 24, w], days [n, 15, w], features [n, 4, f])``, float32, to
            fingerprint ``[n, 64]``, quantiles ``[n, 4, 5, 7]``, profile ``[n, 4, 24, 2]``. It is
            left in the mode, training or evaluation, in which it came.
        path: the file to write.

    Raises:
        ParityError: onnxruntime and torch differ by more than :data:`TOLERANCE`.
    """
    was_training = network.training
    network.eval()
    try:
        example = tuple(torch.from_numpy(array[:1].copy()) for array in parity_inputs(SCHEMA))
        with warnings.catch_warnings():
            # The exporter built on torch.export takes half a minute for 39 steps of a GRU; this
            # one half a second. It warns of both its age and of what the gate below looks at.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                example,
                path,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_axes={name: {0: "n"} for name in (*INPUTS, *OUTPUTS)},
                opset_version=OPSET,
                dynamo=False,
            )
        _tidy(path, SCHEMA)
        check_parity(network, path)
    finally:
        network.train(was_training)


def answers(network: nn.Module, inputs: Inputs) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return fingerprint, quantiles and profile that torch computes for ``inputs``."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        fingerprint, quantiles, profile = network(*(torch.from_numpy(array) for array in inputs))
    network.train(was_training)
    return fingerprint.numpy(), quantiles.numpy(), profile.numpy()


def check_parity(network: nn.Module, path: Path) -> float:
    """Compare the graph at ``path`` with the network and return the largest relative difference.

    Raises:
        ParityError: it is above :data:`TOLERANCE`, or one side is not finite.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for case, inputs in gate_inputs(SCHEMA):
        wanted = answers(network, inputs)
        found = session.run(None, dict(zip(INPUTS, inputs, strict=True)))
        for name, torch_says, onnx_says in zip(OUTPUTS, wanted, found, strict=True):
            apart = _apart(torch_says, onnx_says)
            if not apart <= TOLERANCE:
                raise ParityError(
                    f"{path}: {name} differs by {apart:.2e} between torch and onnxruntime "
                    f"({case}; at most {TOLERANCE:.0e} allowed)",
                    fix="Do not ship this graph: try other releases of torch and onnxruntime",
                )
            worst = max(worst, apart)
    return worst


def gate_inputs(schema: Schema) -> Iterator[tuple[str, Inputs]]:
    """Yield named inputs for the gate: ordinary and absurd ones, at several batch sizes."""
    yield "parity inputs", parity_inputs(schema)
    draw = np.random.default_rng(20240229)
    for size in BATCH_SIZES:
        yield f"noise, batch of {size}", _filled(schema, size, draw)
    for value in (0.0, 1.0, -12.0, 12.0, 1e3):
        constant = _filled(schema, 3, draw)
        for array in constant:
            array[...] = value
        yield f"all {value:g}", _numbered(constant)
    unknown = _filled(schema, 4, draw)
    unknown[2][...] = np.nan
    yield "all features missing", _numbered(unknown)
    gaps = _filled(schema, 33, draw)
    gaps[2][draw.random(gaps[2].shape) < 0.5] = np.nan
    yield "half of the features missing", _numbered(gaps)
    impulse = _filled(schema, 2, draw)
    for array in impulse:
        array[...] = 0
    impulse[0][0, -1, -1] = impulse[1][1, 0, 0] = 20
    yield "one sample", _numbered(impulse)


def _filled(schema: Schema, size: int, draw: np.random.Generator) -> Inputs:
    shapes = (
        (size, *schema.hours_shape),
        (size, *schema.days_shape),
        (size, len(schema.resources), len(schema.features)),
    )
    hours, days, features = (draw.normal(-1, 2, shape).astype(np.float32) for shape in shapes)
    return _numbered((hours, days, features))


def _numbered(inputs: Inputs) -> Inputs:
    """Put the resource's number where the network reads it: in the last feature."""
    features = inputs[2]
    features[..., -1] = np.arange(features.shape[1], dtype=np.float32)
    return inputs


def _apart(wanted: FloatArray, found: FloatArray) -> float:
    """Return the largest difference relative to ``wanted``; infinite where either is no number."""
    if wanted.shape != found.shape or not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        return float("inf")
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max(initial=0))


def _tidy(path: Path, schema: Schema) -> None:
    """Check the graph, note its schema in it, and take out what names this machine."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.helper.set_model_props(model, {"peakcast.schema_sha256": schema.digest()})
    path.write_bytes(model.SerializeToString(deterministic=True))
