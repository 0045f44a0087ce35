"""The cold-start table: every method on entities whose history was taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recommender.forecast.baselines import Baseline, UsageMatrix
from recommender.telemetry.window import HOUR_S, WindowBatch
from trainer.arena.cold_start import (
    HISTORIES_S,
    HOLD,
    ColdStarts,
    cold_starts,
    forecaster_predictor,
    quantiles,
    rule_requests,
    trees_predictor,
)
from trainer.arena.fleet import Fleet
from trainer.arena.judging import COLD, LEAST, Judged, judged
from trainer.arena.least import least_sweep
from trainer.arena.lineup import OURS, Lineup, Progress
from trainer.arena.methods import Kind, knob_names, level_requests, priced_requests
from trainer.arena.shelf import Shelf
from trainer.arena.sweep import FLOORS

FloatArray = NDArray[np.float32]
CPU = "cpu"


@dataclass(frozen=True, slots=True)
class _Learned:
    """Quantiles that one or more methods are made of.

    Attributes:
        predict: from windows to log quantiles of the coming hour's peak.
        methods: name, kind and whether the product's own rule chooses.
    """

    predict: Callable[[WindowBatch], FloatArray]
    methods: tuple[tuple[str, Kind, bool], ...]


def judge_cold(lineup: Lineup, fleet: Fleet, shelf: Shelf, progress: Progress) -> list[Judged]:
    """Judge hourly CPU requests with 15 minutes, 1, 6 and 24 hours of history.

    Args:
        lineup: who takes part.
        fleet: whose entities start anew.
        shelf: where judgements of rules are kept.
        progress: called with what is being done, steps done and steps in all.
    """
    starts = cold_starts(fleet, CPU)
    rules, learned = lineup.rules(CPU), _learned(lineup)
    steps, done = len(HISTORIES_S) * (len(rules) + len(learned)), 0
    found: list[Judged | None] = []
    for history in HISTORIES_S:
        matrix = starts.matrix(history)
        table = _Table(fleet, starts, starts.judged(matrix), history_name(history))
        for baseline in rules:
            progress(f"{fleet.name}: cold start", done, steps)
            judging = partial(table.judge_rule, baseline, matrix)
            found.append(shelf.take(repr(baseline), COLD, table.history, judging))
            done += 1
        if lineup.wants(LEAST):
            found.append(table.judge_least())
        for each in learned:
            progress(f"{fleet.name}: cold start", done, steps)
            logs = quantiles(starts, history, each.predict)
            for name, kind, priced in each.methods:
                requests = priced_requests(logs, CPU) if priced else level_requests(logs)
                found.append(table.judge(name, kind, knob_names(priced=priced), requests))
            done += 1
    progress(f"{fleet.name}: cold start", steps, steps)
    return [each for each in found if each is not None]


def history_name(history_s: int) -> str:
    """Return how the tables call a length of history."""
    return f"{history_s // HOUR_S}h" if history_s >= HOUR_S else f"{history_s // 60}m"


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the requests of one length of history are judged."""

    fleet: Fleet
    starts: ColdStarts
    peak: FloatArray
    history: str

    def judge(
        self, name: str, kind: Kind, labels: tuple[str, ...], requests: FloatArray
    ) -> Judged | None:
        """Judge requests ``[K, E, S]``."""
        part = self.starts.sweep(requests, self.peak, labels, FLOORS[CPU])
        return judged(COLD, self.history, name, kind, self.fleet, [part])

    def judge_least(self) -> Judged | None:
        """Judge the least that anybody could reserve."""
        part = least_sweep(self.peak, HOLD, FLOORS[CPU])
        return judged(COLD, self.history, LEAST, "bound", self.fleet, [part])

    def judge_rule(self, baseline: Baseline, matrix: UsageMatrix) -> Judged | None:
        """Judge a baseline on what is left of the history."""
        labels = tuple(f"{knob:g}" for knob in baseline.knobs)
        kind: Kind = "rule" if baseline.causal else "oracle"
        requests = rule_requests(self.starts, baseline, matrix)
        return self.judge(baseline.name, kind, labels, requests)


def _learned(lineup: Lineup) -> list[_Learned]:
    found = []
    trees = lineup.trees
    if trees is not None and (CPU, HOUR_S) in {which[:2] for which in trees.boosters}:
        methods: tuple[tuple[str, Kind, bool], ...] = (
            ("lightgbm", "learned", False),
            ("lightgbm_sized", "learned", True),
        )
        found.append(_Learned(trees_predictor(trees, CPU), _taking_part(lineup, methods)))
    if lineup.ours is not None:
        methods = ((OURS, "ours", True), ("peakcast_one_level", "ours", False))
        predict = forecaster_predictor(lineup.ours.bundle, CPU)
        found.append(_Learned(predict, _taking_part(lineup, methods)))
    for contender in lineup.ablations:
        own: tuple[tuple[str, Kind, bool], ...] = ((contender.name, "ablation", True),)
        predict = forecaster_predictor(contender.bundle, CPU)
        found.append(_Learned(predict, _taking_part(lineup, own)))
    return [each for each in found if each.methods]


def _taking_part(
    lineup: Lineup, methods: tuple[tuple[str, Kind, bool], ...]
) -> tuple[tuple[str, Kind, bool], ...]:
    return tuple(method for method in methods if lineup.wants(method[0]))
