"""The port of dump steps: where each dump detector stands with each device, and what it found.

One step is one transaction of the commit store. Every implementation passes
tests/contract/test_dump_steps.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.commit.abstract import ReadyDump
from tocsin.control import DumpReceived
from tocsin.model import Episode

DumpPlace = tuple[int, int]
"""Epoch and sequence of a dump; a device's dumps are shown in this order."""

BEFORE_ALL: Final[DumpPlace] = (-1, 0)


class StepFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a detector is shown no more dumps of a device: what DumpDetectorFailed said in the log.

    `episode` is the id of the operational episode that tells of it. `late` are dumps that came after their
    gap had been given up meanwhile: a correction takes them in when the device is released.
    """

    epoch: int
    sequence: int
    sha256: str
    version: str
    kind: str
    detail: str
    at_ms: int
    episode: str
    late: tuple[DumpPlace, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dump detector stands with a device. `revision` counts the commits; 0 is before the first.

    `since` and `last` are the first and the last dump that it was shown. `version` saved `state`. `digest`
    is the sum modulo 2^128 of the hashes of all judged dumps, as 32 hex digits. `open` is what is needed to
    go on with episodes that have not ended, opaque to the store. `note` is for people.
    """

    tenant: str
    device: str
    detector: str
    revision: int = 0
    since: DumpPlace | None = None
    last: DumpPlace | None = None
    version: str = ""
    digest: str = "0" * 32
    open: bytes = b""
    failure: StepFailure | None = None
    state: bytes | None = None
    note: str = ""


class JudgedDump(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a detector found in a dump: findings as canonical JSON, in its order.

    `config` is the detector's configuration in force then, as canonical JSON, None where an earlier release
    did not keep it. `revision` counts from 0; a correction makes the next, and the earlier ones stay.
    """

    epoch: int
    sequence: int
    sha256: str
    version: str
    findings: tuple[bytes, ...]
    config: bytes | None = None
    revision: int = 0

    @property
    def place(self) -> DumpPlace:
        """Where it belongs in the device's order."""
        return self.epoch, self.sequence


class StepSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector knew of a device after one of its dumps: a correction can go on from there.

    `version` saved `state`, with the configuration `config` in force. `open` is as in Standing.
    """

    epoch: int
    sequence: int
    version: str
    config: bytes
    state: bytes
    open: bytes = b""

    @property
    def place(self) -> DumpPlace:
        """The dump after which this was known."""
        return self.epoch, self.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCommit:
    """What one step, or one correction, gave; all of it or nothing.

    Refused with FencedError unless `lease_epoch` is that of the partition's holder and `standing` follows
    the stored revision. `done` are numbers of ready dumps that every detector in force has had. Snapshots
    are `forgotten` before others are kept.
    """

    partition: int
    lease_epoch: int
    standing: Standing
    judged: Sequence[JudgedDump] = ()
    episodes: Sequence[Episode] = ()
    done: Sequence[int] = ()
    snapshots: Sequence[StepSnapshot] = ()
    forgotten: Sequence[DumpPlace] = ()


class DumpStepStore(ABC):
    """Durable before a commit returns. Thread-safe."""

    @abstractmethod
    def commit_step(self, commit: StepCommit) -> None:
        """Standing, findings, episodes to the outbox and dumps done, in one synced transaction.

        FencedError, and nothing is changed, for a worker that has lost its partition or comes twice.
        """

    @abstractmethod
    def settle(self, partition: int, lease_epoch: int, numbers: Sequence[int]) -> None:
        """Take these dumps off the ready ones, since nobody is to see them; FencedError as above."""

    @abstractmethod
    def standings(self, tenant: str, device: str) -> dict[str, Standing]:
        """By detector, states included; CorruptError where one was altered."""

    @abstractmethod
    def digests(self, tenant: str) -> list[tuple[str, str, int]]:
        """Device, detector and sum of each standing of the tenant."""

    @abstractmethod
    def next_tenant(self, after: str) -> str | None:
        """The first tenant behind `after` by name that has ready dumps."""

    @abstractmethod
    def devices(self, tenant: str, after: str, *, limit: int = 64) -> list[str]:
        """Devices with ready dumps behind `after`, by name; a seek each, however many dumps there are."""

    @abstractmethod
    def ready_of(self, tenant: str, device: str, *, limit: int = 64) -> list[ReadyDump]:
        """The device's ready dumps by number."""

    @abstractmethod
    def waiting(self, tenant: str | None = None) -> int:
        """How many dumps are ready, of one tenant or of all."""

    @abstractmethod
    def dealt(self, tenant: str, device: str, after: DumpPlace, *, limit: int = 100) -> list[DumpReceived]:
        """Dumps that are no longer ready, behind `after`, in the device's order."""

    @abstractmethod
    def judged(
        self, tenant: str, device: str, detector: str, after: DumpPlace, *, limit: int = 100
    ) -> list[JudgedDump]:
        """The newest revision of each judged dump behind `after`, in the device's order."""

    @abstractmethod
    def revisions(self, tenant: str, device: str, detector: str, place: DumpPlace) -> list[JudgedDump]:
        """All that was ever said about a dump, oldest first."""

    @abstractmethod
    def snapshot_places(self, tenant: str, device: str, detector: str) -> list[DumpPlace]:
        """After which dumps there are snapshots, in the device's order."""

    @abstractmethod
    def snapshot(self, tenant: str, device: str, detector: str, before: DumpPlace) -> StepSnapshot | None:
        """The last snapshot before a dump; CorruptError where it was altered."""
