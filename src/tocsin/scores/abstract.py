"""The port of abnormal readings: a bounded projection of the verdicts, for lists and counts.

Every implementation passes tests/contract/test_abnormal_readings.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec


class AbnormalReading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that a detector called abnormal, judged by the detector that found it strangest.

    `offset` is that of its event in `partition` of the log. `expected`, `lower` and `upper` are None
    where the detector has no band. Times are milliseconds since 1970, UTC.
    """

    tenant: str
    application: str
    device: str
    parameter: str
    ts: int
    value: float
    expected: float | None
    lower: float | None
    upper: float | None
    score: float
    detector: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Scored:
    """Verdicts of one tenant with their scores, for the lake: an Arrow stream of its columns."""

    tenant: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class StoredScores:
    """Scores that wait for the lake; sequences ascend over all partitions and are never used twice."""

    sequence: int
    tenant: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Findings:
    """What a partition's processor found between its last position and `position`.

    `corrected` names (tenant, device) pairs that were derived again: their earlier readings are
    forgotten before `readings` are added. `scored` waits until the lake has it.
    """

    partition: int
    position: int
    readings: Sequence[AbnormalReading] = ()
    corrected: Sequence[tuple[str, str]] = ()
    scored: Sequence[Scored] = ()

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.readings or self.corrected or self.scored)


class AbnormalReadings(ABC):
    """A projection that the log can rebuild: the newest readings and, for longer, counts per minute.

    Thread-safe.
    """

    @abstractmethod
    def append(self, findings: Sequence[Findings]) -> None:
        """Add in one transaction; findings at or below the stored position of their partition are skipped."""

    @abstractmethod
    def positions(self) -> Mapping[int, int]:
        """The position of each partition up to which findings are in."""

    @abstractmethod
    def latest(
        self, tenant: str, *, devices: Collection[str] | None = None, limit: int = 10
    ) -> list[AbnormalReading]:
        """The newest by time stamp, newest first; of these devices, None = of all."""

    @abstractmethod
    def count(
        self, tenant: str, *, after_ms: int, through_ms: int, devices: Collection[str] | None = None
    ) -> int:
        """Readings with after_ms < ts ≤ through_ms; of these devices, None = of all.

        Exact to the millisecond while the readings of the first and last minute are kept, otherwise to
        the minute. A reading that two detectors call abnormal counts once.
        """

    @abstractmethod
    def scored(self, after: int, *, bytes_max: int) -> list[StoredScores]:
        """Scores above a sequence, ascending: up to about `bytes_max`, but one at least if there is one."""

    @abstractmethod
    def forget_scored(self, through: int) -> None:
        """Forget scores up to a sequence, which the lake holds durably; later ones get higher sequences."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
