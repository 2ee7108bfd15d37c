"""A JSON array of events made into lines, so that one reader serves both."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numba as nb
import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.events import U8
from tocsin.ingest.parsing.fast import parse_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_error import LineForm
from tocsin.ingest.parsing.parsed_body import ParsedBody

_LINE_FEED: Final = 0x0A
_SPACE: Final = 0x20
_QUOTE: Final = 0x22
_COMMA: Final = 0x2C
_OPEN: Final = 0x5B
_BACKSLASH: Final = 0x5C
_CLOSE: Final = 0x5D
_NOT_ALLOWED: Final = 0x01  # stands for a raw line feed in a string, which stays a fault

# What has been seen of the array.
_NONE_YET: Final = 0
_EXPECTED: Final = 1
_READ: Final = 2
_CLOSED: Final = 3


def parse_json(body: bytes, limits: ParseLimits) -> ParsedBody:
    """An array of events, or one event. A line is an element's number, from 1; elements fail one by one.

    What is no array (or object) as a whole is refused as a whole with InvalidInputError.
    """
    start = body.lstrip(b" \t\r\n")[:1]
    if start not in {b"[", b"{"}:
        raise InvalidInputError("The body is neither a JSON array of events nor one JSON object.")
    lines = np.frombuffer(body, np.uint8).copy()
    if start == b"{":
        _into_one_line(lines)
        return _elements(parse_lines(lines.tobytes(), limits, source=body, may_be_cut=False))
    fault = _into_lines(lines)
    if fault >= 0:
        raise InvalidInputError(
            f"The JSON array is not well-formed at byte {fault + 1}; send it again, whole."
        )
    found = parse_lines(lines.tobytes(), limits, source=_without_brackets(body), may_be_cut=False)
    return _elements(found)


def _elements(parsed: ParsedBody) -> ParsedBody:
    """The same, with errors that say that their bytes are an element's."""
    return replace(parsed, errors=[replace(error, form=LineForm.ELEMENT) for error in parsed.errors])


def _without_brackets(body: bytes) -> bytes:
    """The body as it came, every byte in its place, but for the array's own brackets."""
    first, last = body.index(b"["), body.rindex(b"]")
    return b" ".join((body[:first], body[first + 1 : last], body[last + 1 :]))


@nb.njit(cache=True, nogil=True)
def _into_one_line(text: U8) -> None:
    """Blank line ends between tokens."""
    i = 0
    while i < len(text):
        if text[i] == _QUOTE:
            i = _string_end(text, i + 1)
        elif text[i] == _LINE_FEED:
            text[i] = _SPACE
        i += 1


@nb.njit(cache=True, nogil=True)
def _into_lines(text: U8) -> int:
    """Blank the array's brackets and line ends and put a line end for each comma between elements.

    Every byte keeps its place. Returns where the array is broken, else -1; elements are not looked into.
    """
    depth = 0
    element = _NONE_YET
    i = -1
    while i + 1 < len(text):
        i += 1
        byte = text[i]
        if byte in (0x09, 0x0D, _SPACE, _LINE_FEED):
            text[i] = _SPACE
        elif depth == 0:
            if element == _CLOSED or byte != _OPEN:
                return i
            text[i] = _SPACE
            depth = 1
        elif depth == 1 and byte in (_CLOSE, _COMMA):
            if element == _EXPECTED or (element == _NONE_YET and byte == _COMMA):
                return i
            text[i] = _LINE_FEED if byte == _COMMA else _SPACE
            element = _EXPECTED if byte == _COMMA else _CLOSED
            depth -= byte == _CLOSE
        else:
            element = _READ
            depth += _change_of_depth(byte)
            if depth == 0:
                return i
            if byte == _QUOTE:
                i = _string_end(text, i + 1)
    return -1 if element == _CLOSED else len(text)


@nb.njit(cache=True, nogil=True)
def _change_of_depth(byte: int) -> int:
    if byte in (_OPEN, 0x7B):
        return 1
    return -1 if byte in (_CLOSE, 0x7D) else 0


@nb.njit(cache=True, nogil=True)
def _string_end(text: U8, i: int) -> int:
    """The closing quote of the string that is open at `i`, or the end; line feeds in it are marked."""
    while i < len(text) and text[i] != _QUOTE:
        if text[i] == _LINE_FEED:
            text[i] = _NOT_ALLOWED
        i += 1 + (text[i] == _BACKSLASH)
    return i
