"""What is dear to compute is kept on disk, under a name that says what it was computed from."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import recommender

PACKAGE = Path(recommender.__file__).parent.parent


def default_cache() -> Path:
    """Return the user's own cache folder for the arena."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "peakcast" / "arena"


def file_digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(modules: Iterable[str]) -> str:
    """Return a digest of source files, so that changed code never meets old results.

    Comments, docstrings and layout do not count.

    Args:
        modules: paths inside the distribution, such as ``recommender/forecast/monotone.py``; a
            folder stands for the Python files right in it.
    """
    digest = hashlib.sha256()
    for module in sorted(modules):
        path = PACKAGE / module
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.name.encode())
            digest.update(_essence(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def key(**parts: object) -> str:
    """Return a short name for a combination of parts, each of which JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _essence(source: str) -> str:
    """Return what a Python file does, without what it says about itself."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            bare = ast.get_docstring(node, clean=False) is None
            node.body = node.body if bare else node.body[1:]
    return ast.dump(tree)
