"""What happened to files, in order, and its form in a trace."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final


class Kind(IntEnum):
    """The shim's numbers; see shim.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    RENAME = 5
    UNLINK = 6
    MKDIR = 7
    RMDIR = 8
    LINK = 9
    SYNC_DIRECTORY = 10
    MARK = 11
    SYNC_ALL = 12
    ALARM = 13
    OPEN = 14
    ASK = 15


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the disk, or a mark: what somebody had been promised by then (`data`).

    `file` is the file's number (its inode), for what happens to contents; paths are relative to the
    recorded folder. `offset` is a write's place or the size after a truncation.
    """

    kind: Kind
    file: int = 0
    offset: int = 0
    path: str = ""
    target: str = ""
    data: bytes = b""


_HEAD: Final = struct.Struct("=IIQQII")


class TraceError(Exception):
    """The recorder saw something that it can't record."""


def read_trace(trace: Path) -> list[Event]:
    """All events; TraceError when the process did what the recorder can't follow."""
    return list(_events(memoryview(trace.read_bytes())))


def _events(content: memoryview) -> Iterator[Event]:
    at = 0
    while at < len(content):
        size, number, file, offset, path_size, data_size = _HEAD.unpack_from(content, at)
        path = str(content[at + _HEAD.size :][:path_size], "utf-8", "surrogateescape")
        data = bytes(content[at + _HEAD.size + path_size :][:data_size])
        at += size
        kind = Kind(number)
        if kind is Kind.ALARM:
            raise TraceError(f"{path} (file {file})")
        if kind in {Kind.RENAME, Kind.LINK}:
            yield Event(kind, path=path, target=data.decode("utf-8", "surrogateescape"))
        else:
            yield Event(kind, file, offset, path, data=data)


def encode_mark(promise: bytes) -> bytes:
    """A mark as a record of the trace, to be appended in one write."""
    return _HEAD.pack(_HEAD.size + len(promise), Kind.MARK, 0, 0, 0, len(promise)) + promise
