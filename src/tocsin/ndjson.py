"""Events as NDJSON lines: what a device sends, and what `POST /v1/events` reads back unchanged."""

from __future__ import annotations

from typing import Final

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.errors import InvalidInputError
from tocsin.events import F64, I32, I64, U8, EventBatch, Strings

CONTENT_TYPE: Final = "application/x-ndjson"
RESERVED_FIELDS: Final = frozenset({"device", "ts", "application", "version", "id"})

I8 = npt.NDArray[np.int8]

_NEEDS_REPR: Final = -1
_DECIMALS_MAX: Final = 9
_NUMBER_BYTES_MAX: Final = 25  # the longest repr of a float64, e.g. -2.2250738585072014e-308, and a comma
_HEAD: Final = np.frombuffer(b'{"device":"', np.uint8)
_TS: Final = np.frombuffer(b'","ts":', np.uint8)
_ID: Final = np.frombuffer(b',"id":"', np.uint8)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_LINE_BYTES_MAX: Final = len(_HEAD) + len(_TS) + 20 + len(_ID) + len(b'",}\n')


def encode_ndjson(batch: EventBatch) -> bytes:
    """One line an event, in order; parsing them gives the same events, every float64 bit by bit.

    Numbers are written in the shortest form that is exact. Flags are not written: ingest decides them.
    InvalidInputError if a parameter is called like a field of the event itself.

    >>> from tocsin.simulate.fleet import Fleet
    >>> from tocsin.simulate.simulator import Simulator
    >>> encode_ndjson(Simulator(Fleet(stations=1), [], 0).advance(60_000).batch)[:24]
    b'{"device":"station-0","t'
    """
    if clash := RESERVED_FIELDS.intersection(batch.names):
        name = min(clash)
        raise InvalidInputError(f"a parameter can't be called {name!r}: rename it before sending", field=name)
    decimals = np.empty(batch.readings, np.int8)
    _find_decimals(batch.value, decimals)
    long_numbers = Strings.of([repr(value) for value in batch.value[decimals == _NEEDS_REPR].tolist()])
    names = Strings.of([f",{_quoted(name)}:" for name in batch.names])
    streams = Strings.of([_stream_fields(*stream) for stream in batch.streams])
    widths = np.diff(names.offsets)[batch.parameter].sum(dtype=np.int64)
    widths += np.diff(streams.offsets)[batch.stream].sum(dtype=np.int64)
    growth = 6 if _has_specials(batch.device.data) or _has_specials(batch.event_id.data) else 1
    size = (
        len(batch) * _LINE_BYTES_MAX
        + growth * (len(batch.device.data) + len(batch.event_id.data))
        + len(batch.text.data)
        + batch.readings * _NUMBER_BYTES_MAX
        + int(widths)
    )
    out = np.empty(size, np.uint8)
    end = _write_lines(
        out,
        batch.device.offsets,
        batch.device.data,
        batch.ts,
        batch.stream,
        batch.reading_offsets,
        batch.parameter,
        batch.value,
        decimals,
        batch.text.offsets,
        batch.text.data,
        batch.event_id.offsets,
        batch.event_id.data,
        names.offsets,
        names.data,
        streams.offsets,
        streams.data,
        long_numbers.offsets,
        long_numbers.data,
    )
    return out[:end].tobytes()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _stream_fields(application: str, version: str) -> str:
    first = f',"application":{_quoted(application)}' if application else ""
    return first + (f',"version":{_quoted(version)}' if version else "")


def _has_specials(data: U8) -> bool:
    return bool(((data < 0x20) | (data == 0x22) | (data == 0x5C)).any())


@nb.njit(cache=True, nogil=True)
def _find_decimals(value: F64, decimals: I8) -> None:
    """The fewest decimals with which each value is exact: an integer below 2^53 over a power of ten.

    Both are exact in float64, so their quotient is the double that a correct parser makes of the digits.
    """
    for i in range(len(value)):
        scale = 1.0
        decimals[i] = _NEEDS_REPR
        for count in range(_DECIMALS_MAX + 1):
            scaled = np.rint(value[i] * scale)
            if abs(scaled) >= 9007199254740992.0:
                break
            if scaled / scale == value[i]:
                decimals[i] = count
                break
            scale *= 10.0


