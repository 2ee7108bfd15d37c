"""Version 2 as it was released: a new line was found in the dump it came in first, and never again."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

from line_shapes_3 import LineShapes as Version3
from line_shapes_3 import as_version_3

from line_shapes.knowledge import VERSION_2, from_bytes, to_bytes
from line_shapes.version_1 import from_version_1
from tocsin.dump_detectors.abstract import Dump, DumpDetector, Finding

_LENGTH = struct.Struct("<I")


def as_version_2(state: bytes) -> bytes:
    """The bytes of version 4 without what it and version 3 added."""
    state = as_version_3(state)
    start = len(VERSION_2) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(state, len(VERSION_2))
    head = json.loads(state[start : start + length])
    del head["young"]
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    return VERSION_2 + _LENGTH.pack(len(text)) + text + state[start + length :]


class LineShapes(Version3):
    version = "2"

    def save(self) -> bytes:
        return as_version_2(to_bytes(self._known))

    def load(self, state: bytes, version: str) -> None:
        self._known = from_bytes(state, VERSION_2)

    def migrate(self, state: bytes, version: str) -> bytes:
        if version != "1":
            return DumpDetector.migrate(self, state, version)
        return as_version_2(to_bytes(from_version_1(state)))

    def process(self, dump: Dump) -> Iterator[Finding]:
        yield from super().process(dump)
        self._known.young.clear()
