"""``peakcast fingerprint``: what a bundle's fingerprint tells apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.table import Table

from peakcast.bundles import find_bundle
from peakcast.progress import Bars, bars
from peakcast.tables import stdout_console
from recommender.errors import MissingExtra, SettingsError, StoreError

OUTPUTS: Final = ("table", "json")


def fingerprint(
    *,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle, or a folder of them. The shipped one if not given."),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recorded traces, for what each KPI is worth to real forecasts.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    each: Annotated[int, typer.Option(help="Workloads of each shape.", min=10)] = 100,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
    out: Annotated[
        Path | None,
        typer.Option(help="Write the results as JSON here.", metavar="FILE", show_default=False),
    ] = None,
    results_md: Annotated[
        Path | None,
        typer.Option(help="Write docs/fingerprint.md here.", metavar="FILE", show_default=False),
    ] = None,
) -> None:
    """Measure whether a fingerprint carries bursts, patterns and dependencies between KPIs.

    Labelled made-up workloads look for their nearest neighbours by fingerprint, beside peers that
    need no training and beside chance; some differ only in which KPIs move together. Then KPIs are
    left out: how retrieval falls, and with --traces how forecasts of recorded workloads suffer.

    Exit code 1 if dependencies are not told apart better than chance.
    """
    if output not in OUTPUTS:
        raise SettingsError(f"output {output!r} is unknown", fix="Use one of table, json")
    try:
        import torch  # noqa: F401  # an untrained encoder is one of the peers

        from trainer.arena.fingerprints import (
            confusion_rows,
            examine,
            hidden_rows,
            pair_rows,
            retrieval_rows,
            to_json,
            to_markdown,
            verdict,
            worth_rows,
        )
        from trainer.train import find_traces
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"this needs {error.name}", fix="Install it: pip install 'peakcast[trainer]'"
        ) from error

    paths = [] if traces is None else find_traces(traces)
    model = find_bundle(bundle)
    with bars(counted=True) as shown, _progress(shown) as progress:
        results = examine(model, paths, progress, each)
    if output == "json":
        typer.echo(to_json(results))
    else:
        console = stdout_console()
        console.print(verdict(results), highlight=False)
        console.print(_table("Retrieval of made-up shapes", retrieval_rows(results)))
        console.print(_table("Nearest neighbours of each shape", confusion_rows(results)))
        console.print(
            _table("Dependencies told apart, by nearest / linear read-out", pair_rows(results))
        )
        console.print(_table("Retrieval with KPIs left out", hidden_rows(results)))
        if results.worth:
            console.print(
                _table("Pinball loss of an hour's peak with KPIs hidden", worth_rows(results))
            )
    _write(out, to_json(results))
    _write(results_md, to_markdown(results))
    if not results.carries_dependencies:
        raise typer.Exit(1)


def _table(title: str, rows: list[tuple[str, ...]]) -> Table:
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(rows[0]):
        shown.add_column(name, overflow="fold", justify="left" if place == 0 else "default")
    for row in rows[1:]:
        shown.add_row(*row)
    return shown


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _progress(shown: Bars) -> Iterator[Callable[[str, int, int], None]]:
    """One bar per step of the run."""
    moving: dict[str, tuple[Callable[[int], None], int]] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in moving:
            moving[what] = (shown.start(what, total), 0)
        move, before = moving[what]
        if done > before:
            move(done - before)
            moving[what] = (move, done)

    yield advance
