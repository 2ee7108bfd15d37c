"""What is particular to the embedded log: its files, their damage, and crashes between them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from tocsin.clock import ManualClock
from tocsin.errors import (
    CorruptError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    StorageFullError,
    StorageUnavailableError,
)
from tocsin.log import kept, segment
from tocsin.log.abstract import Append, DeadLetter, Part, RecordKind
from tocsin.log.bounds import AnswerBounds, DeadLetterBounds
from tocsin.log.embedded import EmbeddedLog
from tocsin.log.reading import LogFolder
from tocsin.log.segment import segment_path
from tocsin.log.settling import Settler
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers

NOW_MS = 1_700_000_000_000


def open_log(
    folder: Path,
    *,
    partitions: int = 2,
    segment_bytes_max: int = 1,
    vfs: str | None = None,
    dead_letters: DeadLetterBounds | None = None,
) -> EmbeddedLog:
    """A log with a segment for every append, and next to nothing in memory."""
    return EmbeddedLog(
        folder,
        partitions,
        ManualClock(NOW_MS),
        segment_bytes_max=segment_bytes_max,
        tail_bytes_max=1,
        vfs=vfs,
        dead_letters=dead_letters,
    )


def held() -> tuple[set[str], int]:
    """The files that this process has open, and how many threads it has."""
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(path.readlink()))
    return {link for link in links if ".db" in link or link.endswith("lock")}, threading.active_count()


@pytest.mark.parametrize("step", ["start_writing", "ends", "size_bytes", "last_dead_letter", "create"])
def test_a_log_that_fails_to_open_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """No open file, no thread, no lock: the same process can open it once the disk is in order."""
    before = held()

    def fails(*_: object) -> None:
        raise StorageFullError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(*((segment.Segment, step, fails) if step != "create" else (segment, "migrate", fails)))
        with pytest.raises(StorageFullError):
            open_log(tmp_path / "log")
    assert held() == before
    log = open_log(tmp_path / "log")
    add(log)
    log.close()


def add(log: EmbeddedLog, payload: bytes = b"payload", *, sequence: str = "") -> None:
    letters = [DeadLetter("t", 1, "http", 1, "code", "", "detail", b"the refused line")]
    producer = "p" if sequence else ""
    parts = [Part(0, RecordKind.EVENTS, 10, payload), Part(1, RecordKind.EVENTS, 10, payload)]
    log.submit(Append("t", NOW_MS, parts, letters, producer, sequence, b"f", b"answer")).result(20)


def flip(path: Path, found: bytes) -> None:
    """Flip one bit where `found` is stored."""
    content = bytearray(path.read_bytes())
    content[content.rindex(found) + 1] ^= 4
    path.write_bytes(content)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def merge(path: Path) -> None:
    """Copy the write-ahead log into the database file, as anybody's sqlite3 does on closing."""
    connection = apsw.Connection(str(path))
    connection.execute("SELECT * FROM sqlite_schema")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()


def test_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    """Partitions decide where a device's records lie, so they are fixed when the log is made."""
    open_log(tmp_path).close()
    with pytest.raises(InvalidInputError, match="made with 2 partitions"):
        open_log(tmp_path, partitions=4)
    open_log(tmp_path).close()


