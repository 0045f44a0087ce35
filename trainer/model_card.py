"""The model card: what a bundle was made from, how good it is, and where not to trust it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from recommender.bundle.manifest import DataSource, Manifest

_USE = """\
Quantiles of the peak that a container's CPU, memory and network usage reaches over the next 5
minutes to 24 hours, its expected usage in each of the next 24 hours, and a fingerprint of how the
workload behaves. Made for sizing requests of Kubernetes workloads; a figure is a quantile and is
exceeded as often as its level says."""


def render_card(manifest: Manifest, limits: Iterable[str] = ()) -> str:
    """Return ``CARD.md`` of a bundle.

    Args:
        manifest: what the bundle says of itself.
        limits: further sentences on what not to expect of it.
    """
    sections = [
        f"# Model bundle {manifest.id}",
        _origin(manifest),
        "## What it is for",
        _USE,
        "## What it is",
        _network(manifest),
        "## Data",
        _data(manifest),
        "## Results",
        _table(("figure", "value"), ((name, f"{value:.4g}") for name, value in _results(manifest))),
        "## Limits",
        "\n".join(f"- {limit}" for limit in (*_limits(manifest), *limits)),
        "## Settings of the training",
        _table(("setting", "value"), sorted(manifest.settings.items())),
    ]
    return "\n\n".join(sections) + "\n"


def _origin(manifest: Manifest) -> str:
    return (
        f"Made {_day(manifest.created_at_s)} by revision `{manifest.code_revision}`, seed "
        f"{manifest.seed}, format {manifest.format_version}."
    )


def _network(manifest: Manifest) -> str:
    schema = manifest.schema
    horizons = ", ".join(_span(horizon) for horizon in schema.horizons_s)
    groups = len(manifest.calibration.centres)
    return (
        f"A network of {manifest.parameters:,} parameters, and {groups} "
        f"{'group' if groups == 1 else 'groups'} of calibration offsets. It reads "
        f"{len(schema.features)} features and the windows of {', '.join(schema.kpis)}, and "
        f"forecasts {', '.join(schema.resources)} over {horizons} at the levels "
        f"{', '.join(map(str, schema.levels))}. Digest of its schema: `{schema.digest()[:12]}`."
    )


def _data(manifest: Manifest) -> str:
    if not manifest.data:
        return "None: the weights are as they were drawn."
    rows = ((*_source(source), _window(manifest, source)) for source in manifest.data)
    heads = ("source", "licence", "entities", "windows drawn", "seen from", "SHA-256 of the file")
    return _table(heads, ((*row[:4], row[5], row[4]) for row in rows))


def _source(source: DataSource) -> tuple[str, str, str, str, str]:
    return (
        source.name,
        source.licence,
        f"{source.entities:,}",
        f"{source.samples:,}",
        f"`{source.sha256[:16]}`",
    )


def _window(manifest: Manifest, source: DataSource) -> str:
    if source.name not in manifest.training_window_s:
        return ""
    first, last = manifest.training_window_s[source.name]
    return f"{_day(first)} to {_day(last)}"


def _results(manifest: Manifest) -> list[tuple[str, float]]:
    return sorted(manifest.results.items())


def _limits(manifest: Manifest) -> Iterable[str]:
    yield "Learned from recorded usage under the limits of the day: a flat top may be a limit."
    yield "Without history it has only what workloads like this one do; the first day is a guess."
    yield "Nothing announces a launch or an incident to it: it forecasts what recurs."
    if not manifest.results:
        yield "Not evaluated: no figure stands behind it."
    if not any(any(counts) for counts in manifest.calibration.counts):
        yield "Not calibrated on held-out workloads: coverage rests on each workload's own tracker."


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(row) for row in rows]
    if not lines:
        return "None."
    return "\n".join(
        (f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {line} |" for line in lines))
    )


def _span(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"


def _day(moment_s: int) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d")
