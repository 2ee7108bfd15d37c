"""What became of a stretch of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tocsin.templates._header_kernel import (
    COMPONENT_END,
    COMPONENT_START,
    LEVEL,
    TEXT_END,
    TEXT_START,
    TIME_KIND,
    TIME_US,
)
from tocsin.templates.reader import AS_RECOGNISED, Columns, Reader


@dataclass(frozen=True, slots=True)
class Mined:
    """Some lines in order, as columns: places are bytes of `data`.

    `heads` has the columns of tocsin.templates._header_kernel; `columns` gives those in UTC. `continued`
    lines belong to the last line with a head and carry its shape, without words. The words of line i,
    varying or not, are `words[ends[i - 1]:ends[i]]`.
    """

    data: npt.NDArray[np.uint8]
    shapes: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    continued: npt.NDArray[Any]
    reader: Reader = AS_RECOGNISED

    def columns(self) -> Columns:
        """Stamps in UTC, levels, components and texts."""
        heads = self.heads
        return Columns(
            self.reader.utc_us(heads[:, TIME_US], heads[:, TIME_KIND]),
            heads[:, LEVEL],
            heads[:, COMPONENT_START : COMPONENT_END + 1],
            heads[:, TEXT_START : TEXT_END + 1],
        )

    def words_of(self, line: int) -> list[bytes]:
        """The words of a line, in order."""
        first = int(self.ends[line - 1]) if line else 0
        raw = self.data
        return [raw[start:end].tobytes() for start, end in self.words[first : int(self.ends[line])].tolist()]
