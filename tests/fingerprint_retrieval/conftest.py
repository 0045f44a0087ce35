import pytest

from recommender.bundle import default_bundle
from recommender.errors import BundleError
from recommender.fingerprint.schema import SCHEMA


@pytest.fixture(scope="session")
def shipped():
    """The bundle that ships; what is asserted of it was measured on it."""
    try:
        return default_bundle(SCHEMA)
    except BundleError as error:
        pytest.skip(f"no shipped bundle to judge: {error.cause}")
