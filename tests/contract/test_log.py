"""What every log promises. A new implementation adds its maker to MAKERS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tocsin.clock import ManualClock
from tocsin.errors import BackpressureError, ConflictError, NotFoundError
from tocsin.log.abstract import Append, Appended, DeadLetter, Log, Part, Record, RecordKind
from tocsin.log.embedded import EmbeddedLog

PARTITIONS = 3
DAY_MS = 24 * 3600 * 1000
TIMEOUT_S = 20


class Maker(Protocol):
    """Opens the same log again and again."""

    def open(self, *, segment_bytes_max: int = 1 << 28, queue_bytes_max: int = 1 << 26) -> Log:
        """The log with all that was acknowledged; the one opened before must be closed."""
        ...


@dataclass
class EmbeddedMaker:
    """An EmbeddedLog in a folder."""

    folder: Path
    clock: ManualClock

    def open(self, *, segment_bytes_max: int = 1 << 28, queue_bytes_max: int = 1 << 26) -> Log:
        return EmbeddedLog(
            self.folder,
            PARTITIONS,
            self.clock,
            segment_bytes_max=segment_bytes_max,
            queue_bytes_max=queue_bytes_max,
            tail_bytes_max=2000,
        )


MAKERS: list[Callable[[Path, ManualClock], Maker]] = [EmbeddedMaker]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000_000)


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Maker:
    made: Maker = request.param(tmp_path / "log", clock)
    return made


@pytest.fixture
def log(maker: Maker) -> Iterator[Log]:
    opened = maker.open()
    yield opened
    opened.close()


@pytest.fixture
def small(maker: Maker) -> Iterator[Log]:
    """A log with a segment for every append; only the last one can't be trimmed."""
    opened = maker.open(segment_bytes_max=1)
    yield opened
    opened.close()


def part(partition: int, payload: bytes, count: int = 1) -> Part:
    return Part(partition, RecordKind.EVENTS, count, payload)


def append(*parts: Part, tenant: str = "acme", arrival_ms: int = 1_700_000_000_000) -> Append:
    return Append(tenant, arrival_ms, parts)


def once(
    sequence: str, payload: bytes = b"x", *, tenant: str = "acme", arrival_ms: int = 1_700_000_000_000
) -> Append:
    """An idempotent append to partition 0, fingerprinted and answered by its payload."""
    return Append(
        tenant,
        arrival_ms,
        [part(0, payload)],
        producer="gateway-1",
        sequence=sequence,
        fingerprint=payload,
        answer=b"answer to " + payload,
    )


def letter(line: int, tenant: str = "acme") -> DeadLetter:
    """Every third says neither how it is to be read nor who sent it, as older ones do."""
    said: dict[str, str] = [{}, {"form": "element", "sender": "k1"}, {"form": "bare_row"}][line % 3]
    return DeadLetter(
        tenant, 5, "http", line, "duplicate_key", "ts", "the key comes twice", b'{"ts":1,"ts":2}', **said
    )


def done(future: Future[Appended]) -> Appended:
    return future.result(TIMEOUT_S)


def read_all(log: Log, partition: int) -> list[Record]:
    records: list[Record] = []
    offset = log.begin(partition)
    while more := log.read(partition, offset, bytes_max=100):
        records += more
        offset = more[-1].next_offset
    assert offset == log.end(partition)
    return records


def test_an_acknowledged_append_is_read_back_as_given(log: Log) -> None:
    """A record carries everything that came in: partition, kind, count, tenant, arrival and bytes."""
    done(log.submit(append(Part(1, RecordKind.CONTROL, 1, b'{"type":"tick"}'), tenant="é", arrival_ms=77)))
    assert log.read(1, 0) == [Record(1, 0, 1, RecordKind.CONTROL, "é", 77, b'{"type":"tick"}')]


def test_acknowledged_records_are_there_after_reopening(maker: Maker) -> None:
    """What was acknowledged is read again by the next process, and offsets go on where they were."""
    first = maker.open()
    done(first.submit(append(part(0, b"a", 3), part(2, b"b"))))
    first.close()
    second = maker.open()
    assert [record.payload for record in read_all(second, 0)] == [b"a"]
    assert done(second.submit(append(part(0, b"c")))).offsets == (3,)
    second.close()


