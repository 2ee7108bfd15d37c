"""Compiled reading of one field's value. The place after it is returned, or 0 for the careful reader."""

from __future__ import annotations

import numba as nb

from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._names import parameter_number
from tocsin.ingest.parsing._numbers import scan_number
from tocsin.ingest.parsing._slots import get, put
from tocsin.ingest.parsing._strings import QUOTE, copy_bytes, string_end, text_end
from tocsin.ingest.parsing._times import scan_timestamp
from tocsin.intrinsics import load_i32, load_i64, load_u8, store_f64, store_i32, store_i64

_NULL = int.from_bytes(b"null", "little")
_TRUE = int.from_bytes(b"true", "little")
_FALSE = int.from_bytes(b"alse", "little")
_DEVICE, _TS, _APPLICATION, _VERSION, _ID, _RESERVED = range(6)


@nb.njit(cache=True, nogil=True)
def scan_field(at: int, name: int, block: int) -> int:
    """Read the value at `at` of the field with this name."""
    byte = load_u8(at)
    if name >= _RESERVED:
        if byte <= 0x39 and byte != QUOTE:
            return _scan_reading(at, name, block)
        return _scan_text(at, name, block)
    if name == _TS:
        at, ts = scan_timestamp(at, block)
        store_i64(get(block, slot.TS) + 8 * get(block, slot.EVENTS), ts)
        put(block, slot.SEEN, get(block, slot.SEEN) | 2)
        return at
    if byte != QUOTE:
        # A null device is missing, and the careful reader says so; the others may be null.
        return at + 4 if load_i32(at) == _NULL and name != _DEVICE else 0
    end = string_end(at + 1)
    if end == 0 or end - at - 1 > get(block, slot.NAME_BYTES_MAX):
        return 0
    _keep(at + 1, end - at - 1, name, block)
    return end + 1  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def _keep(start: int, length: int, name: int, block: int) -> None:
    """Put the value of a reserved text field where it belongs."""
    if name == _DEVICE:
        end = get(block, slot.DEVICE_END)
        copy_bytes(start, get(block, slot.DEVICE_DATA) + end, length)
        put(block, slot.DEVICE_END, end + length)
        put(block, slot.SEEN, get(block, slot.SEEN) | (length > 0))
    elif name == _ID:
        end = get(block, slot.ID_END)
        copy_bytes(start, get(block, slot.ID_DATA) + end, length)
        put(block, slot.ID_END, end + length)
    else:
        place = slot.APPLICATION if name == _APPLICATION else slot.VERSION
        put(block, place, start)
        put(block, place + 1, length)


@nb.njit(cache=True, nogil=True)
def _scan_reading(at: int, name: int, block: int) -> int:
    at, value = scan_number(at, block)
    if at != 0:
        end = get(block, slot.READING_END)
        store_f64(get(block, slot.VALUE) + 8 * end, value)
        store_i32(get(block, slot.PARAMETER) + 4 * end, parameter_number(name, block))
        put(block, slot.READING_END, end + 1)
    return at


@nb.njit(cache=True, nogil=True)
def _scan_text(at: int, name: int, block: int) -> int:
    """A string, a boolean or null; the careful reader takes objects and arrays."""
    byte = load_u8(at)
    if byte == QUOTE:
        end = text_end(at + 1)
        if end == 0:
            return 0
        end += 1
    elif load_i32(at) == _NULL:
        return at + 4
    elif load_i32(at) == _TRUE:
        end = at + 4
    elif byte == 0x66 and load_i32(at + 1) == _FALSE:
        end = at + 5
    else:
        return 0
    return end if _note_text(name, at, end, block) else 0


@nb.njit(cache=True, nogil=True)
def _note_text(name: int, start: int, end: int, block: int) -> bool:
    """Remember a text field of this line, by insertion so that the names stay sorted by their bytes."""
    count = get(block, slot.TEXT_FIELDS)
    if count == slot.TEXT_FIELDS_MAX:
        return False
    key = load_i64(get(block, slot.NAME_START) + 8 * name)
    length = load_i64(get(block, slot.NAME_LENGTH) + 8 * name)
    spans = get(block, slot.TEXT_SPANS)
    place = count
    while place > 0 and _comes_before(key, length, spans + 32 * (place - 1)):
        for i in range(4):
            store_i64(spans + 32 * place + 8 * i, load_i64(spans + 32 * (place - 1) + 8 * i))
        place -= 1
    store_i64(spans + 32 * place, key)
    store_i64(spans + 32 * place + 8, length)
    store_i64(spans + 32 * place + 16, start)
    store_i64(spans + 32 * place + 24, end - start)
    put(block, slot.TEXT_FIELDS, count + 1)
    return True


@nb.njit(cache=True, nogil=True)
def _comes_before(key: int, length: int, span: int) -> bool:
    """Whether a name sorts before the one of a span; byte order of UTF-8 is that of code points."""
    other, other_length = load_i64(span), load_i64(span + 8)
    for i in range(min(length, other_length)):
        mine, others = load_u8(key + i), load_u8(other + i)
        if mine != others:
            before: bool = mine < others
            return before
    shorter: bool = length < other_length
    return shorter
