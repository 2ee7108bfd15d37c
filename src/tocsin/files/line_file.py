"""NDJSON files: every line an event, its fields renamed first where the mapping says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import IO, Final

import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.events import I64
from tocsin.files.event_file import Chunk, EventFile
from tocsin.files.mapping import Mapping
from tocsin.files.renaming import Renamer
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits

_BLOCK_BYTES: Final = 4 << 20
_LINES_LOOKED_AT: Final = 1_000
_LINE_BYTES_MAX: Final = 64 << 20
_LIMITS: Final = ParseLimits(body_bytes=1 << 31, lines=1 << 31)


class LineFile(EventFile):
    """Lines are read by the same rules as those of a request, and refused with the same codes.

    Without mapping options they are events as they are: text, application, version and id are kept. If
    the first line names no device, the file's name is the device of all that name none.
    """

    def __init__(self, source: IO[bytes], mapping: Mapping, device: str) -> None:
        super().__init__(device)
        self._blocks = blocks_of(source)
        self._first = next(self._blocks, b"")
        self._renamer = Renamer(mapping, device, self._first.split(b"\n", _LINES_LOOKED_AT))
        for look in self._renamer.looks:
            self._tell(look)
        self.columns = self._renamer.columns
        self.rows = None

    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        first_row = 0
        for block in filter(None, itertools.chain([self._first], self._blocks)):
            body, arrival = self._renamer.rename(block)
            parsed = parse_ndjson(body, _LIMITS)
            for error in parsed.errors:
                self.report.refuse(error.code.value, [first_row + error.line - 1])
            self.report.rows += parsed.received
            kept = np.flatnonzero(self._count(parsed.batch))
            line = parsed.line.astype(np.int64) - 1
            arrival_ms = parsed.batch.ts if arrival is None else _arrivals(arrival[line], parsed.batch.ts)
            piece = Chunk(parsed.batch, arrival_ms, first_row + line)
            for begin in range(0, len(kept), batch_rows):
                yield piece.take(kept[begin : begin + batch_rows])
            first_row += block.count(b"\n")


def _arrivals(arrival_ms: I64, ts: I64) -> I64:
    return np.where(arrival_ms == Renamer.NO_ARRIVAL, ts, arrival_ms)


def blocks_of(source: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, some mebibytes at a time."""
    rest = b""
    while data := source.read(_BLOCK_BYTES):
        rest += data
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > _LINE_BYTES_MAX:
            raise InvalidInputError("a line is longer than 64 MiB: is this NDJSON?", field="file")
    if rest:
        # A last line without its end is whole in a file; only in a request it may have been cut off.
        yield rest + b"\n"
