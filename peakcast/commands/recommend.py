"""``peakcast recommend``: one look at a history, one table; nothing is installed or written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from peakcast.bundles import find_bundle, parse_profile
from peakcast.cli import FINDINGS
from peakcast.one_look import from_prometheus, from_recorded, look, parse_moment
from peakcast.progress import bars
from peakcast.recommendation import Severity
from peakcast.tables import (
    as_csv,
    as_json,
    legend,
    parse_output,
    stdout_console,
    table,
    totals,
)
from recommender.errors import SettingsError
from recommender.forecast.forecaster import Forecaster
from recommender.settings import load_settings
from recommender.sizing.policy import POLICIES
from recommender.sizing.sizer import Sizer

EVERY_S: Final = 3600
_FAILING: Final = {
    "at-risk": {Severity.AT_RISK},
    "too-large": {Severity.AT_RISK, Severity.MUCH, Severity.LARGE},
}


def recommend(
    *,
    recorded: Annotated[
        Path | None, typer.Option(help="Recorded history, Parquet.", metavar="FILE")
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Prometheus to read, unless the settings name one.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file, YAML.")] = None,
    namespace: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="Only this one; may be repeated.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="The moment to recommend at, UTC, such as 2026-03-01T08:00. The history's end if "
            "not given.",
            metavar="TIME",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="table, wide (network too), json or csv.")
    ] = "table",
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle, or a folder of them. The shipped one if not given."),
    ] = None,
    profile: Annotated[str, typer.Option(help="cost, balanced or safe.")] = "balanced",
    cpu_per_unit: Annotated[
        float, typer.Option(help="Cores that 1.0 of CPU in the recorded file stands for.")
    ] = 1.0,
    memory_per_unit: Annotated[
        float, typer.Option(help="Bytes that 1.0 of memory in the recorded file stands for.")
    ] = 1.0,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit code 1 where something is at-risk, or too-large (or at risk)."),
    ] = None,
) -> None:
    """Recommend requests from one look at a Prometheus or at a recorded file.

    It reads 15 days of history, forecasts once and prints what it would set. It needs nothing in
    the cluster, and writes nothing to it.
    """
    form = parse_output(output)
    policy = POLICIES[parse_profile(profile)]
    failing = _failing(fail_on)
    moment_s = None if at is None else parse_moment(at)
    settings = load_settings(config, {"prometheus": {"url": prometheus}} if prometheus else None)
    model = find_bundle(bundle)
    chosen = frozenset(namespace or ())
    with bars() as shown:
        if recorded is not None:
            with shown.spinner(f"reading {recorded.name}"):
                seen = from_recorded(recorded, moment_s, (cpu_per_unit, memory_per_unit))
        else:
            advance = shown.start("reading Prometheus: containers")
            seen = from_prometheus(settings, chosen, moment_s, advance)
        with shown.spinner("forecasting"):
            lines = look(seen, Forecaster(model), Sizer(policy, EVERY_S), settings.clock, chosen)
    if form == "json":
        facts = {"now_s": seen.windows.now_s, "model_id": model.manifest.id, "notes": seen.notes}
        typer.echo(as_json(lines, **facts))
    elif form == "csv":
        typer.echo(as_csv(lines), nl=False)
    else:
        console = stdout_console(wide=form == "wide")
        console.print(table(lines, wide=form == "wide"))
        console.print(totals(lines))
        console.print(legend())
        console.print(f"{seen.origin} Model {model.manifest.id}.", style="dim", highlight=False)
    for note in seen.notes:
        Console(stderr=True).print(note, style="yellow", highlight=False, soft_wrap=True)
    if any(line.severity in failing for line in lines):
        raise typer.Exit(FINDINGS)


def _failing(text: str | None) -> set[Severity]:
    if text is None:
        return set()
    if text not in _FAILING:
        raise SettingsError(
            f"--fail-on {text!r} is unknown", fix=f"Use one of {', '.join(_FAILING)}"
        )
    return _FAILING[text]
