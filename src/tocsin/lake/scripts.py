"""The lake's SQL for DuckDB, by file and name, and the engine that upkeep runs it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from tocsin.storage.scripts import split_queries

_BATCH_ROWS: Final = 2_048
_KINDS: Final = {"Out of Memory Error": duckdb.OutOfMemoryException, "IO Error": duckdb.IOException}


def lake_queries(name: str) -> Mapping[str, str]:
    """The queries of `sql/<name>.sql`."""
    return split_queries((files("tocsin.lake") / "sql" / f"{name}.sql").read_text())


@contextmanager
def open_engine(folder: Path, memory_bytes: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine on one thread; what exceeds `memory_bytes` goes to `folder`/spill while it runs."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_bytes}B",
        "threads": 1,
        "temp_directory": str(folder / "spill"),
    }
    with duckdb.connect(config=config) as engine:
        engine.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield engine


def read_batches(
    engine: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Mapping[str, Any],
    schema: pa.Schema | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of a query as they are made: nobody holds them all, and the engine can do nothing else meanwhile.

    duckdb.OutOfMemoryException and duckdb.IOException as from any query, also after the first rows; for all
    else that stops it there, duckdb.Error.
    """
    try:
        reader = engine.sql(sql, params=dict(parameters)).to_arrow_reader(_BATCH_ROWS)
        yield from reader if schema is None else reader.cast(schema)
    except OSError as error:  # so pyarrow calls all that DuckDB raises after the first rows
        said = str(error)
        kind = next((kind for name, kind in _KINDS.items() if said.startswith(name)), duckdb.Error)
        raise kind(said) from error
