"""The log lines of one record of the log, by column, and what of them decides where windows end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.events import EventBatch, Strings
from tocsin.interning import Interner
from tocsin.log.abstract import Record
from tocsin.log_lines import decode_lines
from tocsin.model import Flag
from tocsin.processing.log_windows import LineFacts, LinesFacts
from tocsin.runtimes.embedded._lines_kernel import cut_lines
from tocsin.templates.stamped import SPARE_BYTES, stamped_at

_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)
Places = npt.NDArray[np.int64]
"""Numbers of lines in a block."""


@dataclass(frozen=True, slots=True)
class LineParts:
    """What lines say, by column: `text` has each with a line feed behind it, up to `text_ends`."""

    text: npt.NDArray[np.uint8]
    text_ends: npt.NDArray[np.int64]
    component: Strings
    level: Strings


def parts_of(lines: Strings, rows: Places) -> LineParts:
    """Of lines as they lie in the texts of events, at these rows; CorruptError if one is none."""
    room = int((lines.offsets[rows + 1] - lines.offsets[rows]).sum()) + SPARE_BYTES
    text, text_ends = np.zeros(room, np.uint8), np.zeros(len(rows), np.int64)
    columns = [(np.zeros(room, np.uint8), np.zeros(len(rows) + 1, np.int32)) for _ in range(2)]
    if not cut_lines(lines.offsets, lines.data, rows, (text, text_ends), *columns):
        return parts_decoded(lines, rows)
    component, level = (Strings(ends, data[: int(ends[-1])]) for data, ends in columns)
    return LineParts(text, text_ends, component, level)


def parts_decoded(lines: Strings, rows: Places) -> LineParts:
    """The definition that parts_of must equal, and what reads lines with fields and rare escapes."""
    data, offsets = lines.data.tobytes(), lines.offsets.tolist()
    decoded = decode_lines([data[offsets[row] : offsets[row + 1]] for row in rows.tolist()])
    texts = [line.text.encode() + b"\n" for line in decoded]
    return LineParts(
        text=np.frombuffer(b"".join((*texts, bytes(SPARE_BYTES))), np.uint8),
        text_ends=np.cumsum([len(text) for text in texts], dtype=np.int64),
        component=Strings.of([line.component for line in decoded]),
        level=Strings.of([line.level for line in decoded]),
    )


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Columns of equal length. `text` has each text with a line feed behind it, `wrong` says whose clock is.

    `component` numbers `components`. `plain` are lines with a time of their own and without a level, which
    stay as they were written.
    """

    text: Strings
    level: Strings
    stamped: npt.NDArray[np.bool_]
    plain: npt.NDArray[np.bool_]
    times: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    component: npt.NDArray[np.int32]
    components: Sequence[str]
    streams: Sequence[tuple[str, str]]
    stream: npt.NDArray[np.int32]
    devices: Sequence[str]
    device: npt.NDArray[Any]
    arrival_ms: int

    @classmethod
    def of(cls, record: Record, batch: EventBatch, is_line: npt.NDArray[np.bool_]) -> LineBlock:
        """The rows of `batch` that are lines."""
        rows = np.flatnonzero(is_line).astype(np.int64)
        parts = parts_of(batch.text, rows)
        devices, components = Interner(), Interner()
        device, component = devices.intern(batch.device.take(rows)), components.intern(parts.component)
        own_time = stamped_at(parts.text, parts.text_ends)
        ends = np.concatenate([np.zeros(1, np.int64), parts.text_ends])
        return cls(
            text=Strings(ends.astype(np.int32), parts.text),
            level=parts.level,
            stamped=own_time,
            plain=own_time & (np.diff(parts.level.offsets) == 0),
            times=batch.ts[rows],
            wrong=(batch.flags[rows] & _CLOCK_WRONG) != 0,
            offsets=record.offset + rows,
            sizes=np.diff(ends) - 1,
            component=component,
            components=components.names().tolist(),
            streams=batch.streams,
            stream=batch.stream[rows],
            devices=devices.names().tolist(),
            device=device,
            arrival_ms=record.arrival_ms,
        )

    def by_device(self) -> Iterator[tuple[str, Places]]:
        """Each device and the places of its lines, in order."""
        order = np.argsort(self.device, kind="stable")
        ends = np.cumsum(np.bincount(self.device, minlength=len(self.devices))).tolist()
        start = 0
        for name, end in zip(self.devices, ends, strict=True):
            yield name, order[start:end]
            start = end

    def by_component(self, places: Places) -> Iterator[tuple[str, Places]]:
        """Each component of these lines and the places of its own, in order."""
        numbers = self.component[places]
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            yield self.components[number], places[numbers == number]

    def fact(self, place: int) -> LineFacts:
        """Of one line."""
        return LineFacts(
            offset=int(self.offsets[place]),
            time_ms=None if self.wrong[place] else int(self.times[place]),
            arrival_ms=self.arrival_ms,
            component=self.components[self.component[place]],
            size_bytes=int(self.sizes[place]),
        )

    def facts(self, places: Places) -> LinesFacts:
        """Of several lines together."""
        times = self.times[places][~self.wrong[places]]
        numbers = np.flatnonzero(np.bincount(self.component[places])).tolist()
        return LinesFacts(
            first=self.fact(int(places[0])),
            newest_ms=int(times.max()) if len(times) else None,
            components=frozenset(self.components[number] for number in numbers),
            size_bytes=int(self.sizes[places].sum()),
        )
