"""Tables as files for other programs: Parquet, CSV and NDJSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tocsin.errors import InvalidInputError
from tocsin.lake.files import publishing
from tocsin.lake.room import Rows
from tocsin.visible import visible_json, visible_lines

FORMULA_START: Final = r"^[=+\-@\t\r\n＝＋－＠]"
# All that `visible` names and a little more, in the dialect that is asked of whole columns.
_ACTING: Final = (
    r"[\x00-\x1f\x7f-\xad\x{61c}\x{180e}\x{200b}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]"
)
_PART_ROWS: Final = 1 << 16
_PART_BYTES: Final = 16 << 20


def require_target(path: Path) -> None:
    """InvalidInputError unless the name's ending says a format and its folder is there; before any work."""
    _kind(path)
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"the folder {path.parent} does not exist: make it first", field="out")


def export(rows: Rows, path: Path, written: Callable[[int], None] = lambda _: None) -> int:
    """Write rows to a .parquet, .csv or .ndjson file, whole and synced or not at all; how many there were.

    Memory is bounded by a part of some 64k rows or 16 MiB; `written` hears of each. In CSV, text that a
    spreadsheet would run as a formula gets a "'" in front, characters that act instead of being seen are
    named, and maps and lists are JSON.
    """
    write, total = FORMATS[_kind(path)], 0
    with publishing(path) as sink, write(rows.schema, pa.PythonFile(sink, mode="w")) as add:
        for part in _parts(rows):
            add(part)
            total += part.num_rows
            written(part.num_rows)
    return total


@contextmanager
def spilling(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what a query can't hold in memory; gone when the context ends."""
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.absolute().parent) as folder:
        yield Path(folder)


def _kind(path: Path) -> str:
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        said = f"{path.name} ends in {path.suffix}" if kind else f"{path.name} has no ending"
        endings = ", ".join(f".{known}" for known in FORMATS)
        raise InvalidInputError(f"{said}, which is no format that can be written: use {endings}", field="out")
    return kind


def _parts(rows: Rows) -> Iterator[pa.Table]:
    """The batches in parts worth a row group each."""
    waiting: list[pa.RecordBatch] = []
    count, size_bytes = 0, 0
    for batch in rows.batches:
        waiting.append(batch)
        count, size_bytes = count + batch.num_rows, size_bytes + batch.nbytes
        if count >= _PART_ROWS or size_bytes >= _PART_BYTES:
            yield pa.Table.from_batches(waiting, schema=rows.schema)
            waiting, count, size_bytes = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema=rows.schema)


Add = Callable[[pa.Table], None]


@contextmanager
def _parquet(schema: pa.Schema, sink: pa.NativeFile) -> Iterator[Add]:
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def _csv(schema: pa.Schema, sink: pa.NativeFile) -> Iterator[Add]:
    with pa.csv.CSVWriter(sink, _flat(schema.empty_table()).schema) as writer:
        yield lambda part: writer.write_table(_flat(part))


@contextmanager
def _ndjson(_schema: pa.Schema, sink: pa.NativeFile) -> Iterator[Add]:
    def add(part: pa.Table) -> None:
        for batch in part.to_batches(max_chunksize=10_000):
            lines = [msgspec.json.encode(_plain(row)) for row in batch.to_pylist()]
            sink.write(b"".join(line + b"\n" for line in lines))

    yield add


FORMATS: Final[dict[str, Callable[[pa.Schema, pa.NativeFile], AbstractContextManager[Add]]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "ndjson": _ndjson,
}


def without_formulas(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text with a "'" before what a spreadsheet would take for a formula.

    >>> without_formulas(pa.chunked_array([["=1+1", "-2", "a=b", None]])).to_pylist()
    ["'=1+1", "'-2", 'a=b', None]
    """
    risky = pc.match_substring_regex(values, FORMULA_START)
    return pc.if_else(risky, pc.binary_join_element_wise("'", values, ""), values)


def _flat(table: pa.Table) -> pa.Table:
    columns = {name: _flat_column(table.column(name)) for name in table.column_names}
    return pa.table({_safe_name(name): column for name, column in columns.items()})


def _safe_name(name: str) -> str:
    return str(without_formulas(pa.chunked_array([[visible_lines(name)]]))[0])


def _flat_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_nested(column.type):
        return pa.chunked_array([pa.array([_json(value) for value in column.to_pylist()], pa.string())])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return without_formulas(_seen(column))
    return column


def _seen(column: pa.ChunkedArray) -> pa.ChunkedArray:
    acting = pc.match_substring_regex(column, _ACTING)
    if not pc.any(acting).as_py():
        return column
    seen = [None if text is None else visible_lines(text) for text in column.to_pylist()]
    return pa.chunked_array([pa.array(seen, column.type)])


def _json(value: Any) -> str | None:
    return None if value is None else visible_json(msgspec.json.encode(_plain(value)).decode())


def _plain(value: Any) -> Any:
    """Arrow's maps, which Python gets as lists of pairs, as objects."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        pairs = all(isinstance(part, tuple) and len(part) == 2 for part in value)
        return (
            {str(name): part for name, part in value} if value and pairs else [_plain(part) for part in value]
        )
    return value.isoformat() if isinstance(value, datetime) else value
