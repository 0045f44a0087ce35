"""``peakcast train``: a model bundle from recorded traces."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from recommender.errors import MissingExtra


def train(
    traces: Annotated[
        Path, typer.Option(help="Folder with recorded traces (*.parquet).", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder that receives <id>/ and the pointer 'current'.", show_default=False
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of sampling, weights and order.")] = 1,
    share: Annotated[
        float, typer.Option(help="Of the usual number of windows; 0.05 for a quick try.")
    ] = 1.0,
    encoder: Annotated[str, typer.Option(help="gru or transformer.")] = "gru",
    fingerprint: Annotated[
        bool, typer.Option(help="Let the head see the fingerprint (off: the ablation).")
    ] = True,
    threads: Annotated[
        int, typer.Option(help="Threads of the fit; another number rounds differently.")
    ] = 1,
) -> None:
    """Train, calibrate, export and pack a model bundle.

    Test groups and the last quarter of each source's time are never read for training or
    calibration, so the arena's figures of the bundle are its own. The same seed, machine and
    release give the same bundle.
    """
    try:
        from trainer.fit import Progress as Fitted
        from trainer.network import NetworkShape
        from trainer.packing import pack
        from trainer.plan import TrainingPlan
        from trainer.train import find_traces
        from trainer.train import train as run
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"training needs {error.name}", fix="Install it: pip install 'peakcast[trainer]'"
        ) from error

    plan = TrainingPlan(
        seed=seed,
        share=share,
        threads=threads,
        shape=dataclasses.replace(NetworkShape(), encoder=encoder, fingerprint=fingerprint),
    )
    paths = find_traces(traces)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        drawing = bars.add_task("drawing windows", total=len(paths), note="")
        stages = {
            "head": bars.add_task("fitting the head", total=None, note=""),
            "whole": bars.add_task("fitting the whole", total=None, note=""),
        }

        def fitted(at: Fitted) -> None:
            bars.update(
                stages[at.stage], completed=at.step, total=at.steps, note=f"loss {at.loss:.4f}"
            )

        trained = run(
            paths,
            plan,
            on_source=lambda name, count: bars.update(
                drawing, advance=1, note=f"{name}: {count:,} windows"
            ),
            on_step=fitted,
        )
        bars.update(drawing, completed=len(paths))
    folder = pack(out, trained, plan)
    Console().print(f"wrote bundle {folder}")
