import pytest
import torch

from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A tiny network of random weights: the demo has to show whatever a model says."""
    torch.manual_seed(4)
    provenance = Provenance(
        calibration=uncalibrated(), data=[], training_window_s={}, code_revision="0", seed=4
    )
    network = Network(NetworkShape(hidden=16, head=24))
    return pack_network(tmp_path_factory.mktemp("store"), network, provenance, bundle_id="tiny")
