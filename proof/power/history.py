"""The whole past of a recorded run: every record ever logged, and what the pure processor makes of it.

What a power cut leaves must be a beginning of this past, in each partition, and nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proof.power.disk import Disk
from proof.power.dumps import Name, freed, name_of, received
from proof.power.recording import DATA, PRODUCERS
from proof.shim.event import Event, Kind
from proof.subject.crates import crates, machine_of, sums_of
from tocsin.commit.abstract import Totals
from tocsin.control import Control, FeedbackGiven, MaintenanceSet, decode_control
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.log.abstract import Record, RecordKind, StoredDeadLetter
from tocsin.log.rows import Answer, answer_of, dead_letter_of, record_hash, record_of
from tocsin.log.segment import SCRIPTS, TUNING, Segment
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState
from tocsin.runtimes.backtest.past import Past

_LOG: Final = f"{DATA}/log/"
_SQL: Final = SCRIPTS.queries

Place = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True)
class History:
    """By place: records (as their hashes) and the sums after them. By producer and sequence: answers.

    `dumps`: where the decision about a dump stands, by name and hash. `freed`: by place, what it set free.
    `sums`: by machine, what a model's findings in its first dumps add up to, by how many these are.
    `actions`: by number, the key of what people did; `feedback`: where the record of an action stands.
    `windows`: where each revision of a maintenance window was first logged.
    """

    records: Mapping[Place, Record]
    hashes: Mapping[Place, bytes]
    totals: Mapping[Place, Totals]
    findings: Mapping[Place, int]
    answers: Mapping[tuple[str, str], Answer]
    letters: Mapping[int, StoredDeadLetter]
    partitions: int
    dumps: Mapping[tuple[Name, str], Place] = field(default_factory=dict)
    freed: Mapping[Place, list[tuple[Name, bool]]] = field(default_factory=dict)
    sums: Mapping[str, list[str]] = field(default_factory=dict)
    actions: Mapping[int, str] = field(default_factory=dict)
    feedback: Mapping[int, Place] = field(default_factory=dict)
    windows: Mapping[tuple[str, int], Place] = field(default_factory=dict)

    def parts_of(self, name: tuple[str, str]) -> list[Place]:
        """Partition and end of each record that the answer stands for.

        An answer keeps offsets without partitions, so records are told apart by arrival and by whose devices
        they are about: two producers' first bodies may come in the same millisecond.
        """
        answer, parts, partition = self.answers[name], [], 0
        devices = f"{name[0]}-".encode()
        for offset in answer.offsets:  # parts are in the order of their partitions
            while (record := self.records.get((partition, offset))) is None or (
                record.arrival_ms != answer.arrival_ms or devices not in record.payload
            ):
                partition += 1
            parts.append((partition, record.next_offset))
            partition += 1
        return parts


@dataclass(slots=True)
class _Found:
    records: dict[Place, Record] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    letters: dict[int, StoredDeadLetter] = field(default_factory=dict)

    def take(self, segment: Segment, where: str) -> None:
        """Everything in one segment as it was when it was complete."""
        for partition, *row in segment._rows("all_records"):
            record = record_of(partition, tuple(row), where)
            self.records[partition, record.offset] = record
        for stored in segment._rows("all_answers"):
            answer = answer_of(stored, where)
            self.answers[answer.producer.partition("/")[2], answer.sequence] = answer
        for stored in segment._rows("all_dead_letters"):
            letter = dead_letter_of(stored, where)
            self.letters[letter.id] = letter


def history_of(events: Sequence[Event], seed: int) -> History:
    """Play the run through without any cut and keep what every segment held before it was trimmed."""
    found, disk = _Found(), Disk()
    for event in events:
        if event.kind is Kind.UNLINK and event.path.startswith(_LOG) and event.path.endswith(".db"):
            _read(disk, Path(event.path).name, found)
        disk.play(event)
    for path in disk.as_written().files:
        if path.startswith(f"{_LOG}segment-") and path.endswith(".db"):
            _read(disk, Path(path).name, found)
    partitions = 1 + max(partition for partition, _ in found.records)
    totals, findings, freed_at = _processed(found.records, partitions)
    return History(
        records=found.records,
        hashes={place: record_hash(record) for place, record in found.records.items()},
        totals=totals,
        findings=findings,
        answers=found.answers,
        letters=found.letters,
        partitions=partitions,
        dumps=_decided(found.records),
        freed=freed_at,
        sums={machine_of(producer): sums_of(crates(producer, seed)) for producer in PRODUCERS},
        actions=_acted(disk),
        feedback=_said(found.records),
        windows=_windows(found.records),
    )


def _decided(records: Mapping[Place, Record]) -> dict[tuple[Name, str], Place]:
    """The first decision about each dump."""
    found: dict[tuple[Name, str], Place] = {}
    for place in sorted(records):
        dump = received(records[place])
        if dump is not None:
            found.setdefault((name_of(dump), dump.sha256), place)
    return found


def _said(records: Mapping[Place, Record]) -> dict[int, Place]:
    """Where each piece of feedback was first logged, by the number of its action."""
    found: dict[int, Place] = {}
    for place, control in _decisions(records):
        if isinstance(control, FeedbackGiven):
            found.setdefault(control.action, place)
    return found


def _windows(records: Mapping[Place, Record]) -> dict[tuple[str, int], Place]:
    """Where each revision of a window was first logged; here each is of one device, so of one partition."""
    found: dict[tuple[str, int], Place] = {}
    for place, control in _decisions(records):
        if isinstance(control, MaintenanceSet):
            found.setdefault((control.window, control.revision), place)
    return found


def _decisions(records: Mapping[Place, Record]) -> Iterator[tuple[Place, Control]]:
    """Control records in the order of their places."""
    for place in sorted(records):
        if records[place].kind is RecordKind.CONTROL:
            yield place, decode_control(records[place].payload)


def _acted(disk: Disk) -> dict[int, str]:
    """All that people did, as the inbox has it at the end."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        disk.as_written().write(Path(scratch), [f"{DATA}/inbox.db"])
        inbox = EmbeddedInbox(Path(scratch) / DATA / "inbox.db")
        try:
            return {each.sequence: each.action.key for each in inbox.actions(0, limit=100_000)}
        finally:
            inbox.close()


def _read(disk: Disk, name: str, found: _Found) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        disk.as_written().write(Path(scratch), [f"{_LOG}{name}"])
        segment = Segment(Path(scratch) / _LOG / name, TUNING)
        try:
            found.take(segment, name)
        finally:
            segment.close()


def _processed(
    records: Mapping[Place, Record], partitions: int
) -> tuple[dict[Place, Totals], dict[Place, int], dict[Place, list[tuple[Name, bool]]]]:
    """Each partition's records one by one through the pure processor: sums after each, dumps set free."""
    freed_at: dict[Place, list[tuple[Name, bool]]] = {}
    totals: dict[Place, Totals] = {}
    findings: dict[Place, int] = {}
    for partition in range(partitions):
        state, past = PartitionState(partition), Past()
        totals[partition, 0] = state.totals()
        for place in sorted(place for place in records if place[0] == partition):
            output = process([records[place]], state, past)
            past.add(output.judged)
            if output.dumps:
                freed_at[place] = list(freed(output))
            totals[partition, state.position] = state.totals()
    return totals, findings, freed_at
