"""Whether texts begin with a time of their own, as the readers of log lines see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.intrinsics import address_of
from tocsin.templates._header_kernel import COLUMNS, TIME_KIND
from tocsin.templates._mine_kernel import line_end, read_line
from tocsin.templates._pairs_kernel import PAIR_FIELDS, PAIRS_MAX
from tocsin.templates._stamp_kernel import FIELDS_ROOM
from tocsin.templates.format import RECOGNISED

SPARE_BYTES: Final = 64
_SPARE: Final = bytes(SPARE_BYTES)
_CLOCK: Final = np.array([1970, 0], np.int64)


def stamped(texts: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """For each text, whether its first line says when it was written."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return stamped_at(np.frombuffer(b"".join((*texts, _SPARE)), np.uint8), ends)


def stamped_at(data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The same of texts one behind the other; `SPARE_BYTES` more must follow."""
    scratch = (
        np.zeros(COLUMNS, np.int64),
        np.zeros(FIELDS_ROOM, np.int64),  # those of a stamp, and of another that is compared with it
        np.zeros((PAIRS_MAX, PAIR_FIELDS), np.int64),
    )
    found: npt.NDArray[np.bool_] = _stamped(data, ends, _CLOCK, tuple(RECOGNISED), *scratch)
    return found


@nb.njit(cache=True, nogil=True)
def _stamped(data: Any, ends: Any, clock: Any, form: Any, head: Any, fields: Any, pairs: Any) -> Any:
    found = np.zeros(len(ends), np.bool_)
    raw, room = address_of(data), (address_of(head), address_of(fields), address_of(pairs))
    start = 0
    for i in range(len(ends)):
        end = line_end(raw, start, ends[i])
        read_line(raw, start, end, address_of(clock), form, *room)
        found[i] = head[TIME_KIND] != 0
        start = ends[i]
    return found
