"""Prometheus and what speaks its API, as a source of histories."""

from recommender.telemetry.prometheus.blocks import SUMMED_KPIS, ReplicaBlock
from recommender.telemetry.prometheus.client import PrometheusClient
from recommender.telemetry.prometheus.report import KpiHealth, SourceReport
from recommender.telemetry.prometheus.source import PrometheusSource

__all__ = [
    "SUMMED_KPIS",
    "KpiHealth",
    "PrometheusClient",
    "PrometheusSource",
    "ReplicaBlock",
    "SourceReport",
]
