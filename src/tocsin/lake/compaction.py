"""Merges small files of one partition into larger, sorted ones, without changing a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from tocsin.errors import CorruptError
from tocsin.lake.files import COMPACTED, LakeFile, write_batches
from tocsin.lake.grouping import GROUPS_MAX
from tocsin.lake.names import has_own_partition
from tocsin.lake.schemas import EVENTS, HOURS, OVERFLOW_DATE, TABLES, TableSpec
from tocsin.lake.scripts import lake_queries, open_engine, read_batches
from tocsin.lake.store import Change, LakeStore

SETTLE_ROWS_MIN: Final = 1_000
SPARE_BYTES: Final = 128 << 20
"""What a merge takes beside the engine's memory: a row group, and what the engine does not count."""

_FILES_MIN: Final = 2
_SQL: Final = lake_queries("compaction")
_HASHES: Final = {EVENTS.name: "hash_events", HOURS.name: "hash_hours"}

Rows = tuple[dict[str, str], Iterator[pa.RecordBatch]]
"""A partition, and its rows, which are to be read before the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPolicy:
    """When files are worth merging, and with how much memory.

    A merge takes at most `memory_bytes` and SPARE_BYTES, and gives all of it back; what does not fit is
    sorted on the disk, in some twenty times `batch_bytes`.
    """

    small_bytes: int = 64 << 20
    batch_bytes: int = 64 << 20
    files_min: int = 4
    memory_bytes: int = 256 << 20


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
    duckdb.OutOfMemoryException at the end, if two files of a partition were too much for the memory.
    """
    chosen = policy or CompactionPolicy()
    too_much: duckdb.OutOfMemoryException | None = None
    for name, files in list(store.snapshot().files.items()):
        for batch in _batches([entry for entry in files if _whole(store, name, entry, chosen)], chosen):
            try:
                yield _merge_what_fits(store, TABLES[name], batch, chosen)
            except duckdb.OutOfMemoryException as error:
                too_much = error
    if too_much is not None:
        raise too_much


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
        if len(batch) >= max(_FILES_MIN, policy.files_min):
            yield batch


def _merge_what_fits(
    store: LakeStore, spec: TableSpec, batch: Sequence[LakeFile], policy: CompactionPolicy
) -> Compacted:
    """All of the batch, or as much as there is memory for: some thousand rows have to fit at once."""
    while True:
        try:
            return _merge(store, spec, batch, policy)
        except duckdb.OutOfMemoryException:
            if len(batch) <= _FILES_MIN:
                raise
            batch = batch[: max(_FILES_MIN, len(batch) // 2)]


def _merge(
    store: LakeStore, spec: TableSpec, batch: Sequence[LakeFile], policy: CompactionPolicy
) -> Compacted:
    with open_engine(store.folder, policy.memory_bytes) as engine:
        before = _fingerprint(engine, store, spec, batch)
        written = [
            write_batches(store.folder / spec.name, spec, partition, rows, COMPACTED)
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
    stored = "read_parquet($files, hive_partitioning = false)"
    sql = _SQL["merge_hours"] if spec is HOURS else _sorted(spec, stored)
    yield dict(partition), read_batches(engine, sql, {"files": files}, spec.file_schema)


def _settled(engine: duckdb.DuckDBPyConnection, partition: Any, files: list[str]) -> Iterator[Rows]:
    """The overflow's rows: to the partitions they name where there are enough for one, the rest stays."""
    engine.execute(_SQL["choose_files"], {"files": files})
    for statement in ("view_overflow", "make_settled"):
        engine.execute(_SQL[statement])
    keys = engine.execute(_SQL["settle_keys"], {"rows_min": SETTLE_ROWS_MIN}).fetchall()
    named = [key for key in keys if has_own_partition(key[0]) and has_own_partition(key[1])]
    for application, version, day in named[:GROUPS_MAX]:
        key = {"application": application, "version": version, "date": day}
        engine.execute(_SQL["settle"], key)
        yield {**partition, **key, "date": day.isoformat()}, _of_overflow(engine, "settled", key)
    if engine.execute(_SQL["count_rest"]).fetchall() != [(0,)]:
        yield dict(partition), _of_overflow(engine, "rest", {})


def _of_overflow(
    engine: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    return read_batches(engine, _sorted(EVENTS, f"({_SQL[query]})"), parameters, EVENTS.file_schema)


def _sorted(spec: TableSpec, source: str) -> str:
    """Rows in the order in which readers find them fastest."""
    columns = ", ".join(f'"{name}"' for name in spec.file_schema.names)
    known = {"hour": "date_trunc('hour', ts)"} if spec is EVENTS else {}
    order = ", ".join(known.get(name, f'"{name}"') for name in spec.sort)
    return f"SELECT {columns} FROM {source} ORDER BY {order}"  # noqa: S608 (names are ours)
