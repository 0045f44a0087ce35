"""What a source has to say about itself: which KPIs it has, and what it could not use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

KpiState = Literal["unknown", "ok", "missing", "failed", "off"]


@dataclass(frozen=True, slots=True)
class KpiHealth:
    """How a KPI fared when it was last asked for.

    Attributes:
        state: ``missing`` where nothing came back, ``failed`` where the server refused at least
            one of the questions; what came back is used.
        detail: why it failed.
    """

    state: KpiState = "unknown"
    detail: str = ""


@dataclass
class SourceReport:
    """A telemetry source's last pass. Counts are of that pass.

    Attributes:
        kpis: by name, in the catalogue's order.
        skew_s: how far the server's clock is ahead of ours.
        scrape_interval_s: as seen in the data; None where nothing was found.
        window_s: range of the rates that peaks are made of.
        warnings: the server's own, with how often each came, since the source was made.
        owned_pods: pods whose owner is known.
        orphans: pods with usage but without a known owner, left out while others have one.
        unlabelled: series without namespace, pod or container, or with impossible ones.
        halved: questions that were too large for the server and were asked again in parts.
        owners_missing: nothing is known of any owner: each pod is a workload of its own.
    """

    kpis: dict[str, KpiHealth] = field(default_factory=dict)
    skew_s: float = 0.0
    scrape_interval_s: float | None = None
    window_s: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    owned_pods: int = 0
    orphans: int = 0
    unlabelled: int = 0
    halved: int = 0
    owners_missing: bool = False

    @property
    def degraded(self) -> tuple[str, ...]:
        """KPIs that are missing or failed."""
        return tuple(
            name for name, health in self.kpis.items() if health.state in ("missing", "failed")
        )

    def sentences(self) -> list[str]:
        """Say what is wrong, one line each, worst first; empty where all is well."""
        lines = []
        if self.owners_missing:
            lines.append(
                "No owners of pods: kube-state-metrics is not scraped (kube_pod_owner has no "
                "series), so each pod counts as a workload of its own and forgets its past."
            )
        for name, health in self.kpis.items():
            if health.state == "failed":
                lines.append(f"{name}: {health.detail}")
        missing = [name for name, health in self.kpis.items() if health.state == "missing"]
        if missing:
            lines.append(f"Without data, forecasts go on without them: {', '.join(missing)}.")
        if abs(self.skew_s) > 30:
            where = "ahead of" if self.skew_s > 0 else "behind"
            lines.append(
                f"Prometheus's clock is {abs(self.skew_s):.0f} s {where} ours; its time is used."
            )
        if self.orphans:
            lines.append(f"{self.orphans} pods have usage but no known owner; they are left out.")
        if self.unlabelled:
            lines.append(f"{self.unlabelled} series lack namespace, pod or container.")
        lines += [f"Prometheus warns: {text} ({n}x)" for text, n in self.warnings.items()]
        return lines
