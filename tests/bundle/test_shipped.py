"""The bundle inside the package: sound, small, and open about what it was made from."""

import numpy as np
import pytest

from recommender.bundle import default_bundle
from recommender.bundle.loading import DEFAULT_STORE
from recommender.bundle.parity import parity_inputs
from recommender.fingerprint.schema import SCHEMA


@pytest.fixture(scope="module")
def folder():
    return DEFAULT_STORE / (DEFAULT_STORE / "current").read_text().strip()


def test_it_is_the_only_one(folder):
    assert sorted(entry.name for entry in DEFAULT_STORE.iterdir()) == sorted(
        ["current", folder.name]
    )


def test_it_loads_and_answers():
    bundle = default_bundle(SCHEMA)
    outputs = bundle.run(*parity_inputs(SCHEMA))
    for array in (outputs.fingerprint, outputs.quantiles, outputs.profile):
        assert np.isfinite(array).all()
    assert (np.diff(outputs.quantiles, axis=-1) >= 0).all()
    assert (np.diff(outputs.quantiles, axis=-2) >= 0).all()


def test_at_most_four_megabytes(folder):
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 4 * 2**20


def test_card_and_manifest_name_data_and_licences(folder):
    manifest = default_bundle(SCHEMA).manifest
    assert manifest.id == folder.name
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert manifest.data
    for source in manifest.data:
        assert source.name in card
        assert source.licence in card
        assert "unknown" not in source.licence
        assert source.name in manifest.training_window_s
    for heading in ("## Data", "## Results", "## Limits"):
        assert heading in card


def test_nothing_in_it_names_the_machine_it_was_made_on(folder):
    for file in folder.iterdir():
        content = file.read_bytes()
        for path in (b"/root/", b"/home/", b"/work/", b"site-packages"):
            assert path not in content, file.name
