"""What the third party sends, read strictly: an answer that is not whole and right is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.directory.abstract import DirectoryError, Entry, Failure

LINES_MAX: Final = 10_000
NAME_CHARACTERS_MAX: Final = 256
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class _ListLine(msgspec.Struct):
    device: str = msgspec.field(name="deviceId")
    location: str | None


class _Device(msgspec.Struct):
    device: str = msgspec.field(name="deviceId")
    technician: str | None = msgspec.field(name="responsibleTechnicianId")
    location: str | None


_LINES: Final = msgspec.json.Decoder(_ListLine)
_DEVICES: Final = msgspec.json.Decoder(_Device)


def technician_of(text: str) -> str | None:
    """A technician's GUID in small letters; None for anything else.

    >>> technician_of("6F9619FF-8B86-D011-B42D-00C04FC964FF")
    '6f9619ff-8b86-d011-b42d-00c04fc964ff'
    >>> technician_of("../devices")
    """
    small = text.lower()
    return small if _GUID.fullmatch(small) else None


def read_list(technician: str, body: bytes) -> Sequence[Entry]:
    """Every line of an NDJSON list. DirectoryError if one is broken, cut off, or names a device again.

    The last line needs its end, too: without one nobody knows whether it, or a line behind it, was cut off.
    """
    if body and not body.endswith(b"\n"):
        raise _broken("the list is cut off: its last line has no end")
    lines = body.split(b"\n")[:-1]
    if len(lines) > LINES_MAX:
        raise DirectoryError(Failure.TOO_LARGE, f"the list has more than {LINES_MAX} lines")
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            told = _LINES.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _broken(f"line {number} of the list can't be read: {error}") from error
        if told.device in found:
            raise _broken(f"line {number} of the list names a device again")
        found[_name(told.device)] = Entry(told.device, technician, _place(told.location))
    return list(found.values())


def read_device(device: str, body: bytes) -> Entry:
    """The answer for one device; DirectoryError if it is broken or speaks of another device."""
    try:
        told = _DEVICES.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(f"the answer can't be read: {error}") from error
    if told.device != device:
        raise _broken("the answer speaks of another device")
    if told.technician is None:
        return Entry(device, None, _place(told.location))
    technician = technician_of(told.technician)
    if technician is None:
        raise _broken("the technician is no GUID")
    return Entry(device, technician, _place(told.location))


def _name(text: str) -> str:
    if not 1 <= len(text) <= NAME_CHARACTERS_MAX:
        raise _broken(f"a name has more than {NAME_CHARACTERS_MAX} characters, or none")
    return text


def _place(location: str | None) -> str | None:
    return None if location is None else _name(location)


def _broken(detail: str) -> DirectoryError:
    return DirectoryError(Failure.BROKEN, detail)
