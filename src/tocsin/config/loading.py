"""Reads the YAML file and the environment, and says what is wrong in them, all mistakes at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from tocsin.config.errors import ConfigError
from tocsin.config.sections import Config

PREFIX = "TOCSIN_"
PATH_VARIABLE = "TOCSIN_CONFIG"
# read by the commands that talk to a server, so they may be set where one is started
_CLIENT_VARIABLES = {"TOCSIN_URL", "TOCSIN_TOKEN"}
_FILE_BYTES_MAX = 4 << 20
_MAY_BE_SECRET = frozenset({"otlp_headers", "otlp_endpoint", "token", "url"})
_DEPTH_MAX = 32
_TOO_DEEP = f"is nested deeper than {_DEPTH_MAX} levels, or contains itself by an alias"

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Document:
    """The file's content, and the line (from 1) of every key in it."""

    name: str
    content: dict[str, Any]
    lines: dict[Place, int]


def load_config(path: Path | None = None) -> Config:
    """The configuration from `path` (or the file that TOCSIN_CONFIG names, or none) and the environment.

    Variables win over the file: TOCSIN_HTTP__PORT is `port` of `http`; a list or mapping is given as
    JSON. Raises ConfigError with one line per mistake.
    """
    path = path or _path_from_environment()
    document = _read(path) if path else _Document("", {}, {})
    mistakes = _unknown_variables()
    try:
        config = Config(**document.content)
    except ValidationError as error:
        mistakes += [_describe(document, detail) for detail in error.errors()]
    except SettingsError as error:
        mistakes.append(f"environment: {error}; lists and mappings are given as JSON")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


def with_options(config: Config, options: Mapping[str, Any]) -> Config:
    """The configuration with what the command line says, which wins over file and environment.

    `options` maps dotted names such as `http.port` to values; None = not said. ConfigError names the
    option at fault.
    """
    said = {name: value for name, value in options.items() if value is not None}
    changed: dict[str, Any] = {}
    for name, value in said.items():
        section, _, field = name.partition(".")
        old = changed.get(section, getattr(config, section))
        try:
            changed[section] = type(old).model_validate(dict(old) | {field: value}) if field else value
        except ValidationError as error:
            raise ConfigError(f"option {name}: {_what((section, field), error.errors()[0])}") from error
    return config.model_copy(update=changed)


def _path_from_environment() -> Path | None:
    name = os.environ.get(PATH_VARIABLE)
    return Path(name) if name else None


def _read(path: Path) -> _Document:
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: {_TOO_DEEP}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from error
    if node is None:
        return _Document(str(path), {}, {})
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path}:1: must be a mapping of sections, such as `http:`")
    lines: dict[Place, int] = {}
    _collect_lines(str(path), node, (), lines)
    return _Document(str(path), content, lines)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > _FILE_BYTES_MAX:
        raise ConfigError(f"{path}: is larger than {_FILE_BYTES_MAX} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from error


def _collect_lines(name: str, node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    if len(place) > _DEPTH_MAX:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: {_dotted(place[:1])}: {_TOO_DEEP}")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            # YAML keeps the last of two equal keys in silence; a person meant one of them
            if inner in lines:
                raise ConfigError(f"{name}:{key.start_mark.line + 1}: {_dotted(inner)}: is given twice")
            lines[inner] = key.start_mark.line + 1
            _collect_lines(name, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*place, index] = value.start_mark.line + 1
            _collect_lines(name, value, (*place, index), lines)


def _unknown_variables() -> list[str]:
    """Variables that name no section: pydantic would pass over them, and a typing error stay unseen."""
    known = sorted(name.upper() for name in Config.model_fields)
    mistakes = []
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX) or variable.upper() in {PATH_VARIABLE, *_CLIENT_VARIABLES}:
            continue
        section = variable.upper().removeprefix(PREFIX).split("__")[0]
        if section not in known:
            mistakes.append(f"environment variable {variable}: is unknown{_hint(section, known, PREFIX)}")
    return mistakes


def _describe(document: _Document, detail: ErrorDetails) -> str:
    place = tuple(part for part in detail["loc"] if part != "[key]")
    return f"{_where(document, place)}: {_dotted(place)}: {_what(place, detail)}"


def _where(document: _Document, place: Place) -> str:
    variable = _variable_of(place)
    if variable:
        return f"environment variable {variable}"
    known = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in document.lines), None)
    if known is None:
        return document.name or "configuration"
    return f"{document.name}:{document.lines[known]}"


def _variable_of(place: Place) -> str | None:
    """The variable that set this place or something around it, if any did."""
    by_upper = {variable.upper(): variable for variable in os.environ}
    candidates = (
        PREFIX + "__".join(str(part).upper() for part in place[:n]) for n in range(len(place), 0, -1)
    )
    return next((by_upper[name] for name in candidates if name in by_upper), None)


def _what(place: Place, detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "is unknown" + _hint(str(place[-1]), _siblings(place))
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    # pydantic's message starts with "Input should …" and says what is allowed
    message = detail["msg"].removeprefix("Input ").rstrip(".")
    # a header's value may be a credential, so it is never repeated
    hidden = isinstance(detail["input"], dict) or not _MAY_BE_SECRET.isdisjoint(place)
    return message if hidden else f"{message} (it is {str(detail['input'])[:80]!r})"


def _siblings(place: Place) -> list[str]:
    """Names that are known where the last part of `place` is not."""
    model: Any = Config
    for part in place[:-1]:
        field = model.model_fields.get(part)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return sorted(model.model_fields)


def _hint(name: str, known: list[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {prefix}{close[0]}?"
    return f"; known are {', '.join(prefix + each for each in known)}" if known else ""


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place)
