"""Kubernetes quantities: exact parsing, and formatting that never rounds a resource down.

The grammar is that of ``k8s.io/apimachinery/pkg/api/resource`` (quantity.go): a signed decimal
number followed by a decimal suffix (``n u m k M G T P E`` or none), a binary suffix
(``Ki Mi Gi Ti Pi Ei``) or a decimal exponent (``e3``, ``E-3``), never two of them. Numbers are
:class:`decimal.Decimal`, since ``0.1`` has no exact float and a CPU request is compared for
equality by everybody else in the cluster.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from typing import Final

from recommender.errors import QuantityError

_MULTIPLIERS: Final[dict[str, Decimal]] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_GRAMMAR: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)
# Longer than anything the API server stores; bounds the work that hostile text can ask for.
_MAX_LENGTH: Final = 128
# The longest text with the largest exponent needs 128 + 999 digits.
_EXACT: Final = Context(prec=1200)


def parse_quantity(text: str) -> Decimal:
    """Return the exact value of a Kubernetes quantity.

    >>> parse_quantity("250m"), parse_quantity("1.5Gi"), parse_quantity("2e3")
    (Decimal('0.250'), Decimal('1610612736.0'), Decimal('2000'))

    Raises:
        QuantityError: the text is no quantity. Surrounding space is not part of the grammar.
    """
    match = _GRAMMAR.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise QuantityError(
            f"{text[:_MAX_LENGTH]!r} is no Kubernetes quantity",
            fix="Write it like 250m, 1.5, 512Mi or 2e9",
        )
    with localcontext(_EXACT):
        number = Decimal(match["number"])
        if match["exponent"] is not None:
            value = number.scaleb(int(match["exponent"]))
        else:
            value = number * _MULTIPLIERS[match["suffix"] or ""]
        return value + Decimal(0)  # the same number, without a positive exponent


def format_cpu(cores: float | Decimal) -> str:
    """Write CPU as whole cores where that is exact and as millicores otherwise, rounded up.

    >>> format_cpu(2), format_cpu(0.2501), format_cpu(Decimal("0.25"))
    ('2', '251m', '250m')

    Raises:
        QuantityError: the number is negative, infinite or NaN.
    """
    millicores = _ceiling(cores, Decimal("0.001"), "CPU")
    whole, rest = divmod(millicores, 1000)
    return str(whole) if rest == 0 else f"{millicores}m"


def format_memory(size_bytes: float | Decimal) -> str:
    """Write memory as whole mebibytes, rounded up; below one mebibyte as whole bytes.

    >>> format_memory(2**30), format_memory(2**20 + 1), format_memory(1000)
    ('1024Mi', '2Mi', '1000')

    Raises:
        QuantityError: the number is negative, infinite or NaN.
    """
    whole_bytes = _ceiling(size_bytes, Decimal(1), "memory")
    mebi = 2**20
    return str(whole_bytes) if whole_bytes < mebi else f"{-(-whole_bytes // mebi)}Mi"


def format_bytes(size_bytes: float | Decimal) -> str:
    """Write memory as whole bytes, rounded up: the form a VPA's status carries.

    >>> format_bytes(1048576.2)
    '1048577'

    Raises:
        QuantityError: the number is negative, infinite or NaN.
    """
    return str(_ceiling(size_bytes, Decimal(1), "memory"))


def _ceiling(value: float | Decimal, unit: Decimal, what: str) -> int:
    """Return how many whole units hold the value.

    A float is taken at its shortest decimal form: 0.29 means 0.29, and not the double above it,
    which would round up to 291 millicores.
    """
    exact = Decimal(value) if isinstance(value, int | Decimal) else Decimal(repr(float(value)))
    if not exact.is_finite() or exact < 0:
        raise QuantityError(f"{value!r} is no amount of {what}")
    with localcontext(_EXACT):
        return int((exact / unit).to_integral_value(rounding=ROUND_CEILING))
