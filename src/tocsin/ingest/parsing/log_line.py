"""One line of a log, and the rules that make one of the fields of a line of a body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.ingest.parsing.json_reader import JsonValue
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineFault
from tocsin.ingest.parsing.timestamp import in_range, parse_rfc3339
from tocsin.log_lines import LogLine

LEVEL_CHARACTERS_MAX: Final = 32
NAMED: Final = ("device", "time", "component", "text", "level", "application", "version")
_MISSING: Final = "Send `device`, `component`, `time` and `text` with every line."
_NOT_TEXT: Final = "Put its value into quotes."
_NO_TIME: Final = (
    "Send a time such as 2026-11-22T10:00:00Z (with Z or an offset), or 1795341600000; send a stamp of "
    "another kind as part of `text`."
)


@dataclass(slots=True)
class SentLine:
    """What one line of a body says: when (milliseconds since 1970), from where, and the line itself."""

    device: str
    time_ms: int
    line: LogLine
    application: str = ""
    version: str = ""


def log_line_of(fields: dict[str, JsonValue], limits: ParseLimits) -> SentLine:
    """The line that these fields are; raises LineFault where one is missing or is something else.

    `text` may be empty. Fields of other names are kept with the line.
    """
    text = fields.get("text")
    if text is None:
        raise LineFault(LineCode.MISSING_FIELD, "The line has no text", "text", _MISSING)
    if not isinstance(text, str):
        raise LineFault(LineCode.INVALID_TYPE, "The field 'text' is not a string", "text", _NOT_TEXT)
    level = _name(fields, "level", LEVEL_CHARACTERS_MAX)
    others = {name: value for name, value in fields.items() if name not in NAMED}
    return SentLine(
        device=_name(fields, "device", limits.name_characters, required=True),
        time_ms=_time_ms(fields.get("time")),
        line=LogLine(_name(fields, "component", limits.name_characters, required=True), text, level, others),
        application=_name(fields, "application", limits.name_characters),
        version=_name(fields, "version", limits.name_characters),
    )


def _name(fields: dict[str, JsonValue], key: str, characters_max: int, *, required: bool = False) -> str:
    value = fields.get(key)
    if value is None or value == "":
        if required:
            raise LineFault(LineCode.MISSING_FIELD, f"The line names no {key}", key, _MISSING)
        return ""
    if not isinstance(value, str):
        raise LineFault(LineCode.INVALID_TYPE, f"The field {key!r} is not a string", key, _NOT_TEXT)
    if len(value) > characters_max:
        remedy = f"Use at most {characters_max} characters."
        raise LineFault(LineCode.NAME_TOO_LONG, f"The field {key!r} has {len(value)} characters", key, remedy)
    return value


def _time_ms(value: JsonValue) -> int:
    if value is None:
        raise LineFault(LineCode.MISSING_FIELD, "The line has no time", "time", _MISSING)
    found = None
    if isinstance(value, str):
        found = parse_rfc3339(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = in_range(value)
    if found is None:
        raise LineFault(LineCode.INVALID_TIMESTAMP, f"{str(value)[:60]!r} is no time", "time", _NO_TIME)
    return found
