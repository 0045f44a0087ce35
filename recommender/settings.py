"""All settings of the serving side: one model, with units in the names and a reason beside each.

From strongest to weakest: command-line flags, environment variables (``PEAKCAST_`` and two
underscores between levels, as in ``PEAKCAST_PROMETHEUS__URL``), one YAML file, defaults. The text
below each field is its description in ``docs/settings.md``, which is generated from this module.
"""

from __future__ import annotations

import datetime as dt
import os
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableSource

from recommender.errors import SettingsError

ENV_PREFIX: Final = "PEAKCAST_"
CONFIG_ENV: Final = "PEAKCAST_CONFIG"

_STRICT: Final = ConfigDict(
    extra="forbid",  # a misspelt key is an error, not a default that nobody asked for
    frozen=True,
    use_attribute_docstrings=True,
    hide_input_in_errors=True,  # the input may be a password
)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = "must look like http://host:port"
        raise ValueError(msg)
    if parts.username or parts.password:
        msg = "must not carry credentials; use username and password_file, or token_file"
        raise ValueError(msg)
    return value.rstrip("/")


def _path_prefix(value: str) -> str:
    trimmed = value.strip("/")
    return f"/{trimmed}" if trimmed else ""


def _time_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"{value!r} is no IANA time zone such as Europe/Berlin"
        raise ValueError(msg) from error
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
TimeZoneName = Annotated[str, AfterValidator(_time_zone)]


class PrometheusSettings(BaseModel):
    """Where metrics are read, as whom, and how gently.

    Thanos, Mimir and VictoriaMetrics speak the same API: ``path_prefix`` and ``tenant`` are theirs.
    """

    model_config = _STRICT

    url: HttpUrl | None = None
    """Base URL, such as `http://prometheus.monitoring:9090`, without `/api/v1`. Unset: no
    Prometheus is asked."""
    path_prefix: PathPrefix = ""
    """Put between the URL and `/api/v1`: `/prometheus` for Mimir, `/select/0/prometheus` for a
    VictoriaMetrics cluster."""
    tenant: str | None = None
    """Sent as `X-Scope-OrgID`, which Mimir and Cortex expect."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further HTTP headers, sent with each query."""
    token: SecretStr | None = None
    """Bearer token. Prefer `token_file`: it is read anew when it changes."""
    token_file: Path | None = None
    """File with a bearer token, such as a service account's. Read anew when it changes."""
    username: str | None = None
    """User name for basic authentication."""
    password: SecretStr | None = None
    """Password for basic authentication."""
    password_file: Path | None = None
    """File with the password for basic authentication."""
    ca_file: Path | None = None
    """PEM file of the authority that signed the server's certificate. Unset: the system's."""
    insecure: bool = False
    """Accept any server certificate. For a laboratory only."""
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Longest wait for one answer, in seconds."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Most queries under way at once. Small on purpose: a small Prometheus must survive."""
    requests_per_s: float = Field(default=10.0, gt=0)
    """Most queries started in a second, over all of them."""
    max_points: int = Field(default=10_000, ge=100, le=11_000)
    """Most points per series in one range query. Prometheus refuses above 11,000."""
    step_s: int | None = Field(default=None, ge=10, le=300)
    """Resolution of range queries, in seconds; a divisor of 300. Unset: what the scrape interval
    suggests."""
    rate_window_s: int | None = Field(default=None, ge=60, le=900)
    """Window of `rate()` over counters, in seconds; at least four scrape intervals. Unset: what the
    scrape interval suggests."""

    @model_validator(mode="after")
    def _consistent(self) -> PrometheusSettings:
        ways = [
            name
            for name, given in (
                ("token", self.token),
                ("token_file", self.token_file),
                ("username", self.username),
            )
            if given is not None
        ]
        if len(ways) > 1:
            msg = f"give one of {', '.join(ways)}, not {len(ways)}"
            raise ValueError(msg)
        passwords = (self.password is not None) + (self.password_file is not None)
        if self.username is not None and passwords != 1:
            msg = "username needs either password or password_file"
            raise ValueError(msg)
        if self.username is None and passwords:
            msg = "a password needs a username"
            raise ValueError(msg)
        if self.insecure and self.ca_file is not None:
            msg = "give ca_file or insecure, not both"
            raise ValueError(msg)
        if self.step_s is not None and 300 % self.step_s:
            msg = f"step_s must divide 300, and {self.step_s} does not"
            raise ValueError(msg)
        return self


