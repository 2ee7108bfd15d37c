"""SQL over one tenant's part of the lake and of the log beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from tocsin.errors import CorruptError, NotFoundError
from tocsin.lake.delta import DeltaLake
from tocsin.lake.room import QueryLimits, Room, Rows, answer, open_rows
from tocsin.lake.schemas import TABLES
from tocsin.lake.store import Snapshot
from tocsin.lake.tail import Tail, read_tail
from tocsin.lake.upkeep import quarantined
from tocsin.log.abstract import Log


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

    Runs in this process, so only for SQL that is trusted not to want too much: other SQL goes to
    QueryProcesses. Without a `log`, only what the lake holds. The SQL reaches no other tenant's rows, no
    other file and no network. InvalidInputError for anything but one SELECT or a wrong one, TooLargeError
    beyond the limits, CorruptError while files of the tenant are known to be damaged, unless `skip_damaged`.
    """
    bounds = limits or QueryLimits()
    room = room_of(lake, log, tenant, tail_bytes_max=bounds.tail_bytes_max, skip_damaged=skip_damaged)
    return answer(room, sql, bounds)


@contextmanager
def whole_result(sql: str, *, lake: DeltaLake, log: Log | None, tenant: str, spill: Path) -> Iterator[Rows]:
    """As `query`, for results of any size: read while the context lasts (see `open_rows`)."""
    bounds = QueryLimits()
    room = room_of(lake, log, tenant, tail_bytes_max=bounds.tail_bytes_max)
    with open_rows(room, sql, bounds, spill) as rows:
        yield rows


def room_of(
    lake: DeltaLake, log: Log | None, tenant: str, *, tail_bytes_max: int, skip_damaged: bool = False
) -> Room:
    """What the tenant's SQL may see now; BackpressureError if the lake is too far behind the log."""
    snapshot, tail = _consistent(lake, log, tenant, tail_bytes_max)
    files = {name: _paths(snapshot, name, tenant, skip_damaged=skip_damaged) for name in TABLES}
    rows = {"events": tail.events, "hours": tail.hours, "control": tail.control}
    return Room(tenant, files, rows)


def _consistent(lake: DeltaLake, log: Log | None, tenant: str, bytes_max: int) -> tuple[Snapshot, Tail]:
    """A snapshot and the log's records beyond it; again from the start if the log was trimmed between."""
    for _ in range(3):
        snapshot = lake.snapshot()
        try:
            return snapshot, read_tail(log, snapshot.positions, tenant, bytes_max)
        except NotFoundError:
            continue
    snapshot = lake.snapshot()
    return snapshot, read_tail(log, snapshot.positions, tenant, bytes_max)


def _paths(snapshot: Snapshot, table: str, tenant: str, *, skip_damaged: bool) -> list[str]:
    damaged = {damage.path for damage in quarantined(snapshot.folder) if damage.table == table}
    own = snapshot.of(table, tenant)
    named = sorted(entry.path for entry in own if entry.path in damaged)
    if named and not skip_damaged:
        raise CorruptError(
            f"damaged files of {table}: {', '.join(named)}; restore them, or skip them explicitly"
        )
    return [str(snapshot.path(table, entry).resolve()) for entry in own if entry.path not in damaged]