def test_the_log_tells_of_its_groups_and_its_queue(tmp_path: Path) -> None:
    """The numbers an operator sees when the disk is slower than the senders."""
    groups: list[tuple[int, float]] = []
    log = EmbeddedLog(
        tmp_path, 2, ManualClock(NOW_MS), on_group=lambda appends, took_s: groups.append((appends, took_s))
    )
    add(log)
    log.close()
    assert groups == [(1, 0.0)]
    assert log.queued_bytes == 0


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Two processes that append would give the same offsets twice."""
    log = open_log(tmp_path)
    with pytest.raises(StorageUnavailableError, match="in use"):
        open_log(tmp_path)
    log.close()


@pytest.mark.parametrize("merged", [True, False])
def test_a_flipped_bit_in_a_record_is_named_by_segment_and_offset(merged: bool, tmp_path: Path) -> None:
    """An altered record is never handed out; the error and the check say where it lies."""
    log = open_log(tmp_path)
    for number in range(3):
        add(log, f"payload {number}".encode())
    log.close()
    path = segment_path(tmp_path, 2)
    if merged:
        merge(path)
    flip(path if merged else wal_of(path), b"payload 1")
    log = open_log(tmp_path)
    assert log.read(0, 0, bytes_max=5)[0].payload == b"payload 0"
    with pytest.raises(CorruptError, match=r"segment-000000000002\.db: partition 0, offset 10"):
        log.read(0, 10)
    problems = log.verify()
    assert problems
    assert all("segment-000000000002.db" in problem for problem in problems)
    assert log.read(0, 20)[0].payload == b"payload 2"
    log.close()


def test_flipped_bits_in_answers_and_dead_letters_are_noticed(tmp_path: Path) -> None:
    """A wrong answer or a wrong line is worse than an error, before and after its segment is gone."""
    log = open_log(tmp_path)
    add(log, sequence="1")
    add(log, sequence="2")
    log.close()
    merge(segment_path(tmp_path, 2))
    flip(segment_path(tmp_path, 2), b"answer")
    flip(segment_path(tmp_path, 2), b"refused")
    log = open_log(tmp_path)
    with pytest.raises(CorruptError, match="answer to producer 'p'"):
        log.find_answer("t", "p", "2", b"f")
    with pytest.raises(CorruptError, match="dead letter 2"):
        log.dead_letters("t")
    assert len(log.verify()) == 2
    log.close()


def test_acknowledged_records_cut_off_the_newest_segment_are_noticed(tmp_path: Path) -> None:
    """A flipped bit early in a write-ahead log would make SQLite forget all later records silently."""
    log = open_log(tmp_path, segment_bytes_max=1 << 20)
    for number in range(5):
        add(log, f"payload {number}".encode())
    log.close()
    content = bytearray(wal_of(segment_path(tmp_path, 1)).read_bytes())
    content[content.index(b"payload 0")] ^= 1
    wal_of(segment_path(tmp_path, 1)).write_bytes(content)
    with pytest.raises(CorruptError, match="damaged after frame"):
        open_log(tmp_path)


def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    """A gap in the files is said when the log is opened, not when somebody happens to read there."""
    log = open_log(tmp_path)
    for _ in range(3):
        add(log)
    log.close()
    segment_path(tmp_path, 2).unlink()
    with pytest.raises(CorruptError, match=r"segment-000000000002\.db is missing"):
        open_log(tmp_path)
    segment_path(tmp_path, 1).unlink()
    segment_path(tmp_path, 3).unlink()


def test_a_crash_while_trimming_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """Whichever files a power cut brings back, what was trimmed is trimmed."""
    folder, copy = tmp_path / "log", tmp_path / "copy"
    log = open_log(folder)
    for number in range(4):
        add(log, sequence=str(number))
    log.close()
    shutil.copytree(folder, copy)
    log = open_log(folder)
    assert log.trim({0: 20, 1: 20}) == 2
    log.close()
    shutil.copy(wal_of(segment_path(copy, 1)), folder)
    shutil.copy(segment_path(copy, 2), folder)
    log = open_log(folder)
    assert (log.begin(0), log.end(0)) == (20, 40)
    assert len(log.dead_letters("t")) == 4
    assert log.find_answer("t", "p", "0", b"f") == b"answer"
    assert not wal_of(segment_path(folder, 1)).exists()
    log.close()


def test_a_crash_before_trimming_deletes_files_keeps_everything(tmp_path: Path) -> None:
    """Answers and dead letters that were already copied are not there twice."""
    log = open_log(tmp_path)
    for number in range(3):
        add(log, sequence=str(number))
    log._catalogue.settle()
    assert [stored.id for stored in log.dead_letters("t")] == [1, 2, 3]
    log.close()
    log = open_log(tmp_path)
    assert [stored.id for stored in log.dead_letters("t")] == [1, 2, 3]
    assert log.trim({0: 20, 1: 20}) == 2
    assert [stored.id for stored in log.dead_letters("t")] == [1, 2, 3]
    log.close()


def refuse(log: EmbeddedLog, tenant: str, lines: range, body: bytes = b"the refused line") -> None:
    """One append with a record, so that a segment ends, and these dead letters."""
    letters = [DeadLetter(tenant, 1, "http", line, "code", "", "detail", body) for line in lines]
    part = Part(0, RecordKind.EVENTS, 1, b"payload")
    log.submit(Append(tenant, NOW_MS, [part], letters)).result(20)


def lines_of(log: EmbeddedLog, tenant: str) -> list[int]:
    return [stored.letter.line for stored in log.dead_letters(tenant, limit=100_000)]


def test_the_newest_dead_letters_of_each_tenant_are_kept(tmp_path: Path) -> None:
    """Of what was settled only so many stay; the oldest go and are counted, another tenant's stay."""
    bounds = DeadLetterBounds(letters_max=5)
    log = open_log(tmp_path, dead_letters=bounds)
    refuse(log, "quiet", range(3))
    refuse(log, "noisy", range(4))
    refuse(log, "noisy", range(4, 15))
    refuse(log, "quiet", range(3, 4))
    assert log.trim({0: 100}) == 3
    assert lines_of(log, "noisy") == [10, 11, 12, 13, 14]
    assert lines_of(log, "quiet") == [0, 1, 2, 3]
    assert log.dead_letters_dropped == 10
    log.close()
    log = open_log(tmp_path, dead_letters=bounds)
    assert log.dead_letters_dropped == 10
    assert log.verify() == []
    log.close()


