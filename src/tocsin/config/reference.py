"""The configuration as people read it: the reference page, and the values in force."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tocsin.config.directories import DirectoryConfig
from tocsin.config.sections import Config

_HEAD = """# Configuration

One YAML file (`tocsin serve --config FILE`, or the file that `TOCSIN_CONFIG` names) and environment
variables; a variable wins over the file. Nothing has to be set. Everything is checked at the start:
unknown keys are refused, and each mistake is named with its file and line, or its variable, and with
what is allowed. `tocsin serve --print-config` prints what is in force, secrets masked.

A variable's name is `TOCSIN_`, then the way to the field in capitals, joined by two underscores. Lists
and mappings are given as JSON. In `directories.TENANT`, `TENANT` stands for a tenant's name.

This page is generated from the types in `src/tocsin/config`; a test proves it up to date.
"""


def print_config(config: Config) -> str:
    """The values in force as YAML that can be read back in; secrets are masked."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def render_reference() -> str:
    """The page docs/reference/configuration.md."""
    top = [(name, info) for name, info in Config.model_fields.items() if _model_of(info) is None]
    parts = [_HEAD, "## At the top\n", _table(top, ())]
    for path, model in _sections(Config, ()):
        parts += [f"## {'.'.join(path)}\n", f"{_summary(model)}\n", _table(_plain(model), path)]
    return "\n".join(parts)


def _sections(
    model: type[BaseModel], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    for name, info in model.model_fields.items():
        inner = _model_of(info)
        if inner is not None:
            yield (*path, name), inner
            yield from _sections(inner, (*path, name))
        elif DirectoryConfig in typing.get_args(info.annotation):
            yield (*path, name, "TENANT"), DirectoryConfig


def _model_of(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _plain(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(name, info) for name, info in model.model_fields.items() if _model_of(info) is None]


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0]


def _table(fields: list[tuple[str, FieldInfo]], path: tuple[str, ...]) -> str:
    rows = ["| field | variable | kind | default | meaning |", "|---|---|---|---|---|"]
    for name, info in fields:
        variable = "TOCSIN_" + "__".join((*path, name)).upper()
        cells = [f"`{name}`", f"`{variable}`", _kind(info), f"`{_default(info)}`", info.description or ""]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, Path):
        return str(value)
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix("...\n").strip()


def _kind(info: FieldInfo) -> str:
    return _type_name(info.annotation) + _bounds(info.metadata)


def _type_name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(part) for part in arguments)
    if origin is dict:
        return f"mapping of {_type_name(arguments[1])}"
    return _NAMES.get(getattr(kind, "__name__", ""), getattr(kind, "__name__", str(kind)))


_NAMES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "NoneType": "none",
    "Path": "path",
    "HttpUrl": "URL",
    "SecretStr": "secret",
    "WatchConfig": "`watch`",
    "RangeConfig": "range",
    "DirectoryConfig": "`directories.TENANT`",
}


def _bounds(metadata: list[Any]) -> str:
    """`, 1 … 65535` from the constraints of a number."""
    low = _first(metadata, "ge", "gt")
    high = _first(metadata, "le", "lt")
    if low is None and high is None:
        return ""
    return f", {'' if low is None else low} … {'' if high is None else f'{high:.15g}'}"


def _first(metadata: list[Any], *names: str) -> Any:
    found = (getattr(part, name, None) for part in metadata for name in names)
    return next((value for value in found if value is not None), None)
