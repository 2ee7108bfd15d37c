"""What a client was told, as a mark in the trace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from proof.shim.event import encode_mark


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard: the answer to a body; that a key or credential works, or (revoked) no longer does.

    Of a dump, device (`name`), sequence and hash (`answer`): that it is kept, or `status` bytes of it.
    Of an action, its `sequence` and key (`answer`): that it was done; of feedback: that it is logged.
    Of a maintenance window (`name`): that this revision (`sequence`) of it is kept and logged.
    """

    kind: Literal["body", "key", "credential", "revoked", "dump", "piece", "action", "feedback", "window"]
    producer: str = ""
    sequence: str = ""
    status: int = 200
    answer: str = ""
    name: str = ""


def decode_promise(mark: bytes) -> Promise:
    """A mark as the promise it stands for."""
    return msgspec.json.decode(mark, type=Promise)


class Notary:
    """Appends promises to a trace, in the order in which they were heard. Thread-safe."""

    def __init__(self, trace: Path) -> None:
        self._descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, promise: Promise) -> None:
        """The promise has been heard just now."""
        record = encode_mark(msgspec.json.encode(promise))
        assert os.write(self._descriptor, record) == len(record)

    def close(self) -> None:
        """No more promises."""
        os.close(self._descriptor)
