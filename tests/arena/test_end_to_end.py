"""The whole arena, from a Parquet file to what is published."""

import re
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from peakcast.cli import run
from recommender.bundle import load_bundle
from recommender.errors import SettingsError
from recommender.fingerprint.schema import SCHEMA
from recommender.forecast.baselines import baselines
from trainer.arena.actuation import CADENCES, HOURLY, apply
from trainer.arena.judging import COLD, FRONTIER, MEMORY
from trainer.arena.lightgbm_training import Recipe
from trainer.arena.lineup import OWN, contender, known_names
from trainer.arena.markdown import to_markdown
from trainer.arena.methods import Rule
from trainer.arena.page import to_page
from trainer.arena.plots import write_plots
from trainer.arena.results import merge, read_json, to_csv, to_json
from trainer.arena.run import Plan, run_arena
from trainer.arena.sweep import TOLERANCE, sweep

TINY = Recipe(windows=1000, trees=3, leaves=5, least_in_leaf=20)


@pytest.fixture(scope="module")
def plan(traces, bundle, tmp_path_factory):
    model = load_bundle(bundle, SCHEMA)
    return Plan(
        traces,
        tmp_path_factory.mktemp("cache"),
        recipe=TINY,
        ours=contender("peakcast", model),
        ablations=(contender("no_fingerprint", model),),
    )


@pytest.fixture(scope="module")
def results(plan):
    return run_arena(plan)


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "results.json"
    path.write_text(to_json(results), encoding="utf-8")
    return path


def test_every_method_is_in_the_hourly_table(results):
    shown = {row.method for row in results.select(FRONTIER, "shop", "active", "1h")}
    assert shown == {*known_names(), "no_fingerprint"}


def test_every_cadence_and_length_of_history_is_there(results):
    cadences = {row.cadence for row in results.select(FRONTIER, "shop")}
    assert cadences == {cadence.name for cadence in CADENCES}
    assert {row.cadence for row in results.select(COLD, "shop")} == {
        "15m",
        "1h",
        "6h",
        "24h",
    }
    ours = {row.cadence for row in results.select(FRONTIER) if row.method == "peakcast"}
    assert ours == cadences
    assert {row.method for row in results.select(MEMORY)} >= {"vpa", "peakcast", "lightgbm"}


def test_what_knows_the_future_is_never_beaten(results):
    for table in (FRONTIER, COLD):
        rows = results.select(table)
        bound = {(row.population, row.cadence): row for row in rows if row.kind == "bound"}
        for row in rows:
            # A budget's decisions may fall anywhere: no bound is known for them.
            if row.cadence.endswith("/day"):
                continue
            least = bound[row.population, row.cadence]
            for mine, best in zip(row.ratio, least.ratio, strict=True):
                assert mine is None or mine >= best * (1 - TOLERANCE), (row.method, row.cadence)


def test_without_violations_the_oracle_is_never_beaten(fleet):
    peak = fleet.served_peak("cpu", 12)
    found = {}
    for baseline in baselines("cpu"):
        wanted = next(Rule(baseline).wanted(fleet, "cpu", HOURLY))
        applied = apply(fleet, HOURLY, wanted.need, wanted.ahead, wanted.thrift)
        swept = sweep(applied, peak, wanted.labels, 1e-3)
        clean = swept.violated == 0
        found[baseline.name] = np.where(clean, swept.reserved, np.inf).min(axis=(1, 2))
    for least in found.values():
        # Held requests may keep 2 % that are not worth a change, the oracle's too.
        assert (least >= 0.97 * found["oracle"]).all()


def test_the_oracle_closes_the_whole_gap_and_the_vpa_rule_none(results):
    for row in results.select(FRONTIER, cadence="1h"):
        if row.method == "oracle":
            assert row.gap_closed == pytest.approx(1)
        if row.method == "vpa":
            assert row.gap_closed == pytest.approx(0)


def test_intervals_hold_the_figure(results):
    for row in results.select(FRONTIER, population="all", cadence="1h"):
        for value, bounds in zip(row.ratio, row.interval, strict=True):
            if value is None or bounds is None or bounds.high is None:
                continue
            assert bounds.low * 0.9 <= value <= bounds.high * 1.1


def test_comparisons_are_with_who_they_say(results):
    rows = {(row.table, row.population, row.cadence, row.method): row.ratio for row in results.rows}
    places = {rate: place for place, rate in enumerate(results.targets)}
    assert {each.what for each in results.comparisons} == {"vpa", "lightgbm", "best rule", "own 1h"}
    for each in results.comparisons:
        if each.table == MEMORY or each.ratio is None:
            continue
        mine = rows[each.table, each.population, each.cadence, each.method][places[each.rate]]
        cadence = "1h" if each.what == "own 1h" else each.cadence
        theirs = rows[each.table, each.population, cadence, each.against][places[each.rate]]
        assert each.ratio == pytest.approx(mine / theirs)