def test_kept_dead_letters_are_bounded_in_bytes(tmp_path: Path) -> None:
    """Few but long lines have no more room than many short ones."""
    log = open_log(tmp_path, dead_letters=DeadLetterBounds(bytes_max=10_000))
    for first in range(0, 20, 2):
        refuse(log, "t", range(first, first + 2), bytes(2_000))
    assert log.trim({0: 100}) == 9
    assert lines_of(log, "t") == [14, 15, 16, 17, 18, 19]
    assert log.dead_letters_dropped == 14
    log.close()


def test_settling_leaves_off_when_the_log_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops between two small pieces, and the next start settles the segment as if from the beginning."""
    monkeypatch.setattr(kept, "_CHUNK_ROWS", 10)
    monkeypatch.setattr(Settler, "wake", lambda self: None)
    log = open_log(tmp_path, dead_letters=DeadLetterBounds(letters_max=80))
    refuse(log, "t", range(100))
    refuse(log, "t", range(100, 101))
    asked = iter([False] * 4)
    monkeypatch.setattr(Settler, "closing", lambda self: next(asked, True))
    assert log.trim({0: 1}) == 0
    assert lines_of(log, "t") == list(range(101))
    log.close()
    monkeypatch.undo()
    log = open_log(tmp_path, dead_letters=DeadLetterBounds(letters_max=80))
    assert log.trim({0: 1}) == 1
    assert lines_of(log, "t") == list(range(20, 101))
    assert log.dead_letters_dropped == 20
    log.close()


def test_trimming_waits_for_no_background_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers and dead letters of a segment that is not settled yet are saved before it is deleted."""
    monkeypatch.setattr(Settler, "wake", lambda self: None)
    log = open_log(tmp_path)
    for number in range(3):
        add(log, sequence=str(number))
    assert log.trim({0: 20, 1: 20}) == 2
    assert len(log.dead_letters("t")) == 3
    assert log.find_answer("t", "p", "0", b"f") == b"answer"
    log.close()


def test_a_crash_while_making_a_segment_is_cleared_away(tmp_path: Path) -> None:
    """A segment exists when it has its name; what is left of an unfinished one is refuse."""
    log = open_log(tmp_path)
    add(log)
    log.close()
    unfinished = tmp_path / "segment-000000000002.new"
    unfinished.write_bytes(b"half a file")
    wal_of(unfinished).write_bytes(b"and its log")
    log = open_log(tmp_path)
    assert not unfinished.exists()
    add(log)
    assert [info.ends for info in log.segments()] == [(10, 10), (20, 20)]
    log.close()


def test_refuse_that_can_not_be_removed_is_named(tmp_path: Path) -> None:
    """A start that fails by it is one that the disk refuses, and may be tried again."""
    open_log(tmp_path).close()
    stuck = tmp_path / "segment-000000000002.new"
    stuck.mkdir()
    with pytest.raises(StorageUnavailableError, match=stuck.name):
        open_log(tmp_path)
    stuck.rmdir()
    open_log(tmp_path).close()


