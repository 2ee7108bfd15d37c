"""What a simulation found wrong."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Final

from proof.simulation.trace import Trace
from tocsin.errors import StorageFullError, StorageUnavailableError

KEPT: Final = 20


@dataclass(slots=True)
class Findings:
    """`kind` of each says what law is broken; the first ones are kept with their words."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, detail: str) -> None:
        """Something is wrong."""
        if len(self.found) < KEPT:
            self.found.append((kind, detail))

    def add_error(self, kind: str, error: BaseException) -> None:
        """Something raised what it should not have."""
        frames = traceback.format_exception(error)
        self.add(f"{kind}: {type(error).__name__}", "".join(frames)[-2500:])

    def kinds(self) -> tuple[str, ...]:
        """What laws are broken, each once, in order of discovery."""
        return tuple(dict.fromkeys(kind for kind, _ in self.found))


def may_fail(error: BaseException, trace: Trace) -> bool:
    """Whether a part of the system may end with this: the disk refuses, and it was told to."""
    if not any(kind.startswith("disk-") for kind in trace.faults):
        return False
    return isinstance(error, StorageFullError | StorageUnavailableError)
