import numpy as np
import pytest

from recommender.fingerprint.neighbours import cosine_distance, neighbours, unit


def vectors(*rows):
    return np.array(rows, np.float32)


def test_the_nearest_come_first_whatever_their_length():
    known = vectors([0, 5], [9, 0], [1, 1], [-1, 0])
    found = neighbours(vectors([2, 0]), known, 4)
    assert found.place.tolist() == [[1, 2, 0, 3]]
    assert found.distance[0] == pytest.approx([0, 1 - np.sqrt(0.5), 1, 2], abs=1e-6)


def test_ties_keep_the_order_of_the_rows():
    known = vectors([1, 0], [2, 0], [3, 0])
    assert neighbours(vectors([1, 0]), known, 3).place.tolist() == [[0, 1, 2]]


def test_more_than_there_are_gives_all():
    assert neighbours(vectors([1, 0]), vectors([1, 1]), 5).place.shape == (1, 1)
    assert neighbours(vectors([1, 0]), np.zeros((0, 2), np.float32), 5).place.shape == (1, 0)


def test_what_has_no_length_is_near_nothing():
    found = neighbours(vectors([0, 0]), vectors([1, 0], [0, 1]), 2)
    assert found.distance.tolist() == [[1, 1]]
    assert not np.isnan(unit(vectors([0, 0]))).any()


def test_a_workload_is_at_no_distance_from_itself():
    rows = np.random.default_rng(1).normal(size=(50, 64)).astype(np.float32)
    assert cosine_distance(rows, rows).max() < 1e-6
    found = neighbours(rows, rows, 1)
    assert found.place[:, 0].tolist() == list(range(50))


@pytest.mark.parametrize(("k", "width"), [(0, 2), (-1, 2), (1, 3)])
def test_nonsense_is_refused(k, width):
    with pytest.raises(ValueError, match="neighbours"):
        neighbours(vectors([1, 0]), np.ones((4, width), np.float32), k)
