"""Routing: each event to its device's partition, in order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import Row, events_of
from tocsin.events import EventBatch
from tocsin.ingest.routing import Router
from tocsin.sharding import partition_of, shard_of


def rows(batch: EventBatch) -> list[Row]:
    return [
        (batch.device[i], int(batch.ts[i]), {batch.names[p]: float(v) for p, v in readings(batch, i)})
        for i in range(len(batch))
    ]


def readings(batch: EventBatch, row: int) -> Sequence[tuple[int, float]]:
    span = slice(batch.reading_offsets[row], batch.reading_offsets[row + 1])
    return list(zip(batch.parameter[span].tolist(), batch.value[span].tolist(), strict=True))


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefghij"))), st.sampled_from([1, 2, 3, 16]))
def test_parts_are_the_events_of_each_partition_in_order(bodies: list[list[str]], partitions: int) -> None:
    """Every event is in the part of its device's partition, once, and nothing changes places within one."""
    router = Router(partitions)
    for devices in bodies:
        events = [(device, ts, {"x": float(ts)}) for ts, device in enumerate(devices)]
        expected: dict[int, list[Row]] = {}
        for event in events:
            expected.setdefault(partition_of(shard_of("t", event[0]), partitions), []).append(event)
        parts = router.route("t", events_of(events))
        assert [number for number, _ in parts] == sorted(expected)
        assert {number: rows(part) for number, part in parts} == expected


def test_tenants_are_sharded_apart() -> None:
    """The same device names in two tenants go where each tenant's names belong."""
    router = Router(4096)
    batch = events_of([("pump-7", 0, {})])
    parts = {tenant: router.route(tenant, batch)[0][0] for tenant in ("a", "b")}
    assert parts == {tenant: shard_of(tenant, "pump-7") for tenant in ("a", "b")}


def test_one_partition_copies_nothing() -> None:
    """A body of one device is handed on as it is, and so is any body when there is one partition."""
    batch = events_of([("a", 0, {"x": 1.0}), ("a", 1, {"x": 2.0})])
    assert Router(16).route("t", batch)[0][1] is batch
    assert Router(1).route("t", batch) == [(0, batch)]


def test_many_devices_are_remembered() -> None:
    """Thousands of devices grow the router's memory without changing where they go."""
    router = Router(64)
    batch = events_of([(f"device-{i}", 0, {}) for i in range(5000)])
    first, again = router.route("t", batch), router.route("t", batch)
    assert [(number, rows(part)) for number, part in first] == [
        (number, rows(part)) for number, part in again
    ]
    for number, part in first:
        assert all(partition_of(shard_of("t", name), 64) == number for name in part.device.tolist())
