"""How components write a line: each vendor its own way, two by the clock on the wall."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from tocsin.simulate.dumps.grammar import Hex, Level, Template, Word

Write = Callable[[int, int, Template, Sequence[str]], str]
"""UTC stamp in ms, the zone's offset in ms, the template and its values: the line, without its end."""

_JAVA: Final = {Level.DEBUG: "DEBUG", Level.INFO: "INFO ", Level.WARN: "WARN ", Level.ERROR: "ERROR"}
_VENDOR: Final = {Level.DEBUG: "D", Level.INFO: "I", Level.WARN: "W", Level.ERROR: "F"}
_SYSLOG: Final = {Level.DEBUG: 31, Level.INFO: 30, Level.WARN: 28, Level.ERROR: 27}  # facility daemon
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _second(second: int, form: str) -> str:
    """The time of day behind the day, which `form` shows."""
    day, second = divmod(second, 86_400)
    return f"{_day(day, form)}{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


@lru_cache(maxsize=4096)
def _day(day: int, form: str) -> str:
    moment = datetime.fromtimestamp(day * 86_400, UTC)
    if form == "syslog":  # RFC 3164: the day is padded with a space
        return f"{_MONTHS[moment.month - 1]} {moment.day:2d} "
    return moment.strftime(form)


def log4j(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`2026-01-05 06:00:01,123 INFO  [main] cell.Cycle - text`, in UTC."""
    second, ms = divmod(ts_ms, 1000)
    stamp = _second(second, "%Y-%m-%d ")
    name = ("Cycle", "Recipe", "Safety", "Store")[template.code % 4]
    text = template.text % tuple(values)
    return f"{stamp},{ms:03d} {_JAVA[template.level]} [worker-{template.code % 3}] cell.{name} - {text}"


def vendor(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`05.01.2026;07:00:01.123;DRV;I;0042;text;a=1;b=2`, by the clock on the wall."""
    second, ms = divmod(ts_ms + offset_ms, 1000)
    stamp = _second(second, "%d.%m.%Y;")
    text = template.text % tuple(values)
    return f"{stamp}.{ms:03d};DRV;{_VENDOR[template.level]};{template.code:04d};{text}"


def bracketed(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`[2026-01-05T06:00:01Z] <door> text`, in UTC, without a level unless it is bad."""
    second = ts_ms // 1000
    mark = "" if template.level is Level.INFO else f"{template.level.value}: "
    return f"[{_second(second, '%Y-%m-%dT')}Z] <door> {mark}{template.text % tuple(values)}"


def json_line(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`{"t":"2026-01-05T06:00:01.123Z","lvl":"info","msg":"…","score":0.961}`: values as fields, too."""
    second, ms = divmod(ts_ms, 1000)
    stamp = f"{_second(second, '%Y-%m-%dT')}.{ms:03d}Z"
    said = {"t": stamp, "lvl": template.level.lower(), "msg": template.text % tuple(values)}
    fields = {
        name: value if isinstance(parameter, (Word, Hex)) else float(value) if "." in value else int(value)
        for (name, parameter), value in zip(template.parameters, values, strict=True)
    }
    return _ENCODER.encode(said | fields)


def syslog(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`<30>Jan  5 07:00:01 cell netd[812]: text` (RFC 3164), by the clock on the wall."""
    stamp = _second((ts_ms + offset_ms) // 1000, "syslog")
    text = template.text % tuple(values)
    return f"<{_SYSLOG[template.level]}>{stamp} cell netd[{800 + template.code % 5}]: {text}"


def epoch(ts_ms: int, offset_ms: int, template: Template, values: Sequence[str]) -> str:
    """`1767592801.123 pwr text`."""
    second, ms = divmod(ts_ms, 1000)
    mark = "" if template.level in {Level.INFO, Level.DEBUG} else f"{template.level.value} "
    return f"{second}.{ms:03d} pwr {mark}{template.text % tuple(values)}"


FORMATS: Final[dict[str, Write]] = {
    "controller": log4j,
    "drive": vendor,
    "door": bracketed,
    "vision": json_line,
    "network": syslog,
    "power": epoch,
}
