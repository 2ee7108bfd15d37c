"""Files of log lines: every line one JSON object, as POST /v1/logs takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.files.event_file import Chunk, EventFile
from tocsin.files.line_file import blocks_of
from tocsin.files.mapping import Columns
from tocsin.files.tables import open_source
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines

_LIMITS: Final = ParseLimits(body_bytes=1 << 31, lines=1 << 31)


class LogFile(EventFile):
    """Lines are read by the same rules as those of a request, and refused with the same codes."""

    def __init__(self, source: IO[bytes], device: str) -> None:
        super().__init__(device)
        self._source = source
        self.columns = Columns(device="device", time="time", arrival=None, parameters=())
        self.rows = None

    def describe(self) -> str:
        return "lines of logs: device, component, time and text"

    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        first_row = 0
        for block in blocks_of(self._source):
            parsed = parse_log_lines(block, _LIMITS)
            for error in parsed.errors:
                self.report.refuse(error.code.value, [first_row + error.line - 1])
            self.report.rows += parsed.received
            self.report.events += len(parsed.batch)
            line = parsed.line.astype(np.int64) - 1
            piece = Chunk(parsed.batch, parsed.batch.ts, first_row + line)
            rows = np.arange(len(piece), dtype=np.int64)
            for begin in range(0, len(rows), batch_rows):
                yield piece.take(rows[begin : begin + batch_rows])
            first_row += block.count(b"\n")


def open_log_lines(path: Path | None, *, stream: IO[bytes] | None = None) -> LogFile:
    """The lines of a file, or of `stream` when there is no path; InvalidInputError if there is none."""
    if path is not None and not path.is_file():
        raise InvalidInputError(f"{path} is no file", field="file")
    source = stream if path is None else open_source(path)
    if source is None:
        raise InvalidInputError("neither a file nor a stream was given", field="file")
    return LogFile(source, path.stem if path is not None else "stdin")
