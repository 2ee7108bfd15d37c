"""Events of one device, back from the lake as the processor takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.events import I32, EventBatch, Strings, empty_text
from tocsin.lake.abstract import Slice
from tocsin.lake.files import LakeFile
from tocsin.lake.schemas import EVENTS
from tocsin.lake.scripts import lake_queries, read_batches
from tocsin.lake.store import Snapshot

Span = tuple[int | None, int | None]
"""First and last millisecond, both included; None = unbounded."""

_MEMORY_LIMIT: Final = "1GiB"
_STAMP_MAX_US: Final = 2**53 * 1000

EVENTS_AT_ONCE_MAX: Final = 1_000_000
"""How many events of several devices a query may bring; about 150 bytes each."""

_QUERIES: Final = lake_queries("reading")

_NONE: Final = np.zeros(0, np.int32)
_NO_EVENTS: Final = EventBatch(
    device=empty_text(0),
    ts=np.zeros(0, np.int64),
    flags=np.zeros(0, np.uint8),
    stream=_NONE,
    reading_offsets=np.zeros(1, np.int32),
    parameter=_NONE,
    value=np.zeros(0, np.float64),
    text=empty_text(0),
    text_count=_NONE,
    event_id=empty_text(0),
    names=(),
    streams=(),
)


def open_reader() -> duckdb.DuckDBPyConnection:
    """The engine for `read_device`; opening takes 13 ms, more than a read, so it is kept."""
    engine = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY_LIMIT, "temp_directory": ""})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    return engine


def read_device(
    engine: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    tenant: str,
    device: str,
    *,
    partition: int,
    before_offset: int,
    span_ms: Span,
) -> Slice:
    """Events of the device in the order of the log, whatever files they lie in now.

    Files are chosen by partition and by the ranges they state, row groups by their statistics.
    """
    first = -_STAMP_MAX_US if span_ms[0] is None else span_ms[0] * 1000
    last = _STAMP_MAX_US if span_ms[1] is None else span_ms[1] * 1000
    chosen = [
        entry
        for entry in snapshot.of(EVENTS.name, tenant)
        if _may_hold(entry, device, partition, before_offset, (first, last))
    ]
    if not chosen:
        return Slice((), _NO_EVENTS)
    parameters = {
        "files": snapshot.readable(EVENTS.name, chosen),
        "device": device,
        "partition": partition,
        "before": before_offset,
        "first": first,
        "last": last,
    }
    with engine.cursor() as cursor:
        return _slice(cursor.sql(_QUERIES["device_events"], params=parameters).to_arrow_table(), device)


def read_devices(
    snapshot: Snapshot, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
) -> Iterator[tuple[str, Slice]]:
    """Events of these devices, device by device, with as few queries as the bound on events allows.

    The engine, of this call alone, holds those of a query in their order, whoever reads them those of one
    device: with its end all is given back, while one that is kept keeps some 80 MiB of what it once needed.
    """
    chosen = files_of_devices(snapshot, tenant, devices, partition=partition, before_offset=before_offset)
    if not chosen:
        yield from ((device, Slice((), _NO_EVENTS)) for device in devices)
        return
    files = snapshot.readable(EVENTS.name, chosen)
    parameters = {"files": files, "partition": partition, "before": before_offset}
    groups = [list(devices)]
    with open_reader() as engine:
        if sum(entry.rows for entry in chosen) > EVENTS_AT_ONCE_MAX:
            query = engine.sql(_QUERIES["sizes_of_devices"], params={**parameters, "devices": list(devices)})
            groups = _groups(devices, dict(query.fetchall()))
        for group in groups:
            batches = read_batches(engine, _QUERIES["events_of_devices"], {**parameters, "devices": group})
            yield from _in_order(group, _by_device(batches))


def files_of_devices(
    snapshot: Snapshot, tenant: str, devices: Sequence[str], *, partition: int, before_offset: int
) -> list[LakeFile]:
    """The files that `read_devices` reads."""
    always = (-_STAMP_MAX_US, _STAMP_MAX_US)
    return [
        entry
        for entry in snapshot.of(EVENTS.name, tenant)
        if any(_may_hold(entry, device, partition, before_offset, always) for device in devices)
    ]


def _groups(devices: Sequence[str], sizes: Mapping[str, int]) -> list[list[str]]:
    """The devices in order, as many together as the bound allows, at least one."""
    groups: list[list[str]] = []
    room = 0
    for device in devices:
        size = sizes.get(device, 0)
        if not groups or size > room:
            groups.append([])
            room = EVENTS_AT_ONCE_MAX
        groups[-1].append(device)
        room -= size
    return groups


def _in_order(devices: Sequence[str], found: Iterator[tuple[str, Slice]]) -> Iterator[tuple[str, Slice]]:
    """What was found, which is in the same order, and nothing for those of whom there is nothing."""
    asked_again: dict[str, Slice] = {}
    waiting = next(found, None)
    for number, device in enumerate(devices):
        own = asked_again.get(device, Slice((), _NO_EVENTS))
        if waiting is not None and waiting[0] == device:
            own, waiting = waiting[1], next(found, None)
            if device in devices[number + 1 :]:
                asked_again[device] = own
        yield device, own


def _by_device(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, Slice]]:
    """Rows that come device by device; those of one are held at a time."""
    device, parts = "", list[pa.RecordBatch]()
    for batch in batches:
        runs, start = pc.run_end_encode(batch.column("device")), 0
        for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            if parts and name != device:
                yield device, _slice(pa.Table.from_batches(parts), device)
                parts = []
            device = name
            parts.append(batch.slice(start, end - start))
            start = end
    if parts:
        yield device, _slice(pa.Table.from_batches(parts), device)


def _may_hold(
    entry: LakeFile, device: str, partition: int, before_offset: int, span_us: tuple[int, int]
) -> bool:
    return (
        entry.overlaps("device", device, device)
        and entry.overlaps("log_partition", partition, partition)
        and entry.overlaps("log_offset", 0, before_offset - 1)
        and entry.overlaps("ts", *span_us)
    )


def _slice(rows: pa.Table, device: str) -> Slice:
    own = Strings.of([device]).take(np.zeros(len(rows), np.int64))
    return Slice(tuple(rows.column("log_offset").to_pylist()), batch_of(rows, own))


def batch_of(rows: pa.Table, device: Strings) -> EventBatch:
    """The rows of a query of this package as events of these devices."""
    names, parameter = _numbers(_list_items(rows, "parameter"))
    streams, stream = _streams(rows)
    return EventBatch(
        device=device,
        ts=_numpy(rows, "ts", np.int64) // 1000,
        flags=_numpy(rows, "flags", np.uint8),
        stream=stream,
        reading_offsets=_list_offsets(rows, "value"),
        parameter=parameter,
        value=_list_items(rows, "value").to_numpy(zero_copy_only=False),
        text=strings_of(rows, "text"),
        text_count=_numpy(rows, "text_count", np.int32),
        event_id=strings_of(rows, "id"),
        names=names,
        streams=streams,
    )


def _numpy(rows: pa.Table, name: str, dtype: Any) -> npt.NDArray[Any]:
    column: npt.NDArray[Any] = rows.column(name).to_numpy()
    return column.astype(dtype, copy=False)


def _list_items(rows: pa.Table, name: str) -> pa.Array:
    return pc.list_flatten(rows.column(name)).combine_chunks()


def _list_offsets(rows: pa.Table, name: str) -> I32:
    lengths = pc.list_value_length(rows.column(name)).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _numbers(values: pa.Array) -> tuple[tuple[str, ...], I32]:
    """The distinct values, and the index of each row's among them."""
    encoded = values.dictionary_encode()
    return tuple(encoded.dictionary.to_pylist()), encoded.indices.to_numpy().astype(np.int32, copy=False)


def _streams(rows: pa.Table) -> tuple[tuple[tuple[str, str], ...], I32]:
    applications, application = _numbers(rows.column("application").combine_chunks())
    versions, version = _numbers(rows.column("version").combine_chunks())
    pairs, stream = np.unique(application * np.int64(len(versions)) + version, return_inverse=True)
    named = tuple(
        (applications[pair // len(versions)], versions[pair % len(versions)]) for pair in pairs.tolist()
    )
    return named, stream.astype(np.int32)


def strings_of(rows: pa.Table, name: str) -> Strings:
    """A column of text; null is empty."""
    filled = pc.fill_null(rows.column(name), "").cast(pa.string()).combine_chunks()
    if not len(filled):
        return empty_text(0)
    _, offsets, data = filled.buffers()
    ends = np.frombuffer(offsets, np.int32, len(filled) + 1, filled.offset * 4)
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return Strings(ends - ends[0], text[ends[0] : ends[-1]])
