"""What the documents promise is there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def names(requirements):
    return {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in requirements}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_make_target_that_is_named_exists(document):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_leads_somewhere(document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_says_why_each_serving_dependency_is_there():
    table = (ROOT / "README.md").read_text().split("## Dependencies, and why")[1].lower()
    assert {name for name in names(PROJECT["dependencies"]) if name not in table} == set()


def test_the_constraints_pin_every_dependency_by_name_and_version_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin)] == []
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    pinned = {pin.split("==")[0] for pin in pins}
    assert names([*PROJECT["dependencies"], *extras]) <= pinned
