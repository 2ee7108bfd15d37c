"""What the proof of power loss knows of a run's past."""

from __future__ import annotations

from proof.power.history import History
from tests.kit import events_of
from tocsin.log.abstract import Record, RecordKind
from tocsin.log.rows import Answer
from tocsin.payloads import encode_events


def record(partition: int, producer: str, count: int) -> Record:
    """The first of its partition, in the same millisecond as all."""
    payload = encode_events(events_of([(f"{producer}-pump-{n}", 1000, {"a": 1.0}) for n in range(count)]))
    return Record(partition, 0, count, RecordKind.EVENTS, "default", 5, payload)


def answer(producer: str) -> Answer:
    return Answer("default", producer, "0", 5, b"", (0,), b"")


def test_bodies_of_the_same_millisecond_are_told_apart_by_their_devices() -> None:
    """Neither stands for the other's record at the same offset of another partition."""
    records = {(0, 0): record(0, "north", 4), (1, 0): record(1, "south", 3)}
    answers = {(producer, "0"): answer(producer) for producer in ("north", "south")}
    history = History(records, {}, {}, {}, answers, {}, 2)
    assert history.parts_of(("north", "0")) == [(0, 4)]
    assert history.parts_of(("south", "0")) == [(1, 3)]
