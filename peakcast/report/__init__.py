"""The HTML report: one file that needs nothing else, with a chart for each workload."""

from __future__ import annotations

import html
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from peakcast.playback import Playback
from peakcast.report.sections import outcome_tiles, recommendation_rows
from peakcast.report.series import chart_data
from recommender.errors import StoreError

_PARTS: Final = ("style.css", "chart.js")


def write_report(path: Path, playbacks: Sequence[Playback], model_id: str) -> None:
    """Write the report on some replayed samples; the file appears whole or not at all.

    Args:
        path: the HTML file.
        playbacks: what to show, in this order.
        model_id: name of the bundle that forecast.

    Raises:
        StoreError: the file cannot be written.
    """
    page = render(playbacks, model_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".report-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error


def render(playbacks: Sequence[Playback], model_id: str) -> str:
    """Return the report's HTML."""
    folder = resources.files(__name__)
    style, script = (folder.joinpath(part).read_text(encoding="utf-8") for part in _PARTS)
    data = json.dumps(
        [chart_data(told) for told in playbacks], separators=(",", ":"), allow_nan=False
    )
    moments = sorted({told.sample.now_s for told in playbacks})
    values = {
        "style": style,
        "script": script,
        "data": data.replace("<", "\\u003c"),  # nothing in it can close the script element
        "model": html.escape(model_id),
        "moments": ", ".join(
            datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in moments
        ),
        "credits": html.escape("; ".join(dict.fromkeys(told.sample.credit for told in playbacks))),
        "tiles": "\n".join(outcome_tiles(told) for told in playbacks),
        "rows": "\n".join(recommendation_rows(told) for told in playbacks),
    }
    # Split once at the placeholders, so that nothing filled in is ever searched for another.
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    pieces = page.split("%%")
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))
