"""Gives the fields of NDJSON lines the names and units that events have."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from tocsin.errors import InvalidInputError
from tocsin.events import I64
from tocsin.files.mapping import (
    DEVICE_COLUMN,
    STEP_START_MS,
    TIME_COLUMN,
    UNITS_PER_S,
    Columns,
    Mapping,
    refuse_other_devices,
)
from tocsin.files.time_look import TimeLook, look_at_times
from tocsin.files.times import parse_time
from tocsin.ndjson import RESERVED_FIELDS


class Renamer:
    """Rewrites whole blocks of lines. A line that can't be read stays as it is: the parser refuses it."""

    NO_ARRIVAL: Final = np.iinfo(np.int64).min

    def __init__(self, mapping: Mapping, device: str, first_lines: list[bytes]) -> None:
        first = [fields for line in first_lines if (fields := _fields(line)) is not None]
        fields = _fields(first_lines[0]) or {}
        for name in (mapping.device_column, mapping.time_column, mapping.arrival_column):
            if name is not None and fields and name not in fields:
                raise InvalidInputError(f"no field {name!r} in the first line; there are {', '.join(fields)}")
        if mapping.device_column is None and DEVICE_COLUMN not in fields:
            refuse_other_devices(fields, mapping)
        self._mapping = mapping
        self._device = device
        self._seen: dict[str, int] = {}
        self._time = mapping.time_column or (None if mapping.step_seconds is not None else TIME_COLUMN)
        time = self._look(first, None if mapping.step_seconds is not None else self._time)
        arrival = self._look(first, mapping.arrival_column)
        self.looks: Final = (time, arrival)
        self._as_is = mapping.plain and DEVICE_COLUMN in fields and time.unit == "ms"
        self.columns: Final = Columns(
            device=mapping.device_column or (DEVICE_COLUMN if DEVICE_COLUMN in fields else None),
            time=self._time,
            arrival=mapping.arrival_column,
            parameters=mapping.parameters or (),
        )

    def _look(self, first: list[dict[str, Any]], name: str | None) -> TimeLook:
        """What the first times tell; lines whose time can't be read are refused one by one."""
        values = [fields.get(name or "") for fields in first]
        numbers = [value for value in values if isinstance(value, int | float) and abs(value) < 2**63]
        texts = [value for value in values if isinstance(value, str)]
        column = pa.array(texts, pa.string()) if texts else pa.array(map(float, numbers), pa.float64())
        return look_at_times(column, str(name), self._mapping, must_read=False)

    def rename(self, block: bytes) -> tuple[bytes, I64 | None]:
        """The lines as events, and when each arrived, where there is a field for that."""
        if self._as_is:
            return block, None
        lines = block.removesuffix(b"\n").split(b"\n")
        arrival = np.full(len(lines), self.NO_ARRIVAL, np.int64)
        renamed = []
        for row, line in enumerate(lines):
            fields = _fields(line)
            if fields is None:
                renamed.append(line)
                continue
            if (arrived := self._arrival(fields)) is not None:
                arrival[row] = arrived
            renamed.append(msgspec.json.encode(self._event(fields)))
        return b"\n".join(renamed) + b"\n", arrival if self._mapping.arrival_column else None

    def _event(self, fields: dict[str, Any]) -> dict[str, Any]:
        mapping = self._mapping
        device = fields.get(
            mapping.device_column or DEVICE_COLUMN, None if mapping.device_column else self._device
        )
        device = str(device) if isinstance(device, int) else device
        taken = {mapping.device_column, self._time, mapping.arrival_column, *mapping.exclude}
        event = {"device": device, "ts": self._ts(fields, str(device))}
        for name, value in fields.items():
            wanted = mapping.parameters is None or name in mapping.parameters or name in RESERVED_FIELDS
            if wanted and name not in taken and name not in event:
                event[name] = value
        return event

    def _ts(self, fields: dict[str, Any], device: str) -> Any:
        step_s = self._mapping.step_seconds
        value = fields.get(self._time) if self._time is not None else None
        if step_s is None:
            ms = self._to_ms(value, self.looks[0].unit)
            return value if ms is None else ms
        if self._time is None:
            value = self._seen.get(device, 0)
            self._seen[device] = value + 1
        elif not isinstance(value, int) or isinstance(value, bool):
            return None
        return STEP_START_MS + round(value * (step_s * 1000))

    def _arrival(self, fields: dict[str, Any]) -> int | None:
        return self._to_ms(fields.get(self._mapping.arrival_column or ""), self.looks[1].unit)

    def _to_ms(self, value: Any, unit: str) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        if isinstance(value, str) or self._mapping.time_format is not None:
            return parse_time(str(value), unit, self._mapping.time_format)
        per_s = UNITS_PER_S[unit]
        if isinstance(value, int):
            return value * 1000 // per_s
        return round(value * (1000 / per_s))


def _fields(line: bytes) -> dict[str, Any] | None:
    try:
        fields = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return fields if isinstance(fields, dict) else None
