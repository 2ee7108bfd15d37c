"""A JSON array of events made into lines, so that one reader serves both."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.events import U8
from tocsin.ingest.parsing.fast import parse_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody

_LINE_FEED: Final = 0x0A
_SPACE: Final = 0x20
_QUOTE: Final = 0x22
_COMMA: Final = 0x2C
_BACKSLASH: Final = 0x5C
_NOT_ALLOWED: Final = 0x01  # stands for a raw line feed in a string, which stays a fault


def parse_json(body: bytes, limits: ParseLimits) -> ParsedBody:
    """An array of events, or one event. A line is an element's number, from 1; elements fail one by one.

    What is no array (or object) as a whole is refused as a whole with InvalidInputError.
    """
    start = body.lstrip(b" \t\r\n")[:1]
    if start not in {b"[", b"{"}:
        raise InvalidInputError("The body is neither a JSON array of events nor one JSON object.")
    lines = np.frombuffer(body, np.uint8).copy()
    fault = _into_lines(lines, start == b"[")
    if fault >= 0:
        raise InvalidInputError(
            f"The JSON array is not well-formed at byte {fault + 1}; send it again, whole."
        )
    source = _without_brackets(body) if start == b"[" else body
    return parse_lines(lines.tobytes(), limits, source=source, may_be_cut=False)


def _without_brackets(body: bytes) -> bytes:
    """The body as it came, every byte in its place, but for the array's own brackets."""
    first, last = body.index(b"["), body.rindex(b"]")
    return b" ".join((body[:first], body[first + 1 : last], body[last + 1 :]))


@nb.njit(cache=True, nogil=True)
def _into_lines(text: U8, array: bool) -> int:
    """Blank the array's brackets and line ends and put a line end for each comma between elements.

    Every byte keeps its place. Returns where the array is broken, else -1; elements are not looked into.
    """
    depth = 0 if array else 1
    element = 0  # 0: none yet, 1: expected after a comma, 2: being read
    closed = False
    i = 0
    while i < len(text):
        byte = text[i]
        if byte in (0x09, 0x0D, _SPACE, _LINE_FEED):
            text[i] = _SPACE
        elif array and depth == 0 and (closed or byte != 0x5B):
            return i
        elif array and depth == 0:
            text[i] = _SPACE
            depth = 1
        elif array and depth == 1 and byte == 0x5D:
            if element == 1:
                return i
            text[i] = _SPACE
            depth = 0
            closed = True
        elif array and depth == 1 and byte == _COMMA:
            if element != 2:
                return i
            text[i] = _LINE_FEED
            element = 1
        else:
            element = 2
            if byte in (0x5B, 0x7B):
                depth += 1
            elif byte in (0x5D, 0x7D):
                depth -= 1
            if array and depth == 0:
                return i
            if byte == _QUOTE:
                i = _string_end(text, i + 1)
        i += 1
    return len(text) if array and not closed else -1


@nb.njit(cache=True, nogil=True)
def _string_end(text: U8, i: int) -> int:
    """The closing quote of the string that is open at `i`, or the end; line feeds in it are marked."""
    while i < len(text) and text[i] != _QUOTE:
        if text[i] == _LINE_FEED:
            text[i] = _NOT_ALLOWED
        i += 1 + (text[i] == _BACKSLASH)
    return i
