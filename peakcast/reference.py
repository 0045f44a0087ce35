"""The reference pages under ``docs/`` that are generated from the code they describe.

``make docs`` writes them (``python -m peakcast.reference docs``); a test fails when one is stale.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recommender.settings import CONFIG_ENV, ENV_PREFIX, Settings

_BOUNDS: Final = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))

_INTRODUCTION: Final = f"""\
# Settings

Generated from `recommender/settings.py` by `make docs`; edit the descriptions there.

From strongest to weakest: command-line flags, environment variables, one YAML file (named by
`--config` or `{CONFIG_ENV}`), defaults. In the environment a setting is `{ENV_PREFIX}`, the group,
two underscores and the name, and lists and mappings are JSON:

```sh
export {ENV_PREFIX}PROMETHEUS__URL=http://prometheus.monitoring:9090
export {ENV_PREFIX}CLOCK__HOLIDAYS='["2026-12-25", "2026-12-26"]'
```

```yaml
prometheus:
  url: http://prometheus.monitoring:9090
clock:
  holidays: [2026-12-25, 2026-12-26]
```

A name that ends in `_s` is in seconds, in `_bytes` in bytes. An unknown name is an error.
"""


def settings_page() -> str:
    """Return ``docs/settings.md``: every setting with its variable, type, default and meaning."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if not (isinstance(group, type) and issubclass(group, BaseModel)):
            raise TypeError(f"setting {name} stands outside a group")
        lines += [f"## {name}", "", " ".join((group.__doc__ or "").replace("``", "`").split()), ""]
        lines += ["| setting | type | default | meaning |", "|---|---|---|---|"]
        lines += [_row(key, setting) for key, setting in group.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


PAGES: Final = {"settings.md": settings_page}


def write(folder: Path) -> list[Path]:
    """Write every generated page into the folder and return their paths."""
    written = []
    for name, page in PAGES.items():
        path = folder / name
        path.write_text(page(), encoding="utf-8")
        written.append(path)
    return written


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    kind = " ".join([_type_name(field.annotation), *_bounds(field)])
    return f"| `{name}` | {kind} | {_default(field)} | {meaning} |"


def _type_name(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(part) for part in arguments if part is not types.NoneType)
    if origin is dict:
        return f"mapping to {_type_name(arguments[1])}"
    if origin is frozenset:
        return f"list of {_type_name(arguments[0])}"
    names = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
    names |= {"SecretStr": "secret", "Path": "path"}
    name: str = annotation.__name__
    return names.get(name, name)


def _bounds(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for kind, attribute, sign in _BOUNDS:
            if isinstance(constraint, kind):
                yield f"{sign} {getattr(constraint, attribute):g}"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, frozenset):
        value = sorted(value)
    return "empty" if value in ("", {}, []) else f"`{value}`"


if __name__ == "__main__":
    for written_page in write(Path(sys.argv[1])):
        sys.stdout.write(f"{written_page}\n")
