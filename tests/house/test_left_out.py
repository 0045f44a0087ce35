"""Runs pytest inside pytest, with the conftest of this repository and an empty PATH."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TWO_TESTS = """
import pytest

@pytest.mark.prometheus
def test_needs_it():
    raise AssertionError

def test_needs_nothing():
    pass
"""


def run_pytest(folder, path):
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "test_two.py").write_text(TWO_TESTS)
    configuration = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *configuration, "-p", "no:cacheprovider", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_tests_without_their_program_are_left_out_and_counted(tmp_path):
    done = run_pytest(tmp_path, path=tmp_path / "nothing")
    assert done.returncode == 0, done.stdout
    assert (
        "left out: 1 test: prometheus and promtool not found (apt-get install prometheus)"
        in done.stdout
    )
    assert "1 passed, 1 skipped" in done.stdout


def test_with_the_program_nothing_is_left_out(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("prometheus", "promtool"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    done = run_pytest(tmp_path, path=programs)
    assert done.returncode == 1
    assert "left out" not in done.stdout
    assert "1 failed, 1 passed" in done.stdout
