"""Any order of appending, repeating, trimming, waiting a day and restarting equals a simple model."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.power_kit import memory_folder
from tocsin.clock import ManualClock
from tocsin.errors import ConflictError, NotFoundError
from tocsin.log.abstract import Append, DeadLetter, Part, Record, RecordKind, StoredDeadLetter
from tocsin.log.embedded import EmbeddedLog

PARTITIONS = 2
START_MS = 1_700_000_000_000
DAY_MS = 24 * 3600 * 1000

payloads = st.binary(max_size=60)
parts = st.lists(
    st.builds(
        Part,
        partition=st.integers(0, PARTITIONS - 1),
        kind=st.sampled_from(RecordKind),
        count=st.integers(1, 5),
        payload=payloads,
    ),
    max_size=4,
)


class LogModel(RuleBasedStateMachine):
    """The model: a list of records per partition, a dict of answers, a list of dead letters."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = memory_folder()
        self.clock = ManualClock(START_MS)
        self.records: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.letters: list[DeadLetter] = []
        self.ids: list[int] = []
        self.segment_bytes_max = 1

    @initialize(segment_bytes_max=st.sampled_from([1, 1500, 1 << 20]))
    def open(self, segment_bytes_max: int) -> None:
        self.segment_bytes_max = segment_bytes_max
        self.log = self.open_log()

    def open_log(self) -> EmbeddedLog:
        return EmbeddedLog(
            Path(self.folder.name),
            PARTITIONS,
            self.clock,
            segment_bytes_max=self.segment_bytes_max,
            tail_bytes_max=1000,
        )

    def next_offset(self, partition: int) -> int:
        return self.records[partition][-1].next_offset if self.records[partition] else 0

    def accept(self, append: Append) -> tuple[int, ...]:
        offsets = []
        for part in append.parts:
            offset = self.next_offset(part.partition)
            self.records[part.partition].append(
                Record(
                    part.partition,
                    offset,
                    part.count,
                    part.kind,
                    append.tenant,
                    append.arrival_ms,
                    part.payload,
                )
            )
            offsets.append(offset)
        self.letters += append.dead_letters
        return tuple(offsets)

    @rule(new_parts=parts, letters=st.integers(0, 2))
    def append(self, new_parts: list[Part], letters: int) -> None:
        refused = [
            DeadLetter("t", 1, "http", line + 1, "code", "", "detail", b"line") for line in range(letters)
        ]
        append = Append("t", self.clock.now_ms(), new_parts, dead_letters=refused)
        assert self.log.submit(append).result(20).offsets == self.accept(append)

    @rule(sequence=st.sampled_from("abc"), payload=st.sampled_from([b"1", b"2"]))
    def append_once(self, sequence: str, payload: bytes) -> None:
        now_ms = self.clock.now_ms()
        append = Append(
            "t",
            now_ms,
            [Part(0, RecordKind.EVENTS, 1, payload)],
            producer="p",
            sequence=sequence,
            fingerprint=payload,
            answer=payload,
        )
        arrival_ms, body = self.answers.get(sequence, (-DAY_MS, b""))
        future = self.log.submit(append)
        if arrival_ms < now_ms - DAY_MS:
            assert future.result(20).offsets == self.accept(append)
            self.answers[sequence] = (now_ms, payload)
        elif body == payload:
            assert future.result(20).repeated
        else:
            assert isinstance(future.exception(20), ConflictError)

    @rule(hours=st.integers(1, 30))
    def pass_time(self, hours: int) -> None:
        self.clock.sleep(hours * 3600)

    @rule(shares=st.lists(st.floats(0, 1), min_size=PARTITIONS, max_size=PARTITIONS))
    def trim(self, shares: list[float]) -> None:
        safe = {partition: round(self.log.end(partition) * share) for partition, share in enumerate(shares)}
        before = [self.log.begin(partition) for partition in range(PARTITIONS)]
        self.log.trim(safe)
        for partition in range(PARTITIONS):
            begin = self.log.begin(partition)
            assert begin == before[partition] or before[partition] < begin <= safe[partition]

    @precondition(lambda self: hasattr(self, "log"))
    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = self.open_log()

    @rule(partition=st.integers(0, PARTITIONS - 1), offset=st.integers(0, 60), bytes_max=st.integers(1, 200))
    def read(self, partition: int, offset: int, bytes_max: int) -> None:
        expected = [record for record in self.records[partition] if record.next_offset > offset]
        if offset < self.log.begin(partition):
            try:
                self.log.read(partition, offset)
            except NotFoundError:
                return
            raise AssertionError("a trimmed offset was read")
        found = self.log.read(partition, offset, bytes_max=bytes_max)
        assert found == expected[: len(found)]
        assert bool(found) == bool(expected)
        assert len(found) <= 1 or sum(len(record.payload) for record in found) <= bytes_max

    @invariant()
    def ends_agree(self) -> None:
        if hasattr(self, "log"):
            ends = [self.log.end(partition) for partition in range(PARTITIONS)]
            assert ends == [self.next_offset(partition) for partition in range(PARTITIONS)]

    @invariant()
    def dead_letters_agree(self) -> None:
        if hasattr(self, "log"):
            stored: list[StoredDeadLetter] = self.log.dead_letters("t", limit=1000)
            assert [entry.letter for entry in stored] == self.letters
            ids = [entry.id for entry in stored]
            assert ids == sorted(set(ids))
            assert ids[: len(self.ids)] == self.ids
            self.ids = ids

    def teardown(self) -> None:
        if hasattr(self, "log"):
            assert self.log.verify() == []
            self.log.close()
        self.folder.cleanup()


TestLogModel = LogModel.TestCase
TestLogModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
