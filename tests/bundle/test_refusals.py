"""A loader that meets anything but a whole bundle of its own kind refuses, and says why."""

import json

import numpy as np
import onnx
import pytest

from recommender.bundle.loading import load_bundle, write_checksums
from recommender.bundle.manifest import FORMAT_VERSION
from recommender.bundle.parity import parity_inputs
from recommender.errors import BundleCorrupt, BundleMismatch, BundleMissing
from recommender.fingerprint.schema import SCHEMA


def rewrite(bundle, **changes):
    """Change fields of the manifest and make the checksums right again."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest.update(changes)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    write_checksums(bundle)


def test_sound_bundle_answers_its_parity_inputs(bundle):
    loaded = load_bundle(bundle, SCHEMA)
    outputs = loaded.run(*parity_inputs(SCHEMA))
    assert loaded.manifest.id == "first"
    assert outputs.quantiles.shape == (5, 4, 5, 7)
    assert outputs.profile.shape == (5, 4, 24, 2)
    assert outputs.fingerprint.shape == (5, 64)
    assert (np.diff(outputs.quantiles, axis=-1) >= 0).all()
    assert (np.diff(outputs.quantiles, axis=-2) >= 0).all()


def test_no_container_is_no_error(bundle):
    hours, days, features = (array[:0] for array in parity_inputs(SCHEMA))
    outputs = load_bundle(bundle, SCHEMA).run(hours, days, features)
    assert outputs.quantiles.shape == (0, 4, 5, 7)
    assert outputs.profile.shape == (0, 4, 24, 2)


def test_batches_do_not_show(bundle):
    loaded = load_bundle(bundle, SCHEMA)
    draw = np.random.default_rng(1)
    shapes = ((300, *SCHEMA.hours_shape), (300, *SCHEMA.days_shape), (300, 4, len(SCHEMA.features)))
    inputs = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    whole = loaded.run(*inputs)
    alone = loaded.run(*(array[299:] for array in inputs))
    np.testing.assert_allclose(whole.quantiles[299:], alone.quantiles, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "CARD.md"])
def test_changed_file(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleCorrupt, match=f"{name} does not match its checksum"):
        load_bundle(bundle, SCHEMA)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "CARD.md", "SHA256SUMS"])
def test_missing_file(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleCorrupt, match=name):
        load_bundle(bundle, SCHEMA)


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_file_cut_short(bundle, name):
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[: len(content) // 2])
    write_checksums(bundle)
    with pytest.raises(BundleCorrupt):
        load_bundle(bundle, SCHEMA)


def test_checksums_without_a_line(bundle):
    sums = bundle / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BundleCorrupt, match=r"no line for model\.onnx"):
        load_bundle(bundle, SCHEMA)


def test_newer_format(bundle):
    rewrite(bundle, format_version=FORMAT_VERSION + 1, something_new={"a": 1})
    with pytest.raises(BundleMismatch, match="newer release"):
        load_bundle(bundle, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"centres": []},
        {"centres": [[0.0] * 63]},
        {"offsets": [[[[0.0] * 7] * 5] * 3]},
        {"offsets": [[[[0.0] * 7] * 5] * 3 + [[[0.0] * 6] * 5]]},
        {"counts": [[1, 2, 3, 4], [1, 2, 3, 4]]},
    ],
)
def test_calibration_of_another_shape(bundle, change):
    table = json.loads((bundle / "bundle.json").read_text())["calibration"]
    rewrite(bundle, calibration={**table, **change})
    with pytest.raises(BundleCorrupt, match="calibration"):
        load_bundle(bundle, SCHEMA)


@pytest.mark.parametrize("version", [None, "1", 1.5])
def test_format_that_is_no_number(bundle, version):
    rewrite(bundle, format_version=version)
    with pytest.raises((BundleMismatch, BundleCorrupt)):
        load_bundle(bundle, SCHEMA)


def test_other_feature_schema(bundle):
    manifest = json.loads((bundle / "bundle.json").read_text())
    schema = {**manifest["schema"], "features": [*manifest["schema"]["features"][1:], "new_one"]}
    other = type(SCHEMA)(
        **{
            **schema,
            **{key: tuple(value) for key, value in schema.items() if isinstance(value, list)},
        }
    )
    rewrite(bundle, schema=schema, schema_sha256=other.digest())
    with pytest.raises(BundleMismatch, match="another feature schema"):
        load_bundle(bundle, SCHEMA)


def test_schema_that_belies_its_digest(bundle):
    rewrite(bundle, schema_sha256="0" * 64)
    with pytest.raises(BundleCorrupt, match="digest"):
        load_bundle(bundle, SCHEMA)


def test_field_missing(bundle):
    manifest = json.loads((bundle / "bundle.json").read_text())
    del manifest["calibration"]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    write_checksums(bundle)
    with pytest.raises(BundleCorrupt, match="calibration"):
        load_bundle(bundle, SCHEMA)


def test_wrong_parity(bundle):
    parity = json.loads((bundle / "bundle.json").read_text())["parity"]
    parity["quantiles"][2][17] += 0.01
    rewrite(bundle, parity=parity)
    with pytest.raises(BundleCorrupt, match="quantiles differs"):
        load_bundle(bundle, SCHEMA)


def test_graph_with_other_gates_fails_parity(bundle):
    graph = onnx.load(bundle / "model.onnx")
    gru = next(node for node in graph.graph.node if node.op_type == "GRU")
    for attribute in gru.attribute:
        if attribute.name == "linear_before_reset":
            attribute.i = 0
    onnx.save(graph, bundle / "model.onnx")
    write_checksums(bundle)
    with pytest.raises(BundleCorrupt, match="differs"):
        load_bundle(bundle, SCHEMA)


def test_parity_that_is_no_number(bundle):
    parity = json.loads((bundle / "bundle.json").read_text())["parity"]
    parity["tolerance"] = float("nan")
    (bundle / "bundle.json").write_text(
        json.dumps({**json.loads((bundle / "bundle.json").read_text()), "parity": parity})
    )
    write_checksums(bundle)
    with pytest.raises(BundleCorrupt):
        load_bundle(bundle, SCHEMA)


def test_file_that_is_no_graph(bundle):
    (bundle / "model.onnx").write_bytes(b"hello")
    write_checksums(bundle)
    with pytest.raises(BundleCorrupt, match="onnxruntime cannot load it"):
        load_bundle(bundle, SCHEMA)


def test_no_folder(tmp_path):
    with pytest.raises(BundleMissing, match="no bundle at"):
        load_bundle(tmp_path / "nowhere", SCHEMA)


class TestPointer:
    def test_store_stands_for_its_current_bundle(self, packed):
        assert load_bundle(packed.parent, SCHEMA).manifest.id == "first"

    @pytest.mark.parametrize(
        "line", ["", "  \n", "../first", "/etc", "first/../../first", "..", ".", "a/b"]
    )
    def test_pointer_never_leads_out_of_the_store(self, bundle, line):
        (bundle.parent / "current").write_text(line)
        with pytest.raises(BundleCorrupt, match="does not name a bundle"):
            load_bundle(bundle.parent, SCHEMA)

    def test_pointer_to_nothing(self, bundle):
        (bundle.parent / "current").write_text("second\n")
        with pytest.raises(BundleMissing, match="second"):
            load_bundle(bundle.parent, SCHEMA)

    def test_pointer_that_is_no_text(self, bundle):
        (bundle.parent / "current").write_bytes(b"\xff\xfe\x00")
        with pytest.raises((BundleCorrupt, BundleMissing)):
            load_bundle(bundle.parent, SCHEMA)
