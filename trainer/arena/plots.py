"""Frontier plots as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from recommender.errors import MissingExtra
from trainer.arena.figures import OOMS, VIOLATED
from trainer.arena.judging import FRONTIER, MEMORY
from trainer.arena.names import ordered, rate_name, title
from trainer.arena.results import Results, Row
from trainer.arena.terminal import headline_population

RULES_SHOWN: Final = 5
"""The best rules that a plot shows beside the VPA rule, so that it stays readable."""

_COLOURS: Final = {
    "peakcast": "#0b7a4b",
    "peakcast_one_level": "#6ab98f",
    "lightgbm": "#2b8a9e",
    "lightgbm_tracker": "#6cc0cf",
    "lightgbm_sized": "#7a5af8",
    "vpa": "#c92a2a",
    "oracle": "#1c2024",
    "least_possible": "#9aa0a6",
}
_OTHERS: Final = ("#c9901a", "#b07aa1", "#5b8def", "#7d9b3d", "#d9652f", "#9a8f80", "#4d9f94")


def shown_rows(rows: list[Row], headline: int) -> list[Row]:
    """Return what a plot shows: all that learns, the VPA rule, the best rules, the oracle."""
    best = ordered([row for row in rows if row.kind == "rule" and row.method != "vpa"], headline)
    kept = {row.method for row in best[:RULES_SHOWN]} | {"vpa"}
    return [row for row in ordered(rows, headline) if row.kind != "rule" or row.method in kept]


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draw one PNG per source and cadence, and one for memory.

    Returns:
        The files, in order.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    pyplot = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in results.sources:
        for table, rates in ((FRONTIER, VIOLATED), (MEMORY, OOMS)):
            population = headline_population(source, table)
            rows = results.select(table, source.name, population)
            for cadence in dict.fromkeys(row.cadence for row in rows):
                part = shown_rows([row for row in rows if row.cadence == cadence], rates.headline)
                name = cadence.replace("/", "-per-")
                path = folder / f"{table}-{source.name}-{name}.png"
                heading = f"{source.name}, {'memory' if table == MEMORY else 'CPU'}, {cadence}"
                _draw(pyplot, part, f"{heading} ({population})", table, path)
                written.append(path)
    return written


def _pyplot() -> Any:
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(
            "matplotlib is not installed",
            fix='Install the extra with `pip install "peakcast[trainer]"`, or leave out --out',
        ) from error
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    return plt


def _draw(pyplot: Any, rows: list[Row], heading: str, table: str, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    others = iter(_OTHERS * 3)
    highest = 1.0
    for row in rows:
        points = row.frontier
        if not points:
            continue
        ours = row.kind == "ours"
        axes.plot(
            [point.violated for point in points],
            [point.ratio for point in points],
            label=title(row.method),
            color=_COLOURS.get(row.method) or next(others),
            linewidth=2.6 if ours else 1.5,
            linestyle="--" if row.kind in ("oracle", "bound", "ablation") else "-",
            zorder=3 if ours else 2,
        )
        known = [value for value in row.ratio if value is not None]
        if row.method != "vpa" and known:
            highest = max(highest, *known)
    rates = OOMS if table == MEMORY else VIOLATED
    for rate in rates.targets:
        axes.axvline(rate, color="#c8c8c4", linewidth=0.8, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(rates.shown)
    axes.set_ylim(0.9, min(highest * 1.15, 12))
    axes.set_xticks(rates.targets, [rate_name(rate, table) for rate in rates.targets])
    axes.minorticks_off()
    what = "OOM-equivalents per entity-week" if table == MEMORY else "violated 5-minute windows"
    axes.set_xlabel(f"{what} (fewer to the left)")
    axes.set_ylabel("reserved / used (lower is better)")
    axes.set_title(heading, loc="left")
    axes.grid(axis="y", color="#ececea")
    axes.legend(fontsize=8, frameon=False, ncols=2)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