def test_offsets_are_contiguous_per_partition(log: Log) -> None:
    """Each part takes `count` offsets of its own partition, starting where the last one ended."""
    answers = [done(log.submit(append(part(0, b"a", 5), part(1, b"b"), part(0, b"c", 2)))) for _ in range(3)]
    assert [answer.offsets for answer in answers] == [(0, 0, 5), (7, 1, 12), (14, 2, 19)]
    assert [log.end(partition) for partition in range(PARTITIONS)] == [21, 3, 0]
    assert [record.offset for record in read_all(log, 0)] == [0, 5, 7, 12, 14, 19]


def test_reading_inside_a_record_gives_the_whole_record(log: Log) -> None:
    """The first record read is the one that contains the offset."""
    done(log.submit(append(part(0, b"a", 10), part(0, b"b", 10))))
    assert [record.payload for record in log.read(0, 4)] == [b"a", b"b"]
    assert [record.payload for record in log.read(0, 19)] == [b"b"]
    assert log.read(0, 20) == []


def test_reading_stops_at_the_byte_limit_but_gives_at_least_one(log: Log) -> None:
    """A reader bounds what it gets, and still gets on when one record is larger than its bound."""
    for _ in range(4):
        done(log.submit(append(part(0, bytes(100)))))
    assert len(log.read(0, 0, bytes_max=1)) == 1
    assert len(log.read(0, 0, bytes_max=250)) == 2
    assert len(log.read(0, 0)) == 4


def test_reading_goes_on_across_segments(small: Log) -> None:
    """Where one segment ends and the next begins is invisible to a reader."""
    payloads = [bytes([number]) * 50 for number in range(30)]
    for payload in payloads:
        done(small.submit(append(part(0, payload), part(1, payload))))
    assert [record.payload for record in read_all(small, 0)] == payloads
    assert [record.payload for record in small.read(1, 0)] == payloads


def test_the_same_sequence_again_changes_nothing_and_gets_the_first_answer(maker: Maker) -> None:
    """A retry is answered like the first request, also after a restart and when both wait together."""
    first = maker.open()
    together = [first.submit(once("1")) for _ in range(50)]
    assert [done(future).repeated for future in together] == [False] + [True] * 49
    first.close()
    second = maker.open()
    assert done(second.submit(once("1"))) == Appended(b"answer to x", True, (0,))
    assert second.end(0) == 1
    second.close()


def test_the_same_sequence_with_another_body_is_a_conflict(log: Log) -> None:
    """A producer that gives two bodies one sequence hears of it; the first body stays."""
    futures = [log.submit(once("1", b"first")), log.submit(once("1", b"second"))]
    assert done(futures[0]).answer == b"answer to first"
    with pytest.raises(ConflictError, match="id_conflict"):
        done(futures[1])
    with pytest.raises(ConflictError, match="id_conflict"):
        done(log.submit(once("1", b"third")))
    assert log.end(0) == 1


def test_an_answer_is_found_without_appending(log: Log) -> None:
    """A retry can be answered before its body is parsed; another body is a conflict there too."""
    assert log.find_answer("acme", "gateway-1", "1", b"x") is None
    done(log.submit(once("1")))
    assert log.find_answer("acme", "gateway-1", "1", b"x") == b"answer to x"
    with pytest.raises(ConflictError):
        log.find_answer("acme", "gateway-1", "1", b"y")


def test_producers_of_two_tenants_are_two(log: Log) -> None:
    """A sequence used by one tenant is free for another, who learns nothing about it."""
    done(log.submit(once("1")))
    assert log.find_answer("other", "gateway-1", "1", b"x") is None
    assert not done(log.submit(once("1", b"y", tenant="other"))).repeated


def test_an_append_without_producer_is_never_a_repeat(log: Log) -> None:
    """Two equal bodies without a sequence are two records."""
    for _ in range(2):
        assert not done(log.submit(append(part(0, b"same")))).repeated
    assert log.end(0) == 2


