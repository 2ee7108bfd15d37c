"""Reads log lines out of the log, gathers them by device, and makes a dump of each window that has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from tocsin.control import DumpReceived, LineSpan, Tick, decode_control
from tocsin.dumps.log_text import line_text, member_name
from tocsin.dumps.writing import write_archive
from tocsin.events import EventBatch
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.log_lines import LogLine, decode_line
from tocsin.model import Flag
from tocsin.payloads import decode_events
from tocsin.processing.log_windows import DeviceKey, LineFacts, LogWindows, Window
from tocsin.runtimes.embedded.log_work import LogWork, Places
from tocsin.services.cut_dumps import CutDump
from tocsin.templates.stamped import stamped

_LOG_LINE: Final = int(Flag.LOG_LINE)
_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)


class Gathering:
    """One partition. For one thread, but for two offsets: `position`, of the next record that it reads, and
    `needed`, from which on the log is needed, that of the first line in an open window.

    `places` know where a device's dumps end, as far as that has been processed.
    """

    def __init__(self, partition: int, log: Log, work: LogWork, places: Places) -> None:
        self._partition: Final = partition
        self._log: Final = log
        self._work: Final = work
        self._places: Final = places
        self._windows: Final = LogWindows(work.rules)
        self._texts: Final = work.texts(partition)
        self._streams: dict[DeviceKey, tuple[str, str]] = {}
        self._below: dict[DeviceKey, int] = {}
        self._ended: deque[CutDump] = deque()
        self.position = self.needed = log.begin(partition)
        self._learn_what_was_cut()

    @property
    def done(self) -> bool:
        """Whether every window that has ended is kept."""
        return not self._ended

    def step(self) -> None:
        """Take in what comes next in the log. Blocks while dumps are kept.

        Errors of stores come out, and the next step goes on where this one had got to.
        """
        self._keep()
        for record in self._log.read(self._partition, self.position):
            self._ended.extend(self._taken(record))
            self.position = record.next_offset
            self._keep()
            self.needed = self._windows.first(self.position)

    def _keep(self) -> None:
        while self._ended:
            cut = self._ended[0]
            self._work.keep(cut, self._places.free_dump_place(cut.tenant, cut.device))
            self._ended.popleft()
        self._texts.keep_within()

    def close(self) -> None:
        """Let go of what lies on the disk; idempotent. The next start gathers it again."""
        self._texts.close()

    def _learn_what_was_cut(self) -> None:
        """Up to which line of each device dumps were cut and logged; what came before is passed over.

        A dump's lines lie before it in the log, so the log that is kept says so of every line that is kept.
        """
        offset, end = self.position, self._log.end(self._partition)
        while offset < end:
            records = self._log.read(self._partition, offset)
            for record in records:
                control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
                if isinstance(control, DumpReceived) and control.lines is not None:
                    key = control.tenant, control.device
                    self._below[key] = max(self._below.get(key, 0), control.lines.below)
                    self._windows.resume(key, control.collected_to_ms or 0)
            offset = records[-1].next_offset

    def _taken(self, record: Record) -> Iterator[CutDump]:
        if record.kind is RecordKind.CONTROL:
            control = decode_control(record.payload)
            if isinstance(control, Tick):
                for key, window in self._windows.tick(control.now_ms, record.offset):
                    yield self._cut(key, window)
        elif self._work.watched(record.tenant):
            yield from self._lines(record, decode_events(record.payload))

    def _lines(self, record: Record, batch: EventBatch) -> Iterator[CutDump]:
        rows = np.flatnonzero(batch.flags & _LOG_LINE).tolist()
        if not rows:
            return
        offsets, data = batch.text.offsets.tolist(), batch.text.data.tobytes()
        lines = [decode_line(data[offsets[row] : offsets[row + 1]]) for row in rows]
        texts = [line.text.encode() for line in lines]
        own = stamped(texts).tolist()
        wrong = (batch.flags & _CLOCK_WRONG).tolist()
        times, streams = batch.ts.tolist(), batch.stream.tolist()
        for row, line, text, has_stamp in zip(rows, lines, texts, own, strict=True):
            key = record.tenant, batch.device[row]
            offset = record.offset + row
            if offset < self._below.get(key, 0):
                continue
            time_ms = times[row]
            facts = LineFacts(
                offset, None if wrong[row] else time_ms, record.arrival_ms, line.component, len(text)
            )
            ended = self._windows.take(key, facts)
            if ended is not None:
                yield self._cut(key, ended)
            self._streams[key] = batch.streams[streams[row]]
            self._texts.add(key, line.component, self._text(key, line, time_ms, has_stamp=has_stamp))

    def _text(self, key: DeviceKey, line: LogLine, time_ms: int, *, has_stamp: bool) -> bytes:
        """As a file would have it: behind a line with a time, one without time and level belongs to it."""
        as_written = self._texts.as_written(
            key, line.component, has_stamp=has_stamp, levelled=bool(line.level)
        )
        return line_text(time_ms, line.level, line.text, stamped=as_written)

    def _cut(self, key: DeviceKey, window: Window) -> CutDump:
        application, version = self._streams.pop(key)
        members = sorted((member_name(name), text) for name, text in self._texts.taken(key).items())
        return CutDump(
            tenant=key[0],
            device=key[1],
            application=application,
            version=version,
            from_ms=window.from_ms,
            to_ms=window.to_ms,
            lines=LineSpan(first=window.first, below=window.below),
            archive=write_archive(_distinct(members)),
        )


def _distinct(members: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Members whose names became the same, as one."""
    together: dict[str, bytes] = {}
    for name, text in members:
        together[name] = together.get(name, b"") + text
    yield from together.items()
