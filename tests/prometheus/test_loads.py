"""First loads in portions, then only what is new."""

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from recommender.errors import SourceRefused
from recommender.kpis import KPIS
from recommender.settings import PrometheusSettings
from recommender.telemetry.prometheus import PrometheusSource
from recommender.telemetry.prometheus.faults import OutOfTime, ServerFault

pytestmark = pytest.mark.prometheus

MEMORY, CPU = KPIS.index("memory"), KPIS.index("cpu")
HOUR, DAY = 3600, 86400
T0 = 1_700_000_400 // DAY * DAY
LONG = T0 + 40 * DAY


def long_values(ends):
    return 1e6 + (np.asarray(ends) - T0) // 300


@pytest.fixture(scope="module")
def server(launch, new_cluster):
    cluster = new_cluster()
    times = np.arange(T0 + 300, LONG + 1, 300)
    cluster.container(("long", "p", "app"), times, memory=long_values(times))
    cluster.owner(("Pod", "long", "p"), ("", ""), times[::10])
    times = np.arange(LONG, LONG + 3 * HOUR + 1, 30)
    for pod in range(6):
        cluster.container(
            (f"ns-{pod % 2}", f"web-{pod}", "app"),
            times,
            np.full(len(times), 0.1 * (pod + 1)),
            np.full(len(times), 1e8),
        )
        cluster.owner(("Pod", f"ns-{pod % 2}", f"web-{pod}"), ("StatefulSet", "web"), times[::10])
    return launch(cluster.lines)


def recording(source):
    """Let the real session's adapter note what goes over the wire."""
    asked = []
    send = source.client.adapter.send

    def noting(request, *args, **kwargs):
        parts = urlsplit(request.url)
        fields = parse_qs(parts.query or (request.body or ""))
        if parts.path.endswith("query_range"):
            asked.append(
                (*(int(fields[name][0]) for name in ("start", "end", "step")), fields["query"][0])
            )
        return send(request, *args, **kwargs)

    source.client.adapter.send = noting
    return asked


def settings(server, **more):
    return PrometheusSettings(url=server.url, **({"requests_per_s": 500} | more))


