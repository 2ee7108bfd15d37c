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
from tocsin.lake.verifying import REMEDY, listed
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
def whole_result(
    sql: str, *, lake: DeltaLake, log: Log | None, tenant: str, spill: Path, skip_damaged: bool = False
) -> Iterator[Rows]:
    """As `query`, for results of any size: read while the context lasts (see `open_rows`).

    All files of the tenant are compared with their hashes before.
    """
    bounds = QueryLimits()
    room = room_of(
        lake,
        log,
        tenant,
        tail_bytes_max=bounds.tail_bytes_max,
        read_first=True,
        skip_damaged=skip_damaged,
    )
    with open_rows(room, sql, bounds, spill) as rows:
        yield rows


def room_of(
    lake: DeltaLake,
    log: Log | None,
    tenant: str,
    *,
    tail_bytes_max: int,
    read_first: bool = False,
    skip_damaged: bool = False,
) -> Room:
    """What the tenant's SQL may see now; BackpressureError if the lake is too far behind the log.

    CorruptError where files are damaged, unless `skip_damaged` leaves them out: those that are known to be,
    or with `read_first` any, which costs reading all files of the tenant that were not read for a day.
    """
    snapshot, tail = _consistent(lake, log, tenant, tail_bytes_max)
    damaged = {name: _damaged(snapshot, name, tenant, read_first=read_first) for name in TABLES}
    named = [
        f"lake/{name}/{path} {problem}" for name, own in damaged.items() for path, problem in own.items()
    ]
    if named and not skip_damaged:
        raise CorruptError(f"{listed(named)}: {REMEDY}, or leave them out (--skip-damaged, `skip_damaged`)")
    files = {
        name: [
            str(snapshot.path(name, entry).resolve())
            for entry in snapshot.of(name, tenant)
            if entry.path not in damaged[name]
        ]
        for name in TABLES
    }
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


def _damaged(snapshot: Snapshot, table: str, tenant: str, *, read_first: bool) -> dict[str, str]:
    """What is wrong with the tenant's files of a table, by path."""
    look = snapshot.verified.problem if read_first else snapshot.verified.known_problem
    folder = snapshot.folder / table
    found = {entry.path: look(folder, entry) for entry in snapshot.of(table, tenant)}
    return {path: problem for path, problem in found.items() if problem}
