import inspect

import pytest

from recommender import errors
from recommender.errors import PeakcastError, QuantityError

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PeakcastError)
]


def test_cause_and_fix_make_one_line():
    error = PeakcastError("no such file: a.parquet", fix="Check --traces")
    assert str(error) == "no such file: a.parquet. Check --traces"
    assert (error.cause, error.fix) == ("no such file: a.parquet", "Check --traces")


def test_without_a_fix_the_cause_stands_alone():
    assert str(PeakcastError("nothing to be done")) == "nothing to be done"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_shows_each_error_below_its_parent(kind):
    lines = [line for line in errors.__doc__.splitlines() if "|- " in line or "`- " in line]
    names = [line.split("- ", 1)[1].split()[0] for line in lines]
    depths = [line.replace("`", "|").index("|-") for line in lines]
    if kind is PeakcastError:
        assert set(names) == {other.__name__ for other in ALL} - {"PeakcastError"}
        return
    place = names.index(kind.__name__)
    above = [i for i in range(place) if depths[i] < depths[place]]
    parent = names[above[-1]] if above else "PeakcastError"
    assert parent == kind.__mro__[1].__name__


def test_a_bad_quantity_is_also_a_value_error():
    assert issubclass(QuantityError, ValueError)
