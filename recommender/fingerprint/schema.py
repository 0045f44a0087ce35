"""What this release feeds a network and expects of it."""

from __future__ import annotations

from typing import Final

from recommender.bundle.manifest import Schema
from recommender.fingerprint.feature_names import FEATURES
from recommender.fingerprint.features import MODEL_KPIS
from recommender.fingerprint.sequences import DAY_PATCHES, DAY_WIDTH, HOUR_PATCHES, HOUR_WIDTH
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES

FINGERPRINT_SIZE: Final = 64
PROFILE_HOURS: Final = 24

SCHEMA: Final = Schema(
    features=FEATURES,
    kpis=MODEL_KPIS,
    resources=RESOURCES,
    horizons_s=HORIZONS_S,
    levels=LEVELS,
    hours_shape=(HOUR_PATCHES, HOUR_WIDTH),
    days_shape=(DAY_PATCHES, DAY_WIDTH),
    fingerprint=FINGERPRINT_SIZE,
    profile_hours=PROFILE_HOURS,
)
