"""The inbox port: anomalies, folded from episodes and from what people did.

Every implementation passes tests/contract/test_inbox.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tocsin.commit.abstract import OutboxRow
from tocsin.model import Severity


class Condition(StrEnum):
    """Whether the cause still shows in the data."""

    ACTIVE = "active"
    CLEARED = "cleared"


class Handling(StrEnum):
    """What people have made of it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """What a person acts on. `version` is the ETag: it grows with every change.

    `recurrences` counts the episodes folded in after the first; `episodes` names the newest of them (at
    most 100). Times are milliseconds, UTC. `seen_at_ms` None = unseen.
    """

    id: str
    tenant: str
    application: str
    device: str
    parameters: tuple[str, ...]
    detectors: tuple[str, ...]
    severity: Severity
    condition: Condition
    handling: Handling
    started_ms: int
    last_abnormal_ms: int
    cleared_ms: int | None
    updated_sequence: int
    version: int
    recurrences: int
    explanation: str
    peak_score: float
    episodes: tuple[str, ...]
    seen_at_ms: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the inbox's ordered log: what happened to an anomaly."""

    sequence: int
    anomaly_id: str
    tenant: str
    at_ms: int
    actor: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Filters of a list; None = any. Newest change first; `before_sequence` is the cursor."""

    tenant: str
    device: str | None = None
    application: str | None = None
    parameter: str | None = None
    severity: Severity | None = None
    condition: Condition | None = None
    handling: Handling | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    before_sequence: int | None = None
    limit: int = 50


class Inbox(ABC):
    """Ordered and durable. Thread-safe."""

    @abstractmethod
    def fold(self, rows: Sequence[OutboxRow], now_ms: int) -> Sequence[Anomaly]:
        """Fold episodes in, idempotent by outbox sequence, synced on return; the anomalies that changed."""

    @abstractmethod
    def position(self) -> int:
        """The last outbox sequence folded in."""

    @abstractmethod
    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """A page, newest change first."""

    @abstractmethod
    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly | None:
        """One anomaly of the tenant."""

    @abstractmethod
    def history(self, tenant: str, anomaly_id: str) -> list[Change]:
        """What happened to it, oldest first."""

    @abstractmethod
    def changes(self, after: int, *, tenant: str | None = None, limit: int = 1000) -> list[Change]:
        """Entries with a sequence above `after`, ascending; for live views."""

    @abstractmethod
    def last_change(self) -> int:
        """The newest sequence of `changes`, 0 before the first."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
