"""Windows of log lines become dumps at the right places, also behind a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from tocsin.clock import ManualClock
from tocsin.control import Control, DumpOutcome, DumpReceived, LineSpan, encode_control
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events
from tocsin.processing.log_windows import WindowRules
from tocsin.runtimes.embedded.log_gathering import Gathering
from tocsin.runtimes.embedded.log_rounds import LogGathering
from tocsin.runtimes.embedded.log_texts import LogTexts
from tocsin.runtimes.embedded.log_work import LogWork
from tocsin.services.cut_dumps import CutDump, Place

START_MS: Final = 1_795_341_600_000
WINDOW_MS: Final = 60_000
LINES_A_WINDOW: Final = 6


class NothingProcessed:
    """Places of a system that has cut dumps, but has processed none of them yet."""

    def free_dump_place(self, tenant: str, device: str) -> Place:
        return 0, 1


def work_of(folder: Path, kept: list[tuple[Place, CutDump]]) -> LogWork:
    """Windows of a minute; what is kept goes into `kept`."""
    return LogWork(
        rules=WindowRules(length_ms=WINDOW_MS),
        keep=lambda cut, free: kept.append((free, cut)),
        watched=lambda tenant: True,
        texts=lambda partition: LogTexts(folder / "windows", 1 << 20),
    )


@contextmanager
def gathering(folder: Path, log: EmbeddedLog, kept: list[tuple[Place, CutDump]]) -> Iterator[Gathering]:
    """The gathering of the only partition; what it keeps goes into `kept`."""
    found = Gathering(0, log, work_of(folder, kept), NothingProcessed())
    try:
        yield found
    finally:
        found.close()


def append(log: EmbeddedLog, kind: RecordKind, payload: bytes, count: int = 1) -> None:
    """One durable record."""
    log.submit(Append("default", START_MS, [Part(0, kind, count, payload)])).result(60)


def append_lines(log: EmbeddedLog, windows: int) -> None:
    """Lines of so many whole windows, and the first of the next."""
    lines = [
        {
            "device": "press",
            "component": "engine",
            "time": START_MS + number * 10_000,
            "text": f"cycle {number}",
        }
        for number in range(LINES_A_WINDOW * windows + 1)
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    batch = parse_log_lines(body, ParseLimits()).batch
    append(log, RecordKind.EVENTS, encode_events(batch), len(batch))


def logged(place: Place, cut: CutDump) -> Control:
    """The record of a window that was kept."""
    return DumpReceived(
        tenant=cut.tenant,
        device=cut.device,
        epoch=place[0],
        sequence=place[1],
        sha256="0" * 64,
        size_bytes=len(cut.archive),
        outcome=DumpOutcome.ACCEPTED,
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


def test_what_was_read_beyond_the_end_of_the_log_is_caught_up(tmp_path: Path) -> None:
    """Nothing is there to read until it has grown: asked again without a pause, nothing else could run."""
    log = EmbeddedLog(tmp_path / "log", 1, ManualClock(START_MS))
    append_lines(log, 2)
    rounds = LogGathering(work_of(tmp_path, []), log, NothingProcessed())
    assert rounds.begin()
    assert not rounds.caught_up()
    rounds.round()
    assert rounds.caught_up()
    with patch.object(log, "end", return_value=1):
        assert rounds.caught_up()
    rounds.close()
    log.close()
