"""Lines to shapes, plainly: what the compiled form must equal for any bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from tocsin.templates._declared_kernel import LEVELLED, MESSAGE, NAMED, SPACES, TIME
from tocsin.templates._fields_reference import Pair, fields_of, structured_of, tokens_of_pairs
from tocsin.templates._header_kernel import HEAD, STRUCTURED
from tocsin.templates._header_reference import Head, bare_level, head_of, level_word
from tocsin.templates._message_reference import masked
from tocsin.templates._mine_kernel import HEADED_MIN, HEADED_SHARE
from tocsin.templates._stamp_reference import stamp_at
from tocsin.templates.format import Format

NOTHING: Final = -2
_BLANKS: Final = b" \t\r\n"


class Line(NamedTuple):
    """A line: its head, what of it is mined, its masked text and its words."""

    head: Head
    text: tuple[int, int]
    masked: bytes
    words: list[bytes]
    headed: bool


def read_line(line: bytes, form: Format) -> Line:
    """A line without its end, read as it is recognised, or by a declared format."""
    if len(form.roles):
        head, text = _declared(line, form)
        return Line(head, text, *masked(line[slice(*text)]), head.kind == HEAD)
    head = head_of(line)
    pairs: list[Pair] = structured_of(line, head) if head.kind == STRUCTURED else []
    text = (head.message, len(line))
    fields = None if pairs else fields_of(line, head)
    if fields is not None:
        pairs, text = fields
    message, words = masked(line[slice(*text)])
    message += b"".join(bytes([mark]) + each for mark, each in tokens_of_pairs(line, pairs))
    words += [line[slice(*span)] for pair in pairs for span in pair]
    headed = head.kind != 0 or (fields is not None and (head.stamp is not None or head.level != 0))
    return Line(head, text, message, words, headed)


class PlainMiner:
    """Shapes of lines; -1 = no room for a new one."""

    def __init__(self, shapes_max: int, text_bytes_max: int) -> None:
        self.shapes_max, self.text_bytes_max = shapes_max, text_bytes_max
        self.numbers: dict[bytes, int] = {}
        self.counts: dict[int, int] = {}
        self._last = NOTHING
        self._headed = self._loose = 0

    def add(self, line: Line, raw: bytes) -> tuple[int, bool]:
        """The shape of a line, and whether it continues another."""
        if not line.headed and self._continues(raw):
            return self._last, True
        shape = self._shape(line.masked)
        self.counts[shape] = self.counts.get(shape, 0) + 1
        if line.headed:
            self._last, self._headed = shape, self._headed + 1
        else:
            self._loose += 1
        return shape, False

    def _continues(self, raw: bytes) -> bool:
        if self._last == NOTHING:
            return False
        begins = not raw or raw[0] in _BLANKS + b")]}"
        return begins or self._headed >= max(HEADED_MIN, HEADED_SHARE * self._loose)

    def _shape(self, text: bytes) -> int:
        used = sum(map(len, self.numbers))
        full = len(self.numbers) == self.shapes_max or used + len(text) > self.text_bytes_max
        return self.numbers.get(text, -1) if full else self.numbers.setdefault(text, len(self.numbers))


def _declared(line: bytes, form: Format) -> tuple[Head, tuple[int, int]]:
    roles, places = form.roles.tolist(), form.places.tolist()
    literals = [form.literals[first:last].tobytes() for first, last in pairwise(places)]
    head, at, text = Head(kind=HEAD), 0, (0, len(line))
    for role, before, behind in zip(roles, literals[:-1], literals[1:], strict=True):
        at = _behind(line, at, before)
        stamp = stamp_at(line, at, False) if role == TIME and at >= 0 else None
        if at < 0 or (role == TIME and not stamp):
            return Head(), (0, len(line))
        until = stamp.until if stamp else _end(line, at, behind)
        head.stamp = stamp or head.stamp
        if role == LEVELLED:
            head.level = bare_level(line[at:until]) or level_word(line[at:until])
        elif role == NAMED:
            head.component = (at, until)
        elif role == MESSAGE:
            head.message, text = at, (at, until)
        at = until
    return head, text


def _behind(line: bytes, at: int, literal: bytes) -> int:
    for byte in literal:
        if byte == SPACES:
            if at < len(line) and line[at] not in _BLANKS:
                return -1
            while at < len(line) and line[at] in _BLANKS:
                at += 1
        elif line[at : at + 1] == bytes([byte]):
            at += 1
        else:
            return -1
    return at


def _end(line: bytes, at: int, literal: bytes) -> int:
    found = (place for place in range(at, len(line)) if _behind(line, place, literal) >= 0)
    return next(found, len(line)) if literal else len(line)
