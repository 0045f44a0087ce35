"""The scripts that set the house up, run with a PATH made for the test."""

import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci"


@pytest.fixture
def path(tmp_path):
    """An empty PATH and a way to put programs on it."""

    def add(name, body):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return program

    add.folder = tmp_path
    return add


def run(script, path, **environment):
    return subprocess.run(
        ["/bin/bash", str(CI / script)],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(path.folder), **environment},
    )


def test_a_command_that_only_prints_an_error_is_no_python(path):
    path("python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    good = path("python3.12", f'exec {sys.executable} "$@"')
    done = run("find-python", path)
    assert done.stdout.strip() == str(good)


def test_a_python_of_another_version_is_passed_over(path):
    path("python3", 'case "$2" in *version_info*) exit 1;; esac')
    done = run("find-python", path)
    assert done.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt-get install python3-venv" in done.stderr


def test_a_python_may_be_named(path):
    named = path("mine", f'exec {sys.executable} "$@"')
    path("python3", f'exec {sys.executable} "$@"')
    assert run("find-python", path, PYTHON=str(named)).stdout.strip() == str(named)


def test_missing_programs_are_named_where_they_cannot_be_installed(path):
    path("id", "echo 1000")
    path("promtool", "")
    done = run("system-packages", path)
    assert done.returncode == 0
    assert done.stdout.startswith("Missing: prometheus. The tests that need")


def test_nothing_is_said_or_installed_where_nothing_is_missing(path):
    path("prometheus", "")
    path("promtool", "")
    done = run("system-packages", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
