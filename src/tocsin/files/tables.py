"""Streams of Arrow record batches from Parquet and CSV files, in the order of the file."""

from __future__ import annotations

import gzip
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tocsin.errors import InvalidInputError
from tocsin.files.dialect import (
    decode_lines,
    describe_dialect,
    find_decimal,
    find_delimiter,
    header,
    line_of,
    swap_decimals,
)
from tocsin.visible import visible

Bools = npt.NDArray[np.bool_]

_NULLS: Final = ["", "null", "NULL", "None", "NA", "N/A", "n/a"]
_CSV_BLOCK_BYTES: Final = 4 << 20
_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 10_000

_SHOWN_CHARACTERS: Final = 20
_NUMBER: Final = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NAN: Final = r"(?i)^[+-]?nan$"


@dataclass(frozen=True, slots=True)
class _Guess:
    """What a column looks like: the type of its numbers, None without any, and whether most values are."""

    kind: pa.DataType | None
    mostly: bool
    why_text: str


class Table(ABC):
    """A file of rows with named columns. Read once, from the front, in bounded memory."""

    numbers: dict[str, pa.DataType | None]  # every column in order; None = holds no numbers
    rows: int | None  # None = not known before the end

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.numbers)

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return tuple(name for name, kind in self.numbers.items() if kind is not None)

    @abstractmethod
    def expect_numbers(self, names: Sequence[str]) -> None:
        """Take these columns for numbers if any value that was looked at is one."""

    @abstractmethod
    def why_text(self, name: str) -> str:
        """Why a column holds no numbers, in a few words for people."""

    @abstractmethod
    def sample(self, name: str) -> pa.Array:
        """The first cells of a column as the file has them, for a look at what they are."""

    def notes(self) -> list[str]:
        """What was found out about the file that not every file has, in sentences for people."""
        return []

    @abstractmethod
    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """The columns, in pieces of at most `rows`; numbers may still be text, for `parse_numbers`."""


