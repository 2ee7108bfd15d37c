"""Which columns of a table are the device, the time, the arrival and the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.ndjson import RESERVED_FIELDS

STEP_START_MS: Final = 978_307_200_000
"""Where counted steps begin: 2001-01-01T00:00:00Z, a Monday at midnight."""

UNITS_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}

DEVICE_COLUMN: Final = "device"
TIME_COLUMN: Final = "ts"


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a table; everything that is None is found out from the file.

    Without `device_column`, a column `device` is taken, else the file's name is the one device. Without
    `time_column`, a column `ts` is taken. Times are time stamps of any resolution (naive = UTC), ISO 8601
    text, or numbers in `time_unit` since 1970. With `step_seconds`, time is counted: the (integer) time
    column times the step, or without one the row's place among its device's rows. `parameters` None means
    all numeric columns that are neither device, time nor arrival nor in `exclude`.
    """

    device_column: str | None = None
    time_column: str | None = None
    time_unit: str = "ms"
    step_seconds: float | None = None
    arrival_column: str | None = None
    parameters: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.time_unit not in UNITS_PER_S:
            raise InvalidInputError(f"--time-unit is s, ms or us, not {self.time_unit!r}", field="time_unit")
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


def choose_columns(mapping: Mapping, names: Sequence[str], numeric: Sequence[str]) -> Columns:
    """The columns to read from a file with columns `names`; InvalidInputError says what to do instead."""
    device = _named(mapping.device_column, names, DEVICE_COLUMN, "device_column")
    time_default = TIME_COLUMN if mapping.step_seconds is None else None
    time = _named(mapping.time_column, names, time_default, "time_column")
    arrival = _named(mapping.arrival_column, names, None, "arrival_column")
    if time is None and mapping.step_seconds is None:
        raise InvalidInputError(
            f"no time column: name one of {', '.join(names)} with --time-column, "
            "or count steps with --step-seconds",
            field="time_column",
        )
    for name in (*(mapping.parameters or ()), *mapping.exclude):
        _named(name, names, None, "parameters")
    taken = {device, time, arrival, *mapping.exclude}
    parameters = mapping.parameters or tuple(
        name for name in numeric if name not in taken and name not in RESERVED_FIELDS
    )
    if not parameters:
        raise InvalidInputError(
            f"no numeric column to read; there are {', '.join(names)}", field="parameters"
        )
    if clash := RESERVED_FIELDS.intersection(parameters):
        raise InvalidInputError(
            f"column {min(clash)!r} can't be a parameter: events use that name; rename the column",
            field="parameters",
        )
    return Columns(device=device, time=time, arrival=arrival, parameters=parameters)


def _named(given: str | None, names: Sequence[str], default: str | None, field: str) -> str | None:
    if given is None:
        return default if default in names else None
    if given not in names:
        raise InvalidInputError(f"no column {given!r}; there are {', '.join(names)}", field=field)
    return given
