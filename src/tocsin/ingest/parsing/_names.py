"""Compiled numbering of field names, and of the pairs of application and version."""

from __future__ import annotations

import numba as nb

from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing._slots import get, put
from tocsin.ingest.parsing._strings import QUOTE, string_end
from tocsin.interning import equal_bytes, hash_bytes
from tocsin.intrinsics import load_i32, load_i64, load_u8, store_i32, store_i64


@nb.njit(cache=True, nogil=True)
def find_name(at: int, place: int, block: int) -> int:
    """The index of the name that is open at `at`, as the `place`-th field of its line; -1 = careful.

    Lines of one device fleet look alike, so the name that stood in this place before is tried first.
    """
    guess = -1
    if place < slot.GUESSES_MAX:
        guess = load_i64(get(block, slot.GUESS) + 8 * place)
    if guess >= 0:
        length = load_i64(get(block, slot.NAME_LENGTH) + 8 * guess)
        start = load_i64(get(block, slot.NAME_START) + 8 * guess)
        if load_u8(at + length) == QUOTE and equal_bytes(at, start, length):
            return guess
    name = _look_up(at, block)
    if place < slot.GUESSES_MAX:
        store_i64(get(block, slot.GUESS) + 8 * place, name)
    return name


@nb.njit(cache=True, nogil=True)
def _look_up(at: int, block: int) -> int:
    end = string_end(at)
    length = end - at
    # As many bytes are at most as many characters; the careful reader counts longer ones.
    if end == 0 or length == 0 or length > get(block, slot.NAME_BYTES_MAX):
        return -1
    return number_name(at, length, block)


@nb.njit(cache=True, nogil=True)
def number_name(at: int, length: int, block: int) -> int:
    """The index of a name, a new one if it is unknown; -1 when the table is full."""
    mask = slot.NAME_SLOT_COUNT - 1
    place = nb.int64(hash_bytes(at, length, nb.uint64(get(block, slot.SEED)))) & mask
    starts, lengths = get(block, slot.NAME_START), get(block, slot.NAME_LENGTH)
    slots = get(block, slot.NAME_SLOTS)
    while True:
        name = load_i32(slots + 4 * place) - 1
        if name < 0:
            break
        if load_i64(lengths + 8 * name) == length and equal_bytes(at, load_i64(starts + 8 * name), length):
            return name  # type: ignore[no-any-return]
        place = (place + 1) & mask
    count = get(block, slot.NAMES)
    if count == slot.NAMES_MAX:
        return -1
    store_i32(slots + 4 * place, count + 1)
    store_i64(starts + 8 * count, at)
    store_i64(lengths + 8 * count, length)
    store_i64(get(block, slot.NAME_NUMBER) + 8 * count, -1)
    store_i64(get(block, slot.NAME_LINE) + 8 * count, -1)
    put(block, slot.NAMES, count + 1)
    return count  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def first_on_line(name: int, block: int) -> bool:
    """Note that the name is on this line; False if it was already."""
    place = get(block, slot.NAME_LINE) + 8 * name
    line = get(block, slot.LINES)
    if load_i64(place) == line:
        return False
    store_i64(place, line)
    return True


@nb.njit(cache=True, nogil=True)
def parameter_number(name: int, block: int) -> int:
    """The number of a name as a parameter; names get one with their first numeric value."""
    place = get(block, slot.NAME_NUMBER) + 8 * name
    number = load_i64(place)
    if number < 0:
        number = get(block, slot.PARAMETERS)
        store_i64(place, number)
        put(block, slot.PARAMETERS, number + 1)
    return number  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def stream_number(block: int) -> int:
    """The number of this line's application and version; -1 when there are too many pairs."""
    count = get(block, slot.STREAMS)
    spans = get(block, slot.STREAM_SPANS)
    own = block + 8 * slot.APPLICATION
    for stream in range(count):
        known = spans + 32 * stream
        if same_span(own, known) and same_span(own + 16, known + 16):
            return stream
    if count == slot.STREAMS_MAX:
        return -1
    for i in range(4):
        store_i64(spans + 32 * count + 8 * i, load_i64(own + 8 * i))
    put(block, slot.STREAMS, count + 1)
    return count  # type: ignore[no-any-return]


@nb.njit(cache=True, nogil=True)
def same_span(left: int, right: int) -> bool:
    """Whether two (start, length) pairs, given by address, name equal bytes."""
    length = load_i64(left + 8)
    if length != load_i64(right + 8):
        return False
    return equal_bytes(load_i64(left), load_i64(right), length)
