"""A run over a fingerprint: retrieval of made-up shapes, and what each KPI is worth to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from recommender.bundle import Bundle
from trainer.arena.channels import TICKS, WHOLE_PRINT, Worth, channel_worth
from trainer.arena.retrieval import (
    EACH,
    PAIRS,
    Hidden,
    Score,
    draws,
    fingerprint_score,
    hidden_scores,
    peer_scores,
)
from trainer.arena.shapes import SHAPES
from trainer.traces import read_source

Progress = Callable[[str, int, int], None]

FORMAT_VERSION: Final = 1
STEPS: Final = 4


class FingerprintResults(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found.

    Attributes:
        format_version: of this structure.
        bundle: id of the bundle.
        each: workloads of each shape, in each of the two draws.
        shapes: name and description of each shape.
        scores: the fingerprint first, then its peers.
        hidden: the fingerprint's retrieval with KPIs missing.
        worth: what each KPI is worth to the forecast of recorded workloads.
    """

    format_version: int
    bundle: str
    each: int
    shapes: tuple[tuple[str, str], ...]
    scores: tuple[Score, ...]
    hidden: tuple[Hidden, ...]
    worth: tuple[Worth, ...]

    @property
    def chance(self) -> float:
        """Precision of a blind choice."""
        return 1 / len(self.shapes)

    @property
    def carries_dependencies(self) -> bool:
        """Whether the fingerprint tells every pair apart better than chance, by its neighbours."""
        return all(pair.nearest > pair.beyond_chance for pair in self.scores[0].pairs)


def examine(
    bundle: Bundle, traces: list[Path], progress: Progress, each: int = EACH
) -> FingerprintResults:
    """Run everything.

    Args:
        bundle: whose fingerprint is looked at.
        traces: recorded sources for the worth of KPIs; none: that part is left out.
        progress: called with what is being done, steps done and steps in all.
        each: workloads of each shape.

    Raises:
        MalformedHistory: a source cannot be read.
    """
    what = "retrieval of made-up shapes"
    progress(what, 0, STEPS)
    drawn = draws(each)
    progress(what, 1, STEPS)
    whole = fingerprint_score(bundle, drawn)
    progress(what, 2, STEPS)
    peers = peer_scores(drawn)
    progress(what, 3, STEPS)
    hidden = hidden_scores(bundle, drawn, whole)
    progress(what, STEPS, STEPS)
    worth: list[Worth] = []
    for path in traces:
        what = f"{path.stem}: what each KPI is worth"
        progress(what, 0, TICKS)
        worth.extend(channel_worth(read_source(path), bundle, _counted(progress, what)))
        progress(what, TICKS, TICKS)
    return FingerprintResults(
        format_version=FORMAT_VERSION,
        bundle=bundle.manifest.id,
        each=each,
        shapes=tuple((shape.name, shape.what) for shape in SHAPES),
        scores=(whole, *peers),
        hidden=tuple(hidden),
        worth=tuple(worth),
    )


def to_json(results: FingerprintResults) -> str:
    """Return the results as JSON."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1).decode()


def to_markdown(results: FingerprintResults) -> str:
    """Return ``docs/fingerprint.md``."""
    return "\n".join(_lines(results)) + "\n"


def retrieval_rows(results: FingerprintResults) -> list[tuple[str, ...]]:
    """Return head and rows of the retrieval table, chance last."""
    head = ("vector", "precision@1", "precision@5", "linear")
    rows = [
        (one.name, *(f"{value:.2f}" for value in (one.precision_1, one.precision_5, one.linear)))
        for one in results.scores
    ]
    return [head, *rows, ("chance", *([f"{results.chance:.2f}"] * 3))]


def pair_rows(results: FingerprintResults) -> list[tuple[str, ...]]:
    """Return head and rows of the dependency table: nearest neighbour / linear read-out."""
    bound = results.scores[0].pairs[0].beyond_chance
    head = ("pair", *(one.name for one in results.scores), f"chance, 99 of 100 below {bound:.2f}")
    rows = []
    for place, (first, second) in enumerate(PAIRS):
        cells = [
            f"{one.pairs[place].nearest:.2f} / {one.pairs[place].linear:.2f}"
            for one in results.scores
        ]
        rows.append((f"{first} – {second}", *cells, "0.50"))
    return [head, *rows]


def hidden_rows(results: FingerprintResults) -> list[tuple[str, ...]]:
    """Return head and rows of retrieval with KPIs hidden."""
    whole = results.scores[0]
    head = ("KPIs", "precision@1", "precision@5", "loses most")
    first = ("all", f"{whole.precision_1:.2f}", f"{whole.precision_5:.2f}", "")
    rows = [
        (
            one.what,
            f"{one.precision_1:.2f}",
            f"{one.precision_5:.2f}",
            ", ".join(f"{name} {before:.2f} to {after:.2f}" for name, before, after in one.lost),
        )
        for one in results.hidden
    ]
    return [head, first, *rows]


def worth_rows(results: FingerprintResults) -> list[tuple[str, ...]]:
    """Return head and rows of what hiding a KPI does to the forecasts of an hour's peak."""
    head = ("source", "forecast of", "hidden", "windows", "from everything", "from fingerprint")
    rows = []
    for one in results.worth:
        gone = one.unseen is None or one.hidden == one.resource
        rows.append(
            (
                *(one.source, one.resource, one.hidden, f"{one.windows:,}"),
                "–" if gone or one.unseen is None else f"{one.unseen:+.1%}",
                f"{one.unprinted:+.1%}",
            )
        )
    return [head, *rows]


