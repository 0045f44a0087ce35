import numpy as np
import pytest

from recommender.fingerprint.features import MODEL_KPIS
from recommender.kpis import KPIS
from recommender.telemetry import codes
from trainer.arena.retrieval import Draws, correlations, score
from trainer.arena.shapes import DEPENDENCIES, SHAPES, draw_shapes


@pytest.fixture(scope="module")
def drawn():
    return draw_shapes(SHAPES, 12, 7)


def of(drawn, name):
    return drawn.batch.take(np.flatnonzero(drawn.label == drawn.names.index(name)))


def series(batch, kpi):
    return codes.decode(batch.recent[:, KPIS.index(kpi), 1])


def test_one_seed_gives_one_draw_and_another_seed_another(drawn):
    again = draw_shapes(SHAPES[:2], 12, 7)
    assert np.array_equal(again.batch.recent, drawn.batch.recent[:24])
    other = draw_shapes(SHAPES[:2], 12, 8)
    assert not np.array_equal(other.batch.recent, again.batch.recent)


def test_every_workload_has_every_model_kpi_and_nothing_else(drawn):
    seen = (drawn.batch.recent != codes.MISSING).all(axis=(2, 3))
    there = np.array([kpi in MODEL_KPIS for kpi in KPIS])
    assert (seen == there).all()


def test_hidden_kpis_are_gone_and_a_shape_keeps_the_ones_it_shows_in():
    lacking = draw_shapes(SHAPES, 12, 7, hidden=("memory",), missing=0.5)
    gone = (lacking.batch.recent == codes.MISSING).all(axis=(2, 3))
    assert gone[:, KPIS.index("memory")].all()
    for place, shape in enumerate(SHAPES):
        mine = gone[lacking.label == place]
        shown = [KPIS.index(kpi) for kpi in shape.kpis if kpi != "memory"]
        assert not mine[:, shown].any()
    assert gone.mean(axis=0)[KPIS.index("disk_read")] > 0.3


def test_shapes_do_what_they_say(drawn):
    flat, idle = series(of(drawn, "flat"), "cpu"), series(of(drawn, "noisy_idle"), "cpu")
    assert (flat.std(axis=1) / flat.mean(axis=1)).max() < 0.2
    assert (idle.std(axis=1) / idle.mean(axis=1)).min() > 0.5
    hourly = series(of(drawn, "hourly_burst"), "cpu").reshape(12, 24, 12)
    typical = np.median(hourly, axis=1)  # the burst is at the same minutes of each hour
    assert (typical.max(axis=1) > 2 * np.median(typical, axis=1)).all()
    assert ((typical > 2 * np.median(typical, axis=1)[:, None]).sum(axis=1) <= 2).all()
    hours = codes.decode(of(drawn, "ramp").hourly[:, KPIS.index("cpu"), 1])
    assert (hours[:, -24:].mean(axis=1) > 2 * hours[:, :24].mean(axis=1)).all()


def test_dependent_loads_differ_in_nothing_but_the_dependency():
    drawn = draw_shapes(DEPENDENCIES, 40, 5)
    spread = {}
    for name in drawn.names:
        batch = of(drawn, name)
        for kpi in ("cpu", "memory", "net_rx"):
            spread[name, kpi] = np.log(series(batch, kpi)).std(axis=1)
    for kpi in ("cpu", "memory", "net_rx"):
        means = [spread[name, kpi].mean() for name in drawn.names]
        assert max(means) < 1.3 * min(means)  # four means of 40, each with its own strength
    together = correlations(drawn.batch)
    cpu_net = together[:, MODEL_KPIS.index("net_rx") - 1]
    cpu_memory = together[:, MODEL_KPIS.index("memory") - 1]

    def mean(values, name):
        return values[drawn.label == drawn.names.index(name)].mean()

    assert mean(cpu_net, "cpu_follows_net") > 0.9
    assert mean(cpu_net, "cpu_against_net") < -0.9
    assert mean(cpu_memory, "cpu_with_memory") > 0.9
    assert abs(mean(cpu_net, "unrelated_loads")) < 0.15


def test_scores_know_the_right_answer_from_chance():
    drawn = Draws(draw_shapes(SHAPES, 10, 1), draw_shapes(SHAPES, 10, 2))
    told = np.eye(len(SHAPES), dtype=np.float32)
    right = score("labels", "", told[drawn.known.label], told[drawn.asked.label], drawn)
    assert right.precision_1 == right.precision_5 == right.linear == 1
    assert all(pair.nearest == pair.linear == 1 for pair in right.pairs)
    noise = np.random.default_rng(1).normal(size=(2, len(drawn.known.label), 64))
    blind = score("noise", "", *noise.astype(np.float32), drawn)
    assert blind.precision_5 < 3 / len(SHAPES)
    assert all(pair.nearest <= pair.beyond_chance for pair in blind.pairs)
    assert np.allclose(np.sum(blind.confusion, axis=1), 1)
