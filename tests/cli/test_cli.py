import importlib
import importlib.metadata
import subprocess
import sys
import types
from typing import Annotated

import pytest
import typer

from peakcast import cli
from peakcast.cli import COMMANDS, Command, run
from recommender.errors import MalformedHistory


@pytest.fixture
def commands(monkeypatch):
    """Two commands: one that can end in every way, one whose module does not exist."""

    def size(how: Annotated[str, typer.Option(help="How it ends.")] = "well") -> None:
        """Size everything."""
        if how == "error":
            raise MalformedHistory("a.parquet has no column cpu", fix="See the schema")
        if how == "findings":
            raise typer.Exit(cli.FINDINGS)
        if how == "interrupted":
            raise KeyboardInterrupt
        if how == "bug":
            raise ZeroDivisionError
        typer.echo("sized")

    module = types.ModuleType("made_up_size")
    module.size = size
    monkeypatch.setitem(sys.modules, "made_up_size", module)
    return (
        Command("size", "made_up_size", "size", "Sizes."),
        Command("absent", "no.such.module", "run", "Never loads."),
    )


def test_the_version_is_the_distributions(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"peakcast {importlib.metadata.version('peakcast')}\n"


def test_the_overview_names_each_command_without_importing_it(commands, capsys):
    assert run(["--help"], commands) == 0
    shown = capsys.readouterr().out
    assert "Sizes." in shown
    assert "Never loads." in shown
    assert "Exit codes" in shown


def test_a_commands_own_help_comes_from_its_function(commands, capsys):
    assert run(["size", "--help"], commands) == 0
    shown = capsys.readouterr().out
    assert "Size everything." in shown
    assert "How it ends." in shown


def test_only_the_command_that_runs_is_imported(commands, capsys):
    assert run(["size"], commands) == 0
    assert capsys.readouterr().out == "sized\n"
    with pytest.raises(ModuleNotFoundError):
        run(["absent"], commands)


def test_an_error_becomes_one_line_on_stderr_and_exit_code_2(commands, capsys):
    assert run(["size", "--how", "error"], commands) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "peakcast: a.parquet has no column cpu. See the schema\n"


@pytest.mark.parametrize(("how", "code"), [("findings", 1), ("interrupted", 130)])
def test_findings_and_interruption_have_their_own_exit_codes(commands, how, code):
    assert run(["size", "--how", how], commands) == code


def test_a_bug_is_not_dressed_up_as_a_user_error(commands):
    with pytest.raises(ZeroDivisionError):
        run(["size", "--how", "bug"], commands)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["size", "--nonsense"]])
def test_wrong_usage_is_exit_code_2(commands, capsys, arguments):
    assert run(arguments, commands) == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_in_the_table_exists_and_explains_itself(command, capsys):
    function = getattr(importlib.import_module(command.module), command.function)
    assert function.__doc__, "the docstring is the command's help"
    assert run([command.name, "--help"]) == 0
    assert "Usage: peakcast" in capsys.readouterr().out


def test_the_overview_loads_no_heavy_library():
    heavy = {"numpy", "pyarrow", "onnxruntime", "torch", "pydantic"}
    asked = f"""
import sys
from peakcast.cli import run
run(["--help"])
print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_console_command_is_installed():
    done = subprocess.run(
        [sys.executable, "-c", "from peakcast.cli import main; main()", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("peakcast ")
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="peakcast")
    assert entry.load() is cli.main
