"""What each KPI is asked for: PromQL for the maximum, mean and spread inside a bin.

A query is a template with these placeholders:

``$containers``
    matchers of real containers, ``container!="",container!="POD"``, and the batch's own;
``$pods``
    ``pod!=""`` and the batch's own, for what cAdvisor knows only per pod;
``$window``
    a range: of ``rate()``, or the whole bin beside ``$over``;
``$over``
    ``max_over_time`` or ``avg_over_time``: the template is a gauge;
``$fold( ... $steps)``
    where values at several steps inside the bin become one, by ``max_over_time`` or the like. A
    template without it is folded as a whole, which costs a server several times as much if it
    aggregates.

A template with ``$over`` reads each sample of the bin. One with ``$window`` only is a rate: its
mean is the rate over the whole bin, its maximum the largest of short rates whose windows lie
wholly inside the bin and overlap by half, so that no increment goes unseen. One with neither (a
recording rule, say) is evaluated at each step of the bin.

Prometheus 2 includes both ends of a range, Prometheus 3 leaves out the left one. So that both read
the same samples, a gauge's range is one millisecond short and holds the samples in
``(end - bin, end]``; a rate's is one millisecond long and holds the sample at its left end too,
without which an increment would be lost; and subqueries begin off their own grid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Final, Literal

from recommender.errors import SettingsError
from recommender.kpis import BIN_S, CATALOGUE

Statistic = Literal["peak", "mean", "std"]

CONTAINERS: Final = 'container!="",container!="POD"'
PODS: Final = 'pod!=""'
PLACEHOLDERS: Final = frozenset({"containers", "pods", "window", "over", "fold", "steps"})

_META = re.compile(r"([\\.+*?()|\[\]{}^$])")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Cadence:
    """How finely a server is asked.

    Attributes:
        window_s: range of the short rates that peaks are made of; holds two scrapes at least.
        step_s: distance between them, half a window at most; divides 300.
    """

    window_s: int = 60
    step_s: int = 30

    @classmethod
    def for_scrapes(cls, interval_s: float) -> Cadence:
        """Return the finest cadence that a scrape interval allows."""
        window = next((window for window in (60, 120) if 2 * interval_s <= window), 300)
        return cls.for_window(max(window, 60 * -(-int(2 * interval_s) // 60)))

    @classmethod
    def for_window(cls, window_s: int) -> Cadence:
        """Return a window with the largest step that overlaps by half and divides a bin."""
        steps = (150, 100, 75, 60, 50, 30, 25, 20, 15)
        return cls(window_s, next((step for step in steps if 2 * step <= window_s), 10))


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """One expression, evaluated at the end of each bin.

    Attributes:
        expr: PromQL.
        samples_per_step: values that the server holds in memory for each series and step.
    """

    expr: str
    samples_per_step: int


def quoted(value: str) -> str:
    r"""Return ``value`` as a PromQL string, whatever is in it.

    >>> print(quoted('a"} or vector(1) #'))
    "a\"} or vector(1) #"
    """
    clean = value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    return f'"{clean.translate(_ESCAPES)}"'


def one_of(label: str, values: Iterable[str]) -> str:
    """Return a matcher of exactly these values.

    >>> one_of("pod", ["a.b"]), one_of("pod", ["b", "a"])
    ('pod="a.b"', 'pod=~"a|b"')
    """
    if not _LABEL_NAME.match(label):
        raise SettingsError(
            f"{label!r} is no label name", fix="Use letters, digits and underscores"
        )
    ordered = sorted(set(values))
    if len(ordered) == 1:
        return f"{label}={quoted(ordered[0])}"
    alternatives = "|".join(_META.sub(r"\\\1", value) for value in ordered)
    return f"{label}=~{quoted(alternatives)}"


def both(*matchers: str) -> str:
    """Join label matchers, leaving out empty ones."""
    return ",".join(matcher for matcher in matchers if matcher)


def templates(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the template of each KPI, in the catalogue's order.

    Args:
        changes: own templates by KPI name; an empty one switches the KPI off.

    Raises:
        SettingsError: an unknown KPI or placeholder, or a template that cannot be narrowed to a
            batch of pods.
    """
    chosen = {kpi.name: kpi.promql for kpi in CATALOGUE}
    for name, text in (changes or {}).items():
        if name not in chosen:
            raise SettingsError(
                f"there is no KPI {name!r} to query", fix=f"Use one of {', '.join(chosen)}"
            )
        _check_template(name, text)
        chosen[name] = text
    return {name: text for name, text in chosen.items() if text.strip()}


