"""Tables as files for other programs: Parquet, CSV and NDJSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tocsin.errors import InvalidInputError
from tocsin.lake.files import publish
from tocsin.visible import visible_json, visible_lines

FORMULA_START: Final = r"^[=+\-@\t\r\n＝＋－＠]"
# All that `visible` names and a little more, in the dialect that is asked of whole columns.
_ACTING: Final = (
    r"[\x00-\x1f\x7f-\xad\x{61c}\x{180e}\x{200b}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]"
)


def export(table: pa.Table, path: Path, kind: str) -> None:
    """Write `table` to `path` as "parquet", "csv" or "ndjson"; whole and synced, or not at all.

    In CSV, text that a spreadsheet would run as a formula gets a "'" in front, characters that act instead
    of being seen are named, and maps and lists are JSON.
    """
    if kind not in FORMATS:
        raise InvalidInputError(f"format {kind!r} is not known; one of {', '.join(FORMATS)}", field="format")
    sink = pa.BufferOutputStream()
    FORMATS[kind](table, sink)
    publish(path, memoryview(sink.getvalue()))


def _write_parquet(table: pa.Table, sink: pa.NativeFile) -> None:
    pq.write_table(table, sink, compression="zstd")


def _write_csv(table: pa.Table, sink: pa.NativeFile) -> None:
    pa.csv.write_csv(_flat(table), sink)


def _write_ndjson(table: pa.Table, sink: pa.NativeFile) -> None:
    for batch in table.to_batches(max_chunksize=10_000):
        lines = [msgspec.json.encode(_plain(row)) for row in batch.to_pylist()]
        sink.write(b"".join(line + b"\n" for line in lines))


FORMATS: Final[dict[str, Callable[[pa.Table, pa.NativeFile], None]]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "ndjson": _write_ndjson,
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
