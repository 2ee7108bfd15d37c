"""Reads log lines out of the log, gathers them by device, and makes a dump of each window that has ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from tocsin.control import DumpReceived, LineSpan, Tick, decode_control
from tocsin.dumps.log_text import line_text, member_name
from tocsin.dumps.writing import write_archive
from tocsin.events import EventBatch
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.model import Flag
from tocsin.payloads import decode_events
from tocsin.processing.log_windows import DeviceKey, LogWindows, Window
from tocsin.runtimes.embedded.log_block import LineBlock, Places
from tocsin.runtimes.embedded.log_work import LogWork
from tocsin.runtimes.embedded.log_work import Places as DumpPlaces
from tocsin.services.cut_dumps import CutDump, Place

_LOG_LINE: Final = int(Flag.LOG_LINE)
_TOGETHER: Final = 512  # lines of a device that are put behind the others at once


class Gathering:
    """One partition. For one thread, but for two offsets: `position`, of the next record that it reads, and
    `needed`, from which on the log is needed, that of the first line in an open window.

    `places` know where a device's dumps and windows end, as far as that has been processed. A dump that was
    cut before the start may not be, so its place is learnt from the log.
    """

    def __init__(self, partition: int, log: Log, work: LogWork, places: DumpPlaces) -> None:
        self._partition: Final = partition
        self._log: Final = log
        self._work: Final = work
        self._places: Final = places
        self._windows: Final = LogWindows(work.rules)
        self._texts: Final = work.texts(partition)
        self._streams: dict[DeviceKey, tuple[str, str]] = {}
        self._below: dict[DeviceKey, int] = {}
        self._free: dict[DeviceKey, Place] = {}
        self._ended: deque[CutDump] = deque()
        self._learnt = False
        self.position = self.needed = log.begin(partition)

    @property
    def done(self) -> bool:
        """Whether every window that has ended is kept."""
        return not self._ended

    def step(self) -> None:
        """Take in what comes next in the log. Blocks while dumps are kept.

        Errors of stores come out, and the next step goes on where this one had got to. The first one reads
        the whole log.
        """
        if not self._learnt:
            self._learn_what_was_cut()
        self._keep()
        for record in self._log.read(self._partition, self.position):
            self._ended.extend(self._taken(record))
            self.position = record.next_offset
            self._keep()
            self.needed = self._windows.first(self.position)

    def _keep(self) -> None:
        while self._ended:
            cut = self._ended[0]
            free = self._places.free_dump_place(cut.tenant, cut.device)
            self._work.keep(cut, max(free, self._free.get((cut.tenant, cut.device), free)))
            self._ended.popleft()
        self._texts.keep_within()

    def close(self) -> None:
        """Let go of what lies on the disk; idempotent. The next start gathers it again."""
        self._texts.close()

    def _learn_what_was_cut(self) -> None:
        """Up to which line of each device dumps were cut and logged, and at which places.

        What came before that line is passed over. A dump's lines lie before it in the log, so the log that is
        kept says so of every line that is kept. But where the last window ended may be known to the processor
        alone.
        """
        for key, reached_ms in self._places.cut_to_ms(self._partition).items():
            self._windows.resume(key, reached_ms)
        offset, end = self.position, self._log.end(self._partition)
        while offset < end:
            records = self._log.read(self._partition, offset)
            for record in records:
                control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
                if isinstance(control, DumpReceived) and control.lines is not None:
                    self._learn_of(control, control.lines)
            offset = records[-1].next_offset
        self._learnt = True

    def _learn_of(self, dump: DumpReceived, lines: LineSpan) -> None:
        """A window whose number was taken is not cut yet: it is to be gathered again, for another number."""
        key = dump.tenant, dump.device
        if dump.holds_lines:
            self._below[key] = max(self._below.get(key, 0), lines.below)
            self._windows.resume(key, dump.collected_to_ms or 0)
        behind = dump.epoch, dump.sequence + 1
        self._free[key] = max(self._free.get(key, behind), behind)

    def _taken(self, record: Record) -> Iterator[CutDump]:
        if record.kind is RecordKind.CONTROL:
            control = decode_control(record.payload)
            if isinstance(control, Tick):
                for key, window in self._windows.tick(control.now_ms, record.offset):
                    yield self._cut(key, window)
        elif self._work.watched(record.tenant):
            yield from self._lines(record, decode_events(record.payload))

    def _lines(self, record: Record, batch: EventBatch) -> Iterator[CutDump]:
        """Take in a record's lines, device by device: no device moves another's windows."""
        is_line = (batch.flags & _LOG_LINE) != 0
        if not is_line.any():
            return
        block = LineBlock.of(record, batch, is_line)
        for name, places in block.by_device():
            key = record.tenant, name
            below = self._below.get(key, 0)
            new = places[block.offsets[places] >= below] if below else places
            for first in range(0, len(new), _TOGETHER):
                yield from self._device(key, block, new[first : first + _TOGETHER])

    def _device(self, key: DeviceKey, block: LineBlock, places: Places) -> Iterator[CutDump]:
        """Lines of one device: all at once where they end no window, else by halves."""
        if self._windows.join(key, block.facts(places)):
            self._add(key, block, places)
            return
        half = len(places) // 2
        if half:
            yield from self._device(key, block, places[:half])
            yield from self._device(key, block, places[half:])
            return
        ended = self._windows.take(key, block.fact(int(places[0])))
        if ended is not None:
            yield self._cut(key, ended)
        self._add(key, block, places)

    def _add(self, key: DeviceKey, block: LineBlock, places: Places) -> None:
        """Put lines behind the others of their components, as files would have them.

        Behind a line with a time, one without time and level belongs to it.
        """
        self._streams[key] = block.streams[block.stream[places[-1]]]
        written = self._texts.written(key)
        if block.plain[places].all():
            for component, own in block.by_component(places):
                written.add(component)
                self._texts.add(key, component, block.text.take(own).data.tobytes())
            return
        for place in places.tolist():
            component, level = block.components[block.component[place]], block.level[place]
            text = block.text[place]
            if not level and (block.stamped[place] or component in written):
                written.add(component)
                line = text.encode()
            else:
                line = line_text(int(block.times[place]), level, text[:-1])
            self._texts.add(key, component, line)

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
