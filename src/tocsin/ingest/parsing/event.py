"""One event, and the rules that make one of the fields of a line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from tocsin.ingest.parsing.json_reader import JsonValue
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineFault
from tocsin.ingest.parsing.timestamp import in_range, parse_rfc3339

RESERVED: Final = ("device", "ts", "application", "version", "id")


@dataclass(slots=True)
class Event:
    """What one line says; `text` holds all fields that are neither reserved nor numbers nor null."""

    device: str
    ts: int
    application: str = ""
    version: str = ""
    event_id: str = ""
    readings: list[tuple[str, float]] = field(default_factory=list)
    text: dict[str, JsonValue] = field(default_factory=dict)


def event_of(fields: dict[str, JsonValue], limits: ParseLimits) -> Event:
    """The event that these fields are; raises LineFault where a rule of DESIGN.md, Records, is broken."""
    _check_names(fields, limits)
    event = Event(
        device=_name(fields, "device", limits),
        ts=_timestamp(fields.get("ts")),
        application=_name(fields, "application", limits),
        version=_name(fields, "version", limits),
        event_id=_name(fields, "id", limits),
    )
    for name, value in fields.items():
        if name in RESERVED or value is None:
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            event.readings.append((name, value + 0.0))  # adding 0.0 makes -0.0 positive
        else:
            event.text[name] = value
    return event


def canonical_text(fields: dict[str, JsonValue]) -> str:
    """The fields as one JSON object that is the same for equal fields: sorted keys, no spaces; "" if none.

    >>> canonical_text({"b": "ü/", "a": [1, -0.0, 1e3]})
    '{"a":[1,0.0,1000.0],"b":"ü/"}'
    """
    if not fields:
        return ""
    positive = {name: _without_negative_zero(value) for name, value in fields.items()}
    return json.dumps(positive, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _without_negative_zero(value: JsonValue) -> JsonValue:
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, list):
        return [_without_negative_zero(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_negative_zero(item) for name, item in value.items()}
    return value


def _check_names(fields: dict[str, JsonValue], limits: ParseLimits) -> None:
    for name in fields:
        if not name:
            raise LineFault(LineCode.EMPTY_NAME, "A field has an empty name")
        if len(name) > limits.name_characters:
            raise LineFault(LineCode.NAME_TOO_LONG, f"A field name has {len(name)} characters", name)


def _name(fields: dict[str, JsonValue], key: str, limits: ParseLimits) -> str:
    """A reserved text field; "" if absent, which only `device` may not be."""
    value = fields.get(key)
    if value is None or value == "":
        if key == "device":
            raise LineFault(LineCode.MISSING_FIELD, "The event names no device", key)
        return ""
    if not isinstance(value, str):
        raise LineFault(LineCode.INVALID_TYPE, f"The field {key!r} is not a string", key)
    if len(value) > limits.name_characters:
        raise LineFault(LineCode.NAME_TOO_LONG, f"The field {key!r} has {len(value)} characters", key)
    return value


def _timestamp(value: JsonValue) -> int:
    if value is None:
        raise LineFault(LineCode.MISSING_FIELD, "The event has no time stamp", "ts")
    ts = None
    if isinstance(value, str):
        ts = parse_rfc3339(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        ts = in_range(value)
    if ts is None:
        raise LineFault(LineCode.INVALID_TIMESTAMP, f"{str(value)[:60]!r} is no time stamp", "ts")
    return ts
