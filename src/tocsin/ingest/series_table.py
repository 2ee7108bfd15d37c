"""Which fields each device has, and whether they are numbers or text: a compiled hash table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import I32, I64, U8
from tocsin.intrinsics import address_of, fold_product, load_u64, prefetch

U64 = npt.NDArray[np.uint64]

NUMBER: Final = 0
TEXT: Final = 1

ADMITTED: Final = 0
MISMATCH: Final = 1
DEVICE_LIMIT: Final = 2
FIELD_LIMIT: Final = 3
SERIES_LIMIT: Final = 4

_AHEAD: Final = 8
_FIRST_SLOTS: Final = 1 << 12
_FIELD_BITS: Final = nb.uint64(31)
_STRIDE: Final = nb.uint64(0x9E3779B97F4A7C15)
_LINE_BITS: Final = nb.uint64(3)
_IN_LINE: Final = nb.uint64(7)
_ONE: Final = nb.uint64(1)
_NUMBER: Final = nb.uint64(NUMBER)
_FREE: Final = nb.uint64(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLimits:
    """Bounds per tenant: devices, fields (numbers and texts) of one device, and series over all devices."""

    devices: int = 200_000
    fields: int = 1_000
    series: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Sightings:
    """Fields of events in question: event i has fields `offsets[i]:offsets[i+1]`.

    `device` and `field` are numbers, or -1 for new names, which then have a provisional number.
    """

    device: I32
    provisional_device: I32
    offsets: I64
    field: I32
    provisional_field: I32
    kind: U8


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of the events: a fault each, and the place of the field at fault.

    `devices` and `fields` are provisional numbers in the order in which they got final ones; `words` the
    new entries of the table.
    """

    fault: U8
    place: I64
    devices: I32
    fields: I32
    words: U64


