"""The locked room that SQL runs in: one tenant's views in an engine of its own, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from tocsin.errors import InvalidInputError, StorageUnavailableError, TooLargeError
from tocsin.lake.schemas import CONTROL, EVENTS, HOURS, LOG_TABLES, SCORES, TABLES, TableSpec
from tocsin.lake.scripts import lake_queries
from tocsin.lake.statements import only_select
from tocsin.lake.unknown_view import unknown_view

_SQL: Final = lake_queries("views")
_SPANS: Final = {
    "hours": ("hour", "hour", ""),
    "days": ("day", "date_trunc('day', hour)", ""),
    "weeks": ("week", "date_trunc('week', hour)", ""),
    "months": ("month", "date_trunc('month', hour)", ""),
    "seasons": (
        "season",
        "date_trunc('quarter', hour + INTERVAL 1 MONTH) - INTERVAL 1 MONTH",
        ", ['DJF', 'MAM', 'JJA', 'SON'][quarter(start_of_span + INTERVAL 1 MONTH)] AS months",
    ),
}
VIEWS: Final = ("readings", "logs", *_SPANS, *(name for name in TABLES if name not in _SPANS))
"""What SQL can ask for by name."""
_BATCH_ROWS: Final = 500  # small, since a batch of long texts is in memory before its size is known
_FROM_LOG: Final = frozenset(spec.name for spec in LOG_TABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """What one query may use; beyond it is refused, never half-answered.

    `memory_bytes` is what the engine may hold; texts in the making are beyond its reckoning.
    """

    memory_bytes: int = 1 << 30
    threads: int = 2
    timeout_s: float = 30.0
    rows_max: int = 1_000_000
    result_bytes_max: int = 64 << 20
    tail_bytes_max: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """What one query may see: by table the files of the lake, and the rows that only the log has."""

    tenant: str
    files: Mapping[str, Sequence[str]]
    tail: Mapping[str, pa.Table]


def empty_room() -> Room:
    """A tenant without any rows."""
    files: dict[str, list[str]] = {name: [] for name in TABLES}
    tail = {"events": EVENTS.schema, "hours": HOURS.file_schema, "control": CONTROL.file_schema}
    return Room("", files, {name: schema.empty_table() for name, schema in tail.items()})


@dataclass(frozen=True, slots=True)
class Rows:
    """A result that is read once, piece by piece."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def answer(room: Room, sql: str, limits: QueryLimits) -> pa.Table:
    """The rows of one SELECT over the room's views.

    InvalidInputError for anything but one SELECT or a wrong one, TooLargeError beyond the limits.
    """
    with locked_engine(room, limits) as engine, _answers(engine, room, limits.timeout_s):
        return _rows(engine, sql, limits)


@contextmanager
def open_rows(room: Room, sql: str, limits: QueryLimits, spill: Path) -> Iterator[Rows]:
    """As `answer`, for a result of any size, as long as the context lasts and however long it takes.

    Of `limits` only memory and threads count; what the engine can't hold (a long sort) it puts into the
    folder `spill`. Errors come from reading the batches too.
    """
    with locked_engine(room, limits, spill) as engine:
        with _told_errors(room, limits.timeout_s):
            reader = _reader(engine, sql)
        yield Rows(reader.schema, _batches(reader, room, limits))


def _batches(reader: pa.RecordBatchReader, room: Room, limits: QueryLimits) -> Iterator[pa.RecordBatch]:
    while True:
        with _told_errors(room, limits.timeout_s):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextmanager
