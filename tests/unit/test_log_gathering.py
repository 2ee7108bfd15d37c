"""Windows of log lines become dumps at the right places, also behind a restart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.clock import ManualClock
from tocsin.control import Control, DumpOutcome, DumpReceived, LineSpan, encode_control
from tocsin.dumps.archive import Archive
from tocsin.dumps.log_text import line_text
from tocsin.dumps.source import BytesSource
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.model import Flag
from tocsin.payloads import encode_events
from tocsin.processing.dump_orders import DumpOrders
from tocsin.processing.log_windows import DeviceKey, WindowRules
from tocsin.runtimes.embedded.log_gathering import Gathering
from tocsin.runtimes.embedded.log_rounds import LogGathering
from tocsin.runtimes.embedded.log_texts import LogTexts
from tocsin.runtimes.embedded.log_work import LogWork
from tocsin.services.cut_dumps import CutDump, Place
from tocsin.templates.stamped import stamped

START_MS: Final = 1_795_341_600_000
WINDOW_MS: Final = 60_000
LINES_A_WINDOW: Final = 6


class Processed:
    """Places of a system that has cut dumps, and has processed these."""

    def __init__(self, *dumps: DumpReceived) -> None:
        self.orders = DumpOrders()
        for dump in dumps:
            self.orders.receive(dump)

    def free_dump_place(self, tenant: str, device: str) -> Place:
        order = self.orders.find(tenant, device)
        return order.free_place() if order else (0, 1)

    def cut_to_ms(self, partition: int) -> Mapping[DeviceKey, int]:
        return self.orders.cut_to_ms()


def work_of(folder: Path, kept: list[tuple[Place, CutDump]]) -> LogWork:
    """Windows of a minute; what is kept goes into `kept`."""
    return LogWork(
        rules=WindowRules(length_ms=WINDOW_MS),
        keep=lambda cut, free: kept.append((free, cut)),
        watched=lambda tenant: True,
        texts=lambda partition: LogTexts(folder / "windows", 1 << 20),
    )


@contextmanager
def gathering(
    folder: Path, log: EmbeddedLog, kept: list[tuple[Place, CutDump]], *processed: DumpReceived
) -> Iterator[Gathering]:
    """The gathering of the only partition; what it keeps goes into `kept`."""
    found = Gathering(0, log, work_of(folder, kept), Processed(*processed))
    try:
        yield found
    finally:
        found.close()


def append(log: EmbeddedLog, kind: RecordKind, payload: bytes, count: int = 1) -> None:
    """One durable record."""
    log.submit(Append("default", START_MS, [Part(0, kind, count, payload)])).result(60)


def append_lines(log: EmbeddedLog, windows: int) -> None:
    """Lines of so many whole windows, and the first of the next."""
    append_lines_at(log, *(number * 10_000 for number in range(LINES_A_WINDOW * windows + 1)))


def append_lines_at(log: EmbeddedLog, *times_ms: int) -> None:
    """One line at each of these times, counted from the start."""
    lines = [
        {
            "device": "press",
            "component": "engine",
            "time": START_MS + time_ms,
            "text": f"cycle {number}",
        }
        for number, time_ms in enumerate(times_ms)
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    batch = parse_log_lines(body, ParseLimits()).batch
    append(log, RecordKind.EVENTS, encode_events(batch), len(batch))


def logged(place: Place, cut: CutDump, outcome: DumpOutcome = DumpOutcome.ACCEPTED) -> DumpReceived:
    """The record of a window that was kept."""
    return DumpReceived(
        tenant=cut.tenant,
        device=cut.device,
        epoch=place[0],
        sequence=place[1],
        sha256="0" * 64,
        size_bytes=len(cut.archive),
        outcome=outcome,
        collected_from_ms=cut.from_ms,
        collected_to_ms=cut.to_ms,
        lines=cut.lines,
    )


def test_each_window_is_kept_once_and_says_its_lines(tmp_path: Path) -> None:
    """Two whole windows; the lines of the third wait, and the log is needed from there on."""
    kept: list[tuple[Place, CutDump]] = []
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    append_lines(log, 2)
    with gathering(tmp_path, log, kept) as found:
        found.step()
        assert found.needed == 2 * LINES_A_WINDOW
    log.close()
    assert [cut.lines for _, cut in kept] == [LineSpan(first=0, below=6), LineSpan(first=6, below=12)]
    assert [cut.from_ms for _, cut in kept] == [START_MS, START_MS + WINDOW_MS]


SAID = st.tuples(
    st.sampled_from(["engine", "door"]),
    st.sampled_from(["2026-11-22T10:00:01Z runs", "  at a line before", "stops", "x\ny", ""]),
    st.sampled_from(["", "", "warn"]),
)


@settings(max_examples=25, deadline=None)
@given(said=st.lists(SAID, min_size=1, max_size=8), alone=st.lists(st.booleans(), min_size=8, max_size=8))
def test_however_lines_come_the_dump_has_each_as_a_file_would(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, str]], alone: list[bool]
) -> None:
    """In one request or several: as it was written behind one with a time, else with its time and level."""
    folder, kept = tmp_path_factory.mktemp("lines"), list[tuple[Place, CutDump]]()
    log = EmbeddedLog(folder / "log", 1, ManualClock(START_MS))
    lines = [
        {"device": "press", "component": each, "time": START_MS + number, "text": text, "level": level}
        for number, (each, text, level) in enumerate(said)
    ]
    waiting = list[dict[str, object]]()
    for line, ends in zip(lines, alone, strict=False):
        waiting.append(line)
        if ends:
            append_bodies(log, waiting)
            waiting = []
    append_bodies(log, [*waiting, {**lines[0], "time": START_MS + WINDOW_MS}])
    with gathering(folder, log, kept) as found:
        found.step()
    log.close()
    ((_, cut),) = kept
    members = {
        member.name.partition("/")[0]: b"".join(member.chunks())
        for member in Archive(BytesSource(cut.archive)).members
    }
    assert members == as_files(said)


def as_files(said: list[tuple[str, str, str]]) -> dict[str, bytes]:
    """What each component's file would hold: the definition, line by line."""
    files: dict[str, bytes] = {}
    written = set[str]()
    for number, (component, text, level) in enumerate(said):
        if not level and (stamped([text.encode()])[0] or component in written):
            written.add(component)
            line = f"{text}\n".encode()
        else:
            line = line_text(START_MS + number, level, text)
        files[component] = files.get(component, b"") + line
    return files


