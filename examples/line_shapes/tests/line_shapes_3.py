"""Version 3 as it was released: each dump was judged alone, however strange those before it were."""

from __future__ import annotations

import json
import struct

from line_shapes.detector import LineShapes as Version4
from line_shapes.knowledge import VERSION_2, VERSION_3, Distance, from_bytes, to_bytes
from line_shapes.version_1 import from_version_1
from tocsin.dump_detectors.abstract import DumpDetector

_LENGTH = struct.Struct("<I")


def as_version_3(state: bytes) -> bytes:
    """The bytes of version 4 without what it added."""
    start = len(VERSION_3) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(state, len(VERSION_3))
    head = json.loads(state[start : start + length])
    head["distances"] = {name: row[:4] for name, row in head["distances"].items()}
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    return VERSION_3 + _LENGTH.pack(len(text)) + text + state[start + length :]


class LineShapes(Version4):
    version = "3"

    def save(self) -> bytes:
        return as_version_3(to_bytes(self._known))

    def load(self, state: bytes, version: str) -> None:
        self._known = from_bytes(state, VERSION_3)

    def migrate(self, state: bytes, version: str) -> bytes:
        match version:
            case "1":
                return as_version_3(to_bytes(from_version_1(state)))
            case "2":
                return as_version_3(to_bytes(from_bytes(state, VERSION_2)))
            case _:
                return DumpDetector.migrate(self, state, version)

    def _gather(self, distance: Distance, off: float) -> float:
        return off / self._settings["limit"]