def test_answers_outlive_their_segment_for_a_day(maker: Maker, clock: ManualClock) -> None:
    """Trimming takes no answer away before its 24 hours are over, and none stays longer."""
    log = maker.open(segment_bytes_max=1)
    start_ms = clock.now_ms()
    for sequence in "abc":
        done(log.submit(once(sequence, arrival_ms=start_ms)))
    assert log.trim({0: 3}) == 2
    assert done(log.submit(once("a", arrival_ms=start_ms))).repeated
    log.close()
    clock.advance_to(start_ms + DAY_MS)
    log = maker.open(segment_bytes_max=1)
    assert log.find_answer("acme", "gateway-1", "b", b"x") == b"answer to x"
    clock.advance_to(start_ms + DAY_MS + 1)
    assert log.find_answer("acme", "gateway-1", "b", b"x") is None
    assert not done(log.submit(once("b", b"new body", arrival_ms=clock.now_ms()))).repeated
    assert log.find_answer("acme", "gateway-1", "b", b"new body") == b"answer to new body"
    log.close()


def test_a_full_queue_refuses_at_once_and_keeps_what_it_took(maker: Maker) -> None:
    """Backpressure is a clear refusal; everything accepted before it becomes durable."""
    log = maker.open(queue_bytes_max=100_000)
    accepted: list[Future[Appended]] = []
    with pytest.raises(BackpressureError) as refusal:
        accepted.extend(log.submit(append(part(0, bytes(40_000)))) for _ in range(100_000))
    assert refusal.value.retry_after_s
    for future in accepted:
        done(future)
    assert log.end(0) == len(accepted)
    done(log.submit(append(part(0, b"room again"))))
    log.close()


def test_an_append_larger_than_the_queue_is_taken_when_the_queue_is_empty(maker: Maker) -> None:
    """A limit on what waits never makes a single request impossible for ever."""
    log = maker.open(queue_bytes_max=10)
    assert done(log.submit(append(part(0, bytes(1000))))).offsets == (0,)
    log.close()


def test_trimmed_offsets_are_not_found(small: Log) -> None:
    """A reader that is too late is told so, and where the log begins now."""
    for _ in range(3):
        done(small.submit(append(part(0, b"x"))))
    assert small.trim({0: 2}) == 2
    assert small.begin(0) == 2
    with pytest.raises(NotFoundError, match="trimmed"):
        small.read(0, 1)
    assert [record.offset for record in small.read(0, 2)] == [2]


def test_a_segment_stays_while_any_partition_needs_it(small: Log) -> None:
    """Only what every partition has passed is deleted, in order, and never in part."""
    for _ in range(3):
        done(small.submit(append(part(0, b"x", 10), part(1, b"y", 10))))
    assert small.trim({0: 30}) == 0
    assert small.trim({0: 30, 1: 9}) == 0
    assert small.trim({0: 10, 1: 10}) == 1
    assert small.trim({0: 19, 1: 30}) == 0
    assert [small.begin(partition) for partition in range(PARTITIONS)] == [10, 10, 0]


def test_trimming_survives_reopening(maker: Maker) -> None:
    """What was trimmed stays away and offsets go on."""
    log = maker.open(segment_bytes_max=1)
    for _ in range(4):
        done(log.submit(append(part(0, b"x"))))
    assert log.trim({0: 4}) == 3
    log.close()
    log = maker.open()
    assert (log.begin(0), log.end(0)) == (3, 4)
    assert done(log.submit(append(part(0, b"y")))).offsets == (4,)
    log.close()


def test_dead_letters_are_listed_by_tenant_in_order(log: Log) -> None:
    """Each tenant pages through its own refused lines, and sees nobody else's."""
    for line in range(1, 6):
        done(log.submit(Append("acme", 5, [], dead_letters=[letter(line)])))
        done(log.submit(Append("other", 5, [part(0, b"x")], dead_letters=[letter(line, "other")])))
    page = log.dead_letters("acme", limit=3)
    assert [stored.letter for stored in page] == [letter(1), letter(2), letter(3)]
    rest = log.dead_letters("acme", after_id=page[-1].id)
    assert [stored.letter.line for stored in rest] == [4, 5]
    assert sorted({*page, *rest}, key=lambda stored: stored.id) == page + rest


