"""Merges small files of one partition into larger, sorted ones, without changing a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from tocsin.errors import CorruptError
from tocsin.lake.files import COMPACTED, LakeFile, write_file
from tocsin.lake.grouping import GROUPS_MAX
from tocsin.lake.names import has_own_partition
from tocsin.lake.schemas import EVENTS, HOURS, OVERFLOW_DATE, TABLES, TableSpec
from tocsin.lake.scripts import lake_queries, open_engine
from tocsin.lake.store import Change, LakeStore

SETTLE_ROWS_MIN: Final = 1_000

_SQL: Final = lake_queries("compaction")
_HASHES: Final = {EVENTS.name: "hash_events", HOURS.name: "hash_hours"}

Rows = tuple[dict[str, str], pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPolicy:
    """When files are worth merging; a merge stays within `memory_bytes` and some ten times `batch_bytes`."""

    small_bytes: int = 64 << 20
    batch_bytes: int = 64 << 20
    files_min: int = 4
    memory_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one merge did."""

    table: str
    files_before: int
    files_after: int
    rows: int


def compact(store: LakeStore, policy: CompactionPolicy | None = None) -> Iterator[Compacted]:
    """Merge what is worth it, one merge a step; whoever stops after any step can go on later.

    Files are read and written beside running appends; only the swap takes the writer's turn. Rows and
    a hash of them are compared before it; CorruptError and no change if they differ.
    """
    chosen = policy or CompactionPolicy()
    for name, files in list(store.snapshot().files.items()):
        for batch in _batches([entry for entry in files if _whole(store, name, entry, chosen)], chosen):
            yield _merge(store, TABLES[name], batch, chosen)


def _whole(store: LakeStore, table: str, entry: LakeFile, policy: CompactionPolicy) -> bool:
    """Whether a small file is as it was written: a damaged one is left as it is, whatever else is merged."""
    small = entry.size_bytes < policy.small_bytes
    return small and not store.verified.problem(store.folder / table, entry)


def _batches(files: Sequence[LakeFile], policy: CompactionPolicy) -> Iterator[list[LakeFile]]:
    """Small files of each partition, smallest first, at least `files_min` and together within the bound."""
    partitions: dict[tuple[str, ...], list[LakeFile]] = {}
    for entry in files:
        if entry.size_bytes < policy.small_bytes:
            partitions.setdefault(tuple(entry.partition.values()), []).append(entry)
    for small in partitions.values():
        batch: list[LakeFile] = []
        size_bytes = 0
        for entry in sorted(small, key=lambda entry: (entry.size_bytes, entry.path)):
            size_bytes += entry.size_bytes
            if batch and size_bytes > policy.batch_bytes:
                break
            batch.append(entry)
        if len(batch) >= max(2, policy.files_min):
            yield batch


def _merge(
    store: LakeStore, spec: TableSpec, batch: Sequence[LakeFile], policy: CompactionPolicy
) -> Compacted:
    with open_engine(store.folder, policy.memory_bytes) as engine:
        before = _fingerprint(engine, store, spec, batch)
        written = [
            write_file(store.folder / spec.name, spec, partition, rows, COMPACTED)
            for partition, rows in _merged(engine, spec, batch[0].partition, _paths(store, spec, batch))
        ]
        after = _fingerprint(engine, store, spec, written)
    if before != after:
        raise CorruptError(
            f"compacting {spec.name} would change its rows ({before} to {after}): nothing was changed"
        )
    with store.writing:
        store.commit([Change(spec.name, add=written, remove=batch)])
    return Compacted(spec.name, len(batch), len(written), sum(entry.rows for entry in written))


def _paths(store: LakeStore, spec: TableSpec, files: Sequence[LakeFile]) -> list[str]:
    return [str(store.folder / spec.name / entry.path) for entry in files]


def _fingerprint(
    engine: duckdb.DuckDBPyConnection, store: LakeStore, spec: TableSpec, files: Sequence[LakeFile]
) -> Any:
    """How many rows the files have, and hashes that the order of rows does not change."""
    sql = _SQL[_HASHES.get(spec.name, "hash_rows")]
    return engine.execute(sql, {"files": _paths(store, spec, files)}).fetchall()[0]


def _merged(
    engine: duckdb.DuckDBPyConnection, spec: TableSpec, partition: Any, files: list[str]
) -> Iterator[Rows]:
    if spec is EVENTS and partition["date"] == OVERFLOW_DATE.isoformat():
        yield from _settled(engine, partition, files)
        return
    sql = (
        _SQL["merge_hours"]
        if spec is HOURS
        else _sorted(spec, "read_parquet($files, hive_partitioning = false)")
    )
    yield dict(partition), _arrow(engine, spec, sql, {"files": files})


def _settled(engine: duckdb.DuckDBPyConnection, partition: Any, files: list[str]) -> Iterator[Rows]:
    """The overflow's rows: to the partitions they name where there are enough for one, the rest stays."""
    engine.execute(_SQL["load_overflow"], {"files": files})
    engine.execute(_SQL["name_settled"])
    keys = engine.execute(_SQL["settle_keys"], {"rows_min": SETTLE_ROWS_MIN}).fetchall()
    named = [key for key in keys if has_own_partition(key[0]) and has_own_partition(key[1])]
    for number, (application, version, day) in enumerate(named[:GROUPS_MAX]):
        target = {"application": application, "version": version, "date": day}
        engine.execute(_SQL["mark_settled"], {"number": number, **target})
        rows = _arrow(engine, EVENTS, _sorted(EVENTS, "overflow", "target = $number"), {"number": number})
        for name in ("sent_application", "sent_version"):
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, rows.schema.field(at), pa.nulls(rows.num_rows, pa.string()))
        yield {**partition, **target, "date": day.isoformat()}, rows
    rest = _arrow(engine, EVENTS, _sorted(EVENTS, "overflow", "target = -1"), {})
    if rest.num_rows:
        yield dict(partition), rest


def _sorted(spec: TableSpec, source: str, condition: str = "true") -> str:
    """Rows in the order in which readers find them fastest."""
    columns = ", ".join(f'"{name}"' for name in spec.file_schema.names)
    known = {"hour": "date_trunc('hour', ts)"} if spec is EVENTS else {}
    order = ", ".join(known.get(name, f'"{name}"') for name in spec.sort)
    return f"SELECT {columns} FROM {source} WHERE {condition} ORDER BY {order}"  # noqa: S608 (names are ours)


def _arrow(
    engine: duckdb.DuckDBPyConnection, spec: TableSpec, sql: str, parameters: dict[str, Any]
) -> pa.Table:
    return engine.sql(sql, params=parameters).to_arrow_table().cast(spec.file_schema)
