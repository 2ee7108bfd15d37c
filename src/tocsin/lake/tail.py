"""What the log has accepted and the lake does not hold yet, as rows of the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tocsin.errors import BackpressureError
from tocsin.lake.columns import arrow_names, decoded, event_table
from tocsin.lake.feed import Feed
from tocsin.lake.grouping import EventGroups
from tocsin.lake.hours import aggregate_hours, hour_table
from tocsin.lake.intake import control_table
from tocsin.lake.schemas import EVENTS, HOURS
from tocsin.log.abstract import Log, Record, RecordKind


@dataclass(frozen=True, slots=True)
class Tail:
    """One tenant's rows beyond the lake's positions, with the columns of the tables."""

    events: pa.Table
    hours: pa.Table
    control: pa.Table


def read_tail(log: Log | None, positions: Mapping[int, int], tenant: str, bytes_max: int) -> Tail:
    """Decode the log beyond `positions`; BackpressureError if a backlog makes it longer than `bytes_max`.

    NotFoundError when the log was trimmed meanwhile: the lake has moved on, so ask for its positions again.
    """
    records = [record for record in _beyond(log, positions, bytes_max) if record.tenant == tenant]
    events = [record for record in records if record.kind is RecordKind.EVENTS]
    control = [record for record in records if record.kind is RecordKind.CONTROL]
    feed = Feed(tenant, events)
    return Tail(
        events=_events(feed) if events else EVENTS.schema.empty_table(),
        hours=_hours(feed) if events else HOURS.file_schema.empty_table(),
        control=control_table(control),
    )


def _beyond(log: Log | None, positions: Mapping[int, int], bytes_max: int) -> Iterator[Record]:
    if log is None:
        return
    size_bytes = 0
    for partition in range(log.partitions):
        offset = max(positions.get(partition, 0), 0 if partition in positions else log.begin(partition))
        end = log.end(partition)
        while offset < end:
            for record in log.read(partition, offset):
                size_bytes += len(record.payload)
                offset = record.next_offset
                yield record
            if size_bytes > bytes_max:
                raise BackpressureError(
                    "the lake is behind the log by more than a query may decode: try again in a minute",
                    retry_after_s=60,
                )


def _events(feed: Feed) -> pa.Table:
    groups, columns = EventGroups(feed), feed.whole()
    keys = groups.keys(columns.ts, columns.arrival, columns.stream)
    values, numbers = np.unique(keys, return_inverse=True)
    partitions = [groups.partition(key) for key in values.tolist()]
    table = event_table(columns, name_streams=True)
    index = numbers.astype(np.int32)
    for name in EVENTS.partition_by:
        table = table.append_column(name, arrow_names(index, [part[name] for part in partitions]))
    return decoded(table, EVENTS.schema)


def _hours(feed: Feed) -> pa.Table:
    return decoded(hour_table(feed, aggregate_hours(feed), slice(None), 0), HOURS.file_schema)
