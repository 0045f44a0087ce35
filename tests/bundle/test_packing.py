import os

import numpy as np
import onnx
import pytest
import torch

from recommender.bundle.loading import load_bundle
from recommender.bundle.manifest import CalibrationTable, DataSource
from recommender.errors import BundleError
from recommender.fingerprint.schema import SCHEMA
from trainer import packing
from trainer.export import TOLERANCE, ParityError, check_parity, export_network
from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack, pack_network, uncalibrated
from trainer.plan import TrainingPlan
from trainer.train import Trained


class TestExport:
    @pytest.mark.parametrize("encoder", ["gru", "transformer"])
    def test_onnxruntime_answers_as_torch_does(self, tmp_path, encoder):
        torch.manual_seed(3)
        network = Network(NetworkShape(encoder=encoder, hidden=32, head=32))
        export_network(network, tmp_path / "model.onnx")
        assert check_parity(network, tmp_path / "model.onnx") <= TOLERANCE
        assert network.training, "the caller's mode is left as it was"

    def test_gate_catches_the_exporters_known_fault(self, tmp_path, network):
        export_network(network, tmp_path / "model.onnx")
        graph = onnx.load(tmp_path / "model.onnx")
        gru = next(node for node in graph.graph.node if node.op_type == "GRU")
        for attribute in gru.attribute:
            if attribute.name == "linear_before_reset":
                attribute.i = 0
        onnx.save(graph, tmp_path / "model.onnx")
        with pytest.raises(ParityError, match="differs"):
            check_parity(network, tmp_path / "model.onnx")

    def test_gate_catches_other_weights(self, tmp_path, network):
        export_network(network, tmp_path / "model.onnx")
        other = Network(network.shape)
        with pytest.raises(ParityError):
            check_parity(other, tmp_path / "model.onnx")

    def test_same_weights_give_the_same_bytes(self, tmp_path, network):
        export_network(network, tmp_path / "one.onnx")
        export_network(network, tmp_path / "two.onnx")
        assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()

    def test_file_names_no_folder_of_this_machine(self, tmp_path, network):
        export_network(network, tmp_path / "model.onnx")
        content = (tmp_path / "model.onnx").read_bytes()
        assert str(tmp_path).encode() not in content
        assert os.path.dirname(packing.__file__).encode() not in content  # noqa: PTH120
        assert SCHEMA.digest().encode() in content


