"""Rows of dump steps in the embedded commit store, and the hashes they carry."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from tocsin.commit.dump_steps import JudgedDump, Standing, StepSnapshot
from tocsin.control import DumpReceived
from tocsin.errors import CorruptError
from tocsin.storage.hashing import check_row, row_hash

_STANDING: Final = msgspec.msgpack.Decoder(Standing)
_JUDGED: Final = msgspec.msgpack.Decoder(JudgedDump)
_SNAPSHOT: Final = msgspec.msgpack.Decoder(StepSnapshot)
_DUMP: Final = msgspec.msgpack.Decoder(DumpReceived)


def standing_row(standing: Standing) -> tuple[Any, ...]:
    """The standing as the columns of table `dump_steps`, its number left out."""
    facts = msgspec.msgpack.encode(msgspec.structs.replace(standing, state=None))
    key = (standing.tenant, standing.device, standing.detector, standing.revision)
    row = (*key, standing.digest, facts, _sha256(standing.state))
    return (*row, row_hash(row), standing.state)


def facts_of(row: tuple[Any, ...]) -> Standing:
    """The standing in a row without its state; CorruptError if it was altered."""
    place = f"commit store: detector {row[2]} of device {row[1]}"
    tenant, device, detector, revision, digest, facts, _ = check_row(row, place)
    try:
        standing = _STANDING.decode(facts)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{place} can't be read: {error}") from error
    named = (standing.tenant, standing.device, standing.detector, standing.revision, standing.digest)
    if named != (tenant, device, detector, revision, digest):
        raise CorruptError(f"{place} is stored under another's name")
    return standing


def standing_of(row: tuple[Any, ...]) -> Standing:
    """The standing in a row with its state; CorruptError if either was altered."""
    *plain, state = row
    standing = facts_of(tuple(plain))
    if _sha256(state) != plain[-2]:
        raise CorruptError(f"commit store: the state of {row[2]} for device {row[1]} does not match its hash")
    return msgspec.structs.replace(standing, state=state)


def judged_row(standing: Standing, judged: JudgedDump) -> tuple[Any, ...]:
    """The judged dump as the columns of table `findings`, its number left out."""
    key = (standing.tenant, standing.device, standing.detector, *judged.place, judged.revision)
    row = (*key, msgspec.msgpack.encode(judged))
    return (*row, row_hash(row))


def judged_of(row: tuple[Any, ...]) -> JudgedDump:
    """The judged dump in a row; CorruptError if it was altered."""
    place = f"commit store: findings of {row[2]} in dump {row[4]} of device {row[1]}"
    *_, epoch, sequence, revision, payload = check_row(row, place)
    try:
        judged = _JUDGED.decode(payload)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{place} can't be read: {error}") from error
    if (*judged.place, judged.revision) != (epoch, sequence, revision):
        raise CorruptError(f"{place} are stored under another's name")
    return judged


def snapshot_row(standing: Standing, snapshot: StepSnapshot) -> tuple[Any, ...]:
    """The snapshot as the columns of table `step_snapshots`, its number left out."""
    key = (standing.tenant, standing.device, standing.detector, *snapshot.place)
    row = (*key, msgspec.msgpack.encode(snapshot))
    return (*row, row_hash(row))


def snapshot_of(row: tuple[Any, ...]) -> StepSnapshot:
    """The snapshot in a row; CorruptError if it was altered."""
    place = f"commit store: snapshot of {row[2]} after dump {row[4]} of device {row[1]}"
    *_, epoch, sequence, payload = check_row(row, place)
    try:
        snapshot = _SNAPSHOT.decode(payload)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{place} can't be read: {error}") from error
    if snapshot.place != (epoch, sequence):
        raise CorruptError(f"{place} is stored under another's name")
    return snapshot


def dealt_row(dump: DumpReceived) -> tuple[Any, ...]:
    """The dump as the columns of table `dealt_dumps`."""
    row = (dump.tenant, dump.device, dump.epoch, dump.sequence, msgspec.msgpack.encode(dump))
    return (*row, row_hash(row))


def dealt_of(row: tuple[Any, ...]) -> DumpReceived:
    """The dump in a row of `dealt_dumps`; CorruptError if it was altered."""
    place = f"commit store: dump {row[3]} of device {row[1]}"
    tenant, device, epoch, sequence, payload = check_row(row, place)
    try:
        dump = _DUMP.decode(payload)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{place} can't be read: {error}") from error
    if (dump.tenant, dump.device, dump.epoch, dump.sequence) != (tenant, device, epoch, sequence):
        raise CorruptError(f"{place} is stored under another's name")
    return dump


def _sha256(state: bytes | None) -> str:
    return "" if state is None else hashlib.sha256(state).hexdigest()
