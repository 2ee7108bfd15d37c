"""Indexes into the block of numbers that the compiled scanner works on; a slot is 8 bytes.

The scanner's functions take only the block's address: it holds the addresses of all arrays and how far
each is filled.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb

from tocsin.intrinsics import load_i64, store_i64

# Outputs: addresses of arrays.
DEVICE_OFFSETS: Final = 0
DEVICE_DATA: Final = 1
TS: Final = 2
STREAM: Final = 3
READING_OFFSETS: Final = 4
PARAMETER: Final = 5
VALUE: Final = 6
TEXT_OFFSETS: Final = 7
TEXT_DATA: Final = 8
TEXT_COUNT: Final = 9
ID_OFFSETS: Final = 10
ID_DATA: Final = 11
LINE: Final = 12
HANDED: Final = 13  # (start, end, line) of each line for the careful reader

# Tables: addresses of arrays.
NAME_SLOTS: Final = 14  # hash table: index of a name + 1, or 0
NAME_START: Final = 15
NAME_LENGTH: Final = 16
NAME_NUMBER: Final = 17  # number as a parameter, -1 until it had a numeric value
NAME_LINE: Final = 18  # line it was last seen on
GUESS: Final = 19  # the name that the k-th field had last
STREAM_SPANS: Final = 20  # (start, length) of application and of version, for each stream
TEXT_SPANS: Final = 21  # (key start, key length, value start, value length) of this line's text fields
ARRAYS: Final = 22

# How far the body has been read.
EVENTS: Final = 22
HANDED_COUNT: Final = 23
LINES: Final = 24
NAMES: Final = 25
PARAMETERS: Final = 26
STREAMS: Final = 27

# Fill counts that a line moves; they are set back when it is handed over.
DEVICE_END: Final = 28
READING_END: Final = 29
TEXT_END: Final = 30
ID_END: Final = 31
TEXT_FIELDS: Final = 32
SEEN: Final = 33  # bits: 1 device, 2 ts; of a log line also 4 component, 8 text
APPLICATION: Final = 34  # start, then length
VERSION: Final = 36  # start, then length

# What was read last.
MINUTE_TEXT: Final = 38  # 16 bytes of the last time stamp, down to the minute
MINUTE_MS: Final = 40

# Values of a log line with their quotes: start, then length.
COMPONENT: Final = 41
LOG_TEXT: Final = 43
LEVEL: Final = 45

COUNTS_END: Final = 47
"""Slots from ARRAYS to here start at 0 for each body."""

LINES_MAX: Final = 47
LINE_BYTES_MAX: Final = 48
NAME_BYTES_MAX: Final = 49
SEED: Final = 50
LOG_LINES: Final = 51  # 1 where lines are those of logs, 0 where they are events
POWERS: Final = 52  # 10^0 … 10^22 as float64
SLOTS: Final = POWERS + 23

NAMES_MAX: Final = 1024
NAME_SLOT_COUNT: Final = 4 * NAMES_MAX
GUESSES_MAX: Final = 256
STREAMS_MAX: Final = 64
TEXT_FIELDS_MAX: Final = 64


@nb.njit(cache=True, nogil=True)
def get(block: int, slot: int) -> Any:
    """The number in a slot."""
    return load_i64(block + 8 * slot)


@nb.njit(cache=True, nogil=True)
def put(block: int, slot: int, number: int) -> None:
    """Write the number of a slot."""
    store_i64(block + 8 * slot, number)
