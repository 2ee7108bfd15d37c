"""The newest anomalies of many devices together, read device by device."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any, Final

import apsw

from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.rows import QUERIES, hashed_anomaly_of

_BEFORE_ALL: Final = -1


def newest_of(
    reader: apsw.Connection,
    tenant: str,
    devices: Collection[str],
    *,
    unresolved: bool,
    before_sequence: int,
    limit: int,
) -> list[Anomaly]:
    """Those that changed last before `before_sequence`, newest change first, at most `limit`.

    Of each device at most `limit` entries of an index are looked at, and only those newer than the `limit`
    found so far, so that a device with a long past costs no more than others.
    """
    query = QUERIES["unresolved_of_device" if unresolved else "all_of_device"]
    newest: list[tuple[int, int]] = []
    wanted: dict[str, Any] = {"tenant": tenant, "before": before_sequence, "limit": limit}
    with reader:  # one state of the inbox for all devices
        for device in devices:
            above = newest[0][0] if len(newest) == limit else _BEFORE_ALL
            for found in reader.execute(query, wanted | {"device": device, "above": above}):
                if len(newest) < limit:
                    heapq.heappush(newest, found)
                else:
                    heapq.heappushpop(newest, found)
        rows = [reader.execute(QUERIES["anomaly_at"], {"row": row}).fetchone() for _, row in sorted(newest)]
    return [hashed_anomaly_of(row) for row in reversed(rows)]