def test_more_than_eleven_thousand_points(server):
    ends = np.arange(T0 + 300, LONG + 1, 300)
    assert len(ends) > 11_000
    with PrometheusSource(settings(server), namespaces=["long"], recent_s=40 * DAY) as source:
        with pytest.raises(SourceRefused, match="11,000"):
            source.client.matrix("vector(1)", int(ends[0]), int(ends[-1]), 300)
        asked = recording(source)
        (block,) = source.blocks(T0, LONG)
        assert max((end - start) // step + 1 for start, end, step, _ in asked) <= 10_000
    assert block.peak.shape[2] == len(ends)
    np.testing.assert_array_equal(block.peak[0, MEMORY], long_values(ends).astype(np.float32))
    np.testing.assert_array_equal(block.mean[0, MEMORY], long_values(ends).astype(np.float32))


def test_points_per_query_are_a_setting(server):
    with PrometheusSource(settings(server, max_points=100), namespaces=["long"]) as source:
        asked = recording(source)
        fine, hourly = source.blocks(LONG - 15 * DAY, LONG)
        assert max((end - start) // step + 1 for start, end, step, _ in asked) <= 100
    assert np.isfinite(fine.peak[0, MEMORY]).all()
    assert hourly.peak.shape[2] == 14 * 24
    hour_ends = hourly.first_end_s + HOUR * np.arange(14 * 24)
    np.testing.assert_array_equal(hourly.peak[0, MEMORY], long_values(hour_ends).astype(np.float32))
    np.testing.assert_allclose(hourly.std[0, MEMORY], np.arange(12).std(), atol=0.1)


def test_a_delta_asks_only_for_what_is_new_and_two_bins_more(server):
    start, first, then = LONG, LONG + HOUR, LONG + HOUR + 600
    with PrometheusSource(settings(server)) as source:
        whole = list(source.blocks(start, first))
        assert source.last_end_s == first
        asked = recording(source)
        (block,) = source.delta(then + 90)
        assert {(begin, end, step) for begin, end, step, _ in asked} == {(first - 300, then, 300)}
        assert len(asked) == 2 * len(KPIS)
        assert source.last_end_s == then
        assert block.first_end_s == first - 300
        assert block.peak.shape[2] == 4
        assert len(block.keys) == 2
        asked.clear()
        assert list(source.delta(then + 200)) == []
        assert asked == []
    by_key = {key: one.peak[row, CPU, -2:] for one in whole for row, key in enumerate(one.keys)}
    for row, key in enumerate(block.keys):
        np.testing.assert_allclose(block.peak[row, CPU, :2], by_key[key], rtol=1e-5)
        assert np.isfinite(block.peak[row, CPU]).all()


def test_a_kpi_that_failed_is_asked_for_again_from_where_it_stopped(server, monkeypatch):
    with PrometheusSource(settings(server)) as source:
        list(source.blocks(LONG, LONG + HOUR))
        matrix = source.client.matrix

        def without_memory(query, *args):
            if "working_set" in query:
                raise ServerFault("the store of that metric is away")
            return matrix(query, *args)

        monkeypatch.setattr(source.client, "matrix", without_memory)
        (block,) = source.delta(LONG + HOUR + 300 + 90)
        assert source.report.kpis["memory"].state == "failed"
        assert source.report.kpis["cpu"].state == "ok"
        assert np.isnan(block.peak[:, MEMORY]).all()
        assert np.isfinite(block.peak[:, CPU]).all()
        assert source.last_end_s == LONG + HOUR
        monkeypatch.undo()
        asked = recording(source)
        (block,) = source.delta(LONG + HOUR + 600 + 90)
        begins = {query.count("working_set"): begin for begin, _, _, query in asked}
        assert begins == {1: LONG + HOUR - 300, 0: LONG + HOUR}
        assert np.isfinite(block.peak[:, MEMORY]).all()
        assert source.report.kpis["memory"].state == "ok"


def test_without_an_earlier_load_a_delta_is_a_first_load(server):
    with PrometheusSource(settings(server)) as source:
        blocks = list(source.delta(LONG + HOUR + 90))
        assert {block.step_s for block in blocks} == {300, 3600}
        assert source.last_end_s == LONG + HOUR


def test_a_server_that_stays_away_ends_the_pass(server, monkeypatch):
    with PrometheusSource(settings(server)) as source:
        list(source.blocks(LONG, LONG + HOUR))

        def away(*_):
            raise ServerFault("gone")

        monkeypatch.setattr(source.client, "matrix", away)
        with pytest.raises(ServerFault, match="gone"):
            list(source.delta(LONG + HOUR + 900))
        assert source.last_end_s == LONG + HOUR
        monkeypatch.undo()
        (block,) = source.delta(LONG + HOUR + 900)
        assert np.isfinite(block.peak[:, CPU]).all()


def test_nothing_there(launch, cluster):
    with PrometheusSource(settings(launch(cluster.lines))) as source:
        assert list(source.blocks(LONG, LONG + HOUR)) == []
        assert set(source.report.degraded) == set(KPIS)
        assert source.report.scrape_interval_s is None


def test_a_question_too_large_for_the_server_is_asked_in_parts(launch, new_cluster):
    cluster = new_cluster()
    times = np.arange(LONG, LONG + HOUR + 1, 30)
    for pod in range(8):
        cluster.container(
            ("ns", f"p-{pod}", "app"), times, np.full(len(times), 0.5), np.full(len(times), 1e8)
        )
        cluster.owner(("Pod", "ns", f"p-{pod}"), ("", ""), times)
    small = launch(cluster.lines, "--query.max-samples=300")
    with PrometheusSource(settings(small)) as source:
        (block,) = source.blocks(LONG, LONG + HOUR)
        assert source.report.halved > 0
    assert len(block.keys) == 8
    assert block.peak[:, CPU] == pytest.approx(0.5, rel=1e-5)


def test_a_question_that_takes_too_long_is_asked_in_parts(server, monkeypatch):
    with PrometheusSource(settings(server)) as source:
        matrix = source.client.matrix

        def slow(query, start, end, step):
            if "working_set" in query and end - start > 1200:
                raise OutOfTime("30 s were not enough")
            return matrix(query, start, end, step)

        monkeypatch.setattr(source.client, "matrix", slow)
        (block,) = source.blocks(LONG, LONG + HOUR)
        assert source.report.halved > 0
        assert source.report.kpis["memory"].state == "ok"
        assert np.isfinite(block.peak[:, MEMORY, 1:]).all()


def test_a_server_that_hangs_is_not_asked_for_ever(server, monkeypatch):
    with PrometheusSource(settings(server)) as source:
        asked = []

        def hanging(*question):
            asked.append(question)
            raise OutOfTime("nothing in 30 s")

        monkeypatch.setattr(source.client, "matrix", hanging)
        with pytest.raises(OutOfTime):
            list(source.blocks(LONG, LONG + HOUR))
        assert len(asked) < 20


def test_window_and_step_are_those_of_the_settings_where_given(server):
    for given, window, step in (({}, 60, 30), ({"rate_window_s": 120}, 120, 60),
                                ({"rate_window_s": 90, "step_s": 10}, 90, 10)):  # fmt: skip
        with PrometheusSource(settings(server, **given)) as source:
            asked = recording(source)
            list(source.blocks(LONG, LONG + HOUR))
            assert source.report.window_s == window
            query = next(one[3] for one in asked if "max_over_time(rate(container_cpu_us" in one[3])
            assert f"[{window}001ms])[{300 - window + 1}s:{step}s]" in query