def locked_engine(
    room: Room, limits: QueryLimits, spill: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The engine with the room's views, to which nothing can be added; for what `only_select` gives."""
    config: dict[str, str | int] = {"memory_limit": f"{limits.memory_bytes}B", "threads": limits.threads}
    with duckdb.connect(config=config) as engine:  # type: ignore[arg-type]
        _prepare(engine, room, spill)
        yield engine


def _prepare(engine: duckdb.DuckDBPyConnection, room: Room, spill: Path | None) -> None:
    """Make the views, then take everything else away for good."""
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    engine.execute("SET python_enable_replacements = false; SET enable_progress_bar = false")
    engine.execute(f"SET temp_directory = {_literal('' if spill is None else str(spill.resolve()))}")
    allowed = ", ".join(_literal(path) for found in room.files.values() for path in found)
    engine.execute(f"SET allowed_paths = [{allowed}]")
    for name, found in room.files.items():
        _make_stored(engine, TABLES[name], found)
    for name, rows in room.tail.items():
        engine.register(f"{name}_tail", rows)
    for statement in _view_statements(_literal(room.tenant)):
        engine.execute(statement)
    engine.execute("SET enable_external_access = false; SET lock_configuration = true")


def _make_stored(engine: duckdb.DuckDBPyConnection, spec: TableSpec, paths: Sequence[str]) -> None:
    name = f"{spec.name}_stored"
    if not paths:
        engine.register(name, spec.schema.empty_table())
        return
    types = ", ".join(
        f"'{column}': {'DATE' if pa.types.is_date(spec.schema.field(column).type) else 'VARCHAR'}"
        for column in spec.partition_by
    )
    files = ", ".join(map(_literal, paths))
    engine.execute(
        f"CREATE VIEW {name} AS SELECT * FROM "  # noqa: S608 (paths are ours and quoted)
        f"read_parquet([{files}], hive_partitioning = true, hive_types = {{{types}}})"
    )


def _view_statements(tenant: str) -> Iterator[str]:
    for name in ("events", "logs", "readings", "hour_parts", "control", "scores"):
        yield _SQL[name].replace("$tenant", tenant)
    for view, (column, start, label) in _SPANS.items():
        span = _SQL["spans"].format(view=view, column=column, start=start, label=label)
        yield span.replace("$tenant", tenant)
    for view in (name for name in TABLES if name not in _FROM_LOG and name != SCORES.name):
        yield _SQL["plain"].format(view=view).replace("$tenant", tenant)


def _literal(text: str) -> str:
    if "\0" in text:
        raise InvalidInputError("a name with a NUL character can't be queried")
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _answers(engine: duckdb.DuckDBPyConnection, room: Room, timeout_s: float) -> Iterator[None]:
    """Stop after `timeout_s`, and turn DuckDB's errors into answers."""
    timer = threading.Timer(timeout_s, engine.interrupt)
    timer.start()
    try:
        with _told_errors(room, timeout_s):
            yield
    finally:
        timer.cancel()


@contextmanager
def _told_errors(room: Room, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise _told(error, _without_folders(str(error), room), timeout_s) from error


def _without_folders(words: str, room: Room) -> str:
    """Files by their names alone: where the server keeps them is nobody's business who asks."""
    for path in (path for found in room.files.values() for path in found):
        words = words.replace(path, Path(path).name)
    return words


def _told(error: Exception, words: str, timeout_s: float) -> Exception:
    """What went wrong. After the first rows DuckDB's errors arrive as pyarrow's, known by their words."""
    if isinstance(error, duckdb.InterruptException) or words.startswith("INTERRUPT Error"):
        return TooLargeError(f"the query took longer than {timeout_s:g} s: ask for fewer rows")
    if isinstance(error, duckdb.OutOfMemoryException) or words.startswith("Out of Memory Error"):
        return TooLargeError("the query needs more memory than it may use: ask for fewer rows")
    if "Arrow Appender" in words:
        return TooLargeError("the texts of the result are too long: ask for fewer rows or columns")
    if isinstance(error, duckdb.CatalogException) and (told := unknown_view(words, VIEWS)):
        return InvalidInputError(told, field="sql")
    if isinstance(error, duckdb.IOException) or words.startswith("IO Error"):
        return StorageUnavailableError(f"the lake can't be read: {words}")
    return InvalidInputError(words, field="sql")


def _reader(engine: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    return engine.sql(only_select(engine, sql, VIEWS)).to_arrow_reader(_BATCH_ROWS)


def _rows(engine: duckdb.DuckDBPyConnection, sql: str, bounds: QueryLimits) -> pa.Table:
    reader = _reader(engine, sql)
    batches, rows, size_bytes = [], 0, 0
    for batch in reader:
        rows += batch.num_rows
        size_bytes += batch.nbytes
        if rows > bounds.rows_max:
            raise TooLargeError(f"the query has more than {bounds.rows_max} rows: add a LIMIT or aggregate")
        if size_bytes > bounds.result_bytes_max:
            raise TooLargeError(
                f"the result has more than {bounds.result_bytes_max} bytes: ask for fewer rows or columns"
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)
