"""The lake's SQL for DuckDB, by file and name, and the engine that upkeep runs it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from tocsin.storage.scripts import split_queries


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
        engine.execute("SET TimeZone = 'UTC'")
        yield engine
