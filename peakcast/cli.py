"""The command line: a table of commands, each imported only when it is the one that runs.

``peakcast --help`` and ``peakcast --version`` answer without loading numpy, a model or a service.

Exit codes, the same for every command:

====  ====================================================================================
0     done, and nothing to report
1     done, and there are findings that a pipeline may want to stop for
2     wrong usage, settings or data: one line on stderr says what is wrong and what to do
130   interrupted
====  ====================================================================================
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from recommender.errors import PeakcastError

DONE: Final = 0
FINDINGS: Final = 1
WRONG: Final = 2
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table.

    Attributes:
        name: what is typed after ``peakcast``.
        module: where it lives; imported when the command runs or shows its own help.
        function: the function in it whose signature typer turns into arguments and options. It
            returns nothing, or raises ``typer.Exit(FINDINGS)``.
        help: one sentence for the overview; the function's docstring is the command's own help.
        panel: the heading it stands under in the overview.
    """

    name: str
    module: str
    function: str
    help: str
    panel: str = "Commands"


# One line for each command that exists; a command without a module has no line.
COMMANDS: Final[tuple[Command, ...]] = (
    Command(
        "recommend",
        "peakcast.commands.recommend",
        "recommend",
        "Recommend requests from one look at a Prometheus or a recorded file.",
        "Recommend",
    ),
    Command(
        "demo",
        "peakcast.commands.demo",
        "demo",
        "Recommend from the sample traces, and write a report.",
        "Recommend",
    ),
    Command(
        "similar",
        "peakcast.commands.similar",
        "similar",
        "Show which workloads of a recorded history behave alike.",
        "Recommend",
    ),
    Command(
        "arena",
        "peakcast.commands.arena",
        "arena",
        "Compare the forecaster with every baseline on recorded traces.",
        "Evaluate",
    ),
    Command(
        "fingerprint",
        "peakcast.commands.fingerprint",
        "fingerprint",
        "Measure what the fingerprint tells apart: bursts, patterns, dependencies.",
        "Evaluate",
    ),
    Command(
        "replay",
        "peakcast.commands.replay",
        "replay",
        "Write what would have been recommended over a recorded history.",
        "Evaluate",
    ),
    Command(
        "train",
        "peakcast.commands.train",
        "train",
        "Make a model bundle from recorded traces.",
        "Evaluate",
    ),
)

EPILOG: Final = (
    "Settings come from flags, PEAKCAST_... environment variables, one YAML file (PEAKCAST_CONFIG) "
    "and defaults, in this order. Exit codes: 0 done, 1 findings, 2 wrong usage, settings or data."
)


def build_app(arguments: Sequence[str], commands: Sequence[Command] = COMMANDS) -> typer.Typer:
    """Return the application for one run; only the command that is asked for is imported."""
    app = typer.Typer(
        name="peakcast",
        help="Forecast the resource peaks of Kubernetes workloads and size them ahead of time.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,  # completing a command's options would have to import it
        pretty_exceptions_enable=False,  # a bug shows Python's own traceback, without locals
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    asked_for = next((word for word in arguments if not word.startswith("-")), None)
    for command in commands:
        if command.name == asked_for:
            function = _load(command)
            app.command(command.name, help=_prose(function), rich_help_panel=command.panel)(
                function
            )
        else:
            app.command(command.name, help=command.help, rich_help_panel=command.panel)(_not_loaded)
    return app


def run(arguments: Sequence[str], commands: Sequence[Command] = COMMANDS) -> int:
    """Run one command and return the process's exit code; see the module for what they mean."""
    try:
        build_app(arguments, commands)(args=list(arguments), prog_name="peakcast")
    except SystemExit as leaving:
        return _exit_code(leaving)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PeakcastError as error:
        _say(error)
        return WRONG
    return DONE


def main() -> None:
    """Entry point of the ``peakcast`` console command."""
    sys.exit(run(sys.argv[1:]))


def _load(command: Command) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(
        importlib.import_module(command.module), command.function
    )
    return function


def _prose(function: Callable[..., Any]) -> str:
    """Return a docstring as paragraphs that the terminal's width may wrap."""
    text = inspect.getdoc(function) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _not_loaded() -> None:
    """Stand in the overview for a command that is not the one asked for."""


def _print_version(asked: bool) -> None:  # noqa: FBT001 -- typer's callback signature
    if asked:
        typer.echo(f"peakcast {importlib.metadata.version('peakcast')}")
        raise typer.Exit(DONE)


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    pass


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None:
        return DONE
    return leaving.code if isinstance(leaving.code, int) else WRONG


def _say(error: PeakcastError) -> None:
    """One line on stderr, however wide the terminal is."""
    line = Text.assemble(("peakcast: ", "bold red"), " ".join(str(error).split()))
    Console(stderr=True).print(line, soft_wrap=True)
