"""The model bundle: a folder with a network, its calibration and its provenance."""

from recommender.bundle.loading import Bundle, default_bundle, load_bundle
from recommender.bundle.manifest import FORMAT_VERSION, Manifest

__all__ = ["FORMAT_VERSION", "Bundle", "Manifest", "default_bundle", "load_bundle"]
