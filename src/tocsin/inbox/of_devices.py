"""The newest anomalies of many devices together, read device by device."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

import apsw

from tocsin.inbox import folding
from tocsin.inbox.abstract import Anomaly, AnomalyQuery
from tocsin.inbox.rows import QUERIES, hashed_anomaly_of

_BEFORE_ALL: Final = -1


def filters_of(query: AnomalyQuery) -> dict[str, Any]:
    """The parameters of a statement; without a cursor it begins at the newest."""
    wanted = {name: getattr(query, name) for name in AnomalyQuery.__dataclass_fields__}
    if query.before_sequence is None:
        wanted["before_sequence"] = folding.ENDLESS_MS
    return wanted


def newest_of(reader: apsw.Connection, devices: Collection[str], query: AnomalyQuery) -> list[Anomaly]:
    """Those that changed last before the cursor, newest change first, at most `query.limit`.

    Of each device at most so many entries of an index are looked at where nothing else is asked for, and only
    those newer than the ones found so far, so that a device with a long past costs no more than others.
    """
    statement = QUERIES[_statement(query)]
    newest: list[tuple[int, int]] = []
    wanted = filters_of(query)
    wanted["before"] = wanted.pop("before_sequence")
    with reader:  # one state of the inbox for all devices
        for device in devices:
            above = newest[0][0] if len(newest) == query.limit else _BEFORE_ALL
            for found in reader.execute(statement, wanted | {"device": device, "above": above}):
                if len(newest) < query.limit:
                    heapq.heappush(newest, found)
                else:
                    heapq.heappushpop(newest, found)
        rows = [reader.execute(QUERIES["anomaly_at"], {"row": row}).fetchone() for _, row in sorted(newest)]
    return [hashed_anomaly_of(row) for row in reversed(rows)]


def _statement(query: AnomalyQuery) -> str:
    """What an index answers alone needs no look at the rows."""
    plain = AnomalyQuery(query.tenant, before_sequence=query.before_sequence, limit=query.limit)
    if query == replace(plain, unresolved=True):
        return "unresolved_of_device"
    return "all_of_device" if query == plain else "some_of_device"
