"""How a CSV file is written: what stands between its cells, and before the decimals of its numbers."""

from __future__ import annotations

import csv
import io
import itertools
import re
import shlex
from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError
from tocsin.files.mapping import DELIMITERS
from tocsin.ndjson import RESERVED_FIELDS
from tocsin.visible import visible

_UTF8_BYTES_MAX: Final = 4
_ROWS_COMPARED: Final = 20
_SHOWN_CHARACTERS: Final = 20
_COMMA: Final = r"^[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?$"
_POINT: Final = r"^[+-]?[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?$"
_GROUPED: Final = r"^[+-]?[1-9][0-9]{0,2}((,[0-9]{3})+|(\.[0-9]{3})+)$"
_FOR_SPREADSHEETS: Final = re.compile(r"sep=.\r?\n", re.IGNORECASE)
_NAMES: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}


def decode_lines(lines: bytes, name: str) -> str:
    """Whole lines as text; InvalidInputError says how to convert what is no UTF-8."""
    try:
        return lines.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not lines.endswith(b"\n") and len(lines) - error.start < _UTF8_BYTES_MAX:
            return lines.decode("utf-8-sig", errors="replace")  # cut off within a character
        line = lines.count(b"\n", 0, error.start) + 1
        kind = "UTF-16" if lines[:2] in {b"\xff\xfe", b"\xfe\xff"} else "WINDOWS-1252"
        raise InvalidInputError(
            f"{name}: line {line} is not UTF-8; convert the file first, such as with "
            f"iconv -f {kind} -t UTF-8 {name} > utf8.csv",
            field="file",
        ) from error


def header(text: str, name: str, delimiter: str) -> tuple[str, ...]:
    """The names in the first line; InvalidInputError unless it names every column once."""
    if not text.strip():
        raise InvalidInputError(f"{name} is empty: the first line names the columns", field="file")
    try:
        names = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidInputError(f"{name}: the first line can't be read: {error}", field="file") from error
    if not names or len(set(names)) != len(names):
        raise InvalidInputError(
            f"{name}: the first line must name every column once, it is {delimiter.join(names)!r}",
            field="file",
        )
    return tuple(names)


def line_of(text: str, row: int, delimiter: str) -> str:
    """The line of the file in which a row (from 0, after the header) ends; empty lines are no rows.

    Nothing if a cell before it is longer than Python's reader takes, unlike the one that reads the rows.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = (reader.line_num for cells in reader if cells)
    try:
        return f" in line {next(itertools.islice(rows, row + 1, None))}"
    except csv.Error:
        return ""


def find_delimiter(text: str, name: str) -> str:
    """What splits the header into names; of several, the one that cuts the rows into as many cells.

    InvalidInputError where there is no telling, or where a line that only spreadsheets read comes first.

    >>> find_delimiter("Device;Temp, inside\\na;20\\n", "x.csv")
    ';'
    """
    if _FOR_SPREADSHEETS.match(text):
        raise InvalidInputError(
            f"{name}: the first line, {text.splitlines()[0]!r}, is for spreadsheets alone: remove it, such "
            f"as with tail -n +2 {shlex.quote(name)} > table.csv",
            field="file",
        )
    splitting = [each for each in DELIMITERS if len(_first_rows(text, each, 1)[0]) > 1]
    if len(splitting) > 1:
        splitting = [each for each in splitting if _is_regular(text, each)]
        if len(splitting) != 1:
            raise InvalidInputError(
                f"{name}: no telling whether its cells are parted by commas, semicolons or tabs; "
                "say --delimiter ',' or ';' or a tab",
                field="delimiter",
            )
    return splitting[0] if splitting else ","


def find_decimal(columns: Mapping[str, pa.ChunkedArray], delimiter: str, name: str) -> str:
    """The decimal sign of the numbers; InvalidInputError where they leave it open."""
    columns = {column: cells for column, cells in columns.items() if column not in RESERVED_FIELDS}
    if delimiter == ",":
        return "."  # cells with commas are rare there, and mostly thousands
    comma, point = _first_like(columns, _COMMA, _GROUPED), _first_like(columns, _POINT, _GROUPED)
    if comma and point:
        raise InvalidInputError(
            f"{name}: {comma} has a decimal comma and {point} a point; say --decimal , or --decimal .",
            field="decimal",
        )
    if not comma and not point and (grouped := _first_like(columns, _GROUPED)):
        raise InvalidInputError(
            f"{name}: {grouped} may be thousands or have decimals; say --decimal , or --decimal .",
            field="decimal",
        )
    return "," if comma else "."


def describe_dialect(delimiter: str, decimal: str) -> str:
    """What was found out, for people; nothing if it is what everybody expects."""
    parts = [f"cells are parted by {_NAMES[delimiter]}"] if delimiter != "," else []
    return " and ".join([*parts, *(["numbers have decimal commas"] if decimal == "," else [])])


def swap_decimals(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Text with decimal commas as text with points; a point in a number makes it none."""
    column = pc.replace_substring(column, ".", "'")
    return pc.replace_substring(column, ",", ".")


def _first_rows(text: str, delimiter: str, rows: int) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [*itertools.islice(filter(None, reader), rows)] or [[]]
    except csv.Error:
        return [[]]


def _is_regular(text: str, delimiter: str) -> bool:
    head, *rows = _first_rows(text, delimiter, 1 + _ROWS_COMPARED)
    return all(len(row) == len(head) for row in rows)


def _first_like(columns: Mapping[str, pa.ChunkedArray], pattern: str, unlike: str | None = None) -> str:
    """The first cell of that look with its column, for people; nothing if there is none."""
    for column, cells in columns.items():
        like = pc.fill_null(pc.match_substring_regex(cells, pattern), False)
        if unlike is not None:
            like = pc.and_not(like, pc.fill_null(pc.match_substring_regex(cells, unlike), False))
        if (row := pc.index(like, True).as_py()) >= 0:
            return f"{visible(cells[row].as_py())[:_SHOWN_CHARACTERS]} in column {visible(column)!r}"
    return ""
