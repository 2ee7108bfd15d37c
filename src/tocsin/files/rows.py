"""Record batches to batches of events: whole columns at a time, row order kept."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError
from tocsin.events import F64, I32, I64, EventBatch, Strings, empty_text
from tocsin.files.mapping import STEP_START_MS, Columns, Mapping
from tocsin.files.tables import Bools, parse_numbers
from tocsin.files.times import to_milliseconds
from tocsin.interning import Interner
from tocsin.model import MAX_EXACT_INTEGER

_NAME_CHARACTERS_MAX: Final = 256
_JSON: Final = msgspec.json.Encoder()


class Refusals:
    """Which rows of one block are refused and why: the first reason found stands.

    `cells` has, for some codes, a cell that was refused with it: what is in it, and its column.
    """

    def __init__(self, rows: int) -> None:
        self._code: npt.NDArray[np.object_] = np.full(rows, "", object)
        self.cells: dict[str, tuple[str, str]] = {}

    def refuse(self, rows: Bools, code: str, cells: pa.Array | None = None, name: str = "") -> None:
        """Refuse the rows with this code, unless they have one. `cells` is the column that it is for."""
        chosen = rows & (self._code == "")
        self._code[chosen] = code
        if cells is not None and code not in self.cells and chosen.any():
            self.cells[code] = (str(cells[int(chosen.argmax())].as_py()), name)

    def pass_over(self, rows: Bools) -> None:
        """Refuse none of these rows, for whatever reason."""
        self._code[rows] = ""

    @property
    def kept(self) -> Bools:
        return np.asarray(self._code == "", np.bool_)

    def by_code(self) -> dict[str, I64]:
        """Rows of the block by code."""
        codes = set(self._code.tolist()) - {""}
        return {code: np.flatnonzero(self._code == code) for code in sorted(codes)}


class RowConverter:
    """Turns blocks into events; remembers each device's row count where time is counted in steps.

    `units` holds the unit of numbers in each column of times.
    """

    def __init__(
        self,
        mapping: Mapping,
        columns: Columns,
        numbers: dict[str, pa.DataType | None],
        device: str,
        units: dict[str, str],
    ) -> None:
        self._mapping = mapping
        self._numbers = numbers
        self._columns = columns
        self._device = device
        self._units = units
        self._interner = Interner()
        self._rows_seen: I64 = np.zeros(0, np.int64)

    def convert(self, block: pa.RecordBatch) -> tuple[EventBatch, I64, Refusals]:
        """An event for every row, its arrival, and which rows are not to be used."""
        refusals = Refusals(len(block))
        device = self._devices(block, refusals)
        ts = self._times(block, device, refusals)
        arrival = self._arrivals(block, ts, refusals)
        offsets, parameter, value, text, text_count = self._readings(block, refusals)
        refusals.pass_over(_blank(block))
        batch = EventBatch(
            device=device,
            ts=ts,
            flags=np.zeros(len(block), np.uint8),
            stream=np.zeros(len(block), np.int32),
            reading_offsets=offsets,
            parameter=parameter,
            value=value,
            text=text,
            text_count=text_count,
            event_id=empty_text(len(block)),
            names=self._columns.parameters,
            streams=(("", ""),),
        )
        return batch, arrival, refusals

    def _devices(self, block: pa.RecordBatch, refusals: Refusals) -> Strings:
        if self._columns.device is None:
            return Strings.of([self._device]).take(np.zeros(len(block), np.int64))
        column = _as_text(block.column(self._columns.device))
        length = np.asarray(pc.utf8_length(column).fill_null(0))
        refusals.refuse(length == 0, "device_missing")
        refusals.refuse(length > _NAME_CHARACTERS_MAX, "name_too_long")
        return strings_from_arrow(column.fill_null(""))

    def _times(self, block: pa.RecordBatch, device: Strings, refusals: Refusals) -> I64:
        step_s = self._mapping.step_seconds
        if step_s is not None:
            ts, valid = self._steps(block, device)
            ts = STEP_START_MS + np.rint(ts * (step_s * 1000)).astype(np.int64)
        else:
            name = str(self._columns.time)
            ts, valid = self._milliseconds(block, name)
        cells = None if self._columns.time is None else block.column(self._columns.time)
        refusals.refuse(~valid, "time_invalid", cells, str(self._columns.time))
        return ts

    def _steps(self, block: pa.RecordBatch, device: Strings) -> tuple[I64, Bools]:
        """The number that the step is multiplied with."""
        if self._columns.time is None:
            return self._count_rows(device), np.ones(len(block), np.bool_)
        column = self._typed(block, self._columns.time)
        if not pa.types.is_integer(column.type) and column.null_count < len(column):
            raise InvalidInputError(
                f"with --step-seconds the time column must be an integer step, "
                f"but {self._columns.time!r} holds {column.type}",
                field="time_column",
            )
        steps = np.asarray(column.fill_null(0)).astype(np.int64)
        return steps, np.asarray(column.is_valid()) & (np.abs(steps) < 2**40)

    def _count_rows(self, device: Strings) -> I64:
        """How many rows of the same device lie before each row, from the start of the file."""
        code = self._interner.intern(device)
        missing = len(self._interner) - len(self._rows_seen)
        self._rows_seen = np.concatenate([self._rows_seen, np.zeros(missing, np.int64)])
        order = np.argsort(code, kind="stable")
        ordered = code[order]
        first = np.searchsorted(ordered, ordered, side="left")
        place = np.empty(len(code), np.int64)
        place[order] = np.arange(len(code)) - first
        count = place + self._rows_seen[code]
        self._rows_seen += np.bincount(code, minlength=len(self._rows_seen))
        return count

    def _typed(self, block: pa.RecordBatch, name: str) -> pa.Array:
        """The column as numbers where it holds any; a row without one is null."""
        kind = self._numbers[name]
        column = block.column(name)
        return column if kind is None else parse_numbers(column, kind)[0]

    def _milliseconds(self, block: pa.RecordBatch, name: str) -> tuple[I64, Bools]:
        time_format = self._mapping.time_format
        column = block.column(name) if time_format else self._typed(block, name)
        return to_milliseconds(column, self._units[name], name, time_format)

    def _arrivals(self, block: pa.RecordBatch, ts: I64, refusals: Refusals) -> I64:
        name = self._columns.arrival
        if name is None:
            return ts
        arrival, valid = self._milliseconds(block, name)
        refusals.refuse(~valid & np.asarray(block.column(name).is_valid()), "arrival_invalid")
        return np.where(valid, arrival, ts)

    def _readings(self, block: pa.RecordBatch, refusals: Refusals) -> tuple[I32, I32, F64, Strings, I32]:
        """All values row by row, without absent ones; what is no number, as text."""
        rows, width = len(block), len(self._columns.parameters)
        values = np.full((rows, width), np.nan)
        texts: dict[str, list[Any]] = {}
        for index, name in enumerate(self._columns.parameters):
            if self._numbers[name] is None:
                texts[name] = block.column(name).to_pylist()
            else:
                values[:, index] = _to_float(block.column(name), name, refusals)
        refusals.refuse(np.isinf(values).any(axis=1), "number_not_finite")
        present = np.isfinite(values)
        offsets = np.zeros(rows + 1, np.int32)
        np.cumsum(present.sum(axis=1), out=offsets[1:])
        row, parameter = np.nonzero(present)
        text, text_count = _texts(texts, rows)
        return offsets, parameter.astype(np.int32), values[row, parameter] + 0.0, text, text_count


def _blank(block: pa.RecordBatch) -> Bools:
    """Rows without a single cell, as spreadsheets leave them below their last one."""
    blank = np.ones(len(block), np.bool_)
    for column in block.columns:
        blank &= ~np.asarray(column.is_valid())
    return blank


def strings_from_arrow(column: pa.Array) -> Strings:
    """A text column without nulls, copied into Tocsin's layout."""
    column = pa.concat_arrays([column.cast(pa.string())])  # drops what a slice leaves over
    _, offsets, data = column.buffers()
    first = column.offset
    bounds = (
        np.frombuffer(offsets, np.int32, len(column) + 1, first * 4) if len(column) else np.zeros(1, np.int32)
    )
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return Strings(bounds - bounds[0], raw[bounds[0] : bounds[-1]])


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def _to_float(column: pa.Array, name: str, refusals: Refusals) -> F64:
    """float64 with NaN where there is no value; integers that float64 can't hold exactly are refused."""
    numbers, junk = parse_numbers(column, pa.float64())
    refusals.refuse(junk, "not_a_number", column, name)
    values = np.asarray(pc.cast(numbers, pa.float64(), safe=False).fill_null(np.nan))
    if not pa.types.is_floating(column.type):
        large = np.flatnonzero(np.abs(values) >= MAX_EXACT_INTEGER)
        beyond = np.zeros(len(values), np.bool_)
        beyond[large] = [_beyond_exact(column[row].as_py()) for row in large.tolist()]
        refusals.refuse(beyond, "number_out_of_range", column, name)
    return values


def _beyond_exact(value: object) -> bool:
    """Whether a number as written is an integer that float64 would round."""
    text = str(value).strip()
    return text.lstrip("+-").isdigit() and abs(int(text)) > MAX_EXACT_INTEGER


def _texts(columns: dict[str, list[Any]], rows: int) -> tuple[Strings, I32]:
    """Each row's fields that are no numbers as one JSON object, and how many they are."""
    if not columns:
        return empty_text(rows), np.zeros(rows, np.int32)
    fields = [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        for row in zip(*columns.values(), strict=True)
    ]
    text = Strings.of([_JSON.encode(row).decode() if row else "" for row in fields])
    return text, np.array([len(row) for row in fields], np.int32)
