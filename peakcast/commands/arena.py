"""``peakcast arena``: the forecaster beside every baseline, on recorded traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from peakcast.progress import Bars, bars
from recommender.bundle import Bundle, default_bundle, load_bundle
from recommender.errors import BundleMissing, SettingsError, StoreError
from recommender.fingerprint.schema import SCHEMA
from trainer.arena.actuation import CADENCES, Cadence
from trainer.arena.cache import default_cache
from trainer.arena.lightgbm_training import Recipe
from trainer.arena.lineup import OURS, Contender, contender, known_names
from trainer.arena.markdown import to_markdown
from trainer.arena.page import to_page
from trainer.arena.plots import write_plots
from trainer.arena.results import Results, merge, read_json, to_csv, to_json
from trainer.arena.run import Plan, run_arena
from trainer.arena.terminal import render

OUTPUTS: Final = ("table", "json", "csv")
_WIDTH: Final = 132


def arena(
    *,
    traces: Annotated[
        Path | None,
        typer.Option(help="Folder of recorded traces, Parquet.", metavar="DIR", show_default=False),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="The forecaster's bundle, or a folder of them; the shipped one if left out.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only this source; may be repeated.", metavar="NAME", show_default=False),
    ] = None,
    cadence: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only these decisions; may be repeated: {', '.join(c.name for c in CADENCES)}.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Only these methods: names with * and ?, comma-separated; 'list' shows them.",
            metavar="NAMES",
            show_default=False,
        ),
    ] = "",
    ablation_bundle: Annotated[
        list[str] | None,
        typer.Option(
            help="A further bundle, such as one trained without a fingerprint; may be repeated.",
            metavar="NAME=PATH",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results.json, results.csv, frontier plots and index.html.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    results_md: Annotated[
        Path | None,
        typer.Option(help="Write docs/results.md here.", metavar="FILE", show_default=False),
    ] = None,
    from_json: Annotated[
        list[Path] | None,
        typer.Option(
            help="Show the results.json of an earlier run instead of running; repeated, those of "
            "runs over different sources together.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for trained trees and forecasts; the user's cache if left out.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    lightgbm_windows: Annotated[
        int, typer.Option(help="Windows that LightGBM is trained on.", min=1000)
    ] = Recipe().windows,
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or csv.")] = "table",
) -> None:
    """Compare the forecaster with every baseline on recorded traces.

    History is replayed causally on test groups in the last quarter of each source's time. Every
    method is swept over its own knob and a multiplier and decides through the product's own sizing;
    what it reserves over what is used is read where 2, 1, 0.5 and 0.2 % of the five-minute windows
    are violated.

    The first run trains LightGBM and takes a while; what is dear is cached. --methods list shows
    the methods.
    """
    if output not in OUTPUTS:
        raise SettingsError(
            f"output {output!r} is not known", fix=f"Give one of {', '.join(OUTPUTS)}"
        )
    if methods.strip() == "list":
        _list_methods()
        return
    if from_json:
        results = merge([read_json(path) for path in from_json])
    else:
        plan = _plan(traces, bundle, source, cadence, methods, ablation_bundle, cache)
        plan = replace(plan, recipe=replace(plan.recipe, windows=lightgbm_windows))
        with bars(counted=True) as shown, _progress(shown) as progress:
            results = run_arena(replace(plan, progress=progress))
    _show(results, output)
    _write(results, out, results_md)


def _plan(
    traces: Path | None,
    bundle: Path | None,
    sources: list[str] | None,
    cadences: list[str] | None,
    methods: str,
    ablations: list[str] | None,
    cache: Path | None,
) -> Plan:
    if traces is None:
        raise SettingsError("no traces were named", fix="Give their folder with --traces")
    patterns = tuple(name.strip() for name in methods.split(",") if name.strip())
    return Plan(
        traces,
        cache or default_cache(),
        tuple(sources or ()),
        tuple(_cadence(name) for name in cadences) if cadences else CADENCES,
        patterns,
        _ours(bundle),
        tuple(_ablation(text) for text in ablations or ()),
    )


def _cadence(name: str) -> Cadence:
    for known in CADENCES:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in CADENCES)
    raise SettingsError(f"cadence {name!r} is not known", fix=f"Give one of {names}")


def _ours(path: Path | None) -> Contender | None:
    if path is not None:
        return contender(OURS, load_bundle(path, SCHEMA))
    try:
        shipped: Bundle = default_bundle(SCHEMA)
    except BundleMissing:
        return None
    return contender(OURS, shipped)


def _ablation(text: str) -> Contender:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise SettingsError(f"--ablation-bundle {text!r} is not NAME=PATH")
    return contender(name, load_bundle(Path(path), SCHEMA))


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


def _list_methods() -> None:
    console = Console()
    for name, what in known_names().items():
        console.print(f"[bold]{name:28}[/] {what}", highlight=False)


def _show(results: Results, output: str) -> None:
    if output == "json":
        typer.echo(to_json(results))
    elif output == "csv":
        typer.echo(to_csv(results), nl=False)
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH)
        for part in render(results):
            console.print(part)


def _write(results: Results, out: Path | None, results_md: Path | None) -> None:
    told = Console(stderr=True)
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "results.json").write_text(to_json(results), encoding="utf-8")
            (out / "results.csv").write_text(to_csv(results), encoding="utf-8")
            (out / "index.html").write_text(to_page(results), encoding="utf-8")
            plots = write_plots(results, out)
            told.print(
                f"wrote {out / 'index.html'}, results.json, results.csv and {len(plots)} plots",
                soft_wrap=True,
                highlight=False,
            )
        if results_md is not None:
            results_md.write_text(to_markdown(results), encoding="utf-8")
            told.print(f"wrote {results_md}", soft_wrap=True, highlight=False)
    except OSError as error:
        where = error.filename or out or results_md
        raise StoreError(f"{where} cannot be written: {error.strerror or error}") from error
