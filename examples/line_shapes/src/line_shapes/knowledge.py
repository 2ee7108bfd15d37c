"""All that is known of a device, and how it becomes bytes and comes back from them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COLUMNS: Final = 192
PARTS: Final = 4
BATCH: Final = 8
VERSION_2: Final = b"line-shapes 2\n"
VERSION_3: Final = b"line-shapes 3\n"
_MAGIC: Final = b"line-shapes 4\n"
_STRENGTHS: Final = 3  # the one array that has no column for each shape
_LENGTH: Final = struct.Struct("<I")


def _zeros(*shape: int) -> Floats:
    return np.zeros(shape, dtype=np.float64)


@dataclass(slots=True)
class Column:
    """The shape that a column of the vectors stands for, and in which dump it came last."""

    number: int
    component: str
    shape: str
    last_dump: int


@dataclass(slots=True)
class Distance:
    """How far a component usually lies from what is expected: mean and variance over its dumps.

    `gathered` sums up how many deviations the last dumps lay farther away than that.
    """

    dumps: int = 0
    mean: float = 0.0
    variance: float = 0.0
    last_dump: int = 0
    gathered: float = 0.0


@dataclass(slots=True)
class Knowledge:
    """What has been learnt from the dumps so far.

    Vectors have a column for each shape: two square roots of its lines an hour. `mean`, `variance`,
    `parts` and `strengths` are those of an incremental PCA over `learnt` vectors, `excess` is how much more a
    column varies from dump to dump than a Poisson count, `lacking` sums up how many deviations a shape has
    come too seldom over the last dumps, `waiting` are vectors of the next batch. `young` are the numbers of
    shapes that came first once there was enough to judge by, and not long ago, with the dump they came in.
    """

    dumps: int = 0
    learnt: int = 0
    columns: list[Column] = field(default_factory=list)
    distances: dict[str, Distance] = field(default_factory=dict)
    mean: Floats = field(default_factory=lambda: _zeros(COLUMNS))
    variance: Floats = field(default_factory=lambda: _zeros(COLUMNS))
    parts: Floats = field(default_factory=lambda: _zeros(PARTS, COLUMNS))
    strengths: Floats = field(default_factory=lambda: _zeros(PARTS))
    excess: Floats = field(default_factory=lambda: _zeros(COLUMNS))
    lacking: Floats = field(default_factory=lambda: _zeros(COLUMNS))
    waiting: Floats = field(default_factory=lambda: _zeros(0, COLUMNS))
    young: dict[int, int] = field(default_factory=dict, init=False)

    def arrays(self) -> tuple[Floats, ...]:
        """In the order in which they are saved."""
        return (
            self.mean, self.variance, self.parts, self.strengths, self.excess, self.lacking, self.waiting,
        )  # fmt: skip


def to_bytes(knowledge: Knowledge) -> bytes:
    """A mark, the length of a JSON object, the object, then the arrays as little-endian float64.

    Columns that are not in use yet are 0 everywhere and left out.
    """
    used = len(knowledge.columns)
    head = {
        "dumps": knowledge.dumps,
        "learnt": knowledge.learnt,
        "waiting": len(knowledge.waiting),
        "young": sorted(knowledge.young.items()),
        "columns": [[each.number, each.component, each.shape, each.last_dump] for each in knowledge.columns],
        "distances": {
            name: [each.dumps, each.mean, each.variance, each.last_dump, each.gathered]
            for name, each in sorted(knowledge.distances.items())
        },
    }
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    parts = [
        array if number == _STRENGTHS else array[..., :used]
        for number, array in enumerate(knowledge.arrays())
    ]
    body = b"".join(np.ascontiguousarray(part, dtype="<f8").tobytes() for part in parts)
    return _MAGIC + _LENGTH.pack(len(text)) + text + body


def from_bytes(state: bytes, mark: bytes = _MAGIC) -> Knowledge:
    """What `to_bytes` was given; a ValueError for bytes that it can't have made.

    Bytes with the `mark` of version 3 are laid out as these, and have gathered nothing; those of version 2
    name no young shapes either.
    """
    if not state.startswith(mark) or len(state) < len(mark) + _LENGTH.size:
        raise ValueError(f"these bytes do not begin with {mark!r}, as those that were saved do")
    start = len(mark) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(state, len(mark))
    head = json.loads(state[start : start + length])
    used = len(head["columns"])
    one = (used,)
    shapes = (one, one, (PARTS, used), (PARTS,), one, one, (head["waiting"], used))
    numbers = np.frombuffer(state, dtype="<f8", offset=start + length).astype(np.float64)
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(numbers) != sum(sizes):
        raise ValueError(f"{len(numbers)} numbers are saved, {sum(sizes)} are needed")
    pieces = np.split(numbers, np.cumsum(sizes)[:-1])
    arrays = [
        piece if number == _STRENGTHS else _widened(piece.reshape(shape))
        for number, (piece, shape) in enumerate(zip(pieces, shapes, strict=True))
    ]
    known = Knowledge(
        head["dumps"],
        head["learnt"],
        [Column(*row) for row in head["columns"]],
        {name: Distance(*row) for name, row in head["distances"].items()},
        *arrays,
    )
    known.young = dict(head["young"] if mark != VERSION_2 else ())
    return known


def _widened(array: Floats) -> Floats:
    """With the columns that are not in use yet."""
    whole = np.zeros((*array.shape[:-1], COLUMNS))
    whole[..., : array.shape[-1]] = array
    return whole
