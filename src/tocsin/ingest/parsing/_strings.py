"""Compiled reading of JSON strings. All places are addresses; 0 says that the careful reader must look."""

from __future__ import annotations

from typing import Any, Final

import numba as nb

from tocsin.intrinsics import count_trailing_zeros, load_i32, load_u8, load_u64, store_u64

_ONES: Final = nb.uint64(0x0101010101010101)
_HIGHS: Final = nb.uint64(0x8080808080808080)
_QUOTES: Final = nb.uint64(0x2222222222222222)
_BACKSLASHES: Final = nb.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES: Final = nb.uint64(0x2020202020202020)

_CONTROL: Final = int.from_bytes(b"u000", "little")
_CONTROL_ABOVE: Final = int.from_bytes(b"u001", "little")

QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C


@nb.njit(cache=True, nogil=True)
def plain_end(at: int) -> Any:
    """The first byte from `at` on that is a quote, a backslash, a control character or not ASCII.

    A subtraction may borrow into higher bytes, so only the lowest mark is sure; it is the one wanted.
    """
    while True:
        word = load_u64(at)
        quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
        marks = ((quotes - _ONES) & ~quotes) | ((backslashes - _ONES) & ~backslashes) | word
        marks = (marks | ((word - _SPACES) & ~word)) & _HIGHS
        if marks != nb.uint64(0):
            return at + (count_trailing_zeros(marks) >> 3)
        at += 8


@nb.njit(cache=True, nogil=True)
def string_end(at: int) -> Any:
    """The closing quote of a string without escapes that is open at `at`."""
    while True:
        at = plain_end(at)
        byte = load_u8(at)
        if byte == QUOTE:
            return at
        if byte < 0x80:
            return 0
        width = utf8_width(at)
        if width == 0:
            return 0
        at += width


@nb.njit(cache=True, nogil=True)
def text_end(at: int) -> Any:
    """The closing quote of a string whose spelling is the canonical one.

    That excludes escapes that json.dumps would not make: \\u of what has a shorter spelling or needs none,
    and the needless one of a slash.
    """
    while True:
        at = plain_end(at)
        byte = load_u8(at)
        if byte == QUOTE:
            return at
        if byte == BACKSLASH:
            width = 2 if is_short_escape(load_u8(at + 1)) else _control_width(at)
            if width == 0:
                return 0
            at += width
        elif byte < 0x80:
            return 0
        else:
            width = utf8_width(at)
            if width == 0:
                return 0
            at += width


@nb.njit(cache=True, nogil=True)
def is_short_escape(letter: int) -> bool:
    """Whether a backslash and this letter are how the canonical form writes a character."""
    return letter in (QUOTE, BACKSLASH, 0x62, 0x66, 0x6E, 0x72, 0x74)


@nb.njit(cache=True, nogil=True)
def _control_width(at: int) -> int:
    """6 if the escape at `at` is how the canonical form writes a control character without a letter, or 0."""
    if load_i32(at + 1) != _CONTROL and load_i32(at + 1) != _CONTROL_ABOVE:
        return 0
    digit = load_u8(at + 5)
    low = digit - 0x30 if digit <= 0x39 else digit - 0x57
    if low < 0 or low > 15 or (low < 10 and digit > 0x39):
        return 0
    return 0 if load_i32(at + 1) == _CONTROL and 8 <= low <= 13 and low != 11 else 6


@nb.njit(cache=True, nogil=True)
def utf8_width(at: int) -> int:
    """Bytes of the well-formed sequence beyond ASCII at `at`; 0 if it is none (Unicode, table 3-7)."""
    first, second = load_u8(at), load_u8(at + 1)
    if first < 0xC2 or first > 0xF4 or second & 0xC0 != 0x80:
        return 0
    if first < 0xE0:
        return 2
    if load_u8(at + 2) & 0xC0 != 0x80:
        return 0
    if first < 0xF0:
        overlong, surrogate = first == 0xE0 and second < 0xA0, first == 0xED and second > 0x9F
        return 0 if overlong or surrogate else 3
    if load_u8(at + 3) & 0xC0 != 0x80:
        return 0
    overlong, beyond = first == 0xF0 and second < 0x90, first == 0xF4 and second > 0x8F
    return 0 if overlong or beyond else 4


@nb.njit(cache=True, nogil=True)
def skip_space(at: int) -> int:
    """The first byte from `at` on that is no space, tab or carriage return; a line feed ends the line."""
    while True:
        byte = load_u8(at)
        if byte > 0x20 or byte not in (0x20, 0x09, 0x0D):
            return at
        at += 1


@nb.njit(cache=True, nogil=True)
def copy_bytes(source: int, target: int, length: int) -> None:
    """Copy in steps of 8 bytes: up to 7 more than `length` are read and written."""
    i = 0
    while i < length:
        store_u64(target + i, load_u64(source + i))
        i += 8
