from types import SimpleNamespace

from msgspec import structs

from recommender.bundle import load_bundle
from recommender.fingerprint.schema import SCHEMA
from trainer.arena import cache
from trainer.arena.cache import code_digest, key
from trainer.arena.judging import Judged
from trainer.arena.lineup import contender
from trainer.arena.shelf import Shelf


def test_what_code_says_about_itself_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    module = tmp_path / "room.py"

    def digest(text):
        module.write_text(text, encoding="utf-8")
        return code_digest(["room.py"])

    plain = digest("def f(x):\n    return x + 1\n")
    assert (
        digest('"""New."""\n\n\ndef f(x):\n    """Add."""\n    # one\n    return (x + 1)\n')
        == plain
    )
    assert digest("def f(x):\n    return x + 2\n") != plain


def test_a_folder_stands_for_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("x = 1\n")
    before = code_digest(["room"])
    (tmp_path / "room" / "b.py").write_text("y = 1\n")
    assert code_digest(["room"]) != before


def test_keys_do_not_depend_on_the_order_of_their_parts():
    assert key(a=1, b={"x": 2, "y": 3}) == key(b={"y": 3, "x": 2}, a=1)
    assert key(a=1) != key(a=2)


def test_a_shelf_judges_once(tmp_path):
    calls = []

    def judge():
        calls.append(1)
        return Judged("frontier", "1h", "vpa", "rule", {})

    first = Shelf(tmp_path, "source").take("vpa()", "frontier", "1h", judge)
    assert Shelf(tmp_path, "source").take("vpa()", "frontier", "1h", judge) == first
    assert len(calls) == 1
    Shelf(tmp_path, "other").take("vpa()", "frontier", "1h", judge)
    Shelf(tmp_path, "source").take("vpa(2)", "frontier", "1h", judge)
    assert len(calls) == 3


def test_a_shelf_remembers_that_there_was_no_answer(tmp_path):
    shelf = Shelf(tmp_path, "source")
    assert shelf.take("x", "memory", "1h", lambda: None) is None
    assert shelf.take("x", "memory", "1h", lambda: 1 / 0) is None


def test_what_has_no_identity_is_never_kept(tmp_path):
    Shelf(tmp_path, "source").take("", "memory", "1h", lambda: None)
    assert not list(tmp_path.iterdir())


def test_figures_on_a_bundles_card_do_not_make_it_another_one(bundle):
    model = load_bundle(bundle, SCHEMA)

    def digest(**changes):
        changed = SimpleNamespace(manifest=structs.replace(model.manifest, **changes))
        return contender("tiny", changed).model_sha256

    assert digest(results={"azure_v1": 2.4}) == digest()
    assert digest(seed=99) != digest()
