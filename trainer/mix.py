"""How much of each known source is learned from, and under which licence."""

from __future__ import annotations

from typing import Final

SAMPLES: Final[dict[str, int]] = {
    "azure_v1": 180_000,
    "bitbrains_rnd": 240_000,
    "bitbrains_fast": 200_000,
    "operatefirst": 90_000,
    "smd": 40_000,
    "nezha_lab": 10_000,
}
"""Windows drawn from each known source: more from those with more to tell."""

SAMPLES_ELSEWHERE: Final = 100_000

_BITBRAINS: Final = (
    "Grid Workloads Archive GWA-T-12, research use with citation (Shen et al., CCGrid 2015)"
)
LICENCES: Final[dict[str, str]] = {
    "azure_v1": "CC-BY 4.0, Azure Public Dataset V1",
    "bitbrains_rnd": _BITBRAINS,
    "bitbrains_fast": _BITBRAINS,
    "operatefirst": "MIT, Operate First",
    "smd": "MIT, Server Machine Dataset",
    "nezha_lab": "MIT, Nezha",
}
