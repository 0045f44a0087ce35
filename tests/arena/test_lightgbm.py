import numpy as np
import pytest

from recommender.kpis import LEVELS
from trainer.arena import lightgbm_training
from trainer.arena.lightgbm_run import HOURLY_TARGETS, hourly_bins, predict, tracked
from trainer.arena.lightgbm_training import Recipe, draw_training, train, training_rows
from trainer.traces import TEST_SHARE

TINY = Recipe(
    targets=(("cpu", 3600), ("memory", 3600)), windows=4000, trees=5, leaves=7, least_in_leaf=20
)


@pytest.fixture(scope="module")
def trees(source, tmp_path_factory):
    return train(TINY, {"shop": lambda: source}, {"shop": "0"}, tmp_path_factory.mktemp("cache"))


def test_no_test_group_is_learned_from(source):
    rows = training_rows(source)
    assert len(rows) == 20
    assert (source.lot[rows] >= TEST_SHARE).all()
    drawn = draw_training(source, 0, 2000, seed=1)
    assert set(drawn.row) <= set(rows)
    assert (source.lot[drawn.row] >= TEST_SHARE).all()


def test_nothing_of_the_last_quarter_is_learned_from(source):
    drawn = draw_training(source, 0, 2000, seed=1)
    quarter = source.quarter_bin()
    assert drawn.index.max() < quarter
    # A label whose horizon reaches into the last quarter is none.
    for place, span in enumerate((1, 3, 12, 72, 288)):
        labelled = np.isfinite(drawn.target[:, 0, place])
        assert (drawn.index[labelled] + span < quarter).all()


def test_training_hands_on_what_was_drawn_and_nothing_else(source, tmp_path, monkeypatch):
    handed = []
    genuine = lightgbm_training._fit

    def watch(recipe, samples, *rest):
        handed.extend(samples)
        genuine(recipe, samples, *rest)

    monkeypatch.setattr(lightgbm_training, "_fit", watch)
    train(TINY, {"shop": lambda: source}, {"shop": "0"}, tmp_path)
    assert sum(len(part) for part in handed) > 1000
    for part in handed:
        assert (source.lot[part.row] >= TEST_SHARE).all()
        assert (part.index < source.quarter_bin()).all()


def test_a_second_run_reads_the_cache_and_never_the_source(source, tmp_path):
    first = train(TINY, {"shop": lambda: source}, {"shop": "0"}, tmp_path)

    def refuse():
        raise AssertionError("the source was read again")

    again = train(TINY, {"shop": refuse}, {"shop": "0"}, tmp_path)
    assert again.trained_on == first.trained_on
    row = np.full((3, len(lightgbm_training.FEATURES)), 0.1, np.float32)
    np.testing.assert_array_equal(first.predict(row, "cpu", 3600), again.predict(row, "cpu", 3600))


def test_training_is_deterministic(source, trees, tmp_path):
    again = train(TINY, {"shop": lambda: source}, {"shop": "0"}, tmp_path)
    for which, booster in trees.boosters.items():
        assert booster.model_to_string() == again.boosters[which].model_to_string()


def test_another_file_is_another_model(source, tmp_path):
    train(TINY, {"shop": lambda: source}, {"shop": "0"}, tmp_path)
    train(TINY, {"shop": lambda: source}, {"shop": "1"}, tmp_path)
    assert len(list(tmp_path.glob("lightgbm-*"))) == 2


def test_quantiles_never_fall_and_the_tracker_keeps_them_so(trees, fleet):
    targets = tuple(target for target in HOURLY_TARGETS if target in TINY.targets)
    run = predict(trees, fleet, hourly_bins(fleet), targets)
    corrected, fine = tracked(fleet, run, None)
    assert fine is None
    for each in (run, corrected):
        for resource in ("cpu", "memory"):
            found = each.at(resource, 3600, fleet.decisions(12))
            assert found.shape == (len(fleet.decisions(12)), len(fleet), len(LEVELS))
            assert (np.diff(found, axis=-1) >= 0).all()
    assert not corrected.has("cpu", 86400)
    # By the judged time three days have been learned from.
    moved = corrected.at("cpu", 3600, fleet.decisions(12)) - run.at(
        "cpu", 3600, fleet.decisions(12)
    )
    assert np.abs(moved).max() > 0.01
