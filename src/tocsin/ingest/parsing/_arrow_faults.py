"""Which rows of an Arrow table are at fault; only these cost Python."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tocsin.events import I32
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault

Bools = npt.NDArray[np.bool_]

_NONE: Final = -1
_BODY_BYTES_MAX: Final = 256 << 10


class RowFaults:
    """The first fault that was noted for each row."""

    def __init__(self, rows: int) -> None:
        self._fault: I32 = np.full(rows, _NONE, np.int32)
        self._kinds: list[tuple[LineCode, str, str]] = []

    def note(self, rows: Bools, code: LineCode, field: str, message: str) -> None:
        """These rows have this fault, unless they have one already."""
        if rows.any():
            self._fault[rows & (self._fault == _NONE)] = len(self._kinds)
            self._kinds.append((code, field, message))

    @property
    def good(self) -> Bools:
        """Rows without fault."""
        good: Bools = self._fault == _NONE
        return good

    def errors(self, table: Any) -> list[LineError]:
        """One error for each row at fault; its body is the row as a JSON object, at most 256 KiB of it."""
        place = table.column_names.index("ts")
        table = table.set_column(place, "ts", table.column("ts").cast(pa.int64()))  # Python knows fewer years
        return [self._error(int(row), table) for row in np.flatnonzero(~self.good)]

    def _error(self, row: int, table: Any) -> LineError:
        code, field, message = self._kinds[self._fault[row]]
        cells = table.slice(row, 1).to_pylist()[0]
        body = json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode()
        return LineFault(code, message, field).at(row + 1, body[:_BODY_BYTES_MAX])
