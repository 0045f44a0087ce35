from pathlib import Path

import pytest

from peakcast import reference
from recommender.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_generated_page_is_current(name):
    found = (DOCS / name).read_text(encoding="utf-8")
    assert found == reference.PAGES[name](), "stale: run `make docs`"


def test_each_setting_has_a_row():
    page = reference.settings_page()
    for group in Settings.model_fields.values():
        for name in group.annotation.model_fields:
            assert f"| `{name}` |" in page


def test_pages_are_written_where_asked(tmp_path):
    written = reference.write(tmp_path)
    assert [path.name for path in written] == list(reference.PAGES)
    assert (tmp_path / "settings.md").read_text(encoding="utf-8").startswith("# Settings\n")
