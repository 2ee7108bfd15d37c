"""CSV with a header into events."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.ingest.parsing.batch_building import batch_of
from tocsin.ingest.parsing.careful import too_many_lines
from tocsin.ingest.parsing.event import RESERVED, Event, event_of
from tocsin.ingest.parsing.json_reader import JsonValue, number
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault, LineForm
from tocsin.ingest.parsing.parsed_body import ParsedBody

_NUMBER: Final = re.compile(r"(?:\+|(-))?(?=\.?[0-9])0*([0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_INTEGER: Final = re.compile(r"-?[0-9]+")
_Cells = list[str] | csv.Error
_Row = tuple[_Cells, bytes, int]
_BOOLEANS: Final = {"true": True, "false": False}

_HEADER_KEPT_BYTES_MAX: Final = 8 << 10
"""Longer headers are not kept with each refused row: many short rows under one would grow a thousandfold."""


def parse_csv(body: bytes, limits: ParseLimits) -> ParsedBody:
    """Rows under a header of field names, which must have `device` and `ts`; an empty cell is absent.

    A cell that looks like a number is one, quoted or not; true and false are booleans; anything else is
    text. A refused row is kept under the header, without which it could not be sent again. Costs about
    10 µs a row: NDJSON and Arrow are the formats for speed.
    """
    rows = iter(_Rows(body))
    header, header_raw = _header(rows, limits)
    events: list[Event] = []
    numbers: list[int] = []
    errors: list[LineError] = []
    for cells, raw, line in rows:
        try:
            events.append(_event(cells, raw, header, limits))
            numbers.append(line)
        except LineFault as fault:
            errors.append(_under(header_raw, fault.at(line, raw)))
        if len(events) + len(errors) > limits.lines:
            raise too_many_lines(limits)
    return ParsedBody(batch_of(events), np.array(numbers, np.int32), errors, len(events) + len(errors))


def is_csv(body: bytes) -> bool:
    """Whether a refused line of which no form was kept is a row under its header, for certain.

    An element of a JSON array can begin with such a header only inside of a bracket or a string, since its
    commas would end it; so a header with one of those is not taken for one.

    >>> is_csv(b"device,ts,a\\np,1,nan"), is_csv(b"p,1,nan"), is_csv(b'{"device":\\n"ts"}')
    (True, False, False)
    >>> is_csv(b"{,device,ts,a\\n0,p,1,2}")
    False
    """
    header, line_end, _ = body.partition(b"\n")
    if not line_end or len(header) > _HEADER_KEPT_BYTES_MAX or any(byte in header for byte in b'{["'):
        return False
    try:
        cells = next(csv.reader([header.rstrip(b"\r").decode(errors="replace")]), [])
    except csv.Error:
        return False
    return {"device", "ts"} <= {cell.strip() for cell in cells}


class _Rows:
    """Rows that are not blank, each with its bytes and the line that it begins on.

    A row that breaks the rules of quoting comes as the error.
    """

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)
        self._row: list[bytes] = []
        self._reader = csv.reader(self._texts(), strict=True)

    def _texts(self) -> Iterator[str]:
        for line in self._body:
            self._row.append(line)
            yield line.decode(errors="surrogateescape")

    def __iter__(self) -> Iterator[_Row]:
        line = 1
        while True:
            self._row.clear()
            cells: _Cells | None
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                cells = error
            if cells is None:
                return
            raw = b"".join(self._row).rstrip(b"\r\n")
            if raw.strip(b" \t\r\n"):
                yield cells, raw, line
            line += len(self._row)


def _under(header: bytes, error: LineError) -> LineError:
    """The error with the row's header above its bytes, where the row is whole and the header not too long.

    A header of several lines is left out too: it could not be told from a row.
    """
    if error.code is LineCode.LINE_TOO_LONG or len(header) > _HEADER_KEPT_BYTES_MAX or b"\n" in header:
        return replace(error, form=LineForm.BARE_ROW)
    return replace(error, body=header + b"\n" + error.body, form=LineForm.ROW)


def _header(rows: Iterator[_Row], limits: ParseLimits) -> tuple[list[str], bytes]:
    cells, raw, _ = next(rows, ([], b"", 1))
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("The CSV header is not UTF-8.") from error
    if isinstance(cells, csv.Error):
        raise InvalidInputError(f"The CSV header cannot be read: {cells}.") from cells
    names = [cell.strip() for cell in cells]
    for name, times in Counter(names).items():
        if times > 1 or not 0 < len(name) <= limits.name_characters:
            raise InvalidInputError(f"The CSV header has an empty, long or repeated name: {name[:60]!r}.")
    for needed in ("device", "ts"):
        if needed not in names:
            raise InvalidInputError(f"The CSV header does not name the column {needed!r}.", field=needed)
    return names, raw


def _event(cells: _Cells, raw: bytes, header: list[str], limits: ParseLimits) -> Event:
    if len(raw) > limits.line_bytes:
        message = f"The row has {len(raw)} bytes, {limits.line_bytes} are allowed"
        raise LineFault(LineCode.LINE_TOO_LONG, message)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"Byte 0x{raw[error.start]:02x} at position {error.start + 1} is not UTF-8"
        raise LineFault(LineCode.INVALID_UTF8, message) from None
    if isinstance(cells, csv.Error):
        raise LineFault(LineCode.INVALID_CSV, f"The row cannot be read: {cells}")
    if len(cells) > len(header):
        message = f"The row has {len(cells)} cells, the header {len(header)} names"
        raise LineFault(LineCode.INVALID_CSV, message)
    fields = {name: _value(name, cell.strip()) for name, cell in zip(header, cells, strict=False)}
    return event_of(fields, limits)


def _value(name: str, cell: str) -> JsonValue:
    if not cell:
        return None
    if name in RESERVED:
        return number(cell, None, None, name) if name == "ts" and _INTEGER.fullmatch(cell) else cell
    if _NOT_FINITE.fullmatch(cell):
        raise LineFault(LineCode.NUMBER_NOT_FINITE, f"{cell} is not a number", name)
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return _BOOLEANS.get(cell.lower(), cell)
    sign, integer, fraction, exponent = match.groups()
    return number(f"{sign or ''}{integer or 0}", fraction, exponent, name)
