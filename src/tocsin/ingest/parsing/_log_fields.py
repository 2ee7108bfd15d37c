"""Compiled reading of a log line's fields, and the writing of what is kept of it."""

from __future__ import annotations

import numba as nb

from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._slots import get, put
from tocsin.ingest.parsing._strings import QUOTE, copy_bytes, string_end, text_end
from tocsin.ingest.parsing._times import scan_timestamp
from tocsin.ingest.parsing.log_line import LEVEL_CHARACTERS_MAX
from tocsin.intrinsics import load_u8, store_i64, store_u8

_DEVICE, _TIME, _COMPONENT, _TEXT, _LEVEL, _APPLICATION, _VERSION, _NAMED = range(8)
LOG_LINE_SEEN = 15  # device, time, component and text
_CLOSE = 0x7D
_COMPONENT_KEY = int.from_bytes(b'"compone', "little"), int.from_bytes(b'nt":', "little")
_TEXT_KEY = int.from_bytes(b',"text":', "little")
_LEVEL_KEY = int.from_bytes(b',"level"', "little")
_OPEN = 0x7B
_COLON = 0x3A


@nb.njit(cache=True, nogil=True)
def scan_log_field(at: int, name: int, block: int) -> int:
    """Read the value at `at` of the field with this name; the place after it, or 0 for the careful reader."""
    if name >= _NAMED:
        return 0
    if name == _TIME:
        at, time_ms = scan_timestamp(at, block)
        store_i64(get(block, slot.TS) + 8 * get(block, slot.EVENTS), time_ms)
        put(block, slot.SEEN, get(block, slot.SEEN) | 2)
        return at
    if load_u8(at) != QUOTE:
        return 0
    if _COMPONENT <= name <= _LEVEL:
        return _scan_kept(at, name, block)
    return _scan_name(at, name, block)


@nb.njit(cache=True, nogil=True)
def _scan_name(at: int, name: int, block: int) -> int:
    """Device, application or version, without escapes; bytes are at least as many as characters."""
    end = string_end(at + 1)
    length = end - at - 1
    if end == 0 or length > get(block, slot.NAME_BYTES_MAX):
        return 0
    if name == _DEVICE:
        kept = get(block, slot.DEVICE_END)
        copy_bytes(at + 1, get(block, slot.DEVICE_DATA) + kept, length)
        put(block, slot.DEVICE_END, kept + length)
        put(block, slot.SEEN, get(block, slot.SEEN) | (length > 0))
    else:
        place = slot.APPLICATION if name == _APPLICATION else slot.VERSION
        put(block, place, at + 1)
        put(block, place + 1, length)
    return end + 1  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def _scan_kept(at: int, name: int, block: int) -> int:
    """A string that is kept as it is spelled, if that is the canonical spelling."""
    end = text_end(at + 1)
    length = end - at - 1
    if end == 0:
        return 0
    if name == _TEXT:
        place, seen = slot.LOG_TEXT, 8
    elif name == _COMPONENT:
        if length == 0 or length > get(block, slot.NAME_BYTES_MAX):
            return 0
        place, seen = slot.COMPONENT, 4
    else:
        if length > LEVEL_CHARACTERS_MAX:
            return 0
        place, seen = slot.LEVEL, 0
    put(block, place, at)
    put(block, place + 1, length + 2)
    put(block, slot.SEEN, get(block, slot.SEEN) | seen)
    return end + 1  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def write_log_text(block: int) -> None:
    """Write component, text and level of this line as `tocsin.log_lines.encode_line` does."""
    start = get(block, slot.TEXT_DATA) + get(block, slot.TEXT_END)
    store_u8(start, _OPEN)
    store_i64(start + 1, _COMPONENT_KEY[0])
    store_i64(start + 9, _COMPONENT_KEY[1])
    out = _append(start + 13, slot.COMPONENT, block)
    store_i64(out, _TEXT_KEY)
    out = _append(out + 8, slot.LOG_TEXT, block)
    if get(block, slot.LEVEL + 1) > 2:
        store_i64(out, _LEVEL_KEY)
        store_u8(out + 8, _COLON)
        out = _append(out + 9, slot.LEVEL, block)
    store_u8(out, _CLOSE)
    put(block, slot.TEXT_END, get(block, slot.TEXT_END) + out + 1 - start)


@nb.njit(cache=True, nogil=True)
def _append(out: int, place: int, block: int) -> int:
    length = get(block, place + 1)
    copy_bytes(get(block, place), out, length)
    return out + length  # type: ignore[no-any-return]
