"""From log records to files: what one append adds to the tables that are filled from the log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.control import decode_control
from tocsin.lake.columns import EventColumns, arrow_times
from tocsin.lake.event_files import EventFiles
from tocsin.lake.feed import Feed
from tocsin.lake.files import FRESH, FileWriter, LakeFile, write_file
from tocsin.lake.grouping import Group, group_rows
from tocsin.lake.hours import HourColumns, HourSums, hour_partition, hour_table
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
    revision = store.table(HOURS.name).writers.get(REVISION_WRITER, 0)
    added = {CONTROL.name: _control_files(store, fresh[CONTROL.name])}
    if fresh[HOURS.name] == fresh[EVENTS.name]:
        added |= _filled(store, fresh[EVENTS.name], revision, (HOURS.name, EVENTS.name))
    else:
        for name in (HOURS.name, EVENTS.name):
            added |= _filled(store, fresh[name], revision, (name,))
    changes = [Change(name, add=added[name], writers=_reached(rows)) for name, rows in fresh.items()]
    return [change for change in changes if change.add or change.table == EVENTS.name]


def _filled(
    store: LakeStore, records: Sequence[Record], revision: int, tables: Sequence[str]
) -> dict[str, list[LakeFile]]:
    """Write the files of these tables, tenant by tenant, in one pass over the blocks of events."""
    added: dict[str, list[LakeFile]] = {name: [] for name in tables}
    for tenant, own in _by_tenant(records, RecordKind.EVENTS).items():
        feed = Feed(tenant, own)
        with ExitStack() as opened:
            sinks: dict[str, HourFiles | EventFiles] = {}
            if HOURS.name in tables:
                sinks[HOURS.name] = HourFiles(store, feed, revision)
            if EVENTS.name in tables:
                sinks[EVENTS.name] = opened.enter_context(EventFiles(store, feed))
            for block in feed.blocks:
                for sink in sinks.values():
                    sink.add(block)
            for name, sink in sinks.items():
                added[name] += sink.finish()
    return added


class HourFiles:
    """Hour aggregates of a feed, as files once all is in."""

    def __init__(self, store: LakeStore, feed: Feed, revision: int) -> None:
        self._folder: Final = store.folder / HOURS.name
        self._feed: Final = feed
        self._revision: Final = revision
        self._sums: Final = HourSums(feed)

    def add(self, block: EventColumns) -> None:
        """Take in a block."""
        self._sums.add(block)

    def finish(self) -> list[LakeFile]:
        """Write the files, row group by row group."""
        hours = self._sums.result()
        return [self._write(hours, group) for group in group_rows(hours.month)]

    def _write(self, hours: HourColumns, group: Group) -> LakeFile:
        partition = hour_partition(self._feed.tenant, group.key)
        size = len(hours.month) if group.rows is None else len(group.rows)
        with FileWriter(self._folder, HOURS, partition, FRESH) as writer:
            for first in range(0, size, FRESH.row_group_rows):
                part = slice(first, first + FRESH.row_group_rows)
                rows = part if group.rows is None else group.rows[part]
                writer.add(hour_table(self._feed, hours, rows, self._revision))
            return writer.finish()


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


def _by_tenant(records: Sequence[Record], kind: RecordKind) -> dict[str, list[Record]]:
    tenants: dict[str, list[Record]] = {}
    for record in records:
        if record.kind is kind:
            tenants.setdefault(record.tenant, []).append(record)
    return tenants
