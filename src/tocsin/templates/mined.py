"""What became of a stretch of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Mined:
    """Some lines in order, as columns: places are bytes of `data`.

    `heads` has the columns of tocsin.templates._header_kernel. `continued` lines belong to the last line
    with a head and carry its shape, without words. The words of line i, varying or not, are
    `words[ends[i - 1]:ends[i]]`.
    """

    data: npt.NDArray[np.uint8]
    shapes: npt.NDArray[np.int32]
    heads: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    continued: npt.NDArray[Any]

    def words_of(self, line: int) -> list[bytes]:
        """The words of a line, in order."""
        first = int(self.ends[line - 1]) if line else 0
        raw = self.data
        return [raw[start:end].tobytes() for start, end in self.words[first : int(self.ends[line])].tolist()]
