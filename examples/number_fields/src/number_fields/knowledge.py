"""All that is known of a device, and how it becomes bytes and comes back from them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIELDS: Final = 64
WINDOW: Final = 72
STATISTICS: Final = 2
"""Level (median) and spread (logarithm of the median absolute deviation)."""
LINE: Final = 6
"""What is kept of a fitted line: level, slope a day, sine, cosine, deviation, when it was fitted (days)."""
_MAGIC: Final = b"number-fields 2\n"
_LENGTH: Final = struct.Struct("<I")


def _nothing(*shape: int) -> Floats:
    return np.full(shape, np.nan, dtype=np.float64)


@dataclass(slots=True)
class Field:
    """What a column of the window stands for, and in which dump it came last."""

    component: str
    shape: str
    place: int
    name: str
    last_dump: int


@dataclass(slots=True)
class Knowledge:
    """What has been learnt: the last 72 dumps of up to 64 fields; what a dump does not have is NaN.

    `days` is when each dump of the window was (days since 1970), oldest first. `values` and `lines` are by
    statistic first.
    """

    dumps: int = 0
    fields: list[Field] = field(default_factory=list)
    days: Floats = field(default_factory=lambda: _nothing(0))
    values: Floats = field(default_factory=lambda: _nothing(STATISTICS, 0, FIELDS))
    lines: Floats = field(default_factory=lambda: _nothing(STATISTICS, FIELDS, LINE))


def to_bytes(knowledge: Knowledge) -> bytes:
    """A mark, the length of a JSON object, the object, then the arrays as little-endian float64."""
    head = {
        "dumps": knowledge.dumps,
        "window": len(knowledge.days),
        "fields": [
            [each.component, each.shape, each.place, each.name, each.last_dump] for each in knowledge.fields
        ],
    }
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    arrays = (knowledge.days, knowledge.values, knowledge.lines)
    body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)
    return _MAGIC + _LENGTH.pack(len(text)) + text + body


def from_bytes(state: bytes) -> Knowledge:
    """What `to_bytes` was given; a ValueError for bytes that it can't have made."""
    if not state.startswith(_MAGIC) or len(state) < len(_MAGIC) + _LENGTH.size:
        raise ValueError("these bytes were not saved by version 2 of number-fields")
    start = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(state, len(_MAGIC))
    head = json.loads(state[start : start + length])
    window = head["window"]
    shapes = ((window,), (STATISTICS, window, FIELDS), (STATISTICS, FIELDS, LINE))
    numbers = np.frombuffer(state, dtype="<f8", offset=start + length).astype(np.float64)
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(numbers) != sum(sizes):
        raise ValueError(f"{len(numbers)} numbers are saved, {sum(sizes)} are needed")
    pieces = np.split(numbers, np.cumsum(sizes)[:-1])
    arrays = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    return Knowledge(head["dumps"], [Field(*row) for row in head["fields"]], *arrays)
