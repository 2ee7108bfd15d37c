"""Records of a partition, back from the lake; for states that are built from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from tocsin.control import dump_decision
from tocsin.lake.files import LakeFile
from tocsin.lake.reading import batch_of, strings_of
from tocsin.lake.schemas import CONTROL, EVENTS
from tocsin.lake.scripts import lake_queries
from tocsin.lake.store import Snapshot
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import encode_events

_SQL: Final = lake_queries("reading")

Offsets = tuple[int, int]
"""First offset, and the one after the last."""


def read_records(
    engine: duckdb.DuckDBPyConnection, snapshot: Snapshot, partition: int, offsets: Offsets
) -> list[Record]:
    """The records with these offsets, in order. Arrivals, which no verdict depends on, are 0.

    Events that lay in one record of the log may come in several, or those of several in one.
    """
    found = [
        record
        for tenant in _tenants(snapshot)
        for reader in (_events, _controls)
        for record in reader(engine, snapshot, tenant, partition, offsets)
    ]
    return sorted(found, key=lambda record: record.offset)


def read_dump_records(
    engine: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    tenant: str,
    device: str,
    partition: int,
    offsets: Offsets,
) -> list[Record]:
    """The control records about a device's dumps with these offsets, in order; arrivals are 0."""
    named = msgspec.json.encode({"device": device}).decode()[1:-1]
    rows = _rows(engine, snapshot, CONTROL.name, "dump_records", tenant, partition, offsets, named=named)
    found = _control_records(rows, tenant, partition)
    return [record for record in found if dump_decision(record.payload, device) is not None]


def _tenants(snapshot: Snapshot) -> list[str]:
    entries = (*snapshot.files[EVENTS.name], *snapshot.files[CONTROL.name])
    return sorted({entry.partition["tenant"] for entry in entries})


def _events(
    engine: duckdb.DuckDBPyConnection, snapshot: Snapshot, tenant: str, partition: int, offsets: Offsets
) -> Iterator[Record]:
    rows = _rows(engine, snapshot, EVENTS.name, "events_of_partition", tenant, partition, offsets)
    if rows is None or not len(rows):
        return
    batch = batch_of(rows, strings_of(rows, "device"))
    offset = rows.column("log_offset").to_numpy()
    edges = np.flatnonzero(np.diff(offset) != 1) + 1
    for run in np.split(np.arange(len(offset), dtype=np.int64), edges):
        payload = encode_events(batch.take(run))
        yield Record(partition, int(offset[run[0]]), len(run), RecordKind.EVENTS, tenant, 0, payload)


def _controls(
    engine: duckdb.DuckDBPyConnection, snapshot: Snapshot, tenant: str, partition: int, offsets: Offsets
) -> Iterator[Record]:
    rows = _rows(engine, snapshot, CONTROL.name, "controls_of_partition", tenant, partition, offsets)
    yield from _control_records(rows, tenant, partition)


def _control_records(rows: pa.Table | None, tenant: str, partition: int) -> Iterator[Record]:
    for row in [] if rows is None else rows.to_pylist():
        payload = row["payload"].encode()
        yield Record(partition, row["log_offset"], 1, RecordKind.CONTROL, tenant, 0, payload)


def _rows(
    engine: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    table: str,
    query: str,
    tenant: str,
    partition: int,
    offsets: Offsets,
    **more: str,
) -> pa.Table | None:
    chosen = [entry for entry in snapshot.of(table, tenant) if _may_hold(entry, partition, offsets)]
    if not chosen:
        return None
    files = snapshot.readable(table, chosen)
    parameters = {"files": files, "partition": partition, "first": offsets[0], "last": offsets[1], **more}
    with engine.cursor() as cursor:
        return cursor.sql(_SQL[query], params=parameters).to_arrow_table()


def _may_hold(entry: LakeFile, partition: int, offsets: Offsets) -> bool:
    return entry.overlaps("log_partition", partition, partition) and entry.overlaps(
        "log_offset", offsets[0], offsets[1] - 1
    )
