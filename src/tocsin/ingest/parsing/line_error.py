"""What a sender is told about one line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tocsin.ingest.parsing.line_code import LINE_CODES, LineCode

_PREFIX_BYTES: Final = 4096


class LineForm(StrEnum):
    """How the bytes of a refused line are to be read, should it be sent again: no look at them tells."""

    LINE = "line"  # of NDJSON
    ELEMENT = "element"  # of a JSON array, or an object alone; may have several lines
    ROW = "row"  # of CSV, under its header
    BARE_ROW = "bare_row"  # of CSV without its header, so that nobody knows what its cells are
    LOG_LINE = "log_line"  # of NDJSON, as POST /v1/logs takes it


@dataclass(frozen=True, slots=True)
class LineError:
    """One refused (or warned-of) line. `line` counts from 1 in the body, `field` may be empty.

    `detail` says what is wrong and what to do. `body` is the line as it came, a CSV row under its header; of
    a line that is too long it is the first 4 KiB, and the detail gives the length and SHA-256 of the whole.
    """

    line: int
    code: LineCode
    field: str
    detail: str
    body: bytes
    form: LineForm = LineForm.LINE


class LineFault(Exception):  # noqa: N818 - a line at fault is an answer, not an error of this program
    """Stops the reading of one line; becomes its LineError. `remedy` stands in for that of the code.

    `unfinished` says that the line was right as far as it goes: more of it could have made it good.
    """

    def __init__(
        self, code: LineCode, message: str, field: str = "", remedy: str = "", *, unfinished: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.unfinished = unfinished
        self.remedy = remedy or LINE_CODES[code].remedy

    def at(self, line: int, body: bytes) -> LineError:
        """The error of this line."""
        detail = f"{self.message}. {self.remedy}"
        if self.code is LineCode.LINE_TOO_LONG:
            detail += f" The line's SHA-256 is {hashlib.sha256(body).hexdigest()}."
            body = body[:_PREFIX_BYTES]
        return LineError(line, self.code, self.field[:256], detail, body)
