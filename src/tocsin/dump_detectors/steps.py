"""A step: one dump shown to one detector. What is asked for, and what can come of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from tocsin.dump_detectors.abstract import Finding
from tocsin.threads import Future


class DumpFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says of a dump; the fields are those of `Dump`, but `dictionary` is a SHA-256 or empty."""

    sequence: int
    sha256: str
    epoch: int = 0
    collected_from_ms: int | None = None
    collected_to_ms: int | None = None
    application: str = ""
    version: str = ""
    dictionary: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A step to be done.

    `version`: the detector's version that is in force; another one that is installed is refused, empty
    takes what is there. `state` is what the device's step before gave (None for its first) and
    `state_version` the version that saved it. `archive` is the blob as a file that this machine can read,
    `dictionary` that of the dictionary of templates that the dump is judged by.
    """

    tenant: str
    device: str
    detector: str
    archive: Path
    dump: DumpFacts
    version: str = ""
    config: Mapping[str, Any] = {}
    state: bytes | None = None
    state_version: str = ""
    dictionary: Path | None = None


class StepDone(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave: to be committed with the dump's position, or not at all.

    `findings` as the detector gave them, in its order. `state` goes into the next task, with
    `state_version`. `cpu_s` and `wall_s` are the worker's, loading and saving included. `note` is what the
    detector says of where it stands.
    """

    findings: tuple[Finding, ...]
    state: bytes
    state_version: str
    state_sha256: str
    cpu_s: float
    wall_s: float
    note: str = ""


class FailureKind(StrEnum):
    """Why a step gave nothing. What may go away when the same task is run again is said here."""

    CRASH = "crash"  # the process ended; may go away
    HANG = "hang"  # it took longer than its limit of time; may go away
    MEMORY = "memory"  # it wanted more memory than its limit; may go away
    ERROR = "error"  # a method raised, or gave what is no finding or too much: stays, if it is deterministic
    REFUSED = "refused"  # not installed, another version, wrong configuration, unreadable state: stays
    ARCHIVE = "archive"  # the blob is away or damaged, which is no fault of the detector: stays
    STORAGE = "storage"  # the machine could not open or read it: too many open files, a disk; may go away


_PASSING: Final = frozenset({FailureKind.CRASH, FailureKind.HANG, FailureKind.MEMORY, FailureKind.STORAGE})


class StepFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A step that gave nothing and changed nothing; `detail` is for people, at most 4 KiB."""

    kind: FailureKind
    detail: str
    wall_s: float = 0.0

    @property
    def may_go_away(self) -> bool:
        """Whether running the same task again could help."""
        return self.kind in _PASSING


class Stepper(ABC):
    """Runs steps. Tasks of one device must be given one after the other, each with the state before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        """Begin a step and return at once. The future never holds an exception that the detector caused.

        Tasks of one device go to one worker, in the order given. The queue is the caller's: what is
        given is held in memory, so give about as many as there are workers. Thread-safe.
        """

    @abstractmethod
    def close(self) -> None:
        """End the workers at once; steps under way fail as crashes. Blocks for seconds; idempotent."""