def test_all_dead_letters_of_a_body_are_kept(log: Log) -> None:
    """However many lines of one body were refused, each can be seen."""
    refused = [letter(line) for line in range(1, 6)]
    done(log.submit(Append("acme", 5, [part(0, b"x")], dead_letters=refused)))
    assert [stored.letter for stored in log.dead_letters("acme")] == refused


def test_dead_letters_outlive_their_segment_and_keep_their_ids(maker: Maker) -> None:
    """Trimming and restarting change neither the dead letters nor what they are called by."""
    log = maker.open(segment_bytes_max=1)
    for line in range(1, 5):
        done(log.submit(Append("acme", 5, [part(0, b"x")], dead_letters=[letter(line)])))
    before = log.dead_letters("acme")
    assert log.trim({0: 2}) == 2
    assert log.dead_letters("acme") == before
    log.close()
    log = maker.open()
    assert log.dead_letters("acme") == before
    assert log.dead_letter("acme", before[0].id) == before[0]
    assert log.dead_letter("other", before[0].id) is None
    done(log.submit(Append("acme", 5, [], dead_letters=[letter(9)])))
    assert log.dead_letters("acme", after_id=before[-1].id)[0].letter == letter(9)
    log.close()


def test_waiting_ends_when_a_record_arrives(log: Log) -> None:
    """A processor sleeps until there is something to read, and no longer than it wants to."""
    assert not log.wait(0, 0, 0.01)
    timer = threading.Timer(0.05, lambda: log.submit(append(part(0, b"x"))))
    timer.start()
    assert log.wait(0, 0, TIMEOUT_S)
    assert not log.wait(0, 1, 0.01)
    assert log.wait(0, 0, 0)
    timer.join()


def test_a_client_that_goes_away_does_not_stop_the_log(log: Log) -> None:
    """An append can't be taken back once it is queued; others are not touched by the attempt."""
    futures = [log.submit(append(part(0, b"x"))) for _ in range(20)]
    assert not any(future.cancel() for future in futures)
    assert [done(future).offsets for future in futures] == [(number,) for number in range(20)]


def test_many_threads_append_without_mixing(log: Log) -> None:
    """Requests at the same time each get their own offsets, without gap or overlap."""
    taken: list[tuple[int, bytes]] = []

    def send(number: int) -> None:
        for step in range(25):
            payload = f"{number}/{step}".encode()
            taken.append((done(log.submit(append(part(0, payload, 2)))).offsets[0], payload))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [(record.offset, record.payload) for record in read_all(log, 0)]
    assert log.end(0) == 400


def test_closing_finishes_what_was_accepted(maker: Maker) -> None:
    """A clean stop loses nothing that was queued, and then refuses new appends."""
    log = maker.open()
    futures = [log.submit(append(part(0, bytes(10_000)))) for _ in range(100)]
    log.close()
    log.close()
    assert [done(future).offsets for future in futures] == [(number,) for number in range(100)]
    with pytest.raises(BackpressureError):
        log.submit(append(part(0, b"late")))
    again = maker.open()
    assert again.end(0) == 100
    again.close()


def test_reading_while_trimming_gives_records_or_not_found(small: Log) -> None:
    """A reader that meets the trimmer gets whole records or a clear answer, never a broken one."""
    for number in range(30):
        done(small.submit(append(part(0, number.to_bytes(4, "big")))))
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for offset in range(30):
                with suppress(NotFoundError):
                    assert small.read(0, offset)[0].payload == offset.to_bytes(4, "big")
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for safe in range(1, 31):
        small.trim({0: safe})
    for reader in readers:
        reader.join()
    assert not failures


def test_a_partition_that_does_not_exist_is_refused(log: Log) -> None:
    """A mistake in the caller is no record and no empty answer."""
    with pytest.raises(ValueError, match="no partition"):
        log.submit(append(part(PARTITIONS, b"x")))
    with pytest.raises(ValueError, match="no partition"):
        log.read(-1, 0)
    with pytest.raises(ValueError, match="at least one offset"):
        log.submit(append(part(0, b"x", 0)))
