"""Templates, and the few words and numbers that they need formatted. Everything is escaped."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from tocsin import __version__
from tocsin.model import DumpName
from tocsin.visible import visible, visible_lines
from tocsin.web.assets import asset

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def moment(ms: int) -> str:
    """A time for people, in UTC.

    >>> moment(1795341600250)
    '22 Nov 2026, 10:00 UTC'
    """
    return f"{_datetime(ms):%-d %b %Y, %H:%M} UTC"


def machine_time(ms: int) -> str:
    """A time for the datetime attribute."""
    return _datetime(ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def number(value: float | None) -> str:
    """A number with four digits, a dash where there is none.

    >>> number(93.24567), number(float("nan"))
    ('93.25', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def amount(value: float | None, unit: str) -> str:
    """A number with its unit, if it has one, on one line.

    >>> amount(33.89, "°C"), amount(51.0, "%"), amount(None, "°C"), amount(3.0, "")
    ('33.89\\xa0°C', '51%', '–', '3')
    """
    text = number(value)
    if not unit or text == "–":
        return text
    return f"{text}%" if unit == "%" else f"{text}\N{NO-BREAK SPACE}{unit}"


def fact(value: str | float) -> str:
    """What a dump detector says of a finding: a number as numbers are written, words as they are.

    >>> fact(17.336), fact(120), fact("axis X"), fact(True)
    ('17.34', '120', 'axis X', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return count(value) if isinstance(value, int) else number(value)


def dump_name(name: DumpName) -> str:
    """A dump's number, and its epoch if that is not the first."""
    return f"{name.sequence} of epoch {name.epoch}" if name.epoch else str(name.sequence)


def count(value: int) -> str:
    """A whole number with separators for thousands.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def records(value: int) -> str:
    """How many records.

    >>> records(1), records(1234)
    ('1\\xa0record', '1,234\\xa0records')
    """
    return f"{count(value)}\N{NO-BREAK SPACE}record{'' if value == 1 else 's'}"


def duration(ms: int) -> str:
    """How long, in the largest unit that fits.

    >>> duration(420_000), duration(90 * 60_000), duration(1_000)
    ('7 min', '1 h 30 min', '1 s')
    """
    seconds = max(0, round(ms / 1000))  # as the sentences round it
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        minutes = seconds % _HOUR_S // _MINUTE_S
        return f"{seconds // _HOUR_S} h" + (f" {minutes} min" if minutes else "")
    hours = seconds % _DAY_S // _HOUR_S
    return f"{seconds // _DAY_S} d" + (f" {hours} h" if hours else "")


def segment(name: str) -> str:
    """A name as one segment of an address."""
    return quote(name, safe="")


def sentence(text: str) -> str:
    """The explanation with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def lined(text: str) -> Markup:
    """What somebody wrote, as it can be seen, with its lines kept.

    >>> str(lined("on<b>\\nmy\\x07 way"))
    'on&lt;b&gt;\\nmy\\\\u0007 way'
    """
    return escape(visible_lines(text))


def page(template: str, http_status: int = 200, **values: Any) -> HTMLResponse:
    """A response with the rendered template."""
    html = _ENVIRONMENT.get_template(template).render(**values)
    return HTMLResponse(html, http_status)


def _seen(value: Any) -> Any:
    """Text from outside as it can be seen; what a template or macro made stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(min(max(ms, _EARLIEST_MS), _LATEST_MS) / 1000, UTC)


_EARLIEST_MS: Final = -62_135_596_800_000  # the years 1 and 9999, between which Python knows dates
_LATEST_MS: Final = 253_402_300_799_000

_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("tocsin.web"),
    autoescape=True,
    finalize=_seen,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals.update(version=__version__, asset=asset)
for _filter in (
    moment,
    machine_time,
    number,
    count,
    records,
    amount,
    duration,
    segment,
    sentence,
    lined,
    fact,
    dump_name,
):
    _ENVIRONMENT.filters[_filter.__name__] = _filter
