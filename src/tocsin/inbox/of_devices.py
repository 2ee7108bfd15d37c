"""The newest anomalies of many devices together, read device by device."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

import apsw
import msgspec

from tocsin.inbox import folding
from tocsin.inbox.abstract import Anomaly, AnomalyQuery
from tocsin.inbox.rows import HASHED, QUERIES, hashed_anomaly_of
from tocsin.storage.at_once import read_at_once

_BEFORE_ALL: Final = -1


def filters_of(query: AnomalyQuery) -> dict[str, Any]:
    """The parameters of a statement; without a cursor it begins at the newest."""
    wanted = {name: getattr(query, name) for name in AnomalyQuery.__dataclass_fields__}
    if query.before_sequence is None:
        wanted["before_sequence"] = folding.ENDLESS_MS
    return wanted


def newest_of(reader: apsw.Connection, devices: Collection[str], query: AnomalyQuery) -> list[Anomaly]:
    """Those that changed last before the cursor, newest change first, at most `query.limit`.

    What is unresolved is read by one statement, which looks at an entry of an index for each; there are few.
    Otherwise each device has a statement: at most `query.limit` entries of an index are looked at where
    nothing else is asked for, and only those newer than the ones found so far, so that a device with a long
    past costs no more than others.
    """
    wanted = filters_of(query)
    wanted["before"] = wanted.pop("before_sequence")
    plain = AnomalyQuery(query.tenant, before_sequence=query.before_sequence, limit=query.limit)
    if query == replace(plain, unresolved=True):
        return read_at_once(
            reader,
            QUERIES["unresolved_of_devices_at_once"],
            QUERIES["unresolved_of_devices"],
            wanted | {"devices": _json(devices)},
            hash_at=len(HASHED),
            of_row=hashed_anomaly_of,
        )
    with reader:  # one state of the inbox for all devices
        statement = QUERIES["all_of_device" if query == plain else "some_of_device"]
        rows = _device_by_device(reader, statement, devices, wanted)
        found = reader.execute(QUERIES["anomalies_at"], {"rows": _json(rows)}).fetchall()
    return [hashed_anomaly_of(row) for row in found]


def _device_by_device(
    reader: apsw.Connection, statement: str, devices: Collection[str], wanted: dict[str, Any]
) -> list[int]:
    """The rows of the newest of all devices, in any order."""
    newest: list[tuple[int, int]] = []
    for device in devices:
        above = newest[0][0] if len(newest) == wanted["limit"] else _BEFORE_ALL
        for entry in reader.execute(statement, wanted | {"device": device, "above": above}):
            if len(newest) < wanted["limit"]:
                heapq.heappush(newest, entry)
            else:
                heapq.heappushpop(newest, entry)
    return [row for _, row in newest]


def _json(values: Collection[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()
