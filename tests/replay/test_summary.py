import numpy as np
import pytest

from peakcast.cli import run
from peakcast.tally import Tally
from recommender.telemetry.recorded import RecordedHistory

from .conftest import shop


def test_summary(tmp_path, write, bundle, capsys):
    path = write(**shop(entities=2, days=0.5))
    out = tmp_path / "replay.parquet"
    assert run(["replay", "--traces", str(path), "--out", str(out), "--bundle", str(bundle)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"wrote {out}" in told
    for fact in ("entities 2", "decisions 12, every 1h", "rows 480", "seconds"):
        assert fact in told
    assert "five-minute windows above the target in force" in told


def test_tally_counts_what_is_served_until_the_next_decision():
    usage = np.array([[[1, 2, 3, np.nan, 5, 6]], [[1, 1, 1, 1, 1, 1]]], np.float32)
    history = RecordedHistory(
        source="made-up",
        entities=("a", "b"),
        groups=("a", "b"),
        first_end_s=300,
        kpis=("cpu",),
        peak=usage,
        mean=usage / 2,
    )
    tally = Tally(history, "cpu")
    tally.set(600, np.array([0]), np.array([2.5], np.float32))  # serves 3 and the gap
    tally.set(1200, np.array([0, 1]), np.array([5.0, 2.0], np.float32))  # serves 5, 6 and 1, 1
    outcome = tally.outcome()
    assert outcome.windows == 5
    assert outcome.violated == 2
    assert outcome.reserved == pytest.approx(2.5 + 5 + 5 + 2 + 2)
    assert outcome.used == pytest.approx(3 + 5 + 6 + 1 + 1)
    assert tally.outcome() == outcome
    assert outcome.violated_share == pytest.approx(0.4)


def test_tally_of_a_resource_that_was_not_recorded():
    empty = np.ones((1, 1, 3), np.float32)
    history = RecordedHistory("s", ("a",), ("a",), 300, ("cpu",), empty, empty)
    tally = Tally(history, "memory")
    tally.set(300, np.array([0]), np.array([1.0], np.float32))
    assert tally.outcome().windows == 0
    assert np.isnan(tally.outcome().violated_share)


def test_hindsight_gives_a_rule_the_same_risk():
    peak = np.array([[[9, 1, 2, 3, 4]]], np.float32)
    history = RecordedHistory("s", ("a",), ("a",), 300, ("cpu",), peak, peak / 2)
    tally = Tally(history, "cpu", ratios=True)
    tally.set(300, np.array([0]), np.array([2.0], np.float32))
    outcome = tally.outcome()
    assert outcome.violated == 2
    assert outcome.reserved_per_used == pytest.approx(0.8)
    stretched = [outcome.stretched_to(violated) for violated in (0, 1, 2, 9)]
    assert stretched == pytest.approx([1.6, 1.2, 0.8, 0.4])
    assert np.isnan(Tally(history, "cpu").outcome().stretched_to(0))