def append_bodies(log: EmbeddedLog, lines: Sequence[Mapping[str, object]], wrong: bool = False) -> None:
    """Lines of one request, of a device whose clock is wrong if told so."""
    if not lines:
        return
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    batch = parse_log_lines(body, ParseLimits()).batch
    if wrong:
        batch.flags[:] |= int(Flag.CLOCK_WRONG)
    append(log, RecordKind.EVENTS, encode_events(batch), len(batch))


def test_a_window_is_full_by_the_bytes_of_its_texts(tmp_path: Path) -> None:
    """The ends of lines, which no device sends, do not count."""
    kept: list[tuple[Place, CutDump]] = []
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    append_lines_at(log, *range(7))
    three_lines = WindowRules(length_ms=WINDOW_MS, bytes_max=3 * len("cycle 0"))
    work = dataclasses.replace(work_of(tmp_path, kept), rules=three_lines)
    with closing(Gathering(0, log, work, Processed())) as found:
        found.step()
    log.close()
    assert [cut.lines for _, cut in kept] == [LineSpan(first=0, below=3), LineSpan(first=3, below=6)]


def test_a_wrong_clock_opens_no_window_where_it_says_it_is(tmp_path: Path) -> None:
    """Its lines are of when they came, whatever stamp they bear."""
    kept: list[tuple[Place, CutDump]] = []
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    line = {"device": "press", "component": "engine", "time": START_MS + 50 * WINDOW_MS, "text": "runs"}
    append_bodies(log, [line, line], wrong=True)
    append_lines(log, 1)
    with gathering(tmp_path, log, kept) as found:
        found.step()
    log.close()
    assert [(cut.from_ms, cut.lines) for _, cut in kept] == [(START_MS, LineSpan(first=0, below=8))]


def test_after_a_restart_the_next_window_goes_behind_one_that_is_logged_but_not_processed(
    tmp_path: Path,
) -> None:
    """At the place of the first it would be another body for a number that is taken: a conflict."""
    first: list[tuple[Place, CutDump]] = []
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    append_lines(log, 2)
    with gathering(tmp_path, log, first) as found:
        found.step()
    place, cut = first[0]
    append(log, RecordKind.CONTROL, encode_control(logged(place, cut)))
    append(log, RecordKind.CONTROL, encode_control(logged((0, 5), cut)))  # the numbers between were taken
    append(log, RecordKind.CONTROL, encode_control(logged((0, 3), cut)))
    again: list[tuple[Place, CutDump]] = []
    with gathering(tmp_path, log, again) as found:
        found.step()
    log.close()
    assert [(place, cut.lines) for place, cut in again] == [((0, 6), first[1][1].lines)]
    assert again[0][1].archive == first[1][1].archive


