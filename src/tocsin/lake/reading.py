"""Events of one device, back from the lake as the processor takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from tocsin.events import F64, I32, I64, EventBatch, Strings
from tocsin.lake.abstract import Slice
from tocsin.lake.files import LakeFile
from tocsin.lake.grouping import DAY_MS
from tocsin.lake.schemas import EVENTS, OVERFLOW_DATE
from tocsin.lake.store import Snapshot

Span = tuple[int | None, int | None]
"""First and last millisecond, both included; None = unbounded."""

_STAMP_MAX_US: Final = 2**53 * 1000

_SELECT: Final = """
SELECT log_offset, epoch_us(ts) AS ts, flags, text, text_count, id,
       map_keys(readings) AS parameter, map_values(readings) AS value,
       coalesce(sent_application, application, '') AS application,
       coalesce(sent_version, version, '') AS version
FROM read_parquet($files, hive_partitioning = true,
                  hive_types = {'application': VARCHAR, 'version': VARCHAR, 'tenant': VARCHAR, 'date': DATE})
WHERE device = $device AND log_partition = $partition AND log_offset < $before
  AND ts BETWEEN make_timestamptz($first) AND make_timestamptz($last)
ORDER BY log_offset
"""


def read_device(
    snapshot: Snapshot, tenant: str, device: str, *, partition: int, before_offset: int, span_ms: Span
) -> Slice:
    """Events of the device in the order of the log, whatever files they lie in now.

    Files are chosen by partition and by the ranges they state, row groups by their statistics.
    """
    first = -_STAMP_MAX_US if span_ms[0] is None else span_ms[0] * 1000
    last = _STAMP_MAX_US if span_ms[1] is None else span_ms[1] * 1000
    chosen = [
        str(snapshot.path(EVENTS.name, entry))
        for entry in snapshot.of(EVENTS.name, tenant)
        if _may_hold(entry, device, partition, before_offset, (first, last))
    ]
    if not chosen:
        return _slice(_EMPTY)
    parameters = {
        "files": chosen,
        "device": device,
        "partition": partition,
        "before": before_offset,
        "first": first,
        "last": last,
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return _slice(connection.execute(_SELECT, parameters).to_arrow_table())
