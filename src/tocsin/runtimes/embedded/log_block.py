"""The log lines of one record of the log, by column, and what of them decides where windows end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.events import EventBatch
from tocsin.interning import Interner
from tocsin.log.abstract import Record
from tocsin.log_lines import LogLine
from tocsin.model import Flag
from tocsin.processing.log_windows import LineFacts, LinesFacts
from tocsin.templates.stamped import stamped

_CLOCK_WRONG: Final = int(Flag.CLOCK_WRONG)
Places = npt.NDArray[np.int64]
"""Numbers of lines in a block."""


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Columns of equal length: `texts` are UTF-8, `wrong` says whose clock is.

    `component` numbers `components`. `plain` are lines with a time of their own and without a level, which
    stay as they were written.
    """

    lines: Sequence[LogLine]
    texts: Sequence[bytes]
    stamped: npt.NDArray[np.bool_]
    plain: npt.NDArray[np.bool_]
    times: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    component: npt.NDArray[np.int64]
    components: Sequence[str]
    streams: Sequence[tuple[str, str]]
    devices: Sequence[str]
    device: npt.NDArray[Any]
    arrival_ms: int

    @classmethod
    def of(
        cls, record: Record, batch: EventBatch, is_line: npt.NDArray[np.bool_], lines: Sequence[LogLine]
    ) -> LineBlock:
        """The rows of `batch` that are lines, of which `lines` are the texts."""
        rows, count = np.flatnonzero(is_line).astype(np.int64), len(lines)
        texts = [line.text.encode() for line in lines]
        names = Interner()
        device = names.intern(batch.device.take(rows))
        numbers: dict[str, int] = {}
        component = (numbers.setdefault(line.component, len(numbers)) for line in lines)
        own_time = stamped(texts)
        return cls(
            lines=lines,
            texts=texts,
            stamped=own_time,
            plain=own_time & np.fromiter((not line.level for line in lines), np.bool_, count),
            times=batch.ts[rows],
            wrong=(batch.flags[rows] & _CLOCK_WRONG) != 0,
            offsets=record.offset + rows,
            sizes=np.fromiter(map(len, texts), np.int64, count),
            component=np.fromiter(component, np.int64, count),
            components=list(numbers),
            streams=[batch.streams[stream] for stream in batch.stream[rows].tolist()],
            devices=names.names().tolist(),
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
            component=self.lines[place].component,
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