def first_window(folder: Path) -> DumpReceived:
    """The record of the window of the first minute."""
    kept: list[tuple[Place, CutDump]] = []
    with closing(EmbeddedLog(folder / "before", 1, ManualClock(START_MS))) as log:
        append_lines_at(log, 0, WINDOW_MS)
        with gathering(folder, log, kept) as found:
            found.step()
    return logged(*kept[0])


def late_window(folder: Path, *control: Control, processed: DumpReceived) -> tuple[int, int]:
    """How long a window lasts that a late line begins, in a log that holds this and no more."""
    kept: list[tuple[Place, CutDump]] = []
    with closing(EmbeddedLog(folder / "after", 1, ManualClock(START_MS))) as log:
        for each in control:
            append(log, RecordKind.CONTROL, encode_control(each))
        append_lines_at(log, 20_000, WINDOW_MS)
        with gathering(folder, log, kept, processed) as found:
            found.step()
    return kept[0][1].from_ms - START_MS, kept[0][1].to_ms - START_MS


def test_a_window_begins_where_the_one_before_ended_though_its_record_was_trimmed(tmp_path: Path) -> None:
    """The log that is kept says nothing of it then; the state of the processor does."""
    assert late_window(tmp_path, processed=first_window(tmp_path)) == (20_000, WINDOW_MS)


def test_what_the_log_says_of_windows_is_newer_than_what_was_processed(tmp_path: Path) -> None:
    """A window that was cut and logged after the processed ones is the last one."""
    last = first_window(tmp_path)
    earlier = replace(last, sequence=1, collected_to_ms=START_MS)
    assert late_window(tmp_path, replace(last, sequence=2), processed=earlier) == (20_000, WINDOW_MS)


def test_a_window_whose_number_was_taken_is_kept_at_another_one_after_a_restart(tmp_path: Path) -> None:
    """The record of the conflict names its lines, but they are in no dump yet."""
    first: list[tuple[Place, CutDump]] = []
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    append_lines(log, 1)
    with gathering(tmp_path, log, first) as found:
        found.step()
    place, cut = first[0]
    conflict = logged(place, cut, DumpOutcome.CONFLICT)
    append(log, RecordKind.CONTROL, encode_control(conflict))
    again: list[tuple[Place, CutDump]] = []
    with gathering(tmp_path, log, again, conflict) as found:
        found.step()
    log.close()
    assert again == [((0, 2), cut)]


class Asked(Event):
    """Tells to stop at the first rest, or at the tenth round without one."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self.rests = 0

    def is_set(self) -> bool:
        return self.rests > 0 or self.rounds >= 10

    def wait(self, timeout: float | None = None) -> bool:
        self.rests += 1
        return True


def rounds_until_a_rest(rounds: LogGathering) -> int:
    """How often gathering is asked before it rests."""
    asked = Asked()

    def round_() -> None:
        asked.rounds += 1
        rounds.round()

    rounds.run(asked, round_, idle_s=1)
    return asked.rounds


def test_gathering_rests_when_it_has_caught_up(tmp_path: Path) -> None:
    """It goes on without a rest while there is something to read."""
    kept: list[tuple[Place, CutDump]] = []
    with closing(EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))) as log:
        append_lines(log, 2)
        rounds = LogGathering(work_of(tmp_path, kept), log, Processed())
        assert rounds.begin()
        assert not rounds.caught_up()
        assert rounds_until_a_rest(rounds) == 1
        assert rounds.caught_up()
    assert len(kept) == 2


@pytest.mark.parametrize("end", [1, 100])
def test_gathering_rests_after_a_round_that_got_nowhere(tmp_path: Path, end: int) -> None:
    """Where the log says another end than its records have. Without a rest nothing else could run."""
    with closing(EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))) as log:
        append_lines(log, 2)
        rounds = LogGathering(work_of(tmp_path, []), log, Processed())
        assert rounds.begin()
        rounds.round()
        with patch.object(log, "end", return_value=end):
            assert rounds_until_a_rest(rounds) == 1
