"""Rows of the embedded commit store and the hashes they carry."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tocsin.commit.abstract import DumpKind, FreedDump, Lease, ReadyDump, Totals
from tocsin.control import DumpReceived
from tocsin.errors import CorruptError
from tocsin.model import Episode, Evidence
from tocsin.storage.hashing import check_row, row_hash

_EPISODE: Final = msgspec.msgpack.Decoder(Episode)
_EVIDENCE: Final = msgspec.msgpack.Decoder(Evidence)
_DUMP: Final = msgspec.msgpack.Decoder(DumpReceived)


def lease_row(lease: Lease) -> tuple[Any, ...]:
    """The lease as the columns of table `partition`."""
    totals = msgspec.json.encode(lease.totals, order="deterministic")
    row = (lease.partition, lease.epoch, lease.position, totals)
    return (*row, row_hash(row))


def lease_of(row: tuple[Any, ...]) -> Lease:
    """The lease in a row; CorruptError if it was altered."""
    partition, epoch, position, totals = check_row(row, f"commit store: partition {row[0]}")
    return Lease(partition, epoch, position, msgspec.json.decode(totals, type=Totals))


def episode_row(episode: Episode) -> tuple[Any, ...]:
    """The episode as the columns of table `episode`, its sequence left out."""
    payload = msgspec.msgpack.encode(msgspec.structs.replace(episode, evidence=None))
    key = (episode.tenant, episode.id, episode.revision)
    row = (*key, payload, row_hash((*key, payload)))
    if episode.evidence is None:
        return (*row, None, None)
    evidence = msgspec.msgpack.encode(episode.evidence)
    return (*row, evidence, row_hash((*key, evidence)))


def episode_of(row: tuple[Any, ...]) -> Episode:
    """The episode in a row without its evidence columns; CorruptError if it was altered."""
    tenant, episode_id, revision, payload = check_row(row[1:], f"commit store: episode {row[2]}")
    try:
        episode = _EPISODE.decode(payload)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"commit store: episode {episode_id} can't be read: {error}") from error
    if (episode.tenant, episode.id, episode.revision) != (tenant, episode_id, revision):
        raise CorruptError(f"commit store: episode {episode_id} is stored under another's name")
    return episode


def proved_episode_of(row: tuple[Any, ...]) -> Episode:
    """The episode in a row with its evidence; CorruptError if either was altered."""
    *plain, evidence, evidence_hash = row
    episode = episode_of(tuple(plain))
    if evidence is None:
        return episode
    key = (episode.tenant, episode.id, episode.revision)
    check_row((*key, evidence, evidence_hash), f"commit store: evidence of episode {episode.id}")
    return msgspec.structs.replace(episode, evidence=_EVIDENCE.decode(evidence))


def dump_row(partition: int, freed: FreedDump) -> tuple[Any, ...]:
    """The dump as the columns of table `ready_dumps`, its number left out."""
    dump = freed.dump
    key = (partition, dump.tenant, dump.device, dump.epoch, dump.sequence, dump.sha256, freed.kind.value)
    row = (*key, msgspec.msgpack.encode(dump))
    return (*row, row_hash(row))


def dump_of(row: tuple[Any, ...]) -> ReadyDump:
    """The dump in a row; CorruptError if it was altered."""
    place = f"commit store: ready dump {row[0]}"
    partition, tenant, device, epoch, sequence, sha256, kind, payload = check_row(row[1:], place)
    try:
        dump = _DUMP.decode(payload)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{place} can't be read: {error}") from error
    named = (dump.tenant, dump.device, dump.epoch, dump.sequence, dump.sha256)
    if named != (tenant, device, epoch, sequence, sha256):
        raise CorruptError(f"{place} is stored under another's name")
    return ReadyDump(row[0], partition, FreedDump(DumpKind(kind), dump))