class TestPack:
    def test_bundle_is_named_by_day_and_digest(self, tmp_path, network, provenance):
        folder = pack_network(tmp_path, network, provenance, created_at_s=1_700_000_000)
        assert folder.name.startswith("20231114-")
        assert (tmp_path / "current").read_text() == f"{folder.name}\n"
        assert sorted(file.name for file in folder.iterdir()) == [
            "CARD.md",
            "SHA256SUMS",
            "bundle.json",
            "model.onnx",
        ]
        assert load_bundle(tmp_path, SCHEMA).manifest.created_at_s == 1_700_000_000

    def test_reproducible(self, tmp_path, network, provenance, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
        one = pack_network(tmp_path / "one", network, provenance)
        two = pack_network(tmp_path / "two", network, provenance)
        assert one.name == two.name
        assert (one / "SHA256SUMS").read_bytes() == (two / "SHA256SUMS").read_bytes()

    def test_pointer_moves_and_others_stay(self, tmp_path, network, provenance):
        pack_network(tmp_path, network, provenance, bundle_id="first")
        pack_network(tmp_path, network, provenance, bundle_id="second")
        assert load_bundle(tmp_path, SCHEMA).manifest.id == "second"
        assert load_bundle(tmp_path / "first", SCHEMA).manifest.id == "first"

    def test_only_one_is_left_where_asked_for(self, tmp_path, network, provenance):
        (tmp_path / "notes").mkdir()
        pack_network(tmp_path, network, provenance, bundle_id="first")
        pack_network(tmp_path, network, provenance, bundle_id="second", only=True)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["current", "notes", "second"]

    def test_name_that_is_taken(self, tmp_path, network, provenance):
        pack_network(tmp_path, network, provenance, bundle_id="first")
        with pytest.raises(BundleError, match="there already"):
            pack_network(tmp_path, network, provenance, bundle_id="first")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["current", "first"]

    @pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "current", ".."])
    def test_name_that_is_none(self, tmp_path, network, provenance, name):
        with pytest.raises(BundleError, match="cannot name a bundle"):
            pack_network(tmp_path / "store", network, provenance, bundle_id=name)
        assert list((tmp_path / "store").iterdir()) == []

    def test_failure_leaves_the_old_bundle(self, tmp_path, network, provenance, monkeypatch):
        pack_network(tmp_path, network, provenance, bundle_id="first")
        monkeypatch.setattr(packing, "MOST_BYTES", 1000)
        with pytest.raises(BundleError, match="bytes"):
            pack_network(tmp_path, network, provenance, bundle_id="second")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["current", "first"]
        assert load_bundle(tmp_path, SCHEMA).manifest.id == "first"

    def test_network_that_is_no_number_is_never_packed(self, tmp_path, provenance):
        broken = Network(NetworkShape(hidden=8, head=8))
        with torch.no_grad():
            broken.heads[0].quantiles.bias.fill_(float("nan"))
        with pytest.raises(ParityError):
            pack_network(tmp_path, broken, provenance)
        assert list(tmp_path.iterdir()) == []

    def test_calibration_travels(self, tmp_path, network):
        offsets = np.full((2, 4, 5, 7), 0.25)
        table = CalibrationTable(
            centres=[[0.0] * 64, [1.0] * 64], offsets=offsets.tolist(), counts=[[3] * 4, [5] * 4]
        )
        provenance = Provenance(
            calibration=table, data=[], training_window_s={}, code_revision="x", seed=0
        )
        pack_network(tmp_path, network, provenance)
        assert load_bundle(tmp_path, SCHEMA).manifest.calibration == table

    def test_training_run(self, tmp_path, network):
        source = DataSource(name="s", sha256="0" * 64, licence="MIT", entities=3, samples=30)
        trained = Trained(network, uncalibrated(), [source], {"s": (300, 86400)})
        folder = pack(tmp_path, trained, TrainingPlan(seed=11), results={"s hourly": 2.5})
        manifest = load_bundle(folder, SCHEMA).manifest
        assert manifest.seed == 11
        assert manifest.data == [source]
        assert manifest.training_window_s == {"s": (300, 86400)}
        assert manifest.results == {"s hourly": 2.5}
        assert manifest.settings["shape_encoder"] == "gru"

    def test_full_size_network_fits(self, tmp_path, provenance):
        folder = pack_network(tmp_path, Network(NetworkShape()), provenance)
        size = sum(file.stat().st_size for file in folder.iterdir())
        assert size <= 4 * 2**20


class TestCard:
    def test_names_each_source_with_its_licence(self, tmp_path, network):
        source = DataSource(
            name="azure_v1", sha256="ab" * 32, licence="CC-BY 4.0", entities=87, samples=12345
        )
        provenance = Provenance(
            calibration=uncalibrated(),
            data=[source],
            training_window_s={"azure_v1": (86400, 20 * 86400)},
            code_revision="deadbeef",
            seed=1,
            settings={"epochs": "5"},
            results={"azure_v1 hourly": 2.7512},
            limits=("Short-lived workloads were not among the data.",),
        )
        card = (pack_network(tmp_path, network, provenance) / "CARD.md").read_text()
        row = (
            "| azure_v1 | CC-BY 4.0 | 87 | 12,345 | 1970-01-02 to 1970-01-21 | `abababababababab` |"
        )
        assert row in card
        assert "| azure_v1 hourly | 2.751 |" in card
        assert "| epochs | 5 |" in card
        assert "- Short-lived workloads were not among the data." in card
        assert "deadbeef" in card
        assert "Not evaluated" not in card

    def test_says_what_it_cannot_vouch_for(self, packed):
        card = (packed / "CARD.md").read_text()
        assert "Not evaluated" in card
        assert "Not calibrated" in card
        assert "None: the weights are as they were drawn." in card
