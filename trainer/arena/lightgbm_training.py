"""The baseline to fear: gradient-boosted quantile regression on the forecaster's own features."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.errors import MalformedHistory, MissingExtra
from recommender.fingerprint.feature_names import FEATURES
from recommender.kpis import HORIZONS_S, LEVELS, RESOURCES
from trainer.arena.cache import code_digest, key
from trainer.dataset import Samples, draw
from trainer.mix import SAMPLES, SAMPLES_ELSEWHERE
from trainer.traces import TEST_SHARE, Source

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

CODE: Final = (
    "recommender/fingerprint/features.py",
    "recommender/fingerprint/feature_names.py",
    "recommender/telemetry/codes.py",
    "recommender/telemetry/clock.py",
    "trainer/dataset.py",
    "trainer/traces.py",
)
BATCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Recipe:
    """How LightGBM is trained.

    Attributes:
        targets: resource and horizon (seconds) of each group of models; one model per level.
        levels: quantile levels.
        windows: how many training windows are drawn over all sources.
        trees: boosting rounds.
        leaves: most leaves of a tree.
        learning_rate: of each tree.
        least_in_leaf: fewest windows in a leaf.
        seed: of the draw and of the bagging.
    """

    targets: tuple[tuple[str, int], ...] = (
        ("cpu", 3600),
        ("cpu", 300),
        ("memory", 3600),
        ("cpu", 900),
        ("cpu", 86400),
        ("memory", 86400),
    )
    levels: tuple[float, ...] = LEVELS
    windows: int = 400_000
    trees: int = 250
    leaves: int = 31
    learning_rate: float = 0.08
    least_in_leaf: int = 100
    seed: int = 7

    def horizons(self, resource: str) -> tuple[int, ...]:
        """Return the horizons of a resource."""
        return tuple(horizon for name, horizon in self.targets if name == resource)


@dataclass(frozen=True, slots=True)
class QuantileTrees:
    """Trained models.

    Attributes:
        boosters: (resource, horizon, level) to a LightGBM booster.
        trained_on: source name to number of windows.
    """

    boosters: Mapping[tuple[str, int, float], Any]
    trained_on: Mapping[str, int] = field(default_factory=dict)

    def predict(self, features: FloatArray, resource: str, horizon_s: int) -> FloatArray:
        """Return log peak over scale, ``[n, levels]``, never falling along the levels.

        Args:
            features: float32 ``[n, features]`` of the resource.
            resource: which.
            horizon_s: which.
        """
        columns = [
            self.boosters[resource, horizon_s, level].predict(features, num_threads=1)
            for level in LEVELS
        ]
        return np.maximum.accumulate(np.stack(columns, axis=-1), axis=-1).astype(np.float32)


def training_rows(source: Source) -> IntArray:
    """Return the entities that may be learned from: those in no test group."""
    return np.flatnonzero(source.lot >= TEST_SHARE).astype(np.int64)


def draw_training(source: Source, place: int, count: int, seed: int) -> Samples:
    """Draw training windows of a source: no test group, nothing from the last quarter."""
    rng = np.random.default_rng([seed, place])
    return draw(source, place, training_rows(source), 12, source.quarter_bin(), count, rng)


def recipe_key(recipe: Recipe, digests: Mapping[str, str]) -> str:
    """Return the cache name of models trained by a recipe on files of these digests."""
    return key(recipe=asdict(recipe), digests=dict(digests), code=code_digest(CODE))


def train(
    recipe: Recipe,
    sources: Mapping[str, Callable[[], Source]],
    digests: Mapping[str, str],
    cache: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> QuantileTrees:
    """Train the models, or read them where the cache has them.

    Args:
        recipe: how.
        sources: name to a function that reads the source; each is called at most once, and not at
            all when the cache answers.
        digests: name to SHA-256 of the source's file.
        cache: folder.
        progress: called with what is being done, steps done and steps in all.

    Raises:
        MissingExtra: LightGBM is not installed.
    """
    lightgbm = _lightgbm()
    folder = cache / f"lightgbm-{recipe_key(recipe, digests)}"
    names = {
        (resource, horizon, level): folder / f"{resource}-{horizon}-q{round(1000 * level)}.txt"
        for resource, horizon in recipe.targets
        for level in recipe.levels
    }
    drawn = folder / "windows.json"
    missing = {which: path for which, path in names.items() if not path.is_file()}
    if missing or not drawn.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        samples = _draw(recipe, sources, progress)
        drawn.write_text(json.dumps({part: len(found) for part, found in samples.items()}))
        _fit(recipe, list(samples.values()), missing, lightgbm, progress)
    boosters = {which: lightgbm.Booster(model_file=str(path)) for which, path in names.items()}
    return QuantileTrees(boosters, json.loads(drawn.read_text(encoding="utf-8")))


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(
            "LightGBM is not installed",
            fix='Install the extra with `pip install "peakcast[trainer]"`, or leave the method out '
            "with --methods",
        ) from error
    return lightgbm


def _draw(
    recipe: Recipe,
    sources: Mapping[str, Callable[[], Source]],
    progress: Callable[[str, int, int], None],
) -> dict[str, Samples]:
    # The same shares of the sources as the forecaster is trained on.
    shares = {name: SAMPLES.get(name, SAMPLES_ELSEWHERE) for name in sources}
    found = {}
    for place, (name, read) in enumerate(sources.items()):
        progress("LightGBM: drawing windows", place, len(sources))
        try:
            count = max(1, round(recipe.windows * shares[name] / sum(shares.values())))
            found[name] = draw_training(read(), place, count, recipe.seed)
        except MalformedHistory:
            continue  # nothing to learn from in this one
    if not found:
        raise MalformedHistory("no source has anything to train LightGBM on")
    return found


def _fit(
    recipe: Recipe,
    samples: list[Samples],
    missing: Mapping[tuple[str, int, float], Path],
    lightgbm: Any,
    progress: Callable[[str, int, int], None],
) -> None:
    done = 0
    for resource, horizon in recipe.targets:
        wanted = [which for which in missing if which[:2] == (resource, horizon)]
        if not wanted:
            continue
        column, place = RESOURCES.index(resource), HORIZONS_S.index(horizon)
        labels = np.concatenate([part.target[:, column, place] for part in samples])
        good = np.isfinite(labels)
        rows = np.concatenate([part.features[:, column] for part in samples])[good]
        data = lightgbm.Dataset(
            rows,
            labels[good],
            feature_name=list(FEATURES),
            params={"max_bin": 127, "verbose": -1},
            free_raw_data=True,
        )
        for which in wanted:
            progress("LightGBM: training", done, len(missing))
            booster = lightgbm.train(_parameters(recipe, which[2]), data, recipe.trees)
            partial = missing[which].with_suffix(".partial")
            booster.save_model(str(partial))
            partial.replace(missing[which])
            done += 1


def _parameters(recipe: Recipe, level: float) -> dict[str, object]:
    return {
        "objective": "quantile",
        "alpha": level,
        "num_leaves": recipe.leaves,
        "learning_rate": recipe.learning_rate,
        "min_data_in_leaf": recipe.least_in_leaf,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 127,
        "num_threads": 1,
        "seed": recipe.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
