"""Log records as a table that Spark reads: one row a record, as they would lie in the log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.log.abstract import Record, RecordKind

RECORDS: Final = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("count", pa.int32()),
        ("kind", pa.int8()),
        ("tenant", pa.utf8()),
        ("arrival_ms", pa.int64()),
        ("payload", pa.binary()),
    ]
)
GROUP_BYTES: Final = 32 << 20
"""A row group is written when it holds this much, which bounds the memory of whoever stages."""


def stage(path: Path, records: Iterable[Record]) -> None:
    """Write the records to a Parquet file in the order given."""
    with pq.ParquetWriter(path, RECORDS, compression="zstd") as writer:
        waiting: list[Record] = []
        size_bytes = 0
        for record in records:
            waiting.append(record)
            size_bytes += len(record.payload)
            if size_bytes >= GROUP_BYTES:
                writer.write_table(_table(waiting))
                waiting, size_bytes = [], 0
        writer.write_table(_table(waiting))


def records_of(table: pa.Table) -> list[Record]:
    """The records of one partition in the order of their offsets, whatever order they came in.

    An offset that came twice, as a retried read may give it, counts once.
    """
    rows = sorted(table.to_pylist(), key=lambda row: row["offset"])
    unique = {row["offset"]: row for row in rows}.values()
    return [Record(**row | {"kind": RecordKind(row["kind"])}) for row in unique]


def _table(records: list[Record]) -> pa.Table:
    columns = [[getattr(record, name) for record in records] for name in RECORDS.names]
    return pa.Table.from_arrays(
        [pa.array(values, kind.type) for values, kind in zip(columns, RECORDS, strict=True)], schema=RECORDS
    )
