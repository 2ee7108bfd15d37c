"""The memory that the compiled scanner works in: outputs sized by the body, and the block of numbers."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.ingest.parsing import _slots as slot
from tocsin.ingest.parsing.limits import ParseLimits

_EVENT_BYTES_MIN: Final = len(b'{"device":"a","ts":0}')
_READING_BYTES_MIN: Final = len(b',"a":0')
_SLACK_BYTES: Final = 16  # copies go 8 bytes at a time
_SEED: Final = secrets.randbits(62)


class Workspace:
    """Arrays that a body of `body_bytes` cannot overrun, and the block that the scanner is given.

    Memory that is not filled is never touched, so a large one costs address space only. One thread at a
    time uses it; `reset` makes it ready for the next body.
    """

    def __init__(self, body_bytes: int, limits: ParseLimits) -> None:
        self.body_bytes = body_bytes
        self.limits = limits
        self._arrays = _outputs(body_bytes, limits.lines) | _tables()
        self.block = np.zeros(slot.SLOTS, np.int64)
        for index, array in self._arrays.items():
            self.block[index] = array.ctypes.data
        self.block[slot.LINES_MAX] = limits.lines
        self.block[slot.LINE_BYTES_MAX] = limits.line_bytes
        self.block[slot.NAME_BYTES_MAX] = limits.name_characters
        self.block[slot.SEED] = _SEED
        self.block[slot.POWERS :].view(np.float64)[:] = [float(f"1e{power}") for power in range(23)]

    def reset(self) -> None:
        """Forget the last body."""
        self.block[slot.ARRAYS : slot.COUNTS_END] = 0
        self._arrays[slot.NAME_SLOTS].fill(0)
        self._arrays[slot.GUESS].fill(-1)

    def count(self, index: int) -> int:
        """What a fill count stands at."""
        return int(self.block[index])

    def head(self, index: int, length: int) -> npt.NDArray[Any]:
        """The filled part of an array, copied."""
        return self._arrays[index][:length].copy()


def fits(workspace: Workspace, body_bytes: int, limits: ParseLimits) -> bool:
    """Whether the workspace may be used for this body."""
    return workspace.body_bytes >= body_bytes and workspace.limits == limits


def names_of(names: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Names of up to 16 bytes, each in 16 bytes of its own, and their lengths."""
    spelled = [name.encode() for name in names]
    padded = b"".join(name.ljust(16, b"\0") for name in spelled)
    return np.frombuffer(padded, np.uint8), np.array([len(name) for name in spelled], np.int64)


def _outputs(body_bytes: int, lines_max: int) -> dict[int, npt.NDArray[Any]]:
    events = min(body_bytes // _EVENT_BYTES_MIN, lines_max) + 2
    readings = body_bytes // _READING_BYTES_MIN + 2
    text_bytes = body_bytes + _SLACK_BYTES
    arrays: dict[int, npt.NDArray[Any]] = {
        index: np.zeros(events, np.int32)
        for index in (slot.DEVICE_OFFSETS, slot.READING_OFFSETS, slot.TEXT_OFFSETS, slot.ID_OFFSETS)
    }
    arrays |= {index: np.empty(events, np.int32) for index in (slot.STREAM, slot.TEXT_COUNT, slot.LINE)}
    arrays |= {index: np.empty(text_bytes, np.uint8) for index in (slot.DEVICE_DATA, slot.TEXT_DATA)}
    arrays[slot.ID_DATA] = np.empty(text_bytes, np.uint8)
    arrays[slot.TS] = np.empty(events, np.int64)
    arrays[slot.PARAMETER] = np.empty(readings, np.int32)
    arrays[slot.VALUE] = np.empty(readings, np.float64)
    arrays[slot.HANDED] = np.empty(3 * (min(body_bytes, lines_max) + 2), np.int64)
    return arrays


def _tables() -> dict[int, npt.NDArray[Any]]:
    return {
        slot.NAME_SLOTS: np.zeros(slot.NAME_SLOT_COUNT, np.int32),
        slot.NAME_START: np.zeros(slot.NAMES_MAX, np.int64),
        slot.NAME_LENGTH: np.zeros(slot.NAMES_MAX, np.int64),
        slot.NAME_NUMBER: np.zeros(slot.NAMES_MAX, np.int64),
        slot.NAME_LINE: np.zeros(slot.NAMES_MAX, np.int64),
        slot.GUESS: np.zeros(slot.GUESSES_MAX, np.int64),
        slot.STREAM_SPANS: np.zeros(4 * slot.STREAMS_MAX, np.int64),
        slot.TEXT_SPANS: np.zeros(4 * slot.TEXT_FIELDS_MAX, np.int64),
    }
