"""Dumps on a disk after a cut: what the blob store and the steps of detectors say, and what they must say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tocsin.access.store import DEFAULT_TENANT
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.commit.dump_steps import BEFORE_ALL, DumpStepStore, Standing
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import DumpReceived, decode_control
from tocsin.dump_detectors.digest import added, findings_hash
from tocsin.log.abstract import Record, RecordKind
from tocsin.processing.processor import Output
from tocsin.services.dump_claims import DumpId, logged_claim, sequence_claim

_PAGE = 10_000


class Name(NamedTuple):
    """A dump by its number."""

    device: str
    epoch: int
    sequence: int

    @property
    def id(self) -> DumpId:
        """As claims name it."""
        return DumpId(device=self.device, sequence=self.sequence, epoch=self.epoch)


@dataclass(slots=True)
class BlobsSay:
    """Hashes of dumps that are whole; those claimed first, by name; marks; bytes kept of unfinished ones."""

    problems: list[str] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)
    first: dict[Name, str] = field(default_factory=dict)
    logged: set[tuple[Name, str]] = field(default_factory=set)
    staged: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class StepsSay:
    """How often each dump is ready, dealt with, and judged; by device how many were, and their sum."""

    problems: list[str] = field(default_factory=list)
    ready: Counter[Name] = field(default_factory=Counter)
    dealt: Counter[Name] = field(default_factory=Counter)
    judged: Counter[Name] = field(default_factory=Counter)
    sums: dict[str, tuple[int, str]] = field(default_factory=dict)


def received(record: Record) -> DumpReceived | None:
    """The decision about a dump, if the record is one."""
    if record.kind is not RecordKind.CONTROL:
        return None
    found = decode_control(record.payload)
    return found if isinstance(found, DumpReceived) else None


def name_of(dump: DumpReceived) -> Name:
    """Its name."""
    return Name(dump.device, dump.epoch, dump.sequence)


def freed(output: Output) -> Iterator[tuple[Name, bool]]:
    """What became ready, and whether a detector is to see it."""
    for moved in output.dumps:
        for dump in (*moved.ready, *moved.after_gap):
            yield name_of(dump), moved.watched


def blobs_say(data: Path, known: Mapping[tuple[Name, str], object]) -> BlobsSay:
    """Of dumps that were ever logged; what a restart finds of unfinished uploads comes first."""
    store = EmbeddedBlobStore(data / "blobs")
    said = BlobsSay()
    for upload in store.notes():
        staged = store.staged(upload)
        if staged is not None:
            said.staged[upload] = staged.size
            staged.close()
    said.problems = store.verify()
    for name, sha256 in known:
        if store.path(sha256).exists():
            said.whole.add(sha256)
        first = store.claimed(sequence_claim(DEFAULT_TENANT, name.id))
        if first is not None:
            said.first[name] = json.loads(first)["sha256"]
        if store.claimed(logged_claim(DEFAULT_TENANT, name.id, sha256)) is not None:
            said.logged.add((name, sha256))
    return said


def steps_say(store: EmbeddedCommitStore, partitions: int, machines: list[str]) -> StepsSay:
    """Of all machines that send dumps."""
    said, steps = StepsSay(), store.steps
    for partition in range(partitions):
        for row in store.ready_dumps(partition, limit=_PAGE):
            said.ready[name_of(row.freed.dump)] += 1
    for device in machines:
        for dump in steps.dealt(DEFAULT_TENANT, device, BEFORE_ALL, limit=_PAGE):
            said.dealt[name_of(dump)] += 1
        for standing in steps.standings(DEFAULT_TENANT, device).values():
            said.problems += _standing(steps, standing, said)
    return said


def _standing(steps: DumpStepStore, standing: Standing, said: StepsSay) -> Iterator[str]:
    """Counts what it has judged; says where its sum, its state or its place is that of other findings."""
    key = (standing.tenant, standing.device, standing.detector)
    digest, last = "0" * 32, None
    judged = steps.judged(*key, BEFORE_ALL, limit=_PAGE)
    for each in judged:
        revisions = steps.revisions(*key, each.place)
        said.judged[Name(standing.device, *each.place)] += len(revisions)
        digest, last = added(digest, findings_hash(*key, *each.place, each.findings)), each.place
    said.sums[standing.device] = len(judged), digest
    if (standing.digest, standing.last) != (digest, last):
        yield f"steps: {standing.device} stands at {standing.last}, its findings end at {last}"
    if standing.state is not None and json.loads(standing.state)[0] != len(judged):
        yield f"steps: {standing.device} has judged {len(judged)} dumps, its state is {standing.state!r}"
