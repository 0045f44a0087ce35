"""The parts of the report that are text: tiles with outcomes and the table."""

from __future__ import annotations

import html
from typing import Final

from peakcast.playback import Playback
from peakcast.recommendation import Recommendation, Severity
from peakcast.tables import SHOWN_LEVEL, amount
from peakcast.tally import Outcome

CLASSES: Final = {
    Severity.AT_RISK: "risk",
    Severity.MUCH: "much",
    Severity.LARGE: "large",
    Severity.FITS: "fits",
    Severity.UNKNOWN: "unknown",
    Severity.FORECAST: "only",
}
_NAMES: Final = {"cpu": "CPU", "memory": "Memory", "net_rx": "Network in", "net_tx": "Network out"}
_NOTHING: Final = "&ndash;"


def outcome_tiles(told: Playback) -> str:
    """Return what came of a sample's requests after the decision, peakcast's and the rule's."""
    hours = (told.history.last_end_s - told.sample.now_s) / 3600
    tiles = [
        _tile(_NAMES[resource], hours, ours, rule)
        for resource, (ours, rule) in told.outcomes.items()
        if ours.windows and rule.windows
    ]
    return (
        f'<section class="sample"><h3>{html.escape(told.sample.namespace)} '
        f"<small>{html.escape(told.sample.title)}</small></h3>"
        f'<div class="tiles">{"".join(tiles)}</div></section>'
    )


def recommendation_rows(told: Playback) -> str:
    """Return the table's rows of one sample."""
    return "\n".join(_row(line) for line in told.lines)


def _tile(name: str, hours: float, ours: Outcome, rule: Outcome) -> str:
    same_risk = rule.stretched_to(ours.violated)
    rows = (
        (
            "reserved per peak usage",
            f"{ours.reserved_per_used:.2f}",
            f"{rule.reserved_per_used:.2f}",
            f"{same_risk:.2f}",
        ),
        (
            "5-minute windows above the request",
            f"{ours.violated_share:.2%}",
            f"{rule.violated_share:.2%}",
            f"{ours.violated_share:.2%}",
        ),
    )
    body = "".join(
        f"<tr><th>{what}</th><td class=ours>{mine}</td><td>{theirs}</td><td>{fair}</td></tr>"
        for what, mine, theirs, fair in rows
    )
    return (
        f"<table class=tile><caption>{name}, the {hours:.0f} h after</caption>"
        "<tr><td></td><th class=ours>peakcast</th><th>VPA rule</th>"
        "<th>VPA rule at<br>the same risk*</th></tr>"
        f"{body}</table>"
    )


def _row(line: Recommendation) -> str:
    severity = CLASSES[line.severity]
    change = line.change
    if change is None:
        moved = _NOTHING
    elif change == 0:
        moved = "="
    else:
        moved = f"{'&#9650;' if change > 0 else '&#9660;'} {abs(change):.0%}"
    namespace, name = html.escape(line.key.namespace), html.escape(line.key.name)
    cells = (
        f'<td><span class="ns">{namespace}/</span>{name}</td>',
        f"<td>{html.escape(line.key.container)}</td>",
        f"<td>{_NAMES[line.resource]}</td>",
        f"<td class=n>{_amount(line.resource, line.request)}</td>",
        f'<td class="n {severity}">{_amount(line.resource, line.target)}</td>',
        f'<td class="n {severity}">{moved}</td>',
        f"<td class=n>{_amount(line.resource, line.lower)}</td>",
        f"<td class=n>{_amount(line.resource, line.upper)}</td>",
        f"<td class=n>{_amount(line.resource, line.peaks[3600][SHOWN_LEVEL])}</td>",
        f"<td class=n>{_amount(line.resource, line.peaks[86400][SHOWN_LEVEL])}</td>",
        f'<td class="{severity}">{line.severity.value}</td>',
        f"<td class=why>{html.escape(line.reason)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _amount(resource: str, value: float | None) -> str:
    return _NOTHING if value is None else html.escape(amount(resource, value))
