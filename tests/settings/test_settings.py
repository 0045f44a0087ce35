import datetime as dt
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from recommender.errors import SettingsError
from recommender.settings import ClockSettings, Settings, load_settings

# What a person gets who sets nothing. A change here is a change of behaviour: see CHANGELOG.md.
DEFAULTS = {
    "prometheus": {
        "url": None,
        "path_prefix": "",
        "tenant": None,
        "headers": {},
        "token": None,
        "token_file": None,
        "username": None,
        "password": None,
        "password_file": None,
        "ca_file": None,
        "insecure": False,
        "timeout_s": 30.0,
        "concurrency": 4,
        "requests_per_s": 10.0,
        "max_points": 10_000,
        "step_s": None,
        "rate_window_s": None,
    },
    "clock": {
        "time_zone": "UTC",
        "time_zones": {},
        "rest_days": frozenset({5, 6}),
        "holidays": frozenset(),
    },
    "store": {"url": None},
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PEAKCAST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "peakcast.yaml"
        path.write_text(text)
        return path

    return write


def test_the_defaults_are_these():
    assert load_settings().model_dump() == DEFAULTS


def test_flags_win_over_environment_over_file_over_defaults(monkeypatch, yaml_file):
    path = yaml_file(
        "prometheus: {url: 'http://file:9090', tenant: file, concurrency: 2, timeout_s: 5}"
    )
    monkeypatch.setenv("PEAKCAST_PROMETHEUS__TENANT", "environment")
    monkeypatch.setenv("PEAKCAST_PROMETHEUS__CONCURRENCY", "3")
    found = load_settings(path, {"prometheus": {"concurrency": 8}}).prometheus
    assert (found.concurrency, found.tenant, found.timeout_s) == (8, "environment", 5.0)
    assert (found.url, found.step_s) == ("http://file:9090", None)


def test_the_file_may_be_named_by_the_environment(monkeypatch, yaml_file):
    monkeypatch.setenv("PEAKCAST_CONFIG", str(yaml_file("store: {url: /var/lib/peakcast}")))
    assert load_settings().store.url == "/var/lib/peakcast"


def test_an_empty_file_changes_nothing(yaml_file):
    assert load_settings(yaml_file("# nothing yet\n")) == load_settings()


def test_lists_and_mappings_are_json_in_the_environment(monkeypatch):
    monkeypatch.setenv("PEAKCAST_CLOCK__HOLIDAYS", '["2026-12-25"]')
    monkeypatch.setenv("PEAKCAST_CLOCK__TIME_ZONES", '{"shop": "Asia/Tokyo"}')
    clock = load_settings().clock
    assert clock.holidays == {dt.date(2026, 12, 25)}
    assert clock.time_zones == {"shop": "Asia/Tokyo"}


def test_variables_that_kubernetes_injects_for_services_are_not_settings(monkeypatch):
    monkeypatch.setenv("PEAKCAST_RECOMMENDER_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("PEAKCAST_PROMETHEUS_PORT", "tcp://10.0.0.1:9090")
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("prometheus: {ulr: http://a}", "prometheus.ulr: no such setting"),
        ("promteheus: {url: http://a}", "promteheus: no such setting"),
        ("prometheus: {url: 'a:9090'}", "prometheus.url: must look like"),
        ("prometheus: {url: 'ftp://a'}", "prometheus.url: must look like"),
        ("prometheus: {url: 'http://me:pw@a'}", "must not carry credentials"),
        ("prometheus: {timeout_s: 0}", "prometheus.timeout_s"),
        ("prometheus: {max_points: 11001}", "prometheus.max_points"),
        ("prometheus: {step_s: 70}", "step_s must divide 300"),
        ("prometheus: {token: a, token_file: b}", "give one of token, token_file"),
        ("prometheus: {username: a}", "username needs either password or password_file"),
        ("prometheus: {username: a, password: b, password_file: c}", "either password or"),
        ("prometheus: {password: b}", "a password needs a username"),
        ("prometheus: {insecure: true, ca_file: a.pem}", "ca_file or insecure"),
        ("clock: {time_zone: Mars/Olympus}", "'Mars/Olympus' is no IANA time zone"),
        ("clock: {time_zone: ../../etc/passwd}", "is no IANA time zone"),
        ("clock: {time_zones: {shop: Nowhere}}", "clock.time_zones.shop: 'Nowhere' is no"),
        ("clock: {holidays: ['2026-13-01']}", "clock.holidays"),
        ("clock: {holidays: [2026-13-01]}", "a value is no date"),
        ("clock: {rest_days: [7]}", "clock.rest_days"),
        ("- a list", "holds a list where a mapping is due"),
        ("prometheus: {url: 'http://a", "is not YAML: found unexpected end of stream in line 1"),
    ],
)
def test_a_wrong_file_is_named_by_setting_and_reason(yaml_file, text, about):
    with pytest.raises(SettingsError) as caught:
        load_settings(yaml_file(text))
    assert about in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml: No such file.*--config"):
        load_settings(tmp_path / "none.yaml")


def test_text_that_should_be_json_says_so(monkeypatch):
    monkeypatch.setenv("PEAKCAST_PROMETHEUS__HEADERS", "{X: 1")
    with pytest.raises(SettingsError, match="not JSON"):
        load_settings()


def test_secrets_appear_neither_in_errors_nor_in_prints(monkeypatch, yaml_file):
    monkeypatch.setenv("PEAKCAST_PROMETHEUS__TOKEN", "hunter2")
    found = load_settings()
    assert found.prometheus.token == SecretStr("hunter2")
    assert "hunter2" not in repr(found)
    with pytest.raises(SettingsError) as caught:
        load_settings(yaml_file("prometheus: {username: a, password: hunter3}"))
    assert "hunter" not in str(caught.value)
    with pytest.raises(SettingsError, match="line 1") as caught:
        load_settings(yaml_file("prometheus: {password: 'hunter4"))
    assert "hunter" not in str(caught.value)


def test_paths_and_prefixes_are_brought_into_one_form(yaml_file):
    found = load_settings(
        yaml_file("prometheus: {url: 'https://a/', path_prefix: select/0/prometheus/}")
    ).prometheus
    assert (found.url, found.path_prefix) == ("https://a", "/select/0/prometheus")


def test_settings_cannot_be_changed_once_read():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().store.url = "elsewhere"


def test_each_setting_is_described():
    for group in Settings.model_fields.values():
        assert group.annotation.__doc__
        for name, field in group.annotation.model_fields.items():
            assert field.description, name


def test_the_named_zones_know_daylight_saving():
    assert ClockSettings(time_zone="Europe/Berlin").time_zone == "Europe/Berlin"


def test_a_path_is_a_path(yaml_file):
    found = load_settings(yaml_file("prometheus: {token_file: /run/token}"))
    assert found.prometheus.token_file == Path("/run/token")