def confusion_rows(results: FingerprintResults) -> list[tuple[str, ...]]:
    """Return head and rows of what each shape's nearest neighbours are, the commonest three."""
    rows: list[tuple[str, ...]] = [("shape", "what it does", "its nearest neighbours are")]
    names = [name for name, _ in results.shapes]
    for (name, what), row in zip(results.shapes, results.scores[0].confusion, strict=True):
        order = sorted(zip(row, names, strict=True), reverse=True)[:3]
        near = ", ".join(f"{other} {share:.0%}" for share, other in order if share > 0)
        rows.append((name, what, near))
    return rows


def verdict(results: FingerprintResults) -> str:
    """Return what the figures say about bursts, patterns and dependencies, in one sentence."""
    ours = results.scores[0]
    told = [pair for pair in ours.pairs if pair.nearest > pair.beyond_chance]
    said = (
        f"The fingerprint finds a workload of the same shape first in {ours.precision_1:.0%} of "
        f"cases (chance {results.chance:.0%})"
    )
    if len(told) == len(ours.pairs):
        return f"{said} and tells every dependency between KPIs apart better than chance."
    if told:
        names = ", ".join(f"{pair.first} from {pair.second}" for pair in told)
        return f"{said}; of dependencies between KPIs it tells only {names} apart."
    return f"{said}; it does not tell dependencies between KPIs apart better than chance."


def _counted(progress: Progress, what: str) -> Callable[[int], None]:
    done = 0

    def move(steps: int) -> None:
        nonlocal done
        done += steps
        progress(what, done, TICKS)

    return move


def _lines(results: FingerprintResults) -> Iterator[str]:
    yield "# What the fingerprint carries"
    yield ""
    yield "Generated by `peakcast fingerprint --traces DIR --results-md docs/fingerprint.md`; do"
    yield f"not edit. Bundle `{results.bundle}`."
    yield ""
    yield verdict(results)
    yield ""
    yield "## Retrieval of made-up shapes"
    yield ""
    yield (
        f"{len(results.shapes)} shapes (`trainer/arena/shapes.py`), {results.each} workloads of "
        "each, drawn twice; scale, phase, strength and noise are each workload's own. Of the "
        "second draw, each asks for its nearest in the first by cosine. *Linear* is a ridge "
        "regression on the labels, fitted on the first draw: what is in the vector, even where it "
        "makes no neighbours."
    )
    yield ""
    yield from _table(retrieval_rows(results))
    for one in results.scores:
        yield f"- *{one.name}*: {one.what}."
    yield ""
    yield _where_it_comes_from(results)
    yield ""
    yield from _table(confusion_rows(results))
    yield "## Dependencies between KPIs"
    yield ""
    yield (
        "The two shapes of each pair have the same marginal distributions and differ only in which "
        "KPIs move together. Share told apart by the nearest neighbour / by the linear read-out."
    )
    yield ""
    yield from _table(pair_rows(results))
    yield "## Leaving channels out"
    yield ""
    yield from _table(hidden_rows(results))
    if results.worth:
        yield (
            "On recorded workloads kept out of the fit (lots 30 to 39, before the last quarter of "
            "their time; no test group): change of the pinball loss of the coming hour's peak when "
            "a KPI is hidden from everything, and from the fingerprint alone. More is worse. "
            f"*{WHOLE_PRINT.capitalize()}* is read from an empty window instead. Some hundred "
            "windows each and no intervals, so small changes should not be read. A KPI's own "
            "forecast cannot be made without it, hence the dashes."
        )
        yield ""
        yield from _table(worth_rows(results))


def _where_it_comes_from(results: FingerprintResults) -> str:
    """Return what the peers say about where the retrieval comes from."""
    found = {one.name: one.precision_1 for one in results.scores}
    return (
        f"Where it comes from: the network with random weights reaches {found['untrained']:.2f}, "
        f"its recurrence alone {found['recurrence']:.2f}. The relations that the network computes "
        "from its input (`trainer/relations.py`: correlations between KPIs, of each KPI with its "
        "own past, spread, skewness, trend) make what is beyond the recurrence; training has to "
        "keep it, and is judged by that. The shapes are made up by those who chose the relations: "
        "they show what a fingerprint can hold, not how often real workloads need it."
    )


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows[1:]:
        yield "| " + " | ".join(row) + " |"
    yield ""
