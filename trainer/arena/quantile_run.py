"""Quantiles of a learned method over the judged time, decision by decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.kpis import LEVELS

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

WARM_BINS: Final = 3 * 288
"""Trackers see this much before the judged time."""


@dataclass(frozen=True, slots=True)
class QuantileRun:
    """Quantiles of the peak, as they stood at each decision.

    Attributes:
        bins: int64 ``[n]``, the decisions' bins, ascending.
        horizons: seconds, ascending.
        log_quantiles: per resource float32 ``[n, E, horizons, levels]``, natural logarithm in
            cores, bytes or bytes/s; NaN where a resource was never seen or a horizon not run.
    """

    bins: IntArray
    horizons: tuple[int, ...]
    log_quantiles: dict[str, FloatArray]

    def has(self, resource: str, horizon_s: int) -> bool:
        """Tell whether the run holds a resource and a horizon."""
        if resource not in self.log_quantiles or horizon_s not in self.horizons:
            return False
        found = self.log_quantiles[resource][:, :, self.horizons.index(horizon_s), -1]
        return bool(np.isfinite(found).any())

    def at(self, resource: str, horizon_s: int, bins: IntArray) -> FloatArray:
        """Return log quantiles ``[len(bins), E, levels]`` as issued at some of the decisions.

        Raises:
            KeyError: the run does not hold the resource, the horizon or one of the decisions.
        """
        places = np.searchsorted(self.bins, bins)
        if (places >= len(self.bins)).any() or (self.bins[places] != bins).any():
            raise KeyError("a decision was not run")
        if horizon_s not in self.horizons:
            raise KeyError(f"horizon {horizon_s} s was not run")
        place = self.horizons.index(horizon_s)
        return self.log_quantiles[resource][places, :, place]

    def save(self, path: Path) -> None:
        """Write the run; the file appears whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        arrays: dict[str, Any] = {
            f"log_{name}": values for name, values in self.log_quantiles.items()
        }
        with partial.open("wb") as file:
            np.savez(file, bins=self.bins, horizons=np.array(self.horizons), **arrays)
        partial.replace(path)


def load_run(path: Path) -> QuantileRun:
    """Read a run that :meth:`QuantileRun.save` wrote."""
    with np.load(path) as file:
        names = [name for name in file.files if name.startswith("log_")]
        return QuantileRun(
            file["bins"],
            tuple(file["horizons"].tolist()),
            {name.removeprefix("log_"): file[name] for name in names},
        )


def level_place(level: float) -> int:
    """Return the place of a level along the last axis."""
    return LEVELS.index(level)
