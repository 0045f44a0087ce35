"""Serving must start on a machine that has none of the trainer's libraries."""

import subprocess
import sys

BLOCKED = ("torch", "onnx", "onnxscript", "lightgbm", "matplotlib", "scipy", "pandas")

IMPORT_ALL = f"""
import importlib, pkgutil, sys
for name in {BLOCKED!r}:
    sys.modules[name] = None  # import raises ModuleNotFoundError
imported = []
for root in ("recommender", "extender", "peakcast"):
    package = importlib.import_module(root)
    imported.append(root)
    for found in pkgutil.walk_packages(package.__path__, root + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            imported.append(found.name)
print(*imported, sep="\\n")
"""


def test_every_serving_module_imports_with_the_trainers_libraries_blocked():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert {"recommender.settings", "recommender.kpis", "extender", "peakcast.cli"} <= set(imported)


def test_blocking_really_blocks():
    blocked = "import sys; sys.modules['torch'] = None; import torch"
    done = subprocess.run(
        [sys.executable, "-c", blocked], check=False, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in done.stderr
