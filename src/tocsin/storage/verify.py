"""Reads a whole database and says what is wrong with it; what `tocsin doctor` asks of every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apsw

from tocsin.errors import CorruptError, TocsinError
from tocsin.storage.readers import Readers

RowReads = Mapping[str, Callable[[tuple[Any, ...], str], Any]]
"""By the name of a query: what reads one of its rows, and raises CorruptError where that is altered."""


def verify_rows(readers: Readers, place: str, reads: RowReads, queries: Mapping[str, str]) -> list[str]:
    """Problems in words: what SQLite finds of rows and indexes, and rows that do not match their hash."""
    problems: list[str] = []
    try:
        with readers.lend() as reader:
            # not quick_check, which does not compare indexes with their rows: lists are read by them
            found = [str(row[0]) for row in reader.execute("PRAGMA integrity_check")]
            problems += [f"{place}: {line}" for line in found if line != "ok"]
            for name, read in reads.items():
                problems += _unreadable(reader.execute(queries[name]), read, place)
    except TocsinError as error:
        problems.append(error.detail)
    except apsw.SQLError as error:  # tests prove that the queries fit the schema, so that is what is altered
        problems.append(f"{place}: the schema is altered: {error}")
    return problems


def _unreadable(
    rows: Iterable[tuple[Any, ...]], read: Callable[[tuple[Any, ...], str], Any], place: str
) -> list[str]:
    problems = []
    for row in rows:
        try:
            read(row, place)
        except CorruptError as error:
            problems.append(error.detail)
    return problems