def range_query(
    template: str, statistic: Statistic, bin_s: int, cadence: Cadence, matchers: str = ""
) -> RangeQuery:
    """Return the query for one statistic of one KPI in bins of ``bin_s`` seconds.

    Args:
        template: see the module.
        statistic: ``peak``, ``mean``, or ``std``: that of the bin's five-minute means.
        bin_s: 300 or 3600; the query is to be evaluated at multiples of it.
        cadence: how finely peaks are looked for.
        matchers: the batch's own label matchers, without braces.
    """
    gauge, rate = "$over" in template, "$window" in template
    if statistic == "std":
        window_s, fold = BIN_S, _Fold("stddev", bin_s, BIN_S, BIN_S)
    elif gauge:
        window_s, fold = bin_s, None
    elif not rate:
        over = "max" if statistic == "peak" else "avg"
        window_s, fold = 0, _Fold(over, bin_s, cadence.step_s, cadence.step_s)
    elif statistic == "mean":
        window_s, fold = max(bin_s, cadence.window_s), None
    else:
        window_s = cadence.window_s
        fold = _Fold("max", bin_s, window_s, cadence.step_s) if window_s < bin_s else None
    places = {
        "containers": both(CONTAINERS, matchers),
        "pods": both(PODS, matchers),
        "window": f"{window_s * 1000 + (-1 if gauge else 1)}ms",
        "over": "max_over_time" if statistic == "peak" else "avg_over_time",
        "fold": "",
        "steps": "",
    }
    if fold is None:
        return RangeQuery(Template(template).substitute(places), 1)
    if "$fold" in template:
        places |= {"fold": fold.function, "steps": fold.steps}
        return RangeQuery(Template(template).substitute(places), fold.count)
    whole = Template(template).substitute(places)
    return RangeQuery(f"{fold.function}(({whole}){fold.steps})", fold.count)


@dataclass(frozen=True, slots=True)
class _Fold:
    """Steps of an expression that reads ``reads_s`` back, all of them wholly inside a bin."""

    name: str
    bin_s: int
    reads_s: int
    step_s: int

    @property
    def function(self) -> str:
        return f"{self.name}_over_time"

    @property
    def steps(self) -> str:
        return f"[{self.bin_s - self.reads_s + 1}s:{self.step_s}s]"

    @property
    def count(self) -> int:
        return (self.bin_s - self.reads_s) // self.step_s + 1


def _check_template(name: str, text: str) -> None:
    if not text.strip():
        return
    template = Template(text)
    unknown = set(template.get_identifiers()) - PLACEHOLDERS
    if unknown or not template.is_valid():
        raise SettingsError(
            f"the query of {name} has a placeholder that nothing stands for",
            fix=f"Use ${', $'.join(sorted(PLACEHOLDERS))}; write $$ for a dollar sign",
        )
    if not {"containers", "pods"} & set(template.get_identifiers()):
        raise SettingsError(
            f"the query of {name} has neither $containers nor $pods",
            fix="Put one between the braces of its selector, so that it can be asked in batches",
        )
    if ("fold" in template.get_identifiers()) != ("steps" in template.get_identifiers()):
        raise SettingsError(
            f"the query of {name} has one of $fold and $steps without the other",
            fix="Write $fold(expression$steps)",
        )
    if "over" in template.get_identifiers() and "window" not in template.get_identifiers():
        raise SettingsError(
            f"the query of {name} has $over without $window",
            fix="Write $over(metric{...}[$window])",
        )