class ClockSettings(BaseModel):
    """Local time: people sleep, shops close, and daylight saving moves both."""

    model_config = _STRICT

    time_zone: TimeZoneName = "UTC"
    """IANA name of the time zone whose days and weeks the workloads follow."""
    time_zones: dict[str, TimeZoneName] = Field(default_factory=dict)
    """Exceptions: `namespace` or `namespace/name` of a workload to its IANA time zone. The more
    precise one wins."""
    rest_days: frozenset[Annotated[int, Field(ge=0, le=6)]] = frozenset((5, 6))
    """Weekdays of rest, 0 is Monday: `[5, 6]` is Saturday and Sunday, `[4, 5]` Friday and
    Saturday."""
    holidays: frozenset[dt.date] = frozenset()
    """Further days of rest, as local dates such as `2026-12-25`."""


class StoreSettings(BaseModel):
    """Where bundles, ledger and state are kept."""

    model_config = _STRICT

    url: str | None = None
    """A folder or any fsspec URL (`s3://bucket/peakcast`). Unset: the bundle in the package is
    used and nothing is kept."""


class Settings(BaseModel):
    """The whole configuration of peakcast. Read it with :func:`load_settings`."""

    model_config = _STRICT

    prometheus: PrometheusSettings = Field(default_factory=PrometheusSettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)


def load_settings(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from flags, environment, YAML file and defaults.

    Args:
        config: the YAML file; None takes the path in ``PEAKCAST_CONFIG``, if that is set.
        flags: nested mapping of what was given on the command line; it wins over all else.

    Raises:
        SettingsError: a file that cannot be read, an unknown key, a value out of range or two
            values that contradict each other. Values are never quoted, since they may be secrets.
    """
    if config is None and os.environ.get(CONFIG_ENV):
        config = Path(os.environ[CONFIG_ENV])
    if config is not None:
        _check_yaml(config)

    class Sources(BaseSettings, Settings):
        # Two underscores: Kubernetes injects PEAKCAST_RECOMMENDER_SERVICE_HOST and the like for
        # Services of our namespace, and these must never be read as settings.
        model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__")

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the same
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            yaml_settings = YamlConfigSettingsSource(settings_cls, yaml_file=config)
            return init_settings, env_settings, yaml_settings

    try:
        return Settings(**dict(Sources(**(flags or {}))))
    except ValidationError as error:
        raise SettingsError(
            _one_line(error), fix="docs/settings.md lists every setting with its unit"
        ) from None  # the original would print the input
    except UnreadableSource as error:
        raise SettingsError(
            f"an environment variable is not JSON where a list or mapping is due: {error}",
            fix="Write it as JSON, or set it in the YAML file",
        ) from error


def _check_yaml(path: Path) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"cannot read the settings file {path}: {error.strerror}",
            fix=f"Check --config and {CONFIG_ENV}",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(
            f"{path} is not YAML: {_where(error)}", fix="Check quotes, indentation and dates there"
        ) from None  # its own text quotes the line, which may hold a secret
    if content is not None and not isinstance(content, dict):
        raise SettingsError(
            f"{path} holds a {type(content).__name__} where a mapping is due",
            fix="Start with `prometheus:` and indent its settings below",
        )


def _where(error: yaml.YAMLError | ValueError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem or 'unreadable'} in line {mark.line + 1}, column {mark.column + 1}"
    return "bytes that are no UTF-8" if isinstance(error, UnicodeError) else "a value is no date"


def _one_line(error: ValidationError) -> str:
    """Name each wrong setting by its dotted path, without its value."""
    wrongs = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = "no such setting"
        wrongs.append(f"{path}: {message}" if path else message)
    return "; ".join(wrongs)
