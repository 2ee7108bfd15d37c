"""From log records to files: what one append adds to the tables that are filled from the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.control import decode_control
from tocsin.lake.columns import EventColumns, arrow_times, event_table, merge_records
from tocsin.lake.files import FRESH, LakeFile, write_file
from tocsin.lake.grouping import OVERFLOW, event_keys, event_partition, group_rows
from tocsin.lake.hours import aggregate_hours, hour_partition, hour_table
from tocsin.lake.schemas import CONTROL, EVENTS, HOURS
from tocsin.lake.store import WRITER_PREFIX, Change, LakeStore
from tocsin.log.abstract import Record, RecordKind

REVISION_WRITER: Final = "revision"


def changes_of(store: LakeStore, records: Sequence[Record]) -> list[Change]:
    """Write the files of these records; the changes that add them, `events` last.

    `events` goes last because its writers' versions are the lake's positions. Each table skips what it
    has, so that an append that failed half-way can be repeated with the records cut in any other way.
    """
    fresh = {spec.name: _fresh(store, spec.name, records) for spec in (CONTROL, HOURS, EVENTS)}
    merged = _merged(fresh[EVENTS.name])
    same = fresh[HOURS.name] == fresh[EVENTS.name]
    for_hours = merged if same else _merged(fresh[HOURS.name])
    revision = store.table(HOURS.name).writers.get(REVISION_WRITER, 0)
    added = {
        CONTROL.name: _control_files(store, fresh[CONTROL.name]),
        HOURS.name: [entry for columns in for_hours for entry in hour_files(store, columns, revision)],
        EVENTS.name: [entry for columns in merged for entry in _event_files(store, columns)],
    }
    changes = [Change(name, add=added[name], writers=_reached(rows)) for name, rows in fresh.items()]
    return [change for change in changes if change.add or change.table == EVENTS.name]


def hour_files(store: LakeStore, columns: EventColumns, revision: int) -> list[LakeFile]:
    """Write the hour aggregates of these events."""
    hours = aggregate_hours(columns)
    folder = store.folder / HOURS.name
    return [
        write_file(
            folder,
            HOURS,
            hour_partition(columns.tenant, group.key),
            hour_table(columns, hours, group.rows, revision),
            FRESH,
        )
        for group in group_rows(hours.month)
    ]


def _event_files(store: LakeStore, columns: EventColumns) -> list[LakeFile]:
    folder = store.folder / EVENTS.name
    files = []
    for group in group_rows(event_keys(columns)):
        part = columns if group.rows is None else columns.take(group.rows)
        rows = event_table(part, name_streams=group.key == OVERFLOW)
        files.append(write_file(folder, EVENTS, event_partition(columns, group.key), rows, FRESH))
    return files


def _control_files(store: LakeStore, records: Sequence[Record]) -> list[LakeFile]:
    return [
        write_file(store.folder / CONTROL.name, CONTROL, {"tenant": tenant}, control_table(own), FRESH)
        for tenant, own in _by_tenant(records, RecordKind.CONTROL).items()
    ]


def control_table(records: Sequence[Record]) -> pa.Table:
    """Rows of the files of `control`."""
    controls = [decode_control(record.payload) for record in records]
    return pa.table(
        {
            "log_partition": [record.partition for record in records],
            "log_offset": [record.offset for record in records],
            "arrival": arrow_times(np.array([record.arrival_ms for record in records], np.int64)),
            "type": [str(control.__struct_config__.tag) for control in controls],
            "payload": [record.payload.decode() for record in records],
        },
        schema=CONTROL.file_schema,
    )


def _fresh(store: LakeStore, table: str, records: Sequence[Record]) -> list[Record]:
    """The records that neither this table nor `events` has yet."""

    def reached(partition: int) -> int:
        return max(store.position(name, partition) for name in (table, EVENTS.name))

    limits = {partition: reached(partition) for partition in {record.partition for record in records}}
    return [record for record in records if record.offset >= limits[record.partition]]


def _reached(records: Sequence[Record]) -> dict[str, int]:
    """The position that each partition's writer gets to."""
    return {f"{WRITER_PREFIX}{record.partition}": record.next_offset for record in records}


def _merged(records: Sequence[Record]) -> list[EventColumns]:
    return [merge_records(tenant, own) for tenant, own in _by_tenant(records, RecordKind.EVENTS).items()]


def _by_tenant(records: Sequence[Record], kind: RecordKind) -> dict[str, list[Record]]:
    tenants: dict[str, list[Record]] = {}
    for record in records:
        if record.kind is kind:
            tenants.setdefault(record.tenant, []).append(record)
    return tenants