def test_a_segment_that_could_not_be_opened_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that has its name but can't be opened goes; the one before it takes and keeps what comes."""
    describe = segment._describe

    def no_room(path: Path, tuning: Tuning, readers: Readers) -> tuple[int, tuple[int, ...], int]:
        if path == segment_path(tmp_path, 2):
            raise StorageUnavailableError("too many open files")
        return describe(path, tuning, readers)

    log = open_log(tmp_path, segment_bytes_max=1)
    add(log, b"first")
    monkeypatch.setattr(segment, "_describe", no_room)
    add(log, b"second")
    log.close()
    monkeypatch.undo()
    log = open_log(tmp_path)
    add(log, b"third")
    assert [record.payload for record in log.read(0, 0)] == [b"first", b"second", b"third"]
    assert log.end(0) == 30
    log.close()


@pytest.mark.parametrize("pages", ["first", "all but the first"])
def test_a_merge_that_was_cut_off_loses_nothing(pages: str, tmp_path: Path) -> None:
    """Some pages of the main file are new then, others old; only the write-ahead log makes them whole."""
    log = open_log(tmp_path, segment_bytes_max=1 << 20)
    for _ in range(5):
        add(log, bytes(20_000))
    log.close()
    (path,) = tmp_path.glob("segment-*.db")
    merged = tmp_path / "merged" / path.name
    merged.parent.mkdir()
    for file in (path, wal_of(path)):
        (merged.parent / file.name).write_bytes(file.read_bytes())
    merge(merged)
    old, new = path.read_bytes(), merged.read_bytes()
    page_bytes = 16384
    if pages == "first":
        path.write_bytes(new[:page_bytes] + old[page_bytes:])
    else:
        path.write_bytes(old[:page_bytes] + new[page_bytes:])
    log = open_log(tmp_path, segment_bytes_max=1 << 20)
    assert [len(record.payload) for record in log.read(0, 0)] == [20_000] * 5
    log.close()


def test_segments_are_listed_with_their_offsets(tmp_path: Path) -> None:
    """`tocsin doctor` can say what lies where."""
    log = open_log(tmp_path)
    add(log, bytes(5_000))
    add(log)
    first, second = log.segments()
    assert (first.name, first.begins, first.ends) == ("segment-000000000001.db", (0, 0), (10, 10))
    assert (second.name, second.begins, second.ends) == ("segment-000000000002.db", (10, 10), (20, 20))
    assert first.bytes > 10_000
    log.close()


def test_few_files_stay_open(tmp_path: Path) -> None:
    """However many segments wait for trimming, reading them all leaves only some open."""
    log = open_log(tmp_path)
    for _ in range(16):
        add(log)
    for offset in range(0, 160, 10):
        assert log.read(0, offset)
    connections = [each for each in apsw.connections() if str(tmp_path) in each.filename]
    assert len({each.filename for each in connections}) <= 10
    log.close()


def test_small_groups_do_not_fill_the_disk(tmp_path: Path) -> None:
    """A commit writes whole pages; the write-ahead log of many tiny ones is merged in time."""
    log = open_log(tmp_path, segment_bytes_max=1 << 28)
    for _ in range(600):
        log.submit(Append("t", NOW_MS, [Part(0, RecordKind.EVENTS, 1, b"tiny")])).result(20)
    assert log.segments()[0].bytes < 20 << 20
    assert log.verify() == []
    log.close()


def test_another_process_may_look_into_the_folder(tmp_path: Path) -> None:
    """While one process appends and trims, another reads what was durable when it looked."""
    log = open_log(tmp_path)
    for number in range(3):
        add(log, f"payload {number}".encode())
    folder = LogFolder(tmp_path)
    add(log, b"too late")
    assert [(folder.begin(part), folder.end(part)) for part in range(folder.partitions)] == [(0, 30), (0, 30)]
    assert [record.payload for record in folder.read(1, 5)] == [b"payload 0", b"payload 1", b"payload 2"]
    assert folder.read(0, 30) == []
    log.trim({0: 40, 1: 40})
    with pytest.raises(NotFoundError):
        folder.read(0, 0)
    folder.close()
    log.close()
    folder = LogFolder(tmp_path)
    assert [record.payload for record in folder.read(0, folder.begin(0))] == [b"too late"]
    folder.close()