def test_coverage_is_reported_for_what_forecasts_quantiles(results):
    shown = {(row.method, row.resource) for row in results.coverage}
    assert {("peakcast", "cpu"), ("peakcast", "net_rx"), ("lightgbm_tracker", "memory")} <= shown
    assert all(0 <= share <= 1 for row in results.coverage for share in row.levels)


def test_a_second_run_finds_everything_and_says_the_same(plan, results):
    told = []
    again = run_arena(replace(plan, progress=lambda what, *_: told.append(what)))
    assert to_json(again) == to_json(results)
    assert not [what for what in told if "LightGBM" in what]


def test_nothing_depends_on_the_cache(plan, results, tmp_path):
    fresh = run_arena(
        replace(plan, cache=tmp_path, patterns=("vpa", "oracle", "lightgbm", "peakcast"))
    )
    kept = {(row.table, row.population, row.cadence, row.method): row.ratio for row in results.rows}
    for row in fresh.rows:
        assert row.ratio == kept[row.table, row.population, row.cadence, row.method]


def test_json_reads_back(results, written):
    assert to_json(read_json(written)) == to_json(results)


def test_runs_over_different_sources_are_put_together(results):
    def renamed(name):
        return structs.replace(
            results, sources=tuple(structs.replace(each, name=name) for each in results.sources)
        )

    both = merge([renamed("b"), renamed("a")])
    assert [source.name for source in both.sources] == ["a", "b"]
    assert len(both.rows) == 2 * len(results.rows)
    with pytest.raises(SettingsError, match="the same source"):
        merge([results, results])
    with pytest.raises(SettingsError, match="different bundles"):
        merge([results, structs.replace(renamed("a"), bundle="other")])


def test_csv_has_a_line_per_row_and_rate(results):
    lines = to_csv(results).splitlines()
    count = sum(3 if row.table == MEMORY else 4 for row in results.rows)
    assert len(lines) == count + 1
    assert len({line.count(",") for line in lines if '"' not in line}) == 1


def test_the_page_needs_nothing_else(results):
    page = to_page(results)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']""", page)
    assert "http://www.w3.org/2000/svg" in page
    assert len(re.findall(r"https?://", page)) == 1
    assert "@import" not in page
    assert "%%" not in page
    assert "prefers-color-scheme: dark" in page


def test_the_published_page_names_where_the_forecaster_loses(results):
    page = to_markdown(results)
    assert "## Where the forecaster loses" in page
    # Random weights lose.
    assert re.search(r"it reserves more in\s[1-9]", page)
    for heading in ("## shop", "### CPU, decided hourly", "### Memory", "### Coverage"):
        assert heading in page


def test_plots_are_drawn(results, tmp_path):
    files = write_plots(results, tmp_path)
    assert len(files) == len(CADENCES) + 1
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_the_command_shows_an_earlier_run(written, tmp_path, capsys):
    out, page = tmp_path / "out", tmp_path / "results.md"
    arguments = ["arena", "--from-json", str(written), "--out", str(out)]
    assert run([*arguments, "--results-md", str(page)]) == 0
    shown = capsys.readouterr()
    assert "CPU, decided hourly" in shown.out
    assert "VPA rule (P90)" in shown.out
    assert page.read_text(encoding="utf-8").startswith("# Results")
    assert {path.suffix for path in out.iterdir()} == {".json", ".csv", ".html", ".png"}


def test_the_command_runs_what_it_is_asked_for(traces, bundle, tmp_path, capsys):
    arguments = ["arena", "--traces", str(traces), "--bundle", str(bundle), "-o", "csv"]
    arguments += ["--methods", "vpa,oracle,peakcast", "--cadence", "1h"]
    assert run([*arguments, "--cache", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    methods = {line.split(",")[4] for line in lines[1:]}
    assert methods == {"vpa", "oracle", "peakcast"}
    assert {line.split(",")[3] for line in lines if line.startswith("frontier")} == {"1h"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "no traces were named"),
        (["--traces", "/nowhere"], "no folder of traces"),
        (["--traces", "TRACES", "--source", "other"], "no source 'other'"),
        (["--traces", "TRACES", "--cadence", "2h"], "cadence '2h' is not known"),
        (["--traces", "TRACES", "-o", "yaml"], "output 'yaml' is not known"),
        (["--traces", "TRACES", "--ablation-bundle", "x"], "is not NAME=PATH"),
        (["--from-json", "/nowhere.json"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, says, traces, capsys):
    arguments = [str(traces) if option == "TRACES" else option for option in options]
    assert run(["arena", *arguments]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_methods_can_be_listed(capsys):
    assert run(["arena", "--methods", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*OWN, "vpa", "oracle", "lightgbm"))


def test_a_folder_that_is_empty_is_no_folder_of_traces(tmp_path):
    with pytest.raises(SettingsError, match="no Parquet file"):
        run_arena(Plan(tmp_path, tmp_path))
