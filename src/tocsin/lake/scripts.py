"""The lake's SQL for DuckDB, by file and name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from tocsin.storage.scripts import split_queries


def lake_queries(name: str) -> Mapping[str, str]:
    """The queries of `sql/<name>.sql`."""
    return split_queries((files("tocsin.lake") / "sql" / f"{name}.sql").read_text())
