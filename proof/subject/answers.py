"""What senders were answered, beside the disk that is proved: an answer given once holds for ever."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar


class Sent(Protocol):
    """Something that a sender numbers and sends in order."""

    @property
    def producer(self) -> str:
        """Who sends it."""
        ...

    @property
    def sequence(self) -> str:
        """Its number."""
        ...


AnySent = TypeVar("AnySent", bound=Sent)


class BrokenPromiseError(Exception):
    """Something that was answered is answered differently, or never comes to an end."""


class Answers:
    """What was answered, durable for the sender: a file outside the disk that is proved. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lines = path.read_text().splitlines()
        self._known = {(said[0], said[1]): said[2] for said in map(json.loads, lines)}

    def note(self, body: Sent, answer: str) -> None:
        """An answer has come; BrokenPromiseError if it differs from an earlier one."""
        known = self._known.setdefault((body.producer, body.sequence), answer)
        if _told(known) != _told(answer):
            raise BrokenPromiseError(f"{body.producer}/{body.sequence}: {known} first, then {answer}")
        os.write(self._descriptor, (json.dumps([body.producer, body.sequence, known]) + "\n").encode())

    def has(self, body: Sent) -> bool:
        """Whether it was answered, in this life or an earlier one."""
        return (body.producer, body.sequence) in self._known

    def told(self, body: Sent) -> str | None:
        """What was answered, if anything was."""
        return self._known.get((body.producer, body.sequence))

    def unanswered(self, bodies: Sequence[AnySent]) -> Sequence[AnySent]:
        """What is still to be sent, and the last that was answered once more, as a doubtful sender would."""
        answered = sum((body.producer, body.sequence) in self._known for body in bodies)
        return bodies[max(answered - 1, 0) :]


def _told(answer: str) -> tuple[object, ...]:
    """Lines received, refused, and taken now or before (a repeat tells the latter as repeated); or of a dump
    what became of it; or the number of an action, and to what it was done; or a window, and when it ended."""
    said = json.loads(answer)
    if "outcome" in said:
        return said["outcome"], said["size_bytes"]
    if "action" in said:
        return said["action"], said["done"]
    if "window" in said:
        return said["window"], said["ended_ms"]
    return said["received"], said["rejected"], said["accepted"] + said["repeated"]
