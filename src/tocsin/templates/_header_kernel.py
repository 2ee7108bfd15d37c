"""The head of a line, compiled: time, level and component, and where the message begins."""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from tocsin.intrinsics import load_i64, load_u8, store_i64
from tocsin.templates._bytes import IS_LETTER, KIND, SPACE
from tocsin.templates._stamp_kernel import (
    EPOCH_US,
    FIELDS,
    KIND_OF_TIME,
    LETTER,
    NONE,
    OF_DAY,
    WORDED,
    YEARLESS,
    digits_end,
    may_begin,
    stamp_end,
    stamp_us,
)

TIME_MS, TIME_KIND, LEVEL, COMPONENT_START, COMPONENT_END, MESSAGE_START, MESSAGE_END = range(7)
TIME_US, TEXT_START, TEXT_END = 7, 8, 9
COLUMNS: Final = 10
"""The message goes to the end of the line. The text is what of it is mined: all, or of fields the one that
says what happened."""
NO_HEAD, HEAD, STRUCTURED = 0, 1, 2
"""The last is a line by RFC 5424, whose message begins with structured data."""
TRACE, DEBUG, INFO, NOTICE, WARNING, ERROR, FATAL = 1, 2, 3, 4, 5, 6, 7

LEVEL_NAMES: Final = {
    "trace": TRACE, "verbose": TRACE, "finest": TRACE, "finer": TRACE, "debug": DEBUG, "fine": DEBUG,
    "info": INFO, "notice": NOTICE, "warn": WARNING, "warning": WARNING, "err": ERROR, "error": ERROR,
    "severe": ERROR, "failure": ERROR, "fatal": FATAL, "crit": FATAL, "critical": FATAL, "alert": FATAL,
    "emerg": FATAL, "panic": FATAL, "informat": INFO, "emergenc": FATAL,
}  # the last two are the beginnings of longer ones  # fmt: skip
_LETTERS: Final = {"V": TRACE, "D": DEBUG, "I": INFO, "N": NOTICE, "W": WARNING, "E": ERROR, "F": FATAL}
LEVEL_SLOTS: Final = 128
LEVEL_WORDS: Final = np.zeros(LEVEL_SLOTS, np.int64)
LEVELS: Final = np.zeros(LEVEL_SLOTS, np.int64)
INFORMAT: Final = int.from_bytes(b"informat", "big")
EMERGENC: Final = int.from_bytes(b"emergenc", "big")


@nb.njit(cache=True, nogil=True)
def level_slot(word: int) -> int:
    """Where a packed word is looked for among the levels."""
    return (word ^ word >> 7 ^ word >> 17) & (LEVEL_SLOTS - 1)


for _name, _level in LEVEL_NAMES.items():
    _word = int.from_bytes(_name.encode(), "big")
    _slot = (_word ^ _word >> 7 ^ _word >> 17) & (LEVEL_SLOTS - 1)
    while LEVEL_WORDS[_slot]:
        _slot = (_slot + 1) & (LEVEL_SLOTS - 1)
    LEVEL_WORDS[_slot], LEVELS[_slot] = _word, _level
OF_LETTER: Final = np.zeros(256, np.int64)
for _letter, _level in _LETTERS.items():
    OF_LETTER[ord(_letter)] = _level
OF_SYSLOG: Final = np.array([FATAL, FATAL, FATAL, ERROR, WARNING, NOTICE, INFO, DEBUG], np.int64)
LEVEL_BYTES_MAX: Final = 13
PREAMBLE_MAX: Final = 6
BRACKET_BYTES_MAX: Final = 512
COMPONENT_BYTES_MAX: Final = 80
MARK_BYTES_MAX: Final = 8


