"""Which columns of a table are the device, the time, the arrival and the parameters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.ndjson import RESERVED_FIELDS

STEP_START_MS: Final = 978_307_200_000
"""Where counted steps begin: 2001-01-01T00:00:00Z, a Monday at midnight."""

UNITS_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
DELIMITERS: Final = (",", ";", "\t")
DECIMALS: Final = (".", ",")

DEVICE_COLUMN: Final = "device"
TIME_COLUMN: Final = "ts"
TIME_COLUMNS: Final = (TIME_COLUMN, "timestamp")
_OF_DEVICES: Final = re.compile(
    r"devices?|dev(ice)?[ _.-]?(id|name|no|nr|num(ber)?|key|uid|uuid|guid|eui|serial)", re.IGNORECASE
)


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a table; everything that is None is found out from the file.

    Without `device_column`, a column `device` is taken, else the file's name is the one device. Without
    `time_column`, a column `ts` or `timestamp` is taken; upper and lower case are the same in both. Times
    are time stamps of any resolution (naive = UTC), text as ISO 8601, day.month.year or by `time_format`
    (as strptime), or numbers in `time_unit` since 1970, None = by their size. With `step_seconds`, time is
    counted: the (integer) time column times the step, or without one the row's place among its device's
    rows. `parameters` None means all numeric columns that are neither device, time nor arrival nor in
    `exclude`. `delimiter` and `decimal` are of CSV alone.
    """

    device_column: str | None = None
    time_column: str | None = None
    time_unit: str | None = None
    time_format: str | None = None
    step_seconds: float | None = None
    arrival_column: str | None = None
    parameters: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None

    def __post_init__(self) -> None:
        _require_one_of("time_unit", self.time_unit, UNITS_PER_S)
        _require_one_of("delimiter", self.delimiter, DELIMITERS)
        _require_one_of("decimal", self.decimal, DECIMALS)
        if self.time_format is not None:
            require_whole_dates(self.time_format)
        if self.step_seconds is not None and not 0.001 <= self.step_seconds <= 1e9:
            raise InvalidInputError("--step-seconds must be 0.001 or more", field="step_seconds")

    @property
    def plain(self) -> bool:
        """Whether nothing was asked for, so that NDJSON lines are events as they are."""
        return self == Mapping()


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The mapping applied to one file; None = no such column."""

    device: str | None
    time: str | None
    arrival: str | None
    parameters: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Every column to be read, once."""
        wanted = (self.device, self.time, self.arrival, *self.parameters)
        return tuple(dict.fromkeys(name for name in wanted if name is not None))


def read_format(text: str, time_format: str) -> datetime:
    """The time that a text says in this format; ValueError if it is written otherwise. Naive means UTC."""
    stamp = datetime.strptime(text, time_format)  # noqa: DTZ007 - the zone is set below where there is none
    return stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)


def require_whole_dates(time_format: str) -> None:
    """InvalidInputError unless a time that is written in this format can be read again, at least its day."""
    day = datetime(2023, 11, 28, tzinfo=UTC)
    try:
        same = read_format(day.strftime(time_format), time_format).date() == day.date()
    except ValueError:
        same = False
    if not same:
        raise InvalidInputError(
            f"--time-format must hold year, month and day, such as '%d/%m/%Y %H:%M', not {time_format!r}",
            field="time_format",
        )


def _require_one_of(field: str, given: str | None, known: Iterable[str]) -> None:
    if given is not None and given not in known:
        *others, last = ["tab" if each == "\t" else each for each in known]
        raise InvalidInputError(
            f"--{field.replace('_', '-')} is {' '.join(others)} or {last}, not {given!r}", field=field
        )


def find_name(names: Iterable[str], known: Sequence[str], field: str) -> str | None:
    """The one of `names` that is one of `known`: as it is written there, else in upper or lower case.

    >>> find_name(["Device", "Timestamp", "ts"], ("ts", "timestamp"), "time_column")
    'ts'
    """
    names = [*names]
    exact = [name for name in known if name in names]
    alike = exact[:1] or [name for name in names if name.strip().casefold() in known]
    if len(alike) > 1:
        raise InvalidInputError(
            f"which one is it, {' or '.join(alike)}? Say so with --{field.replace('_', '-')}", field=field
        )
    return alike[0] if alike else None


def choose_columns(
    mapping: Mapping, names: Sequence[str], numeric: Sequence[str], why_text: Callable[[str], str]
) -> Columns:
    """The columns to read from a file with columns `names`; InvalidInputError says what to do instead.

    `why_text` says why a column is none of `numeric`.
    """
    device = _named(mapping.device_column, names, (DEVICE_COLUMN,), "device_column")
    if device is None:
        refuse_other_devices(names, mapping)
    times = TIME_COLUMNS if mapping.step_seconds is None else ()
    time = _named(mapping.time_column, names, times, "time_column")
    arrival = _named(mapping.arrival_column, names, (), "arrival_column")
    if time is None and mapping.step_seconds is None:
        raise InvalidInputError(
            f"no time column: name one of {', '.join(names)} with --time-column, "
            "or count steps with --step-seconds",
            field="time_column",
        )
    for name in (*(mapping.parameters or ()), *mapping.exclude):
        _named(name, names, (), "parameters")
    taken = {device, time, arrival, *mapping.exclude}
    parameters = mapping.parameters or tuple(
        name for name in numeric if name and name not in taken and name not in RESERVED_FIELDS
    )
    if not parameters:
        told = (
            f"{name} ({why_text(name)})" if name not in {*numeric, *taken, ""} else name for name in names
        )
        raise InvalidInputError(f"no numeric column to read; there are {', '.join(told)}", field="parameters")
    if clash := RESERVED_FIELDS.intersection(parameters):
        raise InvalidInputError(
            f"column {min(clash)!r} can't be a parameter: events use that name; rename the column",
            field="parameters",
        )
    return Columns(device=device, time=time, arrival=arrival, parameters=parameters)


def refuse_other_devices(names: Iterable[str], mapping: Mapping) -> None:
    """InvalidInputError where one of the names says that it is of devices, though nobody chose it.

    Else the file would be read as that of one device, and the readings of all would be mixed.
    """
    chosen = (mapping.time_column, mapping.arrival_column, *(mapping.parameters or ()), *mapping.exclude)
    alike = [name for name in names if name not in chosen and _OF_DEVICES.fullmatch(name.strip())]
    if alike:
        raise InvalidInputError(
            f"there is no 'device', but {' and '.join(map(repr, alike))}: say --device-column "
            f"{shlex.quote(alike[0])}, or --exclude {shlex.quote(','.join(alike))} if the whole file is "
            "of one device",
            field="device_column",
        )


def _named(given: str | None, names: Sequence[str], known: Sequence[str], field: str) -> str | None:
    if given is None:
        return find_name(names, known, field)
    if given not in names:
        raise InvalidInputError(f"no column {given!r}; there are {', '.join(names)}", field=field)
    return given
