"""What every command that forecasts is asked: which model, and how cautious."""

from __future__ import annotations

from pathlib import Path

from recommender.bundle import Bundle, default_bundle, load_bundle
from recommender.errors import SettingsError
from recommender.fingerprint.schema import SCHEMA
from recommender.sizing.policy import POLICIES, Profile


def find_bundle(path: Path | None) -> Bundle:
    """Return the bundle at ``path``, or the shipped one.

    Raises:
        BundleError: there is none, or it is not sound.
    """
    return default_bundle(SCHEMA) if path is None else load_bundle(path, SCHEMA)


def parse_profile(text: str) -> Profile:
    """Return the profile of this name.

    Raises:
        SettingsError: there is none.
    """
    for known in POLICIES:
        if text.strip().lower() == known:
            return known
    raise SettingsError(f"profile {text!r} is unknown", fix=f"Use one of {', '.join(POLICIES)}")
