"""Opens a file of readings by its name or the format asked for."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from tocsin.errors import InvalidInputError
from tocsin.files.event_file import EventFile
from tocsin.files.line_file import LineFile
from tocsin.files.mapping import Mapping
from tocsin.files.table_file import TableFile
from tocsin.files.tables import CsvTable, ParquetTable, open_source

FORMATS: Final = ("parquet", "csv", "ndjson")

_SUFFIXES: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_SPREADSHEETS: Final = (".xlsx", ".xls", ".xlsm", ".ods")


def open_events(
    path: Path | None, mapping: Mapping, *, stream: IO[bytes] | None = None, kind: str | None = None
) -> EventFile:
    """The events of a file, or of `stream` when there is no path (CSV or NDJSON, the device is "stdin").

    `kind` is one of FORMATS; None goes by the file's name, for a stream it means NDJSON. Raises
    InvalidInputError with the remedy when file, columns or options don't fit together.
    """
    if path is not None and not path.is_file():
        raise InvalidInputError(f"{path} is no file", field="file")
    kind = kind or (_kind_of(path) if path is not None else "ndjson")
    if kind not in FORMATS:
        raise InvalidInputError(f"--format is one of {', '.join(FORMATS)}, not {kind!r}", field="format")
    device = _stem(path) if path is not None else "stdin"
    if kind != "csv" and (mapping.delimiter or mapping.decimal):
        raise InvalidInputError("--delimiter and --decimal are for CSV alone", field="format")
    if kind == "parquet":
        if path is None:
            raise InvalidInputError("Parquet is read from files only, not from a stream", field="format")
        return TableFile(ParquetTable(path), mapping, device)
    source = stream if path is None else open_source(path)
    if source is None:
        raise InvalidInputError("neither a file nor a stream was given", field="file")
    if kind == "ndjson":
        return LineFile(source, mapping, device)
    name = path.name if path is not None else device
    return TableFile(CsvTable(source, name, mapping.delimiter, mapping.decimal), mapping, device)


def _kind_of(path: Path) -> str:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None
    if kind is None and suffixes and suffixes[-1].lower() in _SPREADSHEETS:
        raise InvalidInputError(
            f"{path.name} is a spreadsheet: save its sheet as CSV (UTF-8), and name that file", field="file"
        )
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
