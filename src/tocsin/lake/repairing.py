"""Puts whole files in the place of damaged ones: from the log, or hour aggregates from the events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from tocsin.errors import CorruptError, TooLargeError
from tocsin.events import I64
from tocsin.lake.event_files import EventFiles
from tocsin.lake.feed import Feed
from tocsin.lake.files import FRESH, LakeFile, write_file
from tocsin.lake.intake import control_table
from tocsin.lake.quarantine import Damage
from tocsin.lake.rebuilding import rebuild_hours
from tocsin.lake.schemas import CONTROL, EVENTS, HOURS, TableSpec
from tocsin.lake.scripts import lake_queries, open_engine
from tocsin.lake.store import Change, LakeStore
from tocsin.lake.upkeep import Checked, check, write_down
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.payloads import decode_events, encode_events
from tocsin.storage.files import make_directory, sync_directory

QUARANTINE: Final = "quarantine"
_SQL: Final = lake_queries("repairing")
_MEMORY_BYTES: Final = 1 << 30
_FROM_BACKUP: Final = "copy the file of this name from a backup of the lake: its name tells what is in it"

Stretch = tuple[int, int]
"""The first and the last, both included."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A damaged file; `source` is what it was rebuilt from, or "" and `remedy` says what remains to do."""

    damage: Damage
    source: str = ""
    remedy: str = ""


def repair(store: LakeStore, log: Log) -> Iterator[Repaired]:
    """Check every file, rebuild what is damaged where that is possible; one step for each damaged file.

    Rebuilt files hold exactly the rows that were lost, or nothing is changed. The damaged ones leave the
    table and move to the folder `quarantine` of the lake. Nothing else may use the lake.
    """
    found = [step for step in check(store.snapshot()) if step.damage]
    for spec in (EVENTS, CONTROL):  # before HOURS, which need the events
        for group in _groups([step.entry for step in found if step.table == spec.name]):
            yield from _told(found, group, "the log", _from_log(store, log, spec, group))
    hours = [step.entry for step in found if step.table == HOURS.name]
    for tenant in sorted({entry.partition["tenant"] for entry in hours}):
        own = [entry for entry in hours if entry.partition["tenant"] == tenant]
        yield from _told(found, own, "the events", _from_events(store, own))
    others = [step.entry for step in found if step.table not in {EVENTS.name, CONTROL.name, HOURS.name}]
    yield from _told(found, others, "", _FROM_BACKUP)
    write_down(store)


def _told(
    found: Sequence[Checked], entries: Sequence[LakeFile], source: str, remedy: str
) -> Iterator[Repaired]:
    for step in found:
        if step.damage is not None and step.entry in entries:
            yield Repaired(step.damage, "" if remedy else source, remedy)


