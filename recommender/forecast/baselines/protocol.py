"""What a baseline is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Resource = Literal["cpu", "memory"]

BIN_S: Final[int] = 300
BINS_PER_HOUR: Final[int] = 3600 // BIN_S
BINS_PER_DAY: Final[int] = 24 * BINS_PER_HOUR


@dataclass(frozen=True, slots=True)
class UsageMatrix:
    """Usage of some entities over consecutive five-minute bins.

    A bin is labelled by its end ``e`` and holds the samples in ``(e - 300, e]``.

    Attributes:
        start_end_s: end of the first bin, seconds since the epoch, a multiple of 300.
        peak: float32 ``[entities, bins]``, the maximum inside each bin (cores or bytes, or whatever
            unit the source has); NaN where nothing was seen.
        mean: as ``peak``, the mean.

    Raises:
        ValueError: when the two are not matrices of one shape.
    """

    start_end_s: int
    peak: FloatArray
    mean: FloatArray

    def __post_init__(self) -> None:
        if self.peak.ndim != 2 or self.peak.shape != self.mean.shape:
            raise ValueError(
                f"peak and mean must be matrices of one shape, not {self.peak.shape} and "
                f"{self.mean.shape}"
            )


class Baseline(Protocol):
    """A predictor with a rule instead of a trained model.

    Attributes:
        name: unique in the registry, snake case.
        knobs: values of the method's own parameter, in the order of the first axis of
            :meth:`limits`; the first is the method's published default.
        causal: False for the oracle only, which reads the future by definition.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def knobs(self) -> tuple[float, ...]: ...  # noqa: D102

    @property
    def causal(self) -> bool: ...  # noqa: D102

    def limits(self, usage: UsageMatrix, decisions: IntArray, hold_bins: int) -> FloatArray:
        """Decide the limits that hold after each decision.

        Args:
            usage: the whole history; a decision reads no bin after its own.
            decisions: int64 ``[decisions]``, ascending bin indices. Decision ``d`` sees the bins
                ``0 .. d`` and its limit serves ``d + 1 .. d + hold_bins``.
            hold_bins: how many bins a limit has to hold for.

        Returns:
            float32 ``[knobs, entities, decisions]`` in the usage's unit. NaN until the entity's
            first sample, finite from then on.

        Raises:
            ValueError: when a decision lies outside the history or they do not ascend.
        """
        ...


def observed(values: FloatArray) -> FloatArray:
    """Keep what can be a measurement: infinities and negative values become NaN.

    Args:
        values: float32 ``[entities, bins]``.

    Returns:
        A new float32 array of the same shape.
    """
    sane = np.isfinite(values) & (values >= 0)
    return np.where(sane, values, np.nan).astype(np.float32)


def checked(decisions: IntArray, hold_bins: int, bins: int) -> IntArray:
    """Validate decisions and hold against a history of ``bins`` bins.

    Returns:
        The decisions as int64.

    Raises:
        ValueError: as :meth:`Baseline.limits` says, or for a hold of less than one bin.
    """
    picked = np.asarray(decisions, dtype=np.int64)
    if picked.ndim != 1:
        raise ValueError(f"decisions must be a vector, not of shape {picked.shape}")
    if picked.size and (picked[0] < 0 or picked[-1] >= bins or bool((np.diff(picked) <= 0).any())):
        raise ValueError(f"decisions must ascend strictly inside 0 .. {bins - 1}")
    if hold_bins < 1:
        raise ValueError(f"a limit must hold for at least one bin, not {hold_bins}")
    return picked
