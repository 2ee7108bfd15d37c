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


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Lists of equal length: `texts` are UTF-8, `wrong` says whose clock is, `stamped` which have a time."""

    lines: Sequence[LogLine]
    texts: Sequence[bytes]
    stamped: Sequence[bool]
    times: Sequence[int]
    wrong: Sequence[bool]
    offsets: Sequence[int]
    streams: Sequence[tuple[str, str]]
    devices: Sequence[str]
    device: npt.NDArray[Any]
    arrival_ms: int

    @classmethod
    def of(
        cls, record: Record, batch: EventBatch, is_line: npt.NDArray[np.bool_], lines: Sequence[LogLine]
    ) -> LineBlock:
        """The rows of `batch` that are lines, of which `lines` are the texts."""
        rows = np.flatnonzero(is_line).astype(np.int64)
        texts = [line.text.encode() for line in lines]
        names = Interner()
        device = names.intern(batch.device.take(rows))
        return cls(
            lines=lines,
            texts=texts,
            stamped=stamped(texts).tolist(),
            times=batch.ts[rows].tolist(),
            wrong=((batch.flags[rows] & _CLOCK_WRONG) != 0).tolist(),
            offsets=(record.offset + rows).tolist(),
            streams=[batch.streams[stream] for stream in batch.stream[rows].tolist()],
            devices=names.names().tolist(),
            device=device,
            arrival_ms=record.arrival_ms,
        )

    def by_device(self) -> Iterator[tuple[str, list[int]]]:
        """Each device and the places of its lines, in order."""
        order = np.argsort(self.device, kind="stable")
        ends = np.cumsum(np.bincount(self.device, minlength=len(self.devices))).tolist()
        start = 0
        for name, end in zip(self.devices, ends, strict=True):
            yield name, order[start:end].tolist()
            start = end

    def fact(self, place: int) -> LineFacts:
        """Of one line."""
        return LineFacts(
            offset=self.offsets[place],
            time_ms=None if self.wrong[place] else self.times[place],
            arrival_ms=self.arrival_ms,
            component=self.lines[place].component,
            size_bytes=len(self.texts[place]),
        )

    def facts(self, places: Sequence[int]) -> LinesFacts:
        """Of several lines together."""
        times = [self.times[place] for place in places if not self.wrong[place]]
        return LinesFacts(
            first=self.fact(places[0]),
            newest_ms=max(times, default=None),
            components=frozenset(self.lines[place].component for place in places),
            size_bytes=sum(len(self.texts[place]) for place in places),
        )
