import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import QuantityError
from recommender.quantities import format_bytes, format_cpu, format_memory, parse_quantity

NO_QUANTITIES = "1ki,1K,1mi,1e,1e3Ki,1e3k,1.2.3,٣,NaN,Inf,--1,m,.,1m1,0x10"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("1", "1"),
        ("+1.50", "1.5"),
        ("-2", "-2"),
        (".5", "0.5"),
        ("5.", "5"),
        ("100n", "0.0000001"),
        ("100u", "0.0001"),
        ("250m", "0.25"),
        ("1k", "1000"),
        ("1M", "1000000"),
        ("1G", "1000000000"),
        ("1T", "1e12"),
        ("1P", "1e15"),
        ("1E", "1e18"),
        ("1Ki", "1024"),
        ("1.5Mi", "1572864"),
        ("1Gi", "1073741824"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("1Ei", "1152921504606846976"),
        ("12e6", "12000000"),
        ("12E6", "12000000"),
        ("12e-3", "0.012"),
        ("1e+2", "100"),
    ],
)
def test_each_suffix_and_exponent_parses_exactly(text, value):
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [*NO_QUANTITIES.split(","), "", " 1", "1 ", "1\n", "1,5", "9" * 200],
)
def test_other_text_is_refused_with_the_text_in_the_message(text):
    with pytest.raises(QuantityError) as caught:
        parse_quantity(text)
    assert repr(text[:128]) in str(caught.value)


def test_no_float_rounding_creeps_in():
    assert parse_quantity("0.1") * 3 == Decimal("0.3")
    assert parse_quantity("9007199254740993") == 2**53 + 1


@pytest.mark.parametrize(
    ("cores", "text"),
    [
        (0, "0"),
        (1.0, "1"),
        (2.5, "2500m"),
        (0.29, "290m"),
        (0.2900001, "291m"),
        (1e-9, "1m"),
        (0.9999, "1"),
        (Decimal("1.0000000001"), "1001m"),
    ],
)
def test_cpu_is_written_in_cores_or_millicores_rounded_up(cores, text):
    assert format_cpu(cores) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (0.5, "1"),
        (2**20 - 1, "1048575"),
        (2**20, "1Mi"),
        (2**20 + 0.25, "2Mi"),
        (3.5 * 2**30, "3584Mi"),
    ],
)
def test_memory_is_written_in_mebibytes_rounded_up(size, text):
    assert format_memory(size) == text


@pytest.mark.parametrize("write", [format_cpu, format_memory, format_bytes])
@pytest.mark.parametrize("value", [-1, -1e-12, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_amount_cannot_be_written(write, value):
    with pytest.raises(QuantityError, match="is no amount of"):
        write(value)


@given(st.integers(0, 10**15))
def test_whole_millicores_survive_the_round_trip(millicores):
    cores = Decimal(millicores) / 1000
    assert parse_quantity(format_cpu(cores)) == cores


@given(st.integers(0, 2**63 - 1))
def test_whole_bytes_survive_the_round_trip(size):
    assert parse_quantity(format_bytes(size)) == size


@given(st.floats(0, 1e9))
def test_written_cpu_is_never_less_and_less_than_a_millicore_more(cores):
    written = parse_quantity(format_cpu(cores))
    assert (
        0 <= written - Decimal(repr(cores)) <= Decimal("0.001")
    )  # at most: the difference of 1e-38 is lost to 28 digits


@given(st.floats(0, 2**62))
def test_written_memory_is_never_less_and_less_than_a_mebibyte_more(size):
    written = parse_quantity(format_memory(size))
    assert 0 <= written - Decimal(repr(size)) < 2**20


@given(st.text(max_size=20))
def test_any_text_gives_a_number_or_a_quantity_error(text):
    with contextlib.suppress(QuantityError):
        assert parse_quantity(text).is_finite()


@given(
    st.decimals(min_value=-(10**6), max_value=10**6, places=3, allow_nan=False),
    st.sampled_from(["n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ei"]),
)
def test_a_suffix_multiplies_the_plain_number(number, suffix):
    assert parse_quantity(f"{number:f}{suffix}") == number * parse_quantity(f"1{suffix}")
