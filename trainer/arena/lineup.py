"""Who takes part: the baselines, LightGBM, the forecaster and its ablations, for one fleet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, cast

import msgspec

from recommender.bundle import Bundle
from recommender.forecast.baselines import Baseline, baselines
from recommender.forecast.baselines.protocol import Resource
from trainer.arena.cache import code_digest, key
from trainer.arena.fleet import Fleet
from trainer.arena.forecaster_run import (
    Z_SCORES,
    ForecasterRun,
    Variant,
    cached_run,
    path_limits,
)
from trainer.arena.lightgbm_run import FINE_TARGETS, HOURLY_TARGETS, hourly_bins, predict, tracked
from trainer.arena.lightgbm_training import CODE, QuantileTrees
from trainer.arena.methods import GivenLimits, Kind, Method, QuantileMethod, Rule
from trainer.arena.quantile_run import QuantileRun, load_run

OURS: Final = "peakcast"
LEARNED: Final[dict[str, str]] = {
    "lightgbm": "LightGBM quantile regression, one level for all",
    "lightgbm_tracker": "the same behind the product's per-workload tracker",
    "lightgbm_sized": "the same with tracker and the product's sizing rule",
}
OWN: Final[dict[str, str]] = {
    OURS: "the forecaster and the product's sizing rule, as shipped",
    "peakcast_one_level": "the forecaster, one level for all",
    "peakcast_uncalibrated": "without group offsets and without the workload's tracker",
    "peakcast_one_kpi": "the window keeps nothing but the resource itself",
    "peakcast_path": "mean plus z deviations of the next hour's path instead of its maximum",
    "peakcast_next_bin": "the quantile of the next five minutes, held for the hour",
}
TRACKER_CODE: Final = (
    "recommender/forecast/calibration.py",
    "recommender/forecast/monotone.py",
    "trainer/arena/lightgbm_run.py",
)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Contender:
    """A bundle that takes part.

    Attributes:
        name: of its methods.
        bundle: loaded.
        model_sha256: of its manifest.
    """

    name: str
    bundle: Bundle
    model_sha256: str


@dataclass(frozen=True, slots=True)
class Lineup:
    """What takes part in a run.

    Attributes:
        patterns: method names, with ``*`` and ``?``; empty: all.
        trees: LightGBM, where it takes part.
        trees_key: names the trained models in the cache.
        ours: the forecaster's bundle, where it takes part.
        ablations: further bundles, such as one without a fingerprint.
        cache: folder.
        fine: whether decisions each five minutes are judged at all.
    """

    patterns: tuple[str, ...]
    trees: QuantileTrees | None
    trees_key: str
    ours: Contender | None
    ablations: tuple[Contender, ...]
    cache: Path
    fine: bool = True

    def wants(self, name: str) -> bool:
        """Tell whether a method takes part."""
        return wanted(name, self.patterns)

    def rules(self, resource: str, unit: float = 1.0) -> list[Baseline]:
        """Return the baselines that take part; those with buckets count in cores and bytes."""
        found = baselines(cast("Resource", resource), unit=unit)
        return [baseline for baseline in found if self.wants(baseline.name)]

    def methods(self, fleet: Fleet, source_sha256: str, progress: Progress) -> list[Method]:
        """Return all that takes part on a fleet, CPU rules first; dear runs come from the cache."""
        found: list[Method] = []
        if self.trees is not None:
            found.extend(self._lightgbm(fleet, source_sha256, progress))
        if self.ours is not None:
            found.extend(self._ours(self.ours, fleet, source_sha256, progress))
        for contender in self.ablations:
            if self.wants(contender.name):
                run = self._run(contender, fleet, source_sha256, Variant(contender.name), progress)
                found.append(_ablation(contender.name, run.hourly, run.identity))
        return found

    def _lightgbm(self, fleet: Fleet, source_sha256: str, progress: Progress) -> list[Method]:
        hourly, fine, identity = self._trees_run(fleet, source_sha256, progress)
        found: list[Method] = []
        if self.wants("lightgbm"):
            found.append(QuantileMethod("lightgbm", "learned", hourly, fine, identity=identity))
        if self.wants("lightgbm_tracker") or self.wants("lightgbm_sized"):
            slow, quick = tracked(fleet, hourly, fine)
            identity += f"-tracked-{code_digest(TRACKER_CODE)}"
            for name, priced in (("lightgbm_tracker", False), ("lightgbm_sized", True)):
                if self.wants(name):
                    found.append(
                        QuantileMethod(name, "learned", slow, quick, priced, f"{identity}-{priced}")
                    )
        return found

    def _trees_run(
        self, fleet: Fleet, source_sha256: str, progress: Progress
    ) -> tuple[QuantileRun, QuantileRun | None, str]:
        assert self.trees is not None  # noqa: S101 -- callers checked
        fine_bins = fleet.decisions(1)
        slow_bins = hourly_bins(fleet)
        folder = self.cache / "lightgbm-runs"
        folder.mkdir(parents=True, exist_ok=True)
        code = code_digest((*CODE, "trainer/arena/lightgbm_run.py", "trainer/arena/fleet.py"))
        name = key(trees=self.trees_key, source=source_sha256, code=code)
        runs = []
        for kind, bins, targets in (
            ("hourly", slow_bins, HOURLY_TARGETS),
            ("fine", fine_bins, FINE_TARGETS),
        ):
            if kind == "fine" and not self.fine:
                continue
            path = folder / f"{name}-{kind}.npz"
            if not path.is_file():
                count = _Counter(progress, f"{fleet.name}: LightGBM, {kind}", len(bins))
                held = tuple(t for t in targets if t in _trained(self.trees))
                predict(self.trees, fleet, bins, held, count).save(path)
            runs.append(load_run(path))
        return runs[0], runs[1] if len(runs) > 1 else None, f"{name}-{self.fine}"

    def _ours(
        self, contender: Contender, fleet: Fleet, source_sha256: str, progress: Progress
    ) -> list[Method]:
        found: list[Method] = []
        names = (OURS, "peakcast_one_level", "peakcast_path", "peakcast_next_bin")
        if any(self.wants(name) for name in names):
            variant = Variant(OURS, fine=self.fine)
            main = self._run(contender, fleet, source_sha256, variant, progress)
            found.extend(self._from_main(main, fleet))
        if self.wants("peakcast_uncalibrated"):
            name = "peakcast_uncalibrated"
            run = self._run(
                contender, fleet, source_sha256, Variant(name, calibrated=False), progress
            )
            found.append(_ablation(name, run.hourly, run.identity))
        if self.wants("peakcast_one_kpi"):
            name = "peakcast_one_kpi"
            alone = {}
            last: ForecasterRun | None = None
            for resource in ("cpu", "memory"):
                if fleet.has(resource):
                    variant = Variant(name, only=resource)
                    last = self._run(contender, fleet, source_sha256, variant, progress)
                    alone[resource] = last.hourly.log_quantiles[resource]
            if last is not None:
                merged = QuantileRun(last.hourly.bins, last.hourly.horizons, alone)
                found.append(_ablation(name, merged, f"{last.identity}-{len(alone)}"))
        return found

    def _from_main(self, main: ForecasterRun, fleet: Fleet) -> list[Method]:
        found: list[Method] = []
        kinds: Sequence[tuple[str, Kind, bool]] = (
            (OURS, "ours", True),
            ("peakcast_one_level", "ours", False),
        )
        for name, kind, priced in kinds:
            if self.wants(name):
                identity = f"{main.identity}-{priced}"
                found.append(QuantileMethod(name, kind, main.hourly, main.fine, priced, identity))
        for resource in ("cpu", "memory"):
            if not fleet.has(resource):
                continue
            if self.wants("peakcast_path"):
                labels = tuple(f"z {z:g}" for z in Z_SCORES)
                limits = path_limits(fleet, main, resource)
                identity = f"{main.identity}-path"
                found.append(
                    GivenLimits("peakcast_path", "ablation", resource, 12, labels, limits, identity)
                )
            if self.wants("peakcast_next_bin"):
                held = QuantileRun(
                    main.hourly.bins,
                    (3600,),
                    {resource: main.hourly.log_quantiles[resource][:, :, :1]},
                )
                found.append(_ablation("peakcast_next_bin", held, f"{main.identity}-next"))
        return found

    def _run(
        self,
        contender: Contender,
        fleet: Fleet,
        source_sha256: str,
        variant: Variant,
        progress: Progress,
    ) -> ForecasterRun:
        total = len(fleet) * (fleet.served // (1 if variant.fine else 12) + 72)
        count = _Counter(progress, f"{fleet.name}: {variant.name}", total)
        return cached_run(
            fleet,
            contender.bundle,
            contender.model_sha256,
            source_sha256,
            variant,
            self.cache,
            count,
        )


def contender(name: str, bundle: Bundle) -> Contender:
    """Return a loaded bundle as a contender."""
    # The manifest holds what the network answers to the parity inputs, so it names the network;
    # figures that are written into it later change nothing.
    manifest = msgspec.json.encode(msgspec.structs.replace(bundle.manifest, results={}))
    return Contender(name, bundle, hashlib.sha256(manifest).hexdigest())


def wanted(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether a name fits one of the patterns; all fit none."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def known_names() -> Mapping[str, str]:
    """Return every method's name with what it is, ablation bundles aside."""
    rules = {
        baseline.name: " ".join((type(baseline).__doc__ or "").split(".")[0].split())
        for baseline in baselines("cpu")
    }
    bound = {"least_possible": "the least that anybody could reserve, knowing the future"}
    return {**rules, **bound, **LEARNED, **OWN}


def rule_methods(rules: Sequence[Baseline]) -> list[Rule]:
    """Return baselines as methods."""
    return [Rule(baseline) for baseline in rules]


def _ablation(name: str, run: QuantileRun, identity: str) -> QuantileMethod:
    return QuantileMethod(name, "ablation", run, priced=True, identity=f"{identity}-{name}")


def _trained(trees: QuantileTrees) -> set[tuple[str, int]]:
    return {(resource, horizon) for resource, horizon, _ in trees.boosters}


class _Counter:
    """Turns steps into done and total."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress, self._what, self._total, self._done = progress, what, total, 0

    def __call__(self, steps: int) -> None:
        self._done += steps
        self._progress(self._what, min(self._done, self._total), self._total)
