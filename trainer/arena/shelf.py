"""Judgements kept on disk, so that a second run only judges what changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from trainer.arena.cache import code_digest, key
from trainer.arena.judging import Judged

CODE: Final = (
    "recommender/forecast/baselines",
    "recommender/kpis.py",
    "recommender/sizing",
    "recommender/telemetry/grid.py",
    "recommender/telemetry/recorded.py",
    "trainer/arena/actuation.py",
    "trainer/arena/bootstrap.py",
    "trainer/arena/cold_start.py",
    "trainer/arena/envelope.py",
    "trainer/arena/figures.py",
    "trainer/arena/fleet.py",
    "trainer/arena/judging.py",
    "trainer/arena/least.py",
    "trainer/arena/methods.py",
    "trainer/arena/oom.py",
    "trainer/arena/sweep.py",
    "trainer/traces.py",
)


class Shelf:
    """Judgements of one source.

    Args:
        cache: folder.
        source_sha256: of the source's file.
    """

    def __init__(self, cache: Path, source_sha256: str) -> None:
        self._folder = cache / "judgements"
        self._source = source_sha256
        self._code = code_digest(CODE)

    def take(
        self, identity: str, table: str, cadence: str, judge: Callable[[], Judged | None]
    ) -> Judged | None:
        """Return what was judged before, or judge now and keep it.

        Args:
            identity: all that the method's requests depend on, beside the source and the code;
                empty: nothing is kept.
            table: name.
            cadence: name.
            judge: what to do otherwise.
        """
        if not identity:
            return judge()
        name = key(
            method=identity, table=table, cadence=cadence, source=self._source, code=self._code
        )
        path = self._folder / f"{name}.msgpack"
        if path.is_file():
            return msgspec.msgpack.decode(path.read_bytes(), type=Judged | None, dec_hook=_array)
        found = judge()
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(msgspec.msgpack.encode(found, enc_hook=_list))
        partial.replace(path)
        return found


def _list(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"{type(value)} cannot be kept")


def _array(_: type, value: Any) -> Any:
    return np.asarray(value, np.float64)
