"""Payloads: what is encoded comes back, cut by partition or joined again, and nothing altered is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import events_of
from tocsin.errors import CorruptError
from tocsin.events import EventBatch, Strings, concat_events
from tocsin.ingest.known_devices import KnownDevices
from tocsin.payloads import cut_events, decode_events, encode_events, join_events
from tocsin.sharding import partition_of, shard_of

NAMES = ("temperature", "humidity", "ü")
STREAMS = (("pumps", "1.0"), ("", ""), ("pumps", "2.0"))
Event = tuple[str, int, int, int, list[tuple[int, float]], str, int, str]

TEXTS = st.sampled_from(["", '{"state":"on"}', '{"ü":[1,2]}'])
READINGS = st.lists(
    st.tuples(st.integers(0, 2), st.floats(allow_nan=False, allow_infinity=False)), max_size=4
)
ANY = st.tuples(
    st.sampled_from(["a", "device-1", "device-2", "x" * 40, "ü"]),
    st.integers(-(2**53), 2**53),
    st.integers(0, 3),
    st.integers(0, 2),
    READINGS,
    TEXTS,
    st.integers(0, 3),
    st.sampled_from(["", "id-1", "id-22"]),
)
ALIKE = st.tuples(
    st.sampled_from(["device-1", "device-2"]),
    st.integers(0, 9),
    st.just(1),
    st.just(0),
    st.just([(0, 1.5), (1, 2.5)]),
    st.just(""),
    st.just(0),
    st.just(""),
)
EVENTS = st.lists(ANY, max_size=12) | st.lists(ALIKE, max_size=12)


def batch_of(events: Sequence[Event]) -> EventBatch:
    """The events as columns; names and streams are all of NAMES and STREAMS, used or not."""
    readings = [reading for event in events for reading in event[4]]
    return EventBatch(
        device=Strings.of([event[0] for event in events]),
        ts=np.array([event[1] for event in events], np.int64),
        flags=np.array([event[2] for event in events], np.uint8),
        stream=np.array([event[3] for event in events], np.int32),
        reading_offsets=np.cumsum([0] + [len(event[4]) for event in events]).astype(np.int32),
        parameter=np.array([code for code, _ in readings], np.int32),
        value=np.array([value for _, value in readings], np.float64),
        text=Strings.of([event[5] for event in events]),
        text_count=np.array([event[6] for event in events], np.int32),
        event_id=Strings.of([event[7] for event in events]),
        names=NAMES,
        streams=STREAMS,
    )


def same(left: EventBatch, right: EventBatch) -> bool:
    """Whether all columns are equal, types included."""
    pairs = [(getattr(left, field.name), getattr(right, field.name)) for field in fields(EventBatch)]
    return all(_same(one, other) for one, other in pairs)


def _same(one: object, other: object) -> bool:
    if isinstance(one, Strings) and isinstance(other, Strings):
        return _same(one.offsets, other.offsets) and _same(one.data, other.data)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return one == other


@settings(deadline=None)
@given(EVENTS)
def test_what_is_encoded_comes_back(events: list[Event]) -> None:
    """Bit for bit, whether the columns repeat or not; equal events give equal bytes."""
    batch = batch_of(events)
    payload = encode_events(batch)
    assert same(decode_events(payload), batch)
    assert encode_events(batch_of(events)) == payload


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=5), st.lists(st.permutations(range(3)), min_size=5, max_size=5))
def test_joining_payloads_is_joining_batches(bodies: list[list[Event]], orders: list[list[int]]) -> None:
    """However the names of each are numbered, joined payloads are what their batches are, joined."""
    batches = [
        replace(batch_of(events), names=tuple(NAMES[i] for i in order))
        for events, order in zip(bodies, orders, strict=False)
    ]
    joined = join_events([encode_events(batch) for batch in batches])
    if batches:
        assert same(joined, concat_events(batches))
    assert all(column.flags.writeable for column in (joined.ts, joined.value, joined.device.data))


@settings(deadline=None)
@given(EVENTS, st.sampled_from([1, 2, 3, 16]))
def test_parts_are_the_events_of_each_partition_in_order(events: list[Event], partitions: int) -> None:
    """Every event is in the part of its device's partition, once, and nothing changes places within one."""
    batch, devices = batch_of(events), KnownDevices("t")
    partition = devices.partition(devices.add(batch.device), partitions)
    expected: dict[int, list[Event]] = {}
    for event in events:
        expected.setdefault(partition_of(shard_of("t", event[0]), partitions), []).append(event)
    parts = cut_events(batch, partition, partitions)
    assert [(number, count) for number, count, _ in parts] == [
        (number, len(expected[number])) for number in sorted(expected)
    ]
    for number, _, payload in parts:
        assert same(decode_events(payload), batch_of(expected[number]))


def test_tenants_are_sharded_apart() -> None:
    """The same device name in two tenants goes where each tenant's name belongs."""
    for tenant in ("a", "b"):
        devices = KnownDevices(tenant)
        numbers = devices.add(Strings.of(["pump-7"]))
        assert devices.partition(numbers, 4096).tolist() == [shard_of(tenant, "pump-7")]


def test_many_devices_are_remembered() -> None:
    """Thousands of devices grow the memory of shards without changing where they go."""
    devices, names = KnownDevices("t"), [f"device-{i}" for i in range(5000)]
    expected = [partition_of(shard_of("t", name), 64) for name in names]
    for _ in range(2):
        assert devices.partition(devices.add(Strings.of(names)), 64).tolist() == expected


def test_columns_that_repeat_take_no_room() -> None:
    """A thousand events alike cost their names, stamps and values: 45 bytes each for three readings."""
    rows = [(f"device-{i:06}", 1_700_000_000_000 + i, {"a": 1.0, "b": i, "c": 0.5}) for i in range(1000)]
    assert len(encode_events(events_of(rows))) < 1000 * (13 + 8 + 24) + 400


@pytest.mark.parametrize("at", [0, 8, 200, -9, -1])
def test_an_altered_payload_is_not_read(at: int) -> None:
    """One flipped bit anywhere, in the header, the columns or the sum itself, is a CorruptError."""
    payload = bytearray(encode_events(events_of([("a", 1, {"x": 1.0}), ("b", 2, {"x": 2.0})])))
    payload[at] ^= 1
    with pytest.raises(CorruptError):
        decode_events(bytes(payload))


@pytest.mark.parametrize("payload", [b"", b"TCE1", b"TCE1" + bytes(400)])
def test_another_format_is_refused(payload: bytes) -> None:
    """What an earlier or a later version wrote is told apart from damage and never guessed at."""
    with pytest.raises(CorruptError, match=r"too short|this version's format"):
        decode_events(payload)