@nb.njit(cache=True, nogil=True)
def read_header(data: int, start: int, end: int, clock: int, head: int, fields: int) -> int:
    """Fill `head` from a line; gives `NO_HEAD` for a message as a whole, else a kind of head.

    `clock` has the year of stamps that say none, and the time that they can't be beyond (stamp_us).
    """
    blank(head, start, end)
    if start == end or KIND[load_u8(data + start)] == SPACE or load_u8(data + start) == 123:
        return NO_HEAD
    i = numbered_syslog(data, start, end, head, fields) if load_u8(data + start) == 60 else 0
    kind = STRUCTURED if i else HEAD
    if i == 0:
        i = first_stamp(data, start, end, head, fields)
        if i == 0:
            headless_level(data, start, end, head)
            return NO_HEAD
        store_i64(head + 8 * TIME_KIND, load_i64(fields + 8 * KIND_OF_TIME))
        syslog = load_u8(data + start) == 60 or (
            load_i64(fields + 8 * WORDED) == 1 and load_i64(fields + 8 * KIND_OF_TIME) == YEARLESS
        )
        place = source_end(data, i, end, head) if load_i64(fields + 8 * LETTER) else 0
        if load_i64(fields + 8 * LETTER):
            store_i64(head + 8 * LEVEL, OF_LETTER[load_i64(fields + 8 * LETTER)])
        if place:
            i = place
        elif i < end and load_u8(data + i) in (124, 59, 9):
            i = field_atoms(data, i, end, head)
        else:
            i = atoms(data, i, end, head, fields, syslog)
        store_i64(head + 8 * TIME_KIND, load_i64(fields + 8 * KIND_OF_TIME))
    take_stamp(head, fields, clock)
    value = skipped(data, i, end)
    store_i64(head + 8 * MESSAGE_START, value)
    store_i64(head + 8 * TEXT_START, value)
    return kind


@nb.njit(cache=True, nogil=True)
def blank(head: int, start: int, end: int) -> None:
    """The head of a line that has none."""
    store_i64(head + 8 * TIME_MS, 0)
    store_i64(head + 8 * TIME_US, 0)
    store_i64(head + 8 * TIME_KIND, 0)
    store_i64(head + 8 * LEVEL, 0)
    store_i64(head + 8 * COMPONENT_START, start)
    store_i64(head + 8 * COMPONENT_END, start)
    store_i64(head + 8 * MESSAGE_START, start)
    store_i64(head + 8 * TEXT_START, start)
    store_i64(head + 8 * MESSAGE_END, end)
    store_i64(head + 8 * TEXT_END, end)


@nb.njit(cache=True, nogil=True)
def headless_level(data: int, start: int, end: int, head: int) -> None:
    """Of a line without a stamp only a first word tells a level, or the priority of syslog."""
    if load_u8(data + start) == 60:
        store_i64(head + 8 * LEVEL, 0)
        priority_end(data, start, end, head)
        return
    until = token_at(data, start, end)
    store_i64(head + 8 * LEVEL, bare_level(data, start, until) if until > start + 2 else 0)


