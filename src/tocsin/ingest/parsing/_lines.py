"""Compiled reading of lines: the loop that either takes a line whole or hands it to the careful reader."""

from __future__ import annotations

import numba as nb

from tocsin.events import I64, U8
from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._fields import scan_field
from tocsin.ingest.parsing._log_fields import LOG_LINE_SEEN, scan_log_field, write_log_text
from tocsin.ingest.parsing._names import find_name, first_on_line, number_name, stream_number
from tocsin.ingest.parsing._slots import get, put
from tocsin.ingest.parsing._strings import QUOTE, copy_bytes, skip_space
from tocsin.intrinsics import address_of, load_i32, load_i64, load_u8, store_i32, store_i64, store_u8

_LINE_FEED = 0x0A
_COMMA = 0x2C
_COLON = 0x3A
_OPEN = 0x7B
_CLOSE = 0x7D
_EVENT_SEEN = 3  # device and ts


@nb.njit(cache=True, nogil=True)
def know_reserved_names(names: U8, lengths: I64, block: I64) -> None:
    """Number the reserved names first, so that their indexes are fixed."""
    for i in range(len(lengths)):
        number_name(address_of(names) + 16 * i, lengths[i], address_of(block))


@nb.njit(cache=True, nogil=True)
def scan_lines(data: U8, stop: int, moved: int, numbers: I64) -> bool:
    """Read the lines of `data[:stop]`, whose last byte is a line feed; 64 more bytes must be readable.

    `moved` is where `data` begins in the whole body. False = there are more lines than allowed.
    """
    block = address_of(numbers)
    base = address_of(data)
    at = base
    while at < base + stop:
        start = skip_space(at)
        if load_u8(start) == _LINE_FEED:
            at = start + 1
            put(block, slot.LINES, get(block, slot.LINES) + 1)
            continue
        if get(block, slot.EVENTS) + get(block, slot.HANDED_COUNT) == get(block, slot.LINES_MAX):
            return False
        put(block, slot.LINES, get(block, slot.LINES) + 1)
        _begin_event(block)
        end = _scan_object(start, block)
        if end == 0 or end - at > get(block, slot.LINE_BYTES_MAX) or not _finish_event(block):
            end = _hand_over(at, moved - base, block)
        at = end + 1
    return True


@nb.njit(cache=True, nogil=True)
def _begin_event(block: int) -> None:
    put(block, slot.TEXT_FIELDS, 0)
    put(block, slot.SEEN, 0)
    put(block, slot.APPLICATION + 1, 0)
    put(block, slot.VERSION + 1, 0)
    put(block, slot.LEVEL + 1, 0)


@nb.njit(cache=True, nogil=True)
def _scan_object(at: int, block: int) -> int:
    """Read the object at `at`; the line feed after it, or 0 for the careful reader."""
    if load_u8(at) != _OPEN:
        return 0
    place = 0
    follows = _COMMA
    while follows == _COMMA:
        at = _scan_member(skip_space(at + 1), place, block)
        if at == 0:
            return 0
        at = skip_space(at)
        follows = load_u8(at)
        place += 1
    at = skip_space(at + 1)
    return at if follows == _CLOSE and load_u8(at) == _LINE_FEED else 0


@nb.njit(cache=True, nogil=True)
def _scan_member(at: int, place: int, block: int) -> int:
    """Read the `place`-th key and value, at `at`; the place after them, or 0 for the careful reader."""
    if load_u8(at) != QUOTE:
        return 0
    name = find_name(at + 1, place, block)
    if name < 0 or not first_on_line(name, block):
        return 0
    at = skip_space(at + 2 + load_i64(get(block, slot.NAME_LENGTH) + 8 * name))
    if load_u8(at) != _COLON:
        return 0
    at = skip_space(at + 1)
    return scan_log_field(at, name, block) if get(block, slot.LOG_LINES) else scan_field(at, name, block)


@nb.njit(cache=True, nogil=True)
def _finish_event(block: int) -> bool:
    """Complete this line's row of the columns; False if it is no event, or no line of a log."""
    log_line = get(block, slot.LOG_LINES) != 0
    if get(block, slot.SEEN) != (LOG_LINE_SEEN if log_line else _EVENT_SEEN):
        return False
    stream = stream_number(block)
    if stream < 0:
        return False
    event = get(block, slot.EVENTS)
    if log_line:
        write_log_text(block)
    else:
        _write_text(block)
    store_i32(get(block, slot.STREAM) + 4 * event, stream)
    store_i32(get(block, slot.LINE) + 4 * event, get(block, slot.LINES))
    store_i32(get(block, slot.TEXT_COUNT) + 4 * event, get(block, slot.TEXT_FIELDS))
    store_i32(get(block, slot.DEVICE_OFFSETS) + 4 * event + 4, get(block, slot.DEVICE_END))
    store_i32(get(block, slot.READING_OFFSETS) + 4 * event + 4, get(block, slot.READING_END))
    store_i32(get(block, slot.TEXT_OFFSETS) + 4 * event + 4, get(block, slot.TEXT_END))
    store_i32(get(block, slot.ID_OFFSETS) + 4 * event + 4, get(block, slot.ID_END))
    put(block, slot.EVENTS, event + 1)
    return True


@nb.njit(cache=True, nogil=True)
def _write_text(block: int) -> None:
    """Write the text fields of this line as one object, sorted by name."""
    count = get(block, slot.TEXT_FIELDS)
    if count == 0:
        return
    span = get(block, slot.TEXT_SPANS)
    first = get(block, slot.TEXT_DATA) + get(block, slot.TEXT_END)
    out = first
    for i in range(count):
        store_u8(out, _COMMA if i else _OPEN)
        store_u8(out + 1, QUOTE)
        length = load_i64(span + 8)
        copy_bytes(load_i64(span), out + 2, length)
        store_u8(out + 2 + length, QUOTE)
        store_u8(out + 3 + length, _COLON)
        out += length + 4
        copy_bytes(load_i64(span + 16), out, load_i64(span + 24))
        out += load_i64(span + 24)
        span += 32
    store_u8(out, _CLOSE)
    put(block, slot.TEXT_END, get(block, slot.TEXT_END) + out + 1 - first)


@nb.njit(cache=True, nogil=True)
def _hand_over(at: int, moved: int, block: int) -> int:
    """Note the line at `at` for the careful reader and undo what was read of it; its line feed."""
    end = at
    while load_u8(end) != _LINE_FEED:
        end += 1
    count = get(block, slot.HANDED_COUNT)
    row = get(block, slot.HANDED) + 24 * count
    store_i64(row, at + moved)
    store_i64(row + 8, end + moved)
    store_i64(row + 16, get(block, slot.LINES))
    put(block, slot.HANDED_COUNT, count + 1)
    event = get(block, slot.EVENTS)
    put(block, slot.DEVICE_END, load_i32(get(block, slot.DEVICE_OFFSETS) + 4 * event))
    put(block, slot.READING_END, load_i32(get(block, slot.READING_OFFSETS) + 4 * event))
    put(block, slot.TEXT_END, load_i32(get(block, slot.TEXT_OFFSETS) + 4 * event))
    put(block, slot.ID_END, load_i32(get(block, slot.ID_OFFSETS) + 4 * event))
    return end
