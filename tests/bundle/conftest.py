import shutil

import pytest
import torch

from trainer.network import Network, NetworkShape
from trainer.packing import Provenance, pack_network, uncalibrated


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(7)
    return Network(NetworkShape(hidden=16, head=24)).eval()


@pytest.fixture(scope="session")
def provenance():
    return Provenance(
        calibration=uncalibrated(),
        data=[],
        training_window_s={},
        code_revision="0000000",
        seed=7,
    )


@pytest.fixture(scope="session")
def packed(tmp_path_factory, network, provenance):
    return pack_network(
        tmp_path_factory.mktemp("store"), network, provenance, bundle_id="first", created_at_s=0
    )


@pytest.fixture
def bundle(packed, tmp_path):
    """A copy of a sound bundle, to be spoilt."""
    return shutil.copytree(packed, tmp_path / "first")
