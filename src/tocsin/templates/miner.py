"""Learns the templates of a stream of lines."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.errors import InvalidInputError
from tocsin.memory import zeroed
from tocsin.templates._header_kernel import COLUMNS
from tocsin.templates._mine_kernel import (
    COUNTERS,
    HEADED,
    LAST,
    LINE_BYTES_MAX,
    LINES,
    LOOSE,
    MASKED_BYTES_MAX,
    POOL_BYTES,
    SHAPES,
    WORDS_MAX,
    mine_lines,
    rebuild,
)
from tocsin.templates._pairs_kernel import PAIR_FIELDS, PAIRS_MAX
from tocsin.templates._recall_kernel import FIRST, SIZES, SLOTS, USED
from tocsin.templates._recall_kernel import POOL_BYTES as RECALL_BYTES
from tocsin.templates._stamp_kernel import FIELDS_ROOM
from tocsin.templates.dictionary import Dictionary, dictionary_of, template_id
from tocsin.templates.format import RECOGNISED
from tocsin.templates.grouping import canonical, groups_of
from tocsin.templates.merging import merged
from tocsin.templates.mined import Mined
from tocsin.templates.reader import AS_RECOGNISED, Reader
from tocsin.templates.shape import Tokens, shown, tokens_of

SHAPES_MAX: Final = 16_384
POOL_BYTES_MAX: Final = 4 << 20
_LINES: Final = 2048  # what a stretch of lines becomes fits beside it in a cache of 512 KiB
_WORDS: Final = 16 * _LINES + WORDS_MAX
_MAGIC: Final = b"tocsin-shapes-1\n"
BEYOND: Final = "<*>"
"""The template of lines whose shape found no room."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """The templates of the shapes so far: `texts[number[s]]` is that of shape s; `tokens[s]` has what varies.

    Shape -1, for which there was no room, is the last in each.
    """

    number: npt.NDArray[np.int64]
    texts: list[str]
    ids: list[str]
    tokens: list[Tokens]

    def parameters(self, shape: int, words: list[bytes]) -> list[str]:
        """Of the words of a line with this shape those that vary."""
        varying = (token.varies for token in self.tokens[shape] if token.is_word)
        return [
            word.decode("utf-8", "backslashreplace")
            for word, varies in zip(words, varying, strict=False)
            if varies
        ]


class Miner:
    """Shapes of lines: masked texts, each with a number, the first seen first.

    Same lines, same shapes, however the input was cut. At most `SHAPES_MAX` shapes and their texts are
    kept, some 6 MiB. `year` stands in where stamps say none.
    """

    def __init__(self, year: int = 1970) -> None:
        self.year: Final = year
        self._counters = np.zeros(COUNTERS, np.int64)
        self._counters[LAST] = -2
        self._table = np.full(2 * SHAPES_MAX, -1, np.int32)
        self._hashes = np.empty(SHAPES_MAX, np.uint64)
        self._starts = np.empty(SHAPES_MAX + 1, np.int64)
        self._counts = np.empty(SHAPES_MAX + 1, np.int64)
        self._starts[0] = self._counts[-1] = 0
        self._pool = zeroed((POOL_BYTES_MAX,), np.dtype(np.uint8))
        self._scratch = (
            np.zeros(MASKED_BYTES_MAX + 16, np.uint8),
            np.zeros(FIELDS_ROOM, np.int64),
            np.zeros((PAIRS_MAX, PAIR_FIELDS), np.int64),
        )
        self._recall, self._recalls = _no_memory(), RECOGNISED

    @property
    def shapes(self) -> int:
        """How many shapes are known."""
        return int(self._counters[SHAPES])

    def mine(self, pieces: Iterable[bytes], reader: Reader = AS_RECOGNISED) -> Iterator[Mined]:
        """Learn lines as they come; the last needs no end. What a line has beyond 1 MiB is left out."""
        for data, whole in _whole_lines(pieces):
            yield from self._mine(np.frombuffer(data, np.uint8), whole, reader)

    def _mine(self, data: npt.NDArray[np.uint8], whole: bool, reader: Reader) -> Iterator[Mined]:
        known = (self._table, self._hashes, self._starts, self._counts, self._pool)
        read = (reader.clock(self.year), *reader.format)
        if reader.format is not self._recalls:
            self._recall, self._recalls = _no_memory(), reader.format
        at = 0
        while at < len(data):
            mined = Mined(
                data,
                np.empty(_LINES, np.int32),
                np.empty((_LINES, COLUMNS), np.int64),
                np.empty(_LINES, np.int64),
                np.empty((_WORDS, 2), np.int32),
                np.empty(_LINES, np.uint8),
            )
            out = (mined.shapes, mined.heads, mined.ends, mined.words, mined.continued)
            at, lines, words = mine_lines(
                data, at, len(data), whole, read, known, self._counters, out, self._scratch, self._recall
            )
            yield Mined(
                data,
                mined.shapes[:lines],
                mined.heads[:lines],
                mined.ends[:lines],
                mined.words[:words],
                mined.continued[:lines],
                reader,
            )

    def texts(self) -> list[bytes]:
        """The masked text of each shape, by number."""
        ends = self._starts[: self.shapes + 1].tolist()
        texts = self._pool[: ends[-1]].tobytes()
        return [texts[start:end] for start, end in pairwise(ends)]

    def counts(self) -> list[int]:
        """How many lines each shape had, by number."""
        return [int(count) for count in self._counts[: self.shapes]]

    def learnt(self) -> Learnt:
        """The templates of all shapes so far; costs time by shapes, not by lines."""
        shapes = [tokens_of(text) for text in self.texts()]
        number = np.zeros(len(shapes) + 1, np.int64)
        tokens: list[Tokens] = [()] * (len(shapes) + 1)
        known: dict[str, int] = {}
        groups = [(shown(canonical(group.tokens)), group) for group in groups_of(shapes)]
        stands = merged(text for text, _ in groups)
        for text, group in groups:
            place = known.setdefault(stands[text], len(known))
            for shape in group.shapes:
                number[shape], tokens[shape] = place, group.tokens
        number[-1] = known.setdefault(BEYOND, len(known))
        return Learnt(number, list(known), [template_id(text) for text in known], tokens)

    def dictionary(self) -> Dictionary:
        """The templates with the lines that had them."""
        learnt = self.learnt()
        counts = np.append(self._counts[: self.shapes], self._counts[-1])
        lines = np.bincount(learnt.number, counts, len(learnt.texts)).astype(np.int64).tolist()
        return dictionary_of((text, count) for text, count in zip(learnt.texts, lines, strict=True) if count)

    def save(self) -> bytes:
        """The state: it goes on from here as if it had never stopped."""
        shapes, used = self.shapes, int(self._counters[POOL_BYTES])
        parts = (self._starts[1 : shapes + 1], self._counts[:shapes], self._counts[-1:], self._pool[:used])
        head = _MAGIC + struct.pack("<q", self.year) + self._counters.astype("<i8").tobytes()
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def load(cls, state: bytes) -> Miner:
        """A miner from its saved state; InvalidInputError if the bytes are none."""
        fixed = len(_MAGIC) + 8 * (1 + COUNTERS)
        if not state.startswith(_MAGIC) or len(state) < fixed:
            raise InvalidInputError("these bytes are no state of a miner of templates")
        miner = cls(struct.unpack_from("<q", state, len(_MAGIC))[0])
        counters = np.frombuffer(state, "<i8", COUNTERS, len(_MAGIC) + 8)
        shapes, used = int(counters[SHAPES]), int(counters[POOL_BYTES])
        if not (0 <= shapes <= SHAPES_MAX and 0 <= used <= POOL_BYTES_MAX):
            raise InvalidInputError("the state of a miner of templates is larger than one can be")
        if len(state) != fixed + 8 * (2 * shapes + 1) + used:
            raise InvalidInputError("the state of a miner of templates is cut off or has a tail")
        numbers = np.frombuffer(state, "<i8", 2 * shapes + 1, fixed)
        miner._counters[:] = counters
        miner._starts[1 : shapes + 1] = numbers[:shapes]
        if (
            used != (int(numbers[shapes - 1]) if shapes else 0)
            or (np.diff(miner._starts[: shapes + 1]) < 0).any()
        ):
            raise InvalidInputError("the state of a miner of templates contradicts itself")
        miner._counts[:shapes] = numbers[shapes:-1]
        miner._counts[-1] = numbers[-1]
        miner._pool[:used] = np.frombuffer(state, np.uint8, used, fixed + 8 * (2 * shapes + 1))
        rebuild(shapes, miner._table, miner._hashes, miner._starts, miner._pool, miner._scratch[0])
        return miner

    def anew(self) -> Miner:
        """One that knows these shapes and begins to read: the same lines get the same shapes once more."""
        miner = Miner.load(self.save())
        miner._counters[[LAST, HEADED, LOOSE, LINES]] = -2, 0, 0, 0
        return miner


def _no_memory() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Of lines that were read; one format's."""
    sizes = np.zeros(SIZES, np.int64)
    sizes[USED] = FIRST
    return np.zeros(SLOTS, np.int32), zeroed((RECALL_BYTES,), np.dtype(np.uint8)), sizes


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Data that end with a line, and at last what has no end; the second says that it is the last."""
    pending, dropping = b"", False
    for piece in pieces:
        rest = piece
        if dropping:
            _, found, rest = piece.partition(b"\n")
            dropping = not found
            pending += found
        data = pending + rest
        cut = data.rfind(b"\n") + 1
        if cut:
            yield data[:cut], False
        pending = data[cut:]
        if len(pending) > LINE_BYTES_MAX:
            pending, dropping = pending[:LINE_BYTES_MAX], True
    if pending:
        yield pending, True