@nb.njit(cache=True, nogil=True)
def take_stamp(head: int, fields: int, clock: int) -> None:
    """The stamp in `fields` into the head."""
    if load_i64(head + 8 * TIME_KIND):
        store_i64(head + 8 * TIME_US, stamp_us(fields, load_i64(clock), load_i64(clock + 8 * 1)))
        store_i64(head + 8 * TIME_MS, load_i64(head + 8 * TIME_US) // 1000)


@nb.njit(cache=True, nogil=True)
def source_end(data: int, i: int, end: int, head: int) -> int:
    """Behind a thread's number and a place in a source, as in `12 pump.cc:34]`; 0 = none."""
    k = skipped(data, i, end)
    k = skipped(data, digits_end(data, k, end, 20), end)
    until = token_at(data, k, end)
    name = k
    while name < until and load_u8(data + name) != 58:
        name += 1
    if until == k or load_u8(data + until - 1) != 93 or digits_end(data, name + 1, end, 9) != until - 1:
        return 0
    store_i64(head + 8 * COMPONENT_START, k)
    store_i64(head + 8 * COMPONENT_END, name)
    return until


@nb.njit(cache=True, nogil=True)
def priority_end(data: int, start: int, end: int, head: int) -> int:
    """Behind `<number>`, whose last three bits are the level; `start` = none."""
    k, value = start + 1, 0
    while k < min(end, start + 4) and 48 <= load_u8(data + k) <= 57:
        value, k = value * 10 + load_u8(data + k) - 48, k + 1
    if k == start + 1 or k >= end or load_u8(data + k) != 62:
        return start
    store_i64(head + 8 * LEVEL, OF_SYSLOG[value & 7])
    return k + 1


@nb.njit(cache=True, nogil=True)
def numbered_syslog(data: int, start: int, end: int, head: int, fields: int) -> int:
    """Where the structured data of a line by RFC 5424 begin; 0 = it is none.

    `<priority>1 stamp host component process message-id`, each of which may be `-`.
    """
    i = priority_end(data, start, end, head)
    if i == start or i + 2 >= end or load_u8(data + i) != 49 or load_u8(data + i + 1) != 32:
        return 0
    i += 2
    until = token_at(data, i, end)
    store_i64(fields + 8 * EPOCH_US, 0)
    if until == i + 1 and load_u8(data + i) == 45:
        store_i64(fields + 8 * KIND_OF_TIME, NONE)
    elif stamp_end(data, i, until, fields, False) != until or until == i:
        return 0
    name, name_end = start, start
    for place in range(4):
        if until >= end:
            return 0
        i = until + 1
        until = token_at(data, i, end)
        if until == i:
            return 0
        if place == 1 and not (until == i + 1 and load_u8(data + i) == 45):
            name, name_end = i, until
    store_i64(head + 8 * COMPONENT_START, name)
    store_i64(head + 8 * COMPONENT_END, name_end)
    store_i64(head + 8 * TIME_KIND, load_i64(fields + 8 * KIND_OF_TIME))
    return until


@nb.njit(cache=True, nogil=True)
def token_at(data: int, i: int, end: int) -> int:
    """Where the bytes up to the next space end."""
    k = i
    while k < end and KIND[load_u8(data + k)] != SPACE:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def skipped(data: int, i: int, end: int) -> int:
    """Behind spaces."""
    k = i
    while k < end and KIND[load_u8(data + k)] == SPACE:
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def first_stamp(data: int, start: int, end: int, head: int, fields: int) -> int:
    """Behind the first stamp among the first words; 0 = none."""
    i = start
    if load_u8(data + i) == 60:
        i = priority_end(data, i, end, head)
    for _ in range(PREAMBLE_MAX):
        i = skipped(data, i, end)
        if i >= end:
            return 0
        store_i64(fields + 8 * EPOCH_US, 0)
        opened = load_u8(data + i) in (91, 40)
        until = stamp_end(data, i + 1 if opened else i, end, fields, False)
        if until:
            return until + 1 if opened and until < end and load_u8(data + until) in (93, 41) else until
        until = token_at(data, i, end)
        if until - i > COMPONENT_BYTES_MAX:
            return 0
        level = bare_level(data, i, until)
        if level:
            store_i64(head + 8 * LEVEL, level)
        i = until
    return 0


@nb.njit(cache=True, nogil=True)
def level_word(data: int, i: int, until: int) -> int:
    """The level that a word of any case names; 0 = none."""
    size = until - i
    if size < 3 or size > LEVEL_BYTES_MAX:
        return 0
    word = 0
    for k in range(i, min(until, i + 8)):
        word = word << 8 | (load_u8(data + k) | 32)
    slot = level_slot(word)
    while LEVEL_WORDS[slot] != word:
        if LEVEL_WORDS[slot] == 0:
            return 0
        slot = (slot + 1) & (LEVEL_SLOTS - 1)
    return int(LEVELS[slot]) if size <= 8 or word in (INFORMAT, EMERGENC) else 0


@nb.njit(cache=True, nogil=True)
def bare_level(data: int, i: int, until: int) -> int:
    """The level that a word in capitals, or one letter, names; a colon may end it."""
    if until > i + 1 and load_u8(data + until - 1) == 58:
        until -= 1
    if until == i + 1:
        return int(OF_LETTER[load_u8(data + i)])
    for k in range(i, until):
        if not 65 <= load_u8(data + k) <= 90:
            return 0
    return level_word(data, i, until)


@nb.njit(cache=True, nogil=True)
def bracket_close(data: int, i: int, end: int) -> int:
    """Behind the bracket that closes the square one at `i`, spaces allowed; 0 = none near."""
    depth = 0
    for k in range(i, min(end, i + BRACKET_BYTES_MAX)):
        if load_u8(data + k) == 91:
            depth += 1
        elif load_u8(data + k) == 93:
            depth -= 1
            if depth == 0:
                return k + 1
    return 0


@nb.njit(cache=True, nogil=True)
def name_component(data: int, i: int, until: int, head: int) -> None:
    """Take a word as the component, without a number in brackets behind it."""
    k = i
    while k < until and load_u8(data + k) != 91:
        k += 1
    if k == i:
        k = until
    store_i64(head + 8 * COMPONENT_START, i)
    store_i64(head + 8 * COMPONENT_END, k)


@nb.njit(cache=True, nogil=True)
def field_atoms(data: int, i: int, end: int, head: int) -> int:
    """Fields between separators up to the message: the first with a space in it, or the last."""
    mark = load_u8(data + i)
    for _ in range(6):
        i += 1
        k = i
        while k < end and load_u8(data + k) != mark and load_u8(data + k) != 32:
            k += 1
        if k >= end or load_u8(data + k) != mark:
            return i
        level = bare_level(data, i, k)
        if level:
            store_i64(head + 8 * LEVEL, level)
        elif (
            load_i64(head + 8 * COMPONENT_END) == load_i64(head + 8 * COMPONENT_START)
            and k > i
            and IS_LETTER[load_u8(data + i)]
        ):
            store_i64(head + 8 * COMPONENT_START, i)
            store_i64(head + 8 * COMPONENT_END, k)
        i = k
    return i + 1


@nb.njit(cache=True, nogil=True)
def level_ahead(data: int, i: int, end: int, head: int) -> int:
    """Behind a level that stands behind at most four words in capitals or numbers; 0 = none."""
    k = i
    named, named_end = i, i
    for _ in range(5):
        k = skipped(data, k, end)
        until = token_at(data, k, end)
        level = bare_level(data, k, until)
        if (
            k == i
            and level == 0
            and until + 1 < end
            and (load_u8(data + until) == 9 or load_u8(data + until + 1) == 32)
        ):
            level = level_word(data, k, until)  # a column of its own
        if level and (until > k + 1 or k > i):
            store_i64(head + 8 * LEVEL, level)
            if named_end > named and load_i64(head + 8 * COMPONENT_END) == load_i64(
                head + 8 * COMPONENT_START
            ):
                store_i64(head + 8 * COMPONENT_START, named)
                store_i64(head + 8 * COMPONENT_END, named_end)
            return until
        letters = False
        for place in range(k, until):
            byte = load_u8(data + place)
            if 97 <= byte <= 122 or byte >= 128 or byte in (91, 93, 40, 41, 61, 44):
                return 0
            letters = letters or 65 <= byte <= 90
        if until == k:
            return 0
        if letters:
            named, named_end = k, until
        k = until
    return 0


@nb.njit(cache=True, nogil=True)
def later_stamp(data: int, i: int, end: int, fields: int) -> int:
    """Behind a further stamp at `i` or behind one word; 0 = none. It counts unless the first is an epoch."""
    word = token_at(data, i, end)
    second = skipped(data, word, end) if word > i and load_u8(data + word - 1) not in (58, 93, 45) else end
    if not may_begin(data, i, end) and not may_begin(data, second, end):
        return 0
    for place in range(FIELDS):
        store_i64(fields + 8 * (FIELDS + place), load_i64(fields + 8 * place))
    until = stamp_end(data, i, end, fields, True)
    if until == 0 and second < end:
        until = stamp_end(data, second, end, fields, False)
    worded = load_i64(fields + 8 * WORDED)
    if until == 0 or load_i64(fields + 8 * (FIELDS + EPOCH_US)):
        for place in range(FIELDS):
            store_i64(fields + 8 * place, load_i64(fields + 8 * (FIELDS + place)))
        if until:
            store_i64(fields + 8 * WORDED, worded)
    return until


@nb.njit(cache=True, nogil=True)
def atoms(data: int, i: int, end: int, head: int, fields: int, syslog: bool) -> int:
    """What follows the stamp, one by one; gives where the message begins."""
    bracketed = False
    for _ in range(12):
        i = skipped(data, i, end)
        if i >= end:
            break
        levelled, named = (
            load_i64(head + 8 * LEVEL) != 0,
            load_i64(head + 8 * COMPONENT_END) > load_i64(head + 8 * COMPONENT_START),
        )
        if load_u8(data + i) in (45, 58, 44) and (i + 1 == end or KIND[load_u8(data + i + 1)] == SPACE):
            i += 1
            if load_u8(data + i - 1) == 45 and (levelled or named):
                break
            continue
        if load_u8(data + i) == 91:
            until = bracket_atom(data, i, end, head, bracketed)
            bracketed = bracketed or levelled == (load_i64(head + 8 * LEVEL) != 0)
        elif named:
            break
        else:
            until = 0 if levelled or syslog else later_stamp(data, i, end, fields)
            if until:
                syslog = load_i64(fields + 8 * WORDED) == 1 and load_i64(fields + 8 * KIND_OF_TIME) != OF_DAY
            elif not levelled:
                until = level_ahead(data, i, end, head) or slashed(data, i, end, head)
            if until == 0:
                until = component(data, i, end, head, levelled, syslog)
        if until == 0:
            break
        i = until
        if load_u8(data + i - 1) in (58, 62):
            break
    return i


@nb.njit(cache=True, nogil=True)
def bracket_atom(data: int, i: int, end: int, head: int, bracketed: bool) -> int:
    """Behind brackets that belong to the head; 0 = they begin the message."""
    until = bracket_close(data, i, end)
    if until == 0:
        return 0
    level = bracket_level(data, i, until)
    if level and load_i64(head + 8 * LEVEL) == 0:
        store_i64(head + 8 * LEVEL, level)
        return until
    named = load_i64(head + 8 * COMPONENT_END) > load_i64(head + 8 * COMPONENT_START)
    if bracketed or not bracket_belongs(data, i, until, end, load_i64(head + 8 * LEVEL) != 0, named):
        return 0
    return until


@nb.njit(cache=True, nogil=True)
def bracket_level(data: int, i: int, until: int) -> int:
    """The level in brackets, alone or behind a colon; 0 = none."""
    first = i + 1
    for k in range(i + 1, until - 1):
        if load_u8(data + k) == 58:
            first = k + 1
    last = until - 1
    while last > first and load_u8(data + last - 1) == 32:
        last -= 1
    return level_word(data, first, last)


@nb.njit(cache=True, nogil=True)
def bracket_belongs(data: int, i: int, until: int, end: int, levelled: bool, named: bool) -> bool:
    """Whether brackets without a level belong to the head: a thread, an address, a request."""
    if levelled and named:
        return True
    spaces = False
    for k in range(i, until):
        spaces = spaces or load_u8(data + k) == 32
    k = skipped(data, until, end)
    if levelled:
        word = token_at(data, k, end)
        return (
            not spaces
            or (word == k + 1 and load_u8(data + k) in (45, 58))
            or (word > k + 1 and load_u8(data + word - 1) == 58)
        )
    if k < end and load_u8(data + k) == 91:
        close = bracket_close(data, k, end)
        return close > 0 and bracket_level(data, k, close) > 0
    return bare_level(data, k, token_at(data, k, end)) > 0


@nb.njit(cache=True, nogil=True)
def component(data: int, i: int, end: int, head: int, levelled: bool, syslog: bool) -> int:
    """Behind the component, or behind the host of a syslog line; 0 = the message begins here."""
    until = token_at(data, i, end)
    size, colon = until - i, load_u8(data + until - 1) == 58
    if size > COMPONENT_BYTES_MAX:
        return 0
    if load_u8(data + i) == 60 and load_u8(data + until - 1) == 62:
        store_i64(head + 8 * COMPONENT_START, i + 1)
        store_i64(head + 8 * COMPONENT_END, until - 1)
        return until
    if syslog and not colon:
        return syslog_tag(data, until, end, head)
    if colon and size > 1 and IS_LETTER[load_u8(data + i)]:
        name_component(data, i, until - 1, head)
        return until
    k = skipped(data, until, end)
    dash = behind_mark(data, k, end)
    dashed = dash + 1 < end and load_u8(data + dash) == 45 and load_u8(data + dash + 1) == 32
    wide = until + 1 < end and (load_u8(data + until) == 9 or load_u8(data + until + 1) == 32)
    if dashed or (levelled and IS_LETTER[load_u8(data + i)] and (wide or dotted(data, i, until))):
        store_i64(head + 8 * COMPONENT_START, i)
        store_i64(head + 8 * COMPONENT_END, until)
        return dash if dashed else until
    return 0


@nb.njit(cache=True, nogil=True)
def slashed(data: int, i: int, end: int, head: int) -> int:
    """Behind `E/Pump( 17):`, a level's letter, a component and a process; 0 = none."""
    if i + 3 >= end or load_u8(data + i + 1) != 47 or OF_LETTER[load_u8(data + i)] == 0:
        return 0
    name = i + 2
    while name < min(end, i + COMPONENT_BYTES_MAX) and load_u8(data + name) not in (40, 58, 10):
        name += 1
    if name == i + 2 or name >= end or load_u8(data + name) not in (40, 58):
        return 0
    until = name
    if load_u8(data + name) == 40:
        until = digits_end(data, skipped(data, name + 1, end), end, 10)
        if until + 1 >= end or load_u8(data + until) != 41 or load_u8(data + until + 1) != 58:
            return 0
        until += 1
    while name > i + 2 and load_u8(data + name - 1) == 32:
        name -= 1
    store_i64(head + 8 * LEVEL, OF_LETTER[load_u8(data + i)])
    store_i64(head + 8 * COMPONENT_START, i + 2)
    store_i64(head + 8 * COMPONENT_END, name)
    return until + 1


@nb.njit(cache=True, nogil=True)
def behind_mark(data: int, i: int, end: int) -> int:
    """Behind a short word without letters, such as a number, and the spaces after it; else `i`."""
    until = token_at(data, i, end)
    if until - i > MARK_BYTES_MAX or (until == i + 1 and load_u8(data + i) == 45):
        return i
    for k in range(i, until):
        if IS_LETTER[load_u8(data + k)]:
            return i
    return skipped(data, until, end)


@nb.njit(cache=True, nogil=True)
def dotted(data: int, i: int, until: int) -> bool:
    """Whether a word is a name with points in it, as classes and modules have."""
    points = 0
    for k in range(i, until):
        byte = load_u8(data + k)
        points += byte == 46
        if not (IS_LETTER[byte] or 48 <= byte <= 57 or byte in (46, 95, 36)):
            return False
    return points > 0 and load_u8(data + until - 1) != 46


@nb.njit(cache=True, nogil=True)
def syslog_tag(data: int, host_end: int, end: int, head: int) -> int:
    """Behind the tag of a syslog line, which a colon ends within three words; else behind the host."""
    k = skipped(data, host_end, end)
    first = k
    for _ in range(3):
        until = token_at(data, k, end)
        if until == k:
            return host_end
        if load_u8(data + until - 1) == 58:
            name_component(data, first, until - 1, head)
            return until
        k = skipped(data, until, end)
    return host_end
