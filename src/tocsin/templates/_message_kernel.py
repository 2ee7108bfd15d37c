"""The message of a line to its masked text, compiled: one pass over the bytes.

Masked text is a row of tokens, each a mark and its bytes: mark 1 or 2 for a word, 3 or 4 for what stands
between words, the even ones with a space before. A word that varies is the one byte 0. No other control
byte gets into it, so the text can be read back, and equal texts mean equal tokens.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from tocsin.intrinsics import load_u8, load_u64, store_i32, store_u8, store_u64
from tocsin.templates._bytes import (
    CUTTING,
    DELIMITERS,
    DIGIT,
    HEX_DIGITS,
    KIND,
    LETTERS,
    REPEATED,
    SPACE,
    VALUE_ENDS,
)

QUOTED_BYTES_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = 2048
TOKENS_MAX: Final = 512
TEXT_BYTES_MAX: Final = 2 * MESSAGE_BYTES_MAX + 4 * TOKENS_MAX
"""A token takes a mark and its bytes, a varying one at most two bytes more than it has."""
VARIES, PLAIN, BETWEEN, QUOTED = 0, 1, 2, 3
QUOTE, COLON, COMMA, EQUALS, HASH, SLASH, BACKSLASH, DOT = 34, 58, 44, 61, 35, 47, 92, 46
OPEN, CLOSE = 40, 41
IS_SPACE, IS_DELIMITER, IS_DATA, IS_LETTER, IS_SLASH, IS_CUTTING, IS_REPEATED, ENDS_VALUE = (
    2**bit for bit in range(1, 9)
)
IS_HEX: Final = 1
ENDS_WORD: Final = IS_SPACE | IS_DELIMITER
IS_MARK: Final = IS_DELIMITER | IS_REPEATED
"""What a byte is, as bits; the lowest is counted."""
FLAGS: Final = np.zeros(256, np.int64)
for _flag, _members in (
    (IS_HEX, HEX_DIGITS),
    (IS_SPACE, bytes(np.flatnonzero(KIND == SPACE).tolist())),
    (IS_DELIMITER, DELIMITERS),
    (IS_DATA, bytes(np.flatnonzero(KIND == DIGIT).tolist())),
    (IS_LETTER, LETTERS),
    (IS_SLASH, b"/\\"),
    (IS_CUTTING, CUTTING),
    (IS_REPEATED, REPEATED),
    (ENDS_VALUE, VALUE_ENDS),
):
    FLAGS[list(_members)] |= _flag
MONTHS: Final = np.array(
    [int.from_bytes(name, "big") for name in b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()],
    np.int64,
)


@nb.njit(cache=True, nogil=True)
def scan_message(data: int, start: int, end: int, text: int, spans: int) -> tuple[int, int]:
    """Write the masked text and the place of each word in `data`; gives how many bytes and words.

    `data`, `text` and `spans` are addresses, of bytes, bytes and pairs of 32-bit places. Beyond the limits of
    a message the rest is one word that varies.
    """
    i = data + start
    stop = data + min(end, start + MESSAGE_BYTES_MAX)
    size, words = text, 0
    joint = 0  # where the text ended before a separator that may join two varying words; 0 = none
    spaced = equals = varied = opens = False
    while i < stop and words < TOKENS_MAX - 2:
        byte = load_u8(i)
        flags = FLAGS[byte]
        if flags & IS_SPACE:
            spaced, i = True, i + 1
            continue
        opened, opens = opens and not spaced, byte == OPEN and spaced
        mark = 2 if spaced else 1
        until, what = token_end(i, stop, byte, flags, equals)
        if what == PLAIN:
            size = copied(i, until, size, mark)
            words = placed(spans, words, i - data, until - data)
            joint, equals, varied = 0, False, False
        elif what == VARIES:
            if joint and not spaced:
                size = joint
                store_i32(spans + 8 * words - 4, until - data)
            else:
                size = marked(size, mark, 0)
                words = placed(spans, words, i - data, until - data)
            joint, equals, varied = 0, False, True
        elif what == QUOTED:  # its quotes stay
            size = marked(size, mark + 2, QUOTE)
            size, words = quoted(i + 1, until, size, spans, words, data)
            until += 1
            joint, equals, varied = 0, False, False
        else:
            if byte == CLOSE and opened:  # nothing between brackets stands for something
                size = marked(size, 1, 0)
                words = placed(spans, words, i - data, i - data)
            joint = size if varied and not spaced and joins(byte, until - i) else 0
            size = copied(i, until, size, mark + 2)
            equals, varied = until == i + 1 and byte == EQUALS, False
        spaced, i = False, until
    if i < data + end:
        size = marked(size, 2, 0)
        words = placed(spans, words, i - data, end)
    return size - text, words


@nb.njit(cache=True, nogil=True)
def placed(spans: int, words: int, start: int, end: int) -> int:
    """Append the place of a word; gives how many there are."""
    store_i32(spans + 8 * words, start)
    store_i32(spans + 8 * words + 4, end)
    return words + 1


@nb.njit(cache=True, nogil=True)
def quoted(i: int, until: int, size: int, spans: int, words: int, data: int) -> tuple[int, int]:
    """Append what is quoted as one that varies, but for a verb at its begin, and the closing quote."""
    verb = verb_end(i, until)
    mark = 1
    if verb:
        size = copied(i, verb, size, 1)
        words = placed(spans, words, i - data, verb - data)
        i, mark = verb + 1, 2
    words = placed(spans, words, i - data, until - data)
    return marked(marked(size, mark, 0), 3, QUOTE), words


@nb.njit(cache=True, nogil=True)
def joins(byte: int, size: int) -> bool:
    """Whether varying words on both sides of it are one: a colon, a comma or two number signs."""
    return (size == 1 and byte in (COLON, COMMA)) or (size == 2 and byte == HASH)


@nb.njit(cache=True, nogil=True)
def marked(size: int, mark: int, byte: int) -> int:
    """Append a token of one byte; gives the new end."""
    store_u8(size, mark)
    store_u8(size + 1, byte)
    return size + 2


@nb.njit(cache=True, nogil=True)
def copied(i: int, until: int, size: int, mark: int) -> int:
    """Append a token as it stands; gives the new end."""
    store_u8(size, mark)
    size += 1
    k = i
    while k + 8 <= until:
        store_u64(size, load_u64(k))
        k, size = k + 8, size + 8
    while k < until:
        store_u8(size, load_u8(k))
        k, size = k + 1, size + 1
    return size


@nb.njit(cache=True, nogil=True)
def token_end(i: int, stop: int, byte: int, flags: int, equals: bool) -> tuple[int, int]:
    """Where the token at `i` ends, and what it is; of a quoted text, where its closing quote stands."""
    until = 0
    if flags & IS_MARK:
        if byte == QUOTE:
            until = quote_end(i, stop)
            if until:
                return until, QUOTED
        if flags & IS_REPEATED and i + 1 < stop and load_u8(i + 1) == byte:
            until = i + 2
            while until < stop and load_u8(until) == byte:
                until += 1
            return until, BETWEEN
        if flags & IS_DELIMITER:
            return i + 1, BETWEEN
    if flags & IS_HEX:
        until = chain_end(i, stop)
    if until == 0 and equals:
        until = value_end(i, stop)
    return (until, VARIES) if until > i else word_end(i, stop)


@nb.njit(cache=True, nogil=True)
def quote_end(i: int, stop: int) -> int:
    """Where the closing quote of a short quoted text stands; 0 = none, or nothing between."""
    for k in range(i + 1, min(stop, i + QUOTED_BYTES_MAX)):
        if load_u8(k) == QUOTE:
            return k if k > i + 1 else 0
    return 0


@nb.njit(cache=True, nogil=True)
def verb_end(i: int, until: int) -> int:
    """The end of a word in capitals that begins a quoted text, as in requests and statements; 0 = none."""
    k = i
    while k < until and 65 <= load_u8(k) <= 90:
        k += 1
    return k if k > i + 2 and k + 1 < until and load_u8(k) == 32 else 0


@nb.njit(cache=True, nogil=True)
def chain_end(i: int, stop: int) -> int:
    """The end of three or more groups of at most four hexadecimal digits, joined by colons; 0 = none."""
    k, colons = i, 0
    while True:
        first = k
        while k < stop and k < first + 5 and FLAGS[load_u8(k)] & IS_HEX:
            k += 1
        if k - first > 4 or (k == first and colons == 0):
            return 0
        if k < stop and load_u8(k) == COLON:
            colons += 1
            k += 1
            continue
        break
    if colons < 2 or (k < stop and not FLAGS[load_u8(k)] & ENDS_WORD):
        return 0
    return k


@nb.njit(cache=True, nogil=True)
def value_end(i: int, stop: int) -> int:
    """The end of a value behind an equals sign; brackets without spaces in them belong to it; 0 = none."""
    k = i
    while k < stop and not FLAGS[load_u8(k)] & ENDS_VALUE:
        byte = load_u8(k)
        if byte in (40, 91, 123):
            closed = bracket_end(k, stop)
            if closed == 0:
                break
            k = closed
        else:
            k += 1
    return 0 if k < stop and load_u8(k) == EQUALS else k


@nb.njit(cache=True, nogil=True)
def bracket_end(i: int, stop: int) -> int:
    """Behind the bracket that closes the one at `i`; 0 if a space comes first or none closes it."""
    depth = 0
    for k in range(i, min(stop, i + QUOTED_BYTES_MAX)):
        byte = load_u8(k)
        if FLAGS[byte] & IS_SPACE:
            return 0
        if byte in (40, 91, 123):
            depth += 1
        elif byte in (41, 93, 125):
            depth -= 1
            if depth == 0:
                return k + 1
    return 0


@nb.njit(cache=True, nogil=True)
def word_end(i: int, stop: int) -> tuple[int, int]:
    """The end of a word, and whether it varies: digits, paths, hosts, hexadecimal, truth values, dates."""
    k, slashes, hexadecimal, points, kinds = i, 0, 0, 0, 0
    while k < stop:
        byte = load_u8(k)
        flags = FLAGS[byte]
        if flags & (ENDS_WORD | IS_CUTTING | IS_SLASH):
            if flags & ENDS_WORD or (
                flags & IS_CUTTING and k > i and k + 1 < stop and load_u8(k + 1) == byte
            ):
                break
            slashes += (flags & IS_SLASH) != 0
            points += byte == DOT and k > i
        kinds |= flags
        hexadecimal += flags & IS_HEX
        k += 1
    if k > i + 1 and load_u8(k - 1) == DOT:
        k -= 1
    size = k - i
    if kinds & IS_DATA or (slashes and size > 1 and (slashes > 1 or FLAGS[load_u8(i)] & IS_SLASH)):
        return k, VARIES
    if not kinds & IS_LETTER:
        return k, BETWEEN
    if size >= 8 and hexadecimal == size:
        return k, VARIES
    if size <= 5 and ((size >= 4 and names_truth(i, size)) or (size == 3 and names_date(i, stop))):
        return k, VARIES
    placed = points and k + 1 < stop and load_u8(k) == COLON and 48 <= load_u8(k + 1) <= 57
    return k, VARIES if placed else PLAIN


@nb.njit(cache=True, nogil=True)
def packed(i: int, size: int) -> int:
    """Up to seven bytes as one number, the first highest."""
    word = 0
    for k in range(i, i + size):
        word = word << 8 | load_u8(k)
    return word


@nb.njit(cache=True, nogil=True)
def names_truth(i: int, size: int) -> bool:
    """True, false, null and none, as programming languages write them."""
    word = packed(i, size)
    if size == 5:
        return word in (0x66616C7365, 0x46616C7365, 0x46414C5345)
    return word in (0x74727565, 0x54727565, 0x54525545, 0x6E756C6C, 0x4E554C4C, 0x4E6F6E65)


@nb.njit(cache=True, nogil=True)
def names_month(word: int) -> int:
    """1 to 12 for Jan to Dec as a packed number; 0 = none."""
    for place in range(len(MONTHS)):
        if MONTHS[place] == word:
            return place + 1
    return 0


@nb.njit(cache=True, nogil=True)
def names_weekday(word: int) -> bool:
    """Mon to Sun as a packed number."""
    return word in (0x4D6F6E, 0x547565, 0x576564, 0x546875, 0x467269, 0x536174, 0x53756E)


@nb.njit(cache=True, nogil=True)
def names_date(i: int, stop: int) -> bool:
    """A month before a number, or a weekday before a month."""
    k = i + 3
    if k >= stop or load_u8(k) != 32 or not 65 <= load_u8(i) <= 90:
        return False
    word = packed(i, 3)
    month = names_month(word) != 0
    if not month and not names_weekday(word):
        return False
    while k < stop and load_u8(k) == 32:
        k += 1
    if k >= stop:
        return False
    if month:
        return bool(48 <= load_u8(k) <= 57)
    return k + 3 <= stop and names_month(packed(k, 3)) != 0
