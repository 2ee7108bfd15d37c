"""The message of a line to its masked text, compiled: one pass over the bytes.

Masked text is a row of tokens, each a mark and its bytes: mark 1 or 2 for a word, 3 or 4 for what stands
between words, the even ones with a space before. A word that varies is the one byte 0. No other control
byte gets into it, so the text can be read back, and equal texts mean equal tokens.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from tocsin.templates._bytes import (
    DELIMITER,
    DIGIT,
    ENDS_VALUE,
    IS_CUTTING,
    IS_HEX,
    IS_LETTER,
    IS_REPEATED,
    KIND,
    SPACE,
)

QUOTED_BYTES_MAX: Final = 200
MESSAGE_BYTES_MAX: Final = 2048
TOKENS_MAX: Final = 512
TEXT_BYTES_MAX: Final = 2 * MESSAGE_BYTES_MAX + 4 * TOKENS_MAX
"""A token takes a mark and its bytes, a varying one at most two bytes more than it has."""
VARIES, PLAIN, BETWEEN, QUOTED = 0, 1, 2, 3
QUOTE, COLON, COMMA, EQUALS, HASH, SLASH, BACKSLASH, DOT = 34, 58, 44, 61, 35, 47, 92, 46
OPEN, CLOSE = 40, 41
MONTHS: Final = np.array(
    [int.from_bytes(name, "big") for name in b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()],
    np.int64,
)


@nb.njit(cache=True, nogil=True)
def scan_message(data: Any, start: int, end: int, text: Any, spans: Any) -> tuple[int, int]:
    """Write the masked text and the place of each word in `data`; gives how many bytes and words.

    Beyond the limits of a message the rest is one word that varies.
    """
    stop = min(end, start + MESSAGE_BYTES_MAX)
    size = words = 0
    joint = -1  # size of the text before a separator that may join two varying words; -1 = none
    spaced = equals = varied = opens = False
    i = start
    while i < stop and words < TOKENS_MAX - 2:
        byte = data[i]
        if KIND[byte] == SPACE:
            spaced, i = True, i + 1
            continue
        opened, opens = opens and not spaced, byte == OPEN and spaced
        mark = 2 if spaced else 1
        until, what = token_end(data, i, stop, equals)
        if what == QUOTED:  # its quotes stay
            size = marked(text, size, mark + 2, QUOTE)
            size, words = quoted(data, i + 1, until, text, size, spans, words)
            until += 1
            joint, equals, varied = -1, False, False
        elif what == VARIES:
            if joint >= 0 and not spaced:
                size = joint
                spans[words - 1, 1] = until
            else:
                size = marked(text, size, mark, 0)
                spans[words, 0], spans[words, 1] = i, until
                words += 1
            joint, equals, varied = -1, False, True
        elif what == PLAIN:
            size = copied(data, i, until, text, size, mark)
            spans[words, 0], spans[words, 1] = i, until
            words += 1
            joint, equals, varied = -1, False, False
        else:
            if byte == CLOSE and opened:  # nothing between brackets stands for something
                size = marked(text, size, 1, 0)
                spans[words, 0], spans[words, 1] = i, i
                words += 1
            joint = size if varied and not spaced and joins(byte, until - i) else -1
            size = copied(data, i, until, text, size, mark + 2)
            equals, varied = until == i + 1 and byte == EQUALS, False
        spaced, i = False, until
    if i < end:
        size = marked(text, size, 2, 0)
        spans[words, 0], spans[words, 1] = i, end
        words += 1
    return size, words


@nb.njit(cache=True, nogil=True)
def quoted(data: Any, i: int, until: int, text: Any, size: int, spans: Any, words: int) -> tuple[int, int]:
    """Append what is quoted as one that varies, but for a verb at its begin, and the closing quote."""
    verb = verb_end(data, i, until)
    if verb:
        size = copied(data, i, verb, text, size, 1)
        spans[words, 0], spans[words, 1] = i, verb
        i, words = verb + 1, words + 1
    spans[words, 0], spans[words, 1] = i, until
    return marked(text, marked(text, size, 2 if verb else 1, 0), 3, QUOTE), words + 1


@nb.njit(cache=True, nogil=True)
def joins(byte: int, size: int) -> bool:
    """Whether varying words on both sides of it are one: a colon, a comma or two number signs."""
    return (size == 1 and byte in (COLON, COMMA)) or (size == 2 and byte == HASH)


@nb.njit(cache=True, nogil=True)
def marked(text: Any, size: int, mark: int, byte: int) -> int:
    """Append a token of one byte; gives the new size."""
    text[size], text[size + 1] = mark, byte
    return size + 2


@nb.njit(cache=True, nogil=True)
def copied(data: Any, i: int, until: int, text: Any, size: int, mark: int) -> int:
    """Append a token as it stands; gives the new size."""
    text[size] = mark
    size += 1
    for k in range(i, until):
        text[size] = data[k]
        size += 1
    return size


@nb.njit(cache=True, nogil=True)
def token_end(data: Any, i: int, stop: int, equals: bool) -> tuple[int, int]:
    """Where the token at `i` ends, and what it is; of a quoted text, where its closing quote stands."""
    byte = data[i]
    until = quote_end(data, i, stop) if byte == QUOTE else 0
    if until:
        return until, QUOTED
    if IS_REPEATED[byte] and i + 1 < stop and data[i + 1] == byte:
        until = i + 2
        while until < stop and data[until] == byte:
            until += 1
        return until, BETWEEN
    if KIND[byte] == DELIMITER:
        return i + 1, BETWEEN
    if IS_HEX[byte]:
        until = chain_end(data, i, stop)
    if until == 0 and equals:
        until = value_end(data, i, stop)
    return (until, VARIES) if until > i else word_end(data, i, stop)


@nb.njit(cache=True, nogil=True)
def quote_end(data: Any, i: int, stop: int) -> int:
    """Where the closing quote of a short quoted text stands; 0 = none, or nothing between."""
    for k in range(i + 1, min(stop, i + QUOTED_BYTES_MAX)):
        if data[k] == QUOTE:
            return k if k > i + 1 else 0
    return 0


@nb.njit(cache=True, nogil=True)
def verb_end(data: Any, i: int, until: int) -> int:
    """The end of a word in capitals that begins a quoted text, as in requests and statements; 0 = none."""
    k = i
    while k < until and 65 <= data[k] <= 90:
        k += 1
    return k if k > i + 2 and k + 1 < until and data[k] == 32 else 0


@nb.njit(cache=True, nogil=True)
def chain_end(data: Any, i: int, stop: int) -> int:
    """The end of three or more groups of at most four hexadecimal digits, joined by colons; 0 = none."""
    k, colons = i, 0
    while True:
        first = k
        while k < stop and k < first + 5 and IS_HEX[data[k]]:
            k += 1
        if k - first > 4 or (k == first and colons == 0):
            return 0
        if k < stop and data[k] == COLON:
            colons += 1
            k += 1
            continue
        break
    if colons < 2 or (k < stop and KIND[data[k]] >= DIGIT):
        return 0
    return k


@nb.njit(cache=True, nogil=True)
def value_end(data: Any, i: int, stop: int) -> int:
    """The end of a value behind an equals sign; brackets without spaces in them belong to it; 0 = none."""
    k = i
    while k < stop and not ENDS_VALUE[data[k]]:
        byte = data[k]
        if byte in (40, 91, 123):
            closed = bracket_end(data, k, stop)
            if closed == 0:
                break
            k = closed
        else:
            k += 1
    return 0 if k < stop and data[k] == EQUALS else k


@nb.njit(cache=True, nogil=True)
def bracket_end(data: Any, i: int, stop: int) -> int:
    """Behind the bracket that closes the one at `i`; 0 if a space comes first or none closes it."""
    depth = 0
    for k in range(i, min(stop, i + QUOTED_BYTES_MAX)):
        byte = data[k]
        if KIND[byte] == SPACE:
            return 0
        if byte in (40, 91, 123):
            depth += 1
        elif byte in (41, 93, 125):
            depth -= 1
            if depth == 0:
                return k + 1
    return 0


@nb.njit(cache=True, nogil=True)
def word_end(data: Any, i: int, stop: int) -> tuple[int, int]:
    """The end of a word, and whether it varies: digits, paths, hosts, hexadecimal, truth values, dates."""
    k, slashes, digits, letters, hexadecimal, points = i, 0, 0, 0, 0, 0
    while k < stop:
        byte = data[k]
        kind = KIND[byte]
        if kind < DIGIT or (k > i and IS_CUTTING[byte] and k + 1 < stop and data[k + 1] == byte):
            break
        digits += kind == DIGIT
        letters += IS_LETTER[byte]
        hexadecimal += IS_HEX[byte]
        points += byte == DOT and k > i
        slashes += byte in (SLASH, BACKSLASH)
        k += 1
    if k > i + 1 and data[k - 1] == DOT:
        k -= 1
    size = k - i
    path = slashes > 0 and size > 1 and (slashes > 1 or data[i] in (SLASH, BACKSLASH))
    if digits or path:
        return k, VARIES
    if not letters:
        return k, BETWEEN
    named = size in (4, 5) and names_truth(data, i, size)
    dated = size == 3 and names_date(data, i, stop)
    placed = points > 0 and k + 1 < stop and data[k] == COLON and 48 <= data[k + 1] <= 57
    return k, VARIES if hexadecimal == size >= 8 or named or dated or placed else PLAIN


@nb.njit(cache=True, nogil=True)
def packed(data: Any, i: int, size: int) -> int:
    """Up to seven bytes as one number, the first highest."""
    word = 0
    for k in range(i, i + size):
        word = word << 8 | data[k]
    return word


@nb.njit(cache=True, nogil=True)
def names_truth(data: Any, i: int, size: int) -> bool:
    """True, false, null and none, as programming languages write them."""
    word = packed(data, i, size)
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
def names_date(data: Any, i: int, stop: int) -> bool:
    """A month before a number, or a weekday before a month."""
    word = packed(data, i, 3)
    month = names_month(word) != 0
    if not month and not names_weekday(word):
        return False
    k = i + 3
    while k < stop and data[k] == 32:
        k += 1
    if k == i + 3 or k >= stop:
        return False
    if month:
        return bool(48 <= data[k] <= 57)
    return k + 3 <= stop and names_month(packed(data, k, 3)) != 0
