"""What a replay file holds, whatever the history."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.kpis import HORIZONS_S
from recommender.replay import QUANTILE_NAMES, SCHEMA

from .conftest import DAY, START, shop

SIZED = ("cpu", "memory")


def check(rows):
    """Assert what holds of every replay file."""
    quantiles = np.stack([rows[name] for name in QUANTILE_NAMES], axis=-1)
    assert np.isfinite(quantiles).all()
    assert (quantiles >= 0).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all(), "quantiles cross"
    horizons = rows["horizon_s"].reshape(-1, len(HORIZONS_S))
    assert (horizons == HORIZONS_S).all()
    grouped = quantiles.reshape(-1, len(HORIZONS_S), len(QUANTILE_NAMES))
    assert (np.diff(grouped, axis=1) >= 0).all(), "a longer horizon's peak is lower"
    sized = np.isin(rows["resource"], SIZED)
    for name in ("target", "lower", "upper"):
        assert np.isfinite(rows[name][sized]).all()
        assert np.isnan(rows[name][~sized]).all()
        per_decision = rows[name].reshape(-1, len(HORIZONS_S))
        same = (per_decision == per_decision[:, :1]) | np.isnan(per_decision)
        assert same.all(), f"{name} differs between horizons"
    lower, target, upper = (rows[name][sized] for name in ("lower", "target", "upper"))
    assert (lower <= target).all()
    assert (target <= upper).all()
    assert (target > 0).all()
    assert all(rows["reason"])


def test_columns_are_those_of_the_contract(tmp_path, write, replay):
    replay(write(**shop(entities=1, days=0.2)))
    schema = pq.read_schema(tmp_path / "replay.parquet")
    assert schema.names == SCHEMA.names
    assert schema.names == [
        "entity",
        "decision_time_s",
        "resource",
        "horizon_s",
        *("q500", "q800", "q900", "q950", "q980", "q990", "q995"),
        *("target", "lower", "upper", "reason"),
    ]
    assert schema.metadata[b"format_version"] == b"1"


def test_every_row(write, replay):
    rows = replay(write(**shop()))
    check(rows)
    assert set(rows["entity"]) == {"shop-0", "shop-1", "shop-2"}
    assert set(rows["resource"]) == {"cpu", "memory", "net_rx", "net_tx"}
    decisions = np.unique(rows["decision_time_s"])
    assert (decisions % 3600 == 0).all()
    assert decisions[0] == START + 3600
    assert decisions[-1] == START + 2 * DAY
    assert len(rows["entity"]) == 3 * 48 * 4 * 5


@pytest.mark.parametrize(("every", "seconds"), [("5m", 300), ("15m", 900), ("24h", 86400)])
def test_decision_times(write, replay, every, seconds):
    days = 2 if every == "24h" else 0.25
    rows = replay(write(**shop(entities=1, days=days)), every=every)
    check(rows)
    assert (np.unique(rows["decision_time_s"]) % seconds == 0).all()
    assert len(np.unique(rows["decision_time_s"])) == days * DAY / seconds


@pytest.mark.parametrize("step", [10, 30, 60, 300])
def test_any_regular_step_gives_what_its_five_minute_bins_give(write, replay, step):
    fine = shop(entities=2, days=0.5, step=step)
    bins = -(-fine["timestamp"] // 300) * 300
    keys = np.array([f"{e}|{b}" for e, b in zip(fine["entity"], bins, strict=True)])
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    count = np.bincount(which)
    coarse = {"entity": fine["entity"][first], "timestamp": bins[first]}
    for kpi in ("cpu", "memory", "net_rx", "net_tx"):
        coarse[kpi] = np.bincount(which, weights=fine[kpi]) / count
        top = np.zeros(len(count))
        np.maximum.at(top, which, fine[kpi])
        coarse[f"{kpi}_max"] = top
    one = replay(write("fine.parquet", **fine))
    other = replay(write("coarse.parquet", **coarse))
    check(one)
    assert (one["entity"] == other["entity"]).all()
    for name in (*QUANTILE_NAMES, "target", "lower", "upper"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-3)


@pytest.mark.parametrize("kpi", ["cpu", "memory", "net_rx"])
def test_columns_may_be_missing(write, replay, kpi):
    history = shop(entities=2, days=0.3)
    rows = replay(
        write(entity=history["entity"], timestamp=history["timestamp"], **{kpi: history[kpi]})
    )
    check(rows)
    assert set(rows["resource"]) == {kpi}


def test_file_with_nothing_but_disk_gives_no_row(write, replay):
    history = shop(entities=1, days=0.2)
    rows = replay(
        write(entity=history["entity"], timestamp=history["timestamp"], disk_read=history["cpu"])
    )
    assert len(rows["entity"]) == 0


def test_a_resource_gives_rows_only_once_it_was_seen(write, replay):
    history = shop(entities=1, days=0.5)
    late = START + 21600
    history["memory"] = np.where(history["timestamp"] > late, history["memory"], np.nan)
    rows = replay(write(**history))
    check(rows)
    memory = rows["resource"] == "memory"
    assert rows["decision_time_s"][memory].min() == late + 3600
    assert rows["decision_time_s"][~memory].min() == START + 3600


def test_entities_without_a_sample_yet_give_no_row(write, replay):
    history = shop(entities=2, days=0.5)
    late = START + 21600
    keep = (history["entity"] == "shop-0") | (history["timestamp"] > late)
    history = {name: values[keep] for name, values in history.items()}
    silent = {name: values[:3].copy() for name, values in history.items()}
    silent["entity"][:] = "silent"
    for kpi in ("cpu", "memory", "net_rx", "net_tx"):
        silent[kpi][:] = np.nan
    history = {name: np.concatenate((history[name], silent[name])) for name in history}
    rows = replay(write(**history))
    check(rows)
    assert set(rows["entity"]) == {"shop-0", "shop-1"}
    assert rows["decision_time_s"][rows["entity"] == "shop-1"].min() == late + 3600


@pytest.mark.parametrize(
    "value",
    [0.0, 1.0, 1e-12, 1e12, 1e15],
    ids=["zero", "constant", "tiny", "huge", "beyond the codes"],
)
def test_constants(write, replay, value):
    history = shop(entities=1, days=1)
    for kpi in ("cpu", "memory", "net_rx", "net_tx"):
        history[kpi][:] = value
    check(replay(write(**history)))


def test_spikes_gaps_negatives_and_infinities(write, replay):
    history = shop(entities=4, days=1)
    draw = np.random.default_rng(9)
    for kpi in ("cpu", "memory", "net_rx", "net_tx"):
        for value in (np.nan, -1.0, np.inf, -np.inf, 1e12, 0.0):
            history[kpi][draw.random(len(history[kpi])) < 0.03] = value
    rows = replay(write(**history))
    check(rows)
    assert set(rows["entity"]) == {f"shop-{number}" for number in range(4)}


def test_one_sample(write, replay):
    rows = replay(write(entity=["only"], timestamp=[START + 3000], cpu=[0.25]))
    assert len(rows["entity"]) == 0, "its hour is not over"
    rows = replay(write(entity=["only"], timestamp=[START + 3600], cpu=[0.25]))
    check(rows)
    assert rows["decision_time_s"].tolist() == [START + 3600] * 5


def test_order_duplicates_and_types_do_not_matter(write, replay):
    history = shop(entities=2, days=0.4)
    plain = replay(write(**history))
    order = np.random.default_rng(2).permutation(len(history["entity"]))
    again = np.concatenate((order, order[:50]))
    mixed = {name: values[again] for name, values in history.items()}
    mixed["entity"] = pa.array(mixed["entity"]).dictionary_encode()
    mixed["timestamp"] = pa.array(mixed["timestamp"] * 1_000_000, pa.timestamp("us", "UTC"))
    mixed["cpu"] = pa.array(mixed["cpu"], pa.float64())
    mixed["label"] = pa.array(["?"] * len(again))
    rows = replay(write("mixed.parquet", **mixed))
    for name in ("entity", "decision_time_s", "resource", "horizon_s", "reason"):
        assert (rows[name] == plain[name]).all()
    for name in (*QUANTILE_NAMES, "target", "lower", "upper"):
        np.testing.assert_allclose(rows[name], plain[name], rtol=1e-4)


def test_nulls_are_missing_values(write, replay):
    history = shop(entities=1, days=0.4)
    cpu = history["cpu"].tolist()
    cpu[10:20] = [None] * 10
    memory = history["memory"]
    memory[10:20] = np.nan
    rows = replay(write(**{**history, "cpu": pa.array(cpu)}))
    check(rows)


def test_output_is_in_the_files_units(write, replay):
    fraction = shop(entities=2, days=0.5)
    fraction["memory"] /= 1e9
    whole = {**fraction, "cpu": fraction["cpu"] * 4, "memory": fraction["memory"] * 2.0**34}
    options = ("--cpu-per-unit", "4", "--memory-per-unit", str(2.0**34))
    one = replay(write("fraction.parquet", **fraction), *options)
    other = replay(write("whole.parquet", **whole))
    check(one)
    unit = {"cpu": 4.0, "memory": 2.0**34, "net_rx": 1.0, "net_tx": 1.0}
    scale = np.array([unit[resource] for resource in one["resource"]])
    for name in (*QUANTILE_NAMES, "target", "lower", "upper"):
        np.testing.assert_allclose(one[name] * scale, other[name], rtol=1e-5)


def test_profiles_time_zones_and_holidays_are_taken(write, replay):
    path = write(**shop(entities=1, days=1))
    plain = replay(path)
    safe = replay(path, "--profile", "safe")
    check(safe)
    sized = np.isin(safe["resource"], SIZED)
    assert safe["target"][sized].sum() > plain["target"][sized].sum()
    cost = replay(path, "--profile", "cost")
    check(cost)
    assert cost["target"][sized].sum() < plain["target"][sized].sum()
    dates = ("--holidays", "2023-11-15,2023-11-16", "--holidays", "2023-12-25")
    elsewhere = replay(path, "--timezone", "Asia/Kathmandu", *dates)
    check(elsewhere)
    assert (elsewhere["q950"] != plain["q950"]).any()


def changes_of(rows, resource):
    """Return decision times and targets of the only entity's resource."""
    chosen = (rows["resource"] == resource) & (rows["horizon_s"] == 300)
    return rows["decision_time_s"][chosen], rows["target"][chosen], rows["reason"][chosen]


def test_lowering_keeps_to_the_budget_every_five_minutes(write, replay):
    rows = replay(write(**shop(entities=1, days=2)), every="5m")
    check(rows)
    for resource in SIZED:
        times, targets, _ = changes_of(rows, resource)
        moved = times[1:][np.diff(targets) != 0]
        lowered = times[1:][np.diff(targets) < 0]
        for moment in lowered:
            in_day = ((moved > moment - DAY) & (moved <= moment)).sum()
            assert in_day <= 24


def test_constant_workload_is_left_alone(write, replay):
    history = shop(entities=1, days=1.5)
    history["cpu"][:] = 0.5
    history["memory"][:] = 2e8
    rows = replay(write(**history), every="5m")
    for resource in SIZED:
        times, targets, _ = changes_of(rows, resource)
        late = times > START + DAY / 2
        assert (np.diff(targets[late]) != 0).sum() <= 24
