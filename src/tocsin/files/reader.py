"""Opens a file of readings and gives its events in the order of the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.events import I64, EventBatch
from tocsin.files.mapping import Columns, Mapping, choose_columns
from tocsin.files.rows import Refusals, RowConverter
from tocsin.files.tables import CsvTable, ParquetTable, Table, open_source

FORMATS: Final = ("parquet", "csv", "ndjson")

_BLOCK_ROWS: Final = 65_536
_EXAMPLES_MAX: Final = 5
_SUFFIXES: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events in the order of the file: event i stood in row `row[i]` (from 0), arrived at `arrival_ms[i]`."""

    batch: EventBatch
    arrival_ms: I64
    row: I64

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: I64) -> Chunk:
        """The events at `rows` of this chunk, in that order."""
        return Chunk(self.batch.take(rows), self.arrival_ms[rows], self.row[rows])


@dataclass(slots=True)
class Report:
    """What became of the rows so far: rows = events + empty (no value at all) + refused.

    `refused` counts by code; `examples` holds the row numbers (from 0) of the first ones of each code.
    """

    rows: int = 0
    events: int = 0
    readings: int = 0
    empty: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[int]] = field(default_factory=dict)

    def refuse(self, code: str, rows: list[int]) -> None:
        """Count rows that are refused for one reason."""
        self.refused[code] = self.refused.get(code, 0) + len(rows)
        seen = self.examples.setdefault(code, [])
        seen.extend(rows[: _EXAMPLES_MAX - len(seen)])


class EventFile(ABC):
    """An opened file: what is read from it, then its events, once. `report` grows while it is read."""

    columns: Columns
    rows: int | None  # None = not known before the end

    def __init__(self, device: str) -> None:
        self.device: Final = device
        self.report: Final = Report()

    def describe(self) -> str:
        """Which columns are what, in one line for people."""
        columns = self.columns
        device = columns.device or f"{self.device!r} (the file's name)"
        arrival = f"; arrival: {columns.arrival}" if columns.arrival else ""
        parameters = ", ".join(columns.parameters) or "all fields"
        return f"device: {device}; time: {columns.time or 'counted'}{arrival}; parameters: {parameters}"

    @abstractmethod
    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        """The events in pieces of `batch_rows` rows of the file; pieces without an event are left out."""


class TableFile(EventFile):
    """Parquet or CSV. What a row becomes depends on neither the pieces nor the rows around it."""

    def __init__(self, table: Table, mapping: Mapping, device: str) -> None:
        super().__init__(device)
        self._table = table
        self.rows = table.rows
        self.columns = choose_columns(mapping, table.names, table.numeric)
        self._converter = RowConverter(mapping, self.columns, table.numbers, device)

    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        whole_batches = max(1, _BLOCK_ROWS // batch_rows) * batch_rows
        for block in self._table.batches(self.columns.used, whole_batches):
            first = self.report.rows
            batch, arrival_ms, refusals = self._converter.convert(block)
            kept = self._count(batch, refusals)
            piece = Chunk(batch, arrival_ms, first + np.arange(len(batch), dtype=np.int64))
            for begin in range(0, len(batch), batch_rows):
                rows = begin + np.flatnonzero(kept[begin : begin + batch_rows])
                if len(rows):
                    yield piece.take(rows)

    def _count(self, batch: EventBatch, refusals: Refusals) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Enter a block into the report; which of its rows become events."""
        report, kept = self.report, refusals.kept
        width = np.diff(batch.reading_offsets)
        something = (width > 0) | (batch.text_count > 0)
        for code, rows in refusals.by_code().items():
            report.refuse(code, (report.rows + rows).tolist())
        report.rows += len(batch)
        report.empty += int((kept & ~something).sum())
        report.events += int((kept & something).sum())
        report.readings += int(width[kept & something].sum())
        return kept & something


def open_events(
    path: Path | None, mapping: Mapping, *, stream: IO[bytes] | None = None, kind: str | None = None
) -> EventFile:
    """The events of a file, or of `stream` when there is no path (CSV or NDJSON, the device is "stdin").

    `kind` is one of FORMATS; None goes by the file's name, for a stream it means NDJSON. Raises
    InvalidInputError with the remedy when file, columns or options don't fit together.
    """
    kind = kind or (_kind_of(path) if path is not None else "ndjson")
    if kind not in FORMATS:
        raise InvalidInputError(f"--format is one of {', '.join(FORMATS)}, not {kind!r}", field="format")
    if path is not None and not path.is_file():
        raise InvalidInputError(f"{path} is no file", field="file")
    device = _stem(path) if path is not None else "stdin"
    if kind == "parquet":
        if path is None:
            raise InvalidInputError("Parquet is read from files only, not from a stream", field="format")
        return TableFile(ParquetTable(path), mapping, device)
    source = stream if path is None else open_source(path)
    if source is None:
        raise InvalidInputError("neither a file nor a stream was given", field="file")
    return TableFile(CsvTable(source, device), mapping, device)


def _kind_of(path: Path) -> str:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None
    if kind is None:
        raise InvalidInputError(
            f"{path.name}: no telling what kind of file this is; say --format {'|'.join(FORMATS)}",
            field="format",
        )
    return kind


def _stem(path: Path) -> str:
    """The name without the suffixes that tell the format.

    >>> _stem(Path("meters/house-7.csv.gz"))
    'house-7'
    """
    name = path.name.removesuffix(".gz")
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in _SUFFIXES else name
