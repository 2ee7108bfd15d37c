"""The lines of a fleet's dumps one by one, as devices send them that stream instead."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tocsin.simulate.dumps.faults import DumpFault
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.folder import SOFTWARE
from tocsin.simulate.dumps.machine import Machine

_TOGETHER: Final = 4096


class StreamedLine(msgspec.Struct, frozen=True, gc=False):
    """A line as `POST /v1/logs` takes it; `time` is in ms since 1970, whatever clock `text` shows."""

    device: str
    component: str
    time: int
    text: str
    application: str = SOFTWARE["application"]
    version: str = SOFTWARE["version"]


def streamed_lines(
    fleet: DumpFleet, faults: Sequence[DumpFault], from_ms: int, to_ms: int
) -> Iterator[StreamedLine]:
    """The lines of all dumps that `write_dumps` writes for the same arguments, in the order of time.

    Holds a dump of each machine in memory.
    """
    machines = (_lines(fleet, number, faults, from_ms, to_ms) for number in range(fleet.devices))
    return heapq.merge(*machines, key=lambda line: (line.time, line.device))


def write_stream(
    path: Path, lines: Iterable[StreamedLine], on_written: Callable[[int], None] = lambda _: None
) -> int:
    """The lines as NDJSON; how many there are."""
    encoder, count = msgspec.json.Encoder(), 0
    with path.open("wb") as file:
        for line in lines:
            file.write(encoder.encode(line) + b"\n")
            count += 1
            if count % _TOGETHER == 0:
                on_written(_TOGETHER)
    on_written(count % _TOGETHER)
    return count


def _lines(
    fleet: DumpFleet, number: int, faults: Sequence[DumpFault], from_ms: int, to_ms: int
) -> Iterator[StreamedLine]:
    name = fleet.device(number)
    for time_ms, component, text in Machine(fleet, number, faults).lines(from_ms, to_ms):
        yield StreamedLine(name, component, time_ms, text)
