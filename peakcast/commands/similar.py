"""``peakcast similar``: which workloads of a recorded history behave alike."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from peakcast.bundles import find_bundle
from peakcast.progress import bars
from peakcast.tables import stdout_console
from recommender.bundle import Bundle
from recommender.errors import MalformedHistory, SettingsError
from recommender.fingerprint.drift import drift_threshold, usual_moves
from recommender.fingerprint.embedding import embed
from recommender.fingerprint.neighbours import cosine_distance, neighbours
from recommender.telemetry.recorded import RecordedHistory, RecordedSource, read_recorded
from recommender.telemetry.window import RECENT_BINS, RollingWindows, WindowBatch

DAY_S: Final = 86400
DAYS_BACK: Final = 7
"""Days over which the usual move from one day to the next is learned."""

OUTPUTS: Final = ("table", "json")


def similar(
    *,
    recorded: Annotated[
        Path, typer.Option(help="Recorded history, Parquet.", metavar="FILE", show_default=False)
    ],
    entity: Annotated[
        str, typer.Option(help="One of its entities.", metavar="NAME", show_default=False)
    ],
    count: Annotated[int, typer.Option("--count", "-k", help="How many to show.", min=1)] = 5,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle, or a folder of them. The shipped one if not given."),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
) -> None:
    """Show which workloads of a recorded history are nearest to one of them.

    Compared are fingerprints at the end of the history, by cosine distance: 0 the same, 1 nothing
    alike. A fingerprint knows shape and no size, so a small workload may be next to a large one.

    Also says how far the workload's own fingerprint has moved within the last day, and whether that
    is more than 99 in 100 moves of this file's workloads from day to day in the week before.
    """
    if output not in OUTPUTS:
        raise SettingsError(f"output {output!r} is unknown", fix="Use one of table, json")
    model = find_bundle(bundle)
    with bars() as shown:
        with shown.spinner(f"reading {recorded.name}"):
            history = read_recorded(recorded)
        row = _row(history, entity)
        days = _days(history)
        prints = _fingerprints(history, model, days, shown.start("fingerprints", len(days)))
    found = _compare(history, prints, row, count)
    if output == "json":
        typer.echo(json.dumps(_as_json(found, history, model), indent=1))
    else:
        _print(found, history)


@dataclass(frozen=True, slots=True)
class _Alike:
    """What is said of one entity.

    Attributes:
        row: the entity.
        others: rows of the nearest, nearest first.
        distances: theirs.
        moved: the entity's own distance from itself a day before; None: it was not there.
        unusual_above: the threshold; None: too few pairs to tell.
        pairs: behind the threshold.
    """

    row: int
    others: tuple[int, ...]
    distances: tuple[float, ...]
    moved: float | None
    unusual_above: float | None
    pairs: int


def _row(history: RecordedHistory, entity: str) -> int:
    if entity in history.entities:
        return history.entities.index(entity)
    close = difflib.get_close_matches(entity, history.entities, 3) or list(history.entities[:3])
    raise SettingsError(
        f"the history has no entity {entity!r}", fix=f"Try one such as {', '.join(close)}"
    )


def _days(history: RecordedHistory) -> list[int]:
    """Return the moments looked at, a day apart, the history's end last."""
    back = min(DAYS_BACK + 1, history.bins // RECENT_BINS - 1)
    return [history.last_end_s - DAY_S * day for day in range(max(back, 0), -1, -1)]


def _fingerprints(
    history: RecordedHistory, model: Bundle, days: list[int], advance: Any
) -> NDArray[np.float32]:
    """Return ``[days, entities, 64]``; NaN where an entity had shown nothing for a day."""
    windows, source = RollingWindows(), RecordedSource(history)
    entities = len(history.entities)
    windows.rows(history.key(row) for row in range(entities))
    found = np.full((len(days), entities, model.manifest.schema.fingerprint), np.nan, np.float32)
    before = history.first_end_s - 1
    for place, day in enumerate(days):
        for block in source.blocks(before, day):
            windows.ingest(block)
        before = day
        rows = _alive(batch := windows.snapshot())
        found[place, rows] = embed(model, batch.take(rows))
        advance(1)
    return found


def _alive(batch: WindowBatch) -> NDArray[np.int64]:
    return np.flatnonzero((batch.recent != 0).any(axis=(1, 2, 3)))


def _compare(history: RecordedHistory, prints: NDArray[np.float32], row: int, count: int) -> _Alike:
    now = prints[-1]
    if np.isnan(now[row]).any():
        raise MalformedHistory(
            f"{history.entities[row]} shows nothing in the last 24 hours of the history",
            fix="Name one that was still there, or cut the file where it was",
        )
    others = np.flatnonzero(np.isfinite(now).all(axis=1))
    others = others[others != row]
    near = neighbours(now[[row]], now[others], count)
    moved = usual = None
    pairs = 0
    if len(prints) > 1:
        apart = float(cosine_distance(prints[-2, row], now[row]))
        moved = apart if np.isfinite(apart) else None
        # The last day's moves are what is judged, so they are not learned from.
        learned = usual_moves(prints[:-2], prints[1:-1])
        usual, pairs = drift_threshold(learned), len(learned)
    return _Alike(
        row,
        tuple(others[near.place[0]].tolist()),
        tuple(near.distance[0].tolist()),
        moved,
        usual,
        pairs,
    )


def _as_json(found: _Alike, history: RecordedHistory, model: Bundle) -> dict[str, Any]:
    return {
        "entity": history.entities[found.row],
        "at_s": history.last_end_s,
        "bundle": model.manifest.id,
        "similar": [
            {"entity": history.entities[row], "group": history.groups[row], "distance": distance}
            for row, distance in zip(found.others, found.distances, strict=True)
        ],
        "moved_in_a_day": found.moved,
        "unusual_above": found.unusual_above,
        "pairs": found.pairs,
    }


def _print(found: _Alike, history: RecordedHistory) -> None:
    console = stdout_console()
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column(f"Like {history.entities[found.row]}", overflow="fold")
    shown.add_column("Group", overflow="fold", style="dim")
    shown.add_column("Distance", justify="right")
    for row, distance in zip(found.others, found.distances, strict=True):
        shown.add_row(history.entities[row], history.groups[row], f"{distance:.3f}")
    console.print(shown)
    console.print(_moved(found), soft_wrap=True, highlight=False)


def _moved(found: _Alike) -> str:
    if found.moved is None:
        return "Moved since a day before: not known, it was not there."
    said = f"Moved since a day before: {found.moved:.3f}"
    if found.unusual_above is None:
        return f"{said}; the history is too short to say whether that is usual."
    verdict = "[bold yellow]unusual[/]" if found.moved > found.unusual_above else "[green]usual[/]"
    return (
        f"{said}, {verdict}: 99 of 100 moves stay within {found.unusual_above:.3f} "
        f"({found.pairs:,} pairs of days)."
    )