def _groups(entries: Sequence[LakeFile]) -> list[list[LakeFile]]:
    """Files of a tenant whose offsets may lie among each other, together: what is missing may be of any."""
    groups: list[list[LakeFile]] = []
    for entry in entries:
        near = [group for group in groups if any(_meet(entry, other) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([entry, *(other for group in near for other in group)])
    return groups


def _meet(one: LakeFile, other: LakeFile) -> bool:
    same = one.partition["tenant"] == other.partition["tenant"]
    return same and all(other.overlaps(name, *one.ranges[name]) for name in ("log_partition", "log_offset"))


def _from_log(store: LakeStore, log: Log, spec: TableSpec, group: Sequence[LakeFile]) -> str:
    """All of a group, or nothing: the rows that the log has and no whole file are theirs, if as many.

    What remains to do; "" = nothing.
    """
    rows = sum(entry.rows for entry in group)
    try:
        records = _lost(store, log, spec, group)
    except (CorruptError, TooLargeError) as error:
        return f"{error.detail}; {_FROM_BACKUP}"
    found = sum(record.count for record in records)
    if found != rows:
        return f"the log has {found} of its {rows} records: {_FROM_BACKUP}"
    added = _written(store, spec, group[0].partition["tenant"], records)
    store.commit([Change(spec.name, add=added, remove=group)])
    _put_aside(store, spec, group)
    return ""


def _lost(store: LakeStore, log: Log, spec: TableSpec, group: Sequence[LakeFile]) -> list[Record]:
    """What the log has of the offsets of the group's files, less what whole files have of them."""
    tenant = group[0].partition["tenant"]
    kind = RecordKind.EVENTS if spec is EVENTS else RecordKind.CONTROL
    first, last = _hull(group, "log_offset")
    kept = _offsets_in_lake(store, spec, group)
    found: list[Record] = []
    for partition in range(_hull(group, "log_partition")[0], _hull(group, "log_partition")[1] + 1):
        end = min(last + 1, store.position(spec.name, partition))
        for record in _stretch(log, partition, first, end):
            if record.kind is kind and record.tenant == tenant:
                offsets = np.arange(record.offset, record.next_offset, dtype=np.int64)
                lost = (offsets >= first) & (offsets < end) & ~np.isin(offsets, kept.get(partition, []))
                found += _parts(record, np.flatnonzero(lost).astype(np.int64))
    return found


def _hull(group: Sequence[LakeFile], column: str) -> Stretch:
    limits = [entry.ranges[column] for entry in group]
    return min(int(low) for low, _ in limits), max(int(high) for _, high in limits)


def _stretch(log: Log, partition: int, first: int, end: int) -> Iterator[Record]:
    at = max(first, log.begin(partition))
    while at < end:
        records = log.read(partition, at)
        if not records:
            return
        yield from (record for record in records if record.offset < end)
        at = records[-1].next_offset


def _parts(record: Record, rows: I64) -> Iterator[Record]:
    """These rows of a record, as records of rows that follow each other."""
    if len(rows) == record.count:
        yield record
        return
    batch = decode_events(record.payload) if record.kind is RecordKind.EVENTS else None
    for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        if len(run) and batch is not None:
            payload = encode_events(batch.take(run))
            at = record.offset + int(run[0])
            yield Record(
                record.partition, at, len(run), record.kind, record.tenant, record.arrival_ms, payload
            )


def _offsets_in_lake(store: LakeStore, spec: TableSpec, group: Sequence[LakeFile]) -> dict[int, I64]:
    """By partition, the offsets that whole files of the tenant have of the group's hull."""
    snapshot = store.snapshot()
    ranges = {name: _hull(group, name) for name in ("log_partition", "log_offset")}
    near = [
        entry
        for entry in snapshot.of(spec.name, group[0].partition["tenant"])
        if entry not in group and all(entry.overlaps(name, *limits) for name, limits in ranges.items())
    ]
    if not near:
        return {}
    files = snapshot.readable(spec.name, near)
    first, last = ranges["log_offset"]
    with open_engine(store.folder, _MEMORY_BYTES) as engine:
        return _by_partition(engine, {"files": files, "first": first, "last": last})


def _by_partition(engine: duckdb.DuckDBPyConnection, parameters: dict[str, object]) -> dict[int, I64]:
    rows = engine.execute(_SQL["offsets"], parameters).fetchnumpy()
    partition, offset = rows["log_partition"], rows["log_offset"]
    return {int(number): offset[partition == number] for number in np.unique(partition)}


def _written(store: LakeStore, spec: TableSpec, tenant: str, records: Sequence[Record]) -> list[LakeFile]:
    if spec is CONTROL:
        folder = store.folder / spec.name
        return [write_file(folder, spec, {"tenant": tenant}, control_table(records), FRESH)]
    feed = Feed(tenant, records)
    with EventFiles(store, feed) as files:
        for block in feed.blocks:
            files.add(block)
        return files.finish()


def _from_events(store: LakeStore, entries: Sequence[LakeFile]) -> str:
    """All hour aggregates of a tenant anew, from its events. What remains to do; "" = nothing."""
    try:
        rebuild_hours(store, entries[0].partition["tenant"])
    except CorruptError:
        return f"events that it is derived from are damaged: {_FROM_BACKUP}, or bring those back first"
    _put_aside(store, HOURS, entries)
    return ""


def _put_aside(store: LakeStore, spec: TableSpec, entries: Sequence[LakeFile]) -> None:
    """Keep the damaged bytes for whoever wants to find out what the disk did."""
    for entry in entries:
        path = store.folder / spec.name / entry.path
        aside: Path = store.folder / QUARANTINE / spec.name / entry.path
        if path.exists():
            make_directory(aside.parent)
            path.replace(aside)
            sync_directory(aside.parent)
            sync_directory(path.parent)