class SeriesTable:
    """Entries are 64-bit words: device + 1, field, kind; not thread-safe.

    Eight fields of a device that are neighbours in number share one cache line.
    """

    def __init__(self) -> None:
        self._slots: U64 = np.zeros(_FIRST_SLOTS, np.uint64)
        self._fields: I32 = np.zeros(_FIRST_SLOTS, np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def doubtful(
        self,
        device: I32,
        reading_offsets: I32,
        parameter: I32,
        field: I32,
        text_count: I32,
        text_field: I32,
    ) -> I64:
        """The events with a device or field that is unknown or of another kind.

        `field` is per parameter, `text_field` per text field; -1 = unknown. 25 ns a reading when the table
        is large.
        """
        rows: I64 = _doubtful(device, reading_offsets, parameter, field, text_count, text_field, self._slots)
        return rows

    def learn(self, seen: Sightings, devices: int, fields: int, limits: SeriesLimits) -> Learnt:
        """Admit these events one after another, each whole or not at all.

        `devices` and `fields` are how many there are numbers for; new ones go on from there.
        """
        self._reserve(len(seen.field), devices + len(seen.device))
        counts = np.array([devices, fields, self._count], np.int64)
        bounds = np.array([limits.devices, limits.fields, limits.series], np.int64)
        new_devices = np.full(len(seen.device), -1, np.int32)
        new_fields = np.full(len(seen.field), -1, np.int32)
        words: U64 = np.empty(len(seen.field), np.uint64)
        fault, place = _learn(
            seen.device,
            seen.provisional_device,
            new_devices,
            seen.offsets,
            seen.field,
            seen.provisional_field,
            new_fields,
            seen.kind,
            self._slots,
            self._fields,
            counts,
            bounds,
            words,
        )
        words = words[: counts[2] - self._count]
        self._count = int(counts[2])
        return Learnt(fault, place, _in_order(new_devices), _in_order(new_fields), words)

    def add(self, words: U64, devices: int) -> None:
        """Put back entries that `learn` or `words` gave, when there are numbers for so many devices."""
        self._reserve(len(words), devices)
        _insert_all(words, self._slots, self._fields)
        self._count += len(words)

    def words(self) -> U64:
        """All entries, in no particular order."""
        words: U64 = self._slots[self._slots != 0]
        return words

    def _reserve(self, entries: int, devices: int) -> None:
        """Room for so many more entries with half of the slots left free, and for so many devices."""
        if devices > len(self._fields):
            more = max(devices, 2 * len(self._fields)) - len(self._fields)
            self._fields = np.concatenate([self._fields, np.zeros(more, np.int32)])
        size = len(self._slots)
        while size < 2 * (self._count + entries):
            size *= 2
        if size > len(self._slots):
            words = self.words()
            self._slots = np.zeros(size, np.uint64)
            self._fields.fill(0)
            _insert_all(words, self._slots, self._fields)


def _in_order(numbers: I32) -> I32:
    """Provisional numbers that got final ones (others have -1), in the order of these."""
    used = np.flatnonzero(numbers >= 0)
    order: I32 = used[np.argsort(numbers[used])].astype(np.int32)
    return order


@nb.njit(cache=True, nogil=True)
def _key(device: int, field: int) -> Any:
    return nb.uint64(device + 1) << _FIELD_BITS | nb.uint64(field)


@nb.njit(cache=True, nogil=True)
def _find(key: Any, slots: int, mask: Any) -> tuple[Any, Any]:
    """The slot where the key is or belongs, and the word in it, 0 when free."""
    at = (_home(key) | (key & _IN_LINE)) & mask
    word = load_u64(slots + nb.int64(at << nb.uint64(3)))
    while word not in (_FREE, key << _ONE, key << _ONE | _ONE):
        at = (at + _ONE) & mask
        word = load_u64(slots + nb.int64(at << nb.uint64(3)))
    return at, word


@nb.njit(cache=True, nogil=True)
def _doubtful(
    device: I32,
    reading_offsets: I32,
    parameter: I32,
    field: I32,
    text_count: I32,
    text_field: I32,
    slots: U64,
) -> I64:
    table, mask = address_of(slots), nb.uint64(len(slots) - 1)
    rows = np.empty(len(device), np.int64)
    count = text = 0
    for i in range(len(device)):
        ahead = i + _AHEAD
        if ahead < len(device) and reading_offsets[ahead] < len(parameter):
            _ask_for(device[ahead], field[parameter[reading_offsets[ahead]]], table, mask)
        sure = device[i] >= 0
        home, homes_key = _FREE, ~_FREE
        for j in range(reading_offsets[i], reading_offsets[i + 1]):
            number = field[parameter[j]]
            if not sure or number < 0:
                sure = False
                break
            key = _key(device[i], number)
            if key >> _LINE_BITS != homes_key:
                home, homes_key = _home(key), key >> _LINE_BITS
            at = (home | (key & _IN_LINE)) & mask  # where it mostly is
            known = load_u64(table + nb.int64(at << nb.uint64(3))) == (key << _ONE | _NUMBER)
            sure = known or _is_known(device[i], number, NUMBER, table, mask)
        for j in range(text, text + text_count[i]):
            sure = sure and text_field[j] >= 0 and _is_known(device[i], text_field[j], TEXT, table, mask)
        text += text_count[i]
        if not sure:
            rows[count] = i
            count += 1
    return rows[:count].copy()


@nb.njit(cache=True, nogil=True)
def _ask_for(device: int, field: int, table: int, mask: Any) -> None:
    """Ask for the cache line with the first reading's field, where its neighbours mostly are too."""
    if device >= 0 and field >= 0:
        key = _key(device, field)
        prefetch(table + nb.int64((_home(key) & mask) << nb.uint64(3)))


@nb.njit(cache=True, nogil=True)
def _home(key: Any) -> Any:
    """The first slot, before it is masked, of the cache line where a key belongs."""
    return fold_product(key >> _LINE_BITS, _STRIDE) << _LINE_BITS


@nb.njit(cache=True, nogil=True)
def _is_known(device: int, field: int, kind: int, table: int, mask: Any) -> bool:
    key = _key(device, field)
    _, word = _find(key, table, mask)
    known: bool = word == (key << _ONE | nb.uint64(kind))
    return known


@nb.njit(cache=True, nogil=True)
def _learn(
    device: I32,
    provisional_device: I32,
    new_devices: I32,
    offsets: I64,
    field: I32,
    provisional_field: I32,
    new_fields: I32,
    kind: U8,
    slots: U64,
    device_fields: I32,
    counts: I64,
    bounds: I64,
    words: U64,
) -> tuple[U8, I64]:
    """Faults and places of all events; the tables, counts and new numbers are changed in place."""
    faults, places = np.zeros(len(device), np.uint8), np.full(len(device), -1, np.int64)
    first_count = counts[2]
    finals = np.empty(len(field), np.int32)
    for i in range(len(device)):
        own = device[i] if device[i] >= 0 else new_devices[provisional_device[i]]
        for j in range(offsets[i], offsets[i + 1]):
            finals[j] = field[j] if field[j] >= 0 else new_fields[provisional_field[j]]
        start, end = offsets[i], offsets[i + 1]
        faults[i], places[i] = _judge(own, finals, kind, start, end, slots, device_fields, counts, bounds)
        if faults[i] != ADMITTED:
            continue
        if own < 0:
            own = counts[0]
            new_devices[provisional_device[i]] = own
            counts[0] += 1
        for j in range(start, end):
            if finals[j] < 0:
                finals[j] = counts[1]
                new_fields[provisional_field[j]] = finals[j]
                counts[1] += 1
            at, word = _find(_key(own, finals[j]), address_of(slots), nb.uint64(len(slots) - 1))
            if word == _FREE:
                word = _key(own, finals[j]) << _ONE | nb.uint64(kind[j])
                slots[at] = word
                device_fields[own] += 1
                words[counts[2] - first_count] = word
                counts[2] += 1
    return faults, places


@nb.njit(cache=True, nogil=True)
def _judge(
    device: int,
    field: I32,
    kind: U8,
    start: int,
    end: int,
    slots: U64,
    device_fields: I32,
    counts: I64,
    bounds: I64,
) -> tuple[int, int]:
    """The fault of one event (fields `start` to `end`), and which of its fields is at fault."""
    if device < 0 and counts[0] >= bounds[0]:
        return DEVICE_LIMIT, -1
    known = device_fields[device] if device >= 0 else 0
    first_new, new = -1, 0
    for j in range(start, end):
        word = _FREE
        if device >= 0 and field[j] >= 0:
            _, word = _find(_key(device, field[j]), address_of(slots), nb.uint64(len(slots) - 1))
        if word == _FREE:
            new += 1
            first_new = j if first_new < 0 else first_new
        elif word & _ONE != nb.uint64(kind[j]):
            return MISMATCH, j
    if known + new > bounds[1]:
        return FIELD_LIMIT, first_new
    if new > 0 and counts[2] + new > bounds[2]:
        return SERIES_LIMIT, first_new
    return ADMITTED, -1


@nb.njit(cache=True, nogil=True)
def _insert_all(words: U64, slots: U64, device_fields: I32) -> None:
    for i in range(len(words)):
        at, found = _find(words[i] >> _ONE, address_of(slots), nb.uint64(len(slots) - 1))
        if found == _FREE:
            slots[at] = words[i]
            device_fields[nb.int64(words[i] >> (_FIELD_BITS + _ONE)) - 1] += 1