class ParquetTable(Table):
    """Types are those of the file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidInputError(f"{path.name} is no Parquet file: {error}", field="file") from error
        schema = self._file.schema_arrow
        self.numbers = {field.name: field.type if is_number(field.type) else None for field in schema}
        self.rows = self._file.metadata.num_rows

    def expect_numbers(self, names: Sequence[str]) -> None:
        """The file says what they are."""

    def why_text(self, name: str) -> str:
        kind = self._file.schema_arrow.field(name).type
        return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)

    def sample(self, name: str) -> pa.Array:
        first = next(self._file.iter_batches(batch_size=_SAMPLE_ROWS, columns=[name]), None)
        return first.column(0) if first is not None else pa.nulls(0, pa.string())

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._file.iter_batches(batch_size=rows, columns=list(columns))


class CsvTable(Table):
    """A header, then rows. A column holds numbers if most values in the first mebibyte are."""

    def __init__(
        self, source: IO[bytes], name: str, delimiter: str | None = None, decimal: str | None = None
    ) -> None:
        self._name = name
        self._source = io.BufferedReader(_Peekable(source), _SAMPLE_BYTES)
        sample = self._source.peek(_SAMPLE_BYTES)
        sample = sample[: sample.rfind(b"\n") + 1] or sample
        text = decode_lines(sample, name)
        self._delimiter = delimiter or find_delimiter(text, name)
        self.numbers = dict.fromkeys(header(text, name, self._delimiter))
        self._first = self._read(sample)
        self._decimal = decimal or find_decimal(self._first, self._delimiter, name)
        self._guesses = {name: self._guess(cells, text) for name, cells in self._first.items()}
        self.numbers = {name: guess.kind if guess.mostly else None for name, guess in self._guesses.items()}
        self.rows = None

    def expect_numbers(self, names: Sequence[str]) -> None:
        self.numbers |= {name: self._guesses[name].kind for name in names}

    def why_text(self, name: str) -> str:
        return self._guesses[name].why_text

    def sample(self, name: str) -> pa.Array:
        return self._number_text(name, self._first[name].slice(0, _SAMPLE_ROWS).combine_chunks())

    def notes(self) -> list[str]:
        found = describe_dialect(self._delimiter, self._decimal)
        return [found] if found else []

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        reader = self._open(self._source, columns)
        try:
            for batch in reader:
                cells = [self._number_text(name, batch.column(name)) for name in columns]
                piece = pa.record_batch(cells, [*columns])
                for begin in range(0, len(piece), rows):
                    yield piece.slice(begin, rows)
        except pa.ArrowInvalid as error:
            raise InvalidInputError(f"{self._name}: {error}", field="file") from error

    def _number_text(self, name: str, cells: pa.Array) -> pa.Array:
        """Cells of a column of numbers with a decimal point; others as they are."""
        return swap_decimals(cells) if self._decimal == "," and self.numbers[name] is not None else cells

    def _read(self, sample: bytes) -> dict[str, pa.ChunkedArray]:
        try:
            reader = self._open(_own_copy(sample), self.names)
            table = pa.Table.from_batches(list(reader), reader.schema)  # a header alone has no batch
        except (pa.ArrowInvalid, ValueError) as error:
            raise InvalidInputError(f"{self._name}: {error}", field="file") from error
        return {name: table.column(name) for name in self.names}

    def _guess(self, cells: pa.ChunkedArray, text: str) -> _Guess:
        column = swap_decimals(cells) if self._decimal == "," else cells
        kind = _common_type(column)
        if kind is not None:
            return _Guess(kind, mostly=True, why_text="")
        like_number = pc.fill_null(pc.match_substring_regex(column, _NUMBER), False)
        absent = pc.fill_null(pc.match_substring_regex(column, _NAN), True)
        numbers, absences = pc.sum(like_number, min_count=0).as_py(), pc.sum(absent, min_count=0).as_py()
        words = pc.invert(pc.or_(like_number, absent))
        first = pc.index(words, True).as_py()
        said = visible(cells[first].as_py() if first >= 0 else "")[:_SHOWN_CHARACTERS]
        kind = _common_type(column.filter(pc.invert(words))) if numbers else None
        mostly = 2 * numbers > len(column) - absences
        return _Guess(kind, mostly, f'text, first "{said}"{line_of(text, first, self._delimiter)}')

    def _open(self, source: Any, columns: Sequence[str]) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(
            source,
            read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()),
                include_columns=list(columns),
                strings_can_be_null=True,
                null_values=_NULLS,
            ),
        )


class _Peekable(io.RawIOBase):
    """Makes any binary stream a raw one, so that a sample can be looked at before reading."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _own_copy(data: bytes) -> pa.BufferReader:
    """The bytes as Arrow's own: its threads let go of them without asking for the interpreter's lock.

    They can be behind, and one that asks while the interpreter ends aborts the process.
    """
    sink = pa.BufferOutputStream()
    sink.write(data)
    return pa.BufferReader(sink.getvalue())


def open_source(path: Path) -> IO[bytes]:
    """The bytes of a file, decompressed if its name ends in `.gz`."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def parse_numbers(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Bools]:
    """Text as numbers of `kind`, and which rows are none; they are null in the numbers.

    What becomes of a row never depends on the rows around it. Other columns come back as they are.
    """
    none = np.zeros(len(column), np.bool_)
    if not pa.types.is_string(column.type):
        return column, none
    try:
        return pc.cast(column, kind), none
    except pa.ArrowInvalid:
        values = [_parse_number(text, kind) for text in column]
    numbers = pa.array(values, kind)
    return numbers, np.asarray(column.is_valid()) & ~np.asarray(numbers.is_valid())


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type can be readings; truth values can't."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _parse_number(text: pa.Scalar, kind: pa.DataType) -> int | float | None:
    try:
        number: int | float | None = text.cast(kind).as_py()
    except pa.ArrowInvalid:
        return None
    return number


def _common_type(column: pa.ChunkedArray) -> pa.DataType | None:
    """The type that every value can be read as."""
    for kind in (pa.int64(), pa.float64()):
        try:
            pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
        return kind
    return None
