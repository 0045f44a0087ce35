"""``peakcast demo``: recommendations and a report from the sample traces."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from peakcast.bundles import find_bundle, parse_profile
from peakcast.playback import Playback, play
from peakcast.progress import bars
from peakcast.report import write_report
from peakcast.samples import SAMPLES, load_sample
from peakcast.tables import (
    Output,
    as_csv,
    as_json,
    legend,
    parse_output,
    stdout_console,
    table,
    totals,
)
from peakcast.tally import Outcome
from recommender.sizing.policy import POLICIES

REPORT: Final = Path("out/peakcast-demo.html")
ASSUMED: Final = (
    "Request now is assumed: what the VPA's rule (decayed P90 + 15 %) would have set, without its "
    "floor."
)


def demo(
    *,
    out: Annotated[Path, typer.Option(help="HTML report to write.", metavar="FILE")] = REPORT,
    output: Annotated[
        str, typer.Option("--output", "-o", help="table, wide (network too), json or csv.")
    ] = "table",
    bundle: Annotated[
        Path | None,
        typer.Option(help="Model bundle, or a folder of them. The shipped one if not given."),
    ] = None,
    profile: Annotated[str, typer.Option(help="cost, balanced or safe.")] = "balanced",
) -> None:
    """Forecast and size real workloads from the sample traces that come with peakcast.

    Each sample is replayed hour by hour through the recommender's own path up to one moment; the
    table shows what would be recommended then. The report goes on to what happened next. Nothing
    is read from or written to a cluster.
    """
    form = parse_output(output)
    policy = POLICIES[parse_profile(profile)]
    model = find_bundle(bundle)
    with bars() as shown:
        histories = [(sample, load_sample(sample)) for sample in SAMPLES]
        advance = shown.start(
            "replaying sample traces", sum(history.bins for _, history in histories)
        )
        told = [
            play(sample, history, model, policy=policy, progress=advance)
            for sample, history in histories
        ]
        with shown.spinner("writing the report"):
            write_report(out, told, model.manifest.id)
    _show(told, form, out.resolve(), model.manifest.id)


def _show(told: list[Playback], form: Output, report: Path, model_id: str) -> None:
    lines = [line for playback in told for line in playback.lines]
    if form == "json":
        facts = {
            "model_id": model_id,
            "decided_at_s": {each.sample.namespace: each.sample.now_s for each in told},
            "data": sorted({each.sample.credit for each in told}),
            "request": ASSUMED,
            "what_happened_next": [
                {"namespace": each.sample.namespace, "resource": resource, **_plain(pair)}
                for each in told
                for resource, pair in each.outcomes.items()
            ],
            "report": str(report),
        }
        typer.echo(as_json(lines, **facts))
        return
    if form == "csv":
        typer.echo(as_csv(lines), nl=False)
        Console(stderr=True).print(f"report: {report}", soft_wrap=True, highlight=False)
        return
    console = stdout_console(wide=form == "wide")
    console.print(table(lines, wide=form == "wide"))
    console.print(totals(lines))
    console.print(legend())
    console.print(_outcomes(told))
    console.print(_caption(told, model_id), style="dim")
    console.print(Text.assemble(("report: ", "bold"), str(report)), soft_wrap=True)


def _outcomes(told: list[Playback]) -> Table:
    """Return how the requests served in the hours after: peakcast's hour by hour, the rule's."""
    shown = Table(title="What happened next", title_justify="left", box=box.SIMPLE_HEAD)
    shown.add_column("")
    for heading in (
        "5-min peaks\nabove request",
        "\nVPA rule",
        "reserved /\npeak usage",
        "\nVPA rule",
        "VPA rule at\nsame risk *",
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for each in told:
        hours = (each.history.last_end_s - each.sample.now_s) // 3600
        for resource, (ours, rule) in each.outcomes.items():
            shown.add_row(
                f"{each.sample.namespace} {resource}, {hours} h",
                Text(f"{ours.violated_share:.2%}", "bold"),
                f"{rule.violated_share:.2%}",
                Text(f"{ours.reserved_per_used:.2f}", "bold"),
                f"{rule.reserved_per_used:.2f}",
                f"{rule.stretched_to(ours.violated):.2f}",
            )
    shown.caption = "* all its requests times the least factor, known in hindsight"
    shown.caption_justify = "left"
    return shown


def _plain(pair: tuple[Outcome, Outcome]) -> dict[str, dict[str, float]]:
    ours, rule = pair
    return {
        name: {
            "windows": outcome.windows,
            "violated": outcome.violated,
            "reserved_per_used": round(outcome.reserved_per_used, 4),
        }
        for name, outcome in (("peakcast", ours), ("vpa_rule", rule))
        if outcome.windows and outcome.used
    }


def _caption(told: list[Playback], model_id: str) -> Text:
    moments = [datetime.fromtimestamp(each.sample.now_s, UTC) for each in told]
    spans = "; ".join(
        f"{each.sample.namespace} at {moment:%Y-%m-%d %H:%M} UTC ({each.sample.credit})"
        for each, moment in zip(told, moments, strict=True)
    )
    return Text(f"{ASSUMED} Real measurements, never trained on: {spans}. Model {model_id}.")