class Disk(apsw.VFS):
    """A disk that can be full."""

    full = False

    def __init__(self) -> None:
        super().__init__("small-disk", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> File:  # noqa: N802 - APSW's name
        return File(self, name, flags)


class File(apsw.VFSFile):
    """A file on it."""

    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        if self._disk.full:
            raise apsw.FullError("no room")
        super().xWrite(data, offset)


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.unregister()


def test_a_full_disk_refuses_and_the_log_goes_on_when_there_is_room(disk: Disk, tmp_path: Path) -> None:
    """Nothing of a refused append is kept, and offsets have no hole where it would have been."""
    log = open_log(tmp_path, segment_bytes_max=2_000, vfs="small-disk")
    add(log, sequence="1")
    add(log, bytes(3_000), sequence="2")
    disk.full = True
    for _ in range(3):
        with pytest.raises(StorageFullError) as refusal:
            add(log, sequence="3")
        assert refusal.value.retry_after_s
    disk.full = False
    assert log.find_answer("t", "p", "3", b"f") is None
    add(log, sequence="3")
    assert [record.offset for record in log.read(0, 0)] == [0, 10, 20]
    assert len(log.segments()) == 2
    log.close()
    log = open_log(tmp_path)
    assert log.end(0) == 30
    assert log.verify() == []
    log.close()


def keyed(log: EmbeddedLog, sequence: str, *, tenant: str = "t") -> bool:
    """Append under a key of its own; whether it was a repetition."""
    parts = [Part(0, RecordKind.EVENTS, 1, b"payload")]
    now_ms = log._clock.now_ms()
    return log.submit(Append(tenant, now_ms, parts, (), "p", sequence, b"f", b"a" * 1000)).result(20).repeated


def fill(log: EmbeddedLog) -> int:
    """Append under one new key after another until one is refused; how many were not."""
    for number in range(100):
        try:
            keyed(log, f"k{number}")
        except RateLimitedError:
            return number
    raise AssertionError("keys without end were taken")


@pytest.mark.parametrize("segment_bytes_max", [1, 1 << 20])
def test_a_new_key_is_refused_once_a_tenant_has_no_room_and_no_answer_is_forgotten(
    segment_bytes_max: int, tmp_path: Path
) -> None:
    """Keys without end take no disk without end, every retry still gets its answer, also after a restart."""

    def opened() -> EmbeddedLog:
        bounds = AnswerBounds(bytes_max=10_000)
        return EmbeddedLog(tmp_path, 2, clock, segment_bytes_max=segment_bytes_max, answers=bounds)

    clock = ManualClock(NOW_MS)
    log = opened()
    taken = fill(log)
    assert 5 <= taken < 10
    for _ in range(2):
        end = log.end(0)
        with pytest.raises(RateLimitedError) as refused:
            keyed(log, "another")
        assert refused.value.retry_after_s
        assert all(keyed(log, f"k{number}") for number in range(taken))
        assert log.end(0) == end
        add(log)  # what asks for no answer needs no room for one
        log.trim({0: log.end(0), 1: log.end(1)})
        assert all(keyed(log, f"k{number}") for number in range(taken))
        log.close()
        log = opened()
    assert not keyed(log, "another", tenant="u")
    assert log.verify() == []
    log.close()


def test_room_for_answers_comes_back_after_a_day(tmp_path: Path) -> None:
    """Whoever was refused gets on once his oldest keys have expired, though nothing else was sent."""
    clock = ManualClock(NOW_MS)
    log = EmbeddedLog(tmp_path, 2, clock, segment_bytes_max=1, answers=AnswerBounds(bytes_max=10_000))
    taken = fill(log)
    add(log)
    clock.sleep(24 * 3600 + 1)
    while True:  # a refusal wakes whoever forgets, if nothing else has done so just now
        with suppress(RateLimitedError):
            assert not keyed(log, "another")
            break
    assert not keyed(log, "k0")
    assert log.verify() == []
    assert fill(log) >= taken - 2
    log.close()
