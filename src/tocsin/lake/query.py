"""SQL over one tenant's part of the lake and of the log beyond it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from tocsin.errors import (
    CorruptError,
    InvalidInputError,
    NotFoundError,
    StorageUnavailableError,
    TooLargeError,
)
from tocsin.lake.delta import DeltaLake
from tocsin.lake.schemas import LOG_TABLES, TABLES, TableSpec
from tocsin.lake.scripts import lake_queries
from tocsin.lake.store import Snapshot
from tocsin.lake.tail import Tail, read_tail
from tocsin.lake.upkeep import quarantined
from tocsin.log.abstract import Log

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
_BATCH_ROWS: Final = 500  # small, since a batch of long texts is in memory before its size is known
_FROM_LOG: Final = frozenset(spec.name for spec in LOG_TABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """What one query may use; beyond it is refused, never half-answered."""

    memory_bytes: int = 1 << 30
    threads: int = 2
    timeout_s: float = 30.0
    rows_max: int = 1_000_000
    result_bytes_max: int = 64 << 20
    tail_bytes_max: int = 256 << 20


def query(
    sql: str,
    *,
    lake: DeltaLake,
    log: Log | None,
    tenant: str,
    limits: QueryLimits | None = None,
    skip_damaged: bool = False,
) -> pa.Table:
    """The rows of one SELECT over the tenant's views; what the log has accepted is visible at once.

    Without a `log`, only what the lake holds. The SQL reaches no other tenant's rows, no other file and
    no network. InvalidInputError for anything but one SELECT or a wrong one, TooLargeError beyond the
    limits, CorruptError while files of the tenant are known to be damaged, unless `skip_damaged`.
    """
    bounds = limits or QueryLimits()
    snapshot, tail = _consistent(lake, log, tenant, bounds)
    with duckdb.connect(
        config={"memory_limit": f"{bounds.memory_bytes}B", "threads": bounds.threads}
    ) as engine:
        _prepare(engine, snapshot, tail, tenant, skip_damaged=skip_damaged)
        with _answers(engine, bounds.timeout_s):
            return _rows(engine, sql, bounds)


def _consistent(lake: DeltaLake, log: Log | None, tenant: str, bounds: QueryLimits) -> tuple[Snapshot, Tail]:
    """A snapshot and the log's records beyond it; again from the start if the log was trimmed between."""
    for _ in range(3):
        snapshot = lake.snapshot()
        try:
            return snapshot, read_tail(log, snapshot.positions, tenant, bounds.tail_bytes_max)
        except NotFoundError:
            continue
    snapshot = lake.snapshot()
    return snapshot, read_tail(log, snapshot.positions, tenant, bounds.tail_bytes_max)


def _prepare(
    engine: duckdb.DuckDBPyConnection, snapshot: Snapshot, tail: Tail, tenant: str, *, skip_damaged: bool
) -> None:
    """Make the views, then take everything else away for good."""
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    engine.execute("SET python_enable_replacements = false; SET temp_directory = ''")
    paths = {name: _paths(snapshot, name, tenant, skip_damaged=skip_damaged) for name in TABLES}
    allowed = ", ".join(_literal(path) for found in paths.values() for path in found)
    engine.execute(f"SET allowed_paths = [{allowed}]")
    for name, found in paths.items():
        _make_stored(engine, TABLES[name], found)
    for name, rows in (("events", tail.events), ("hours", tail.hours), ("control", tail.control)):
        engine.register(f"{name}_tail", rows)
    for statement in _view_statements(_literal(tenant)):
        engine.execute(statement)
    engine.execute("SET enable_external_access = false; SET lock_configuration = true")


def _paths(snapshot: Snapshot, table: str, tenant: str, *, skip_damaged: bool) -> list[str]:
    damaged = {damage.path for damage in quarantined(snapshot.folder) if damage.table == table}
    own = snapshot.of(table, tenant)
    named = sorted(entry.path for entry in own if entry.path in damaged)
    if named and not skip_damaged:
        raise CorruptError(
            f"damaged files of {table}: {', '.join(named)}; restore them, or skip them explicitly"
        )
    return [str(snapshot.path(table, entry).resolve()) for entry in own if entry.path not in damaged]


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
    for name in ("events", "readings", "hour_parts", "control"):
        yield _SQL[name].replace("$tenant", tenant)
    for view, (column, start, label) in _SPANS.items():
        span = _SQL["spans"].format(view=view, column=column, start=start, label=label)
        yield span.replace("$tenant", tenant)
    for view in (name for name in TABLES if name not in _FROM_LOG):
        yield _SQL["plain"].format(view=view).replace("$tenant", tenant)


def _literal(text: str) -> str:
    if "\0" in text:
        raise InvalidInputError("a name with a NUL character can't be queried")
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _answers(engine: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Stop after `timeout_s`, and turn DuckDB's errors into answers."""
    timer = threading.Timer(timeout_s, engine.interrupt)
    timer.start()
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise _told(error, timeout_s) from error
    finally:
        timer.cancel()


def _told(error: Exception, timeout_s: float) -> Exception:
    """What went wrong. After the first rows DuckDB's errors arrive as pyarrow's, known by their words."""
    words = str(error)
    if isinstance(error, duckdb.InterruptException) or words.startswith("INTERRUPT Error"):
        return TooLargeError(f"the query took longer than {timeout_s:g} s: ask for fewer rows")
    if isinstance(error, duckdb.OutOfMemoryException) or words.startswith("Out of Memory Error"):
        return TooLargeError("the query needs more memory than it may use: ask for fewer rows")
    if "Arrow Appender" in words:
        return TooLargeError("the texts of the result are too long: ask for fewer rows or columns")
    if isinstance(error, duckdb.IOException) or words.startswith("IO Error"):
        return StorageUnavailableError(f"the lake can't be read: {words}")
    return InvalidInputError(words, field="sql")


def _rows(engine: duckdb.DuckDBPyConnection, sql: str, bounds: QueryLimits) -> pa.Table:
    statements = engine.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidInputError("only one SELECT statement is allowed", field="sql")
    reader = engine.sql(statements[0].query).to_arrow_reader(_BATCH_ROWS)
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