@nb.njit(cache=True, nogil=True)
def _copy(out: U8, at: int, data: U8, begin: int, end: int) -> int:
    for i in range(begin, end):
        out[at] = data[i]
        at += 1
    return at


@nb.njit(cache=True, nogil=True)
def _write_escaped(out: U8, at: int, data: U8, begin: int, end: int) -> int:
    for i in range(begin, end):
        byte = data[i]
        if byte in (0x22, 0x5C):
            out[at] = 0x5C
            out[at + 1] = byte
            at += 2
        elif byte < 0x20:
            out[at] = 0x5C
            out[at + 1] = 0x75
            out[at + 2] = 0x30
            out[at + 3] = 0x30
            out[at + 4] = _HEX[byte >> 4]
            out[at + 5] = _HEX[byte & 15]
            at += 6
        else:
            out[at] = byte
            at += 1
    return at


@nb.njit(cache=True, nogil=True)
def _write_integer(out: U8, at: int, value: int, digits_min: int) -> int:
    """Decimal digits of a non-negative integer, zero-padded to `digits_min`."""
    length = 1
    rest = value // 10
    while rest:
        length += 1
        rest //= 10
    length = max(length, digits_min)
    for i in range(at + length - 1, at - 1, -1):
        out[i] = 0x30 + value % 10
        value //= 10
    return at + length


@nb.njit(cache=True, nogil=True)
def _write_signed(out: U8, at: int, value: int) -> int:
    if value < 0:
        out[at] = 0x2D
        at += 1
    return _write_integer(out, at, abs(value), 1)


@nb.njit(cache=True, nogil=True)
def _write_decimal(out: U8, at: int, value: float, decimals: int) -> int:
    scale = 1
    for _ in range(decimals):
        scale *= 10
    scaled = int(np.rint(abs(value) * scale))
    if value < 0:
        out[at] = 0x2D
        at += 1
    at = _write_integer(out, at, scaled // scale, 1)
    if decimals:
        out[at] = 0x2E
        at = _write_integer(out, at + 1, scaled % scale, decimals)
    return at


@nb.njit(cache=True, nogil=True)
def _write_lines(
    out: U8,
    device_offsets: I32,
    device: U8,
    ts: I64,
    stream: I32,
    reading_offsets: I32,
    parameter: I32,
    value: F64,
    decimals: I8,
    text_offsets: I32,
    text: U8,
    id_offsets: I32,
    event_id: U8,
    name_offsets: I32,
    names: U8,
    stream_offsets: I32,
    streams: U8,
    long_offsets: I32,
    long_numbers: U8,
) -> int:
    at = 0
    long_seen = 0
    for i in range(len(ts)):
        at = _copy(out, at, _HEAD, 0, len(_HEAD))
        at = _write_escaped(out, at, device, device_offsets[i], device_offsets[i + 1])
        at = _copy(out, at, _TS, 0, len(_TS))
        at = _write_signed(out, at, ts[i])
        at = _copy(out, at, streams, stream_offsets[stream[i]], stream_offsets[stream[i] + 1])
        if id_offsets[i] < id_offsets[i + 1]:
            at = _copy(out, at, _ID, 0, len(_ID))
            at = _write_escaped(out, at, event_id, id_offsets[i], id_offsets[i + 1])
            out[at] = 0x22
            at += 1
        for j in range(reading_offsets[i], reading_offsets[i + 1]):
            at = _copy(out, at, names, name_offsets[parameter[j]], name_offsets[parameter[j] + 1])
            if decimals[j] == _NEEDS_REPR:
                at = _copy(out, at, long_numbers, long_offsets[long_seen], long_offsets[long_seen + 1])
                long_seen += 1
            else:
                at = _write_decimal(out, at, value[j], decimals[j])
        # The text is a JSON object of its own: its members join this one, without its braces.
        if text_offsets[i + 1] - text_offsets[i] > 2:
            out[at] = 0x2C
            at = _copy(out, at + 1, text, text_offsets[i] + 1, text_offsets[i + 1] - 1)
        out[at] = 0x7D
        out[at + 1] = 0x0A
        at += 2
    return at
