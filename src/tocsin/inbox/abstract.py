"""The inbox port: anomalies, folded from episodes and from what people did.

Every implementation passes tests/contract/test_inbox.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.action import Action, Handling, Recorded
from tocsin.model import Severity


class Condition(StrEnum):
    """Whether the cause still shows in the data."""

    ACTIVE = "active"
    CLEARED = "cleared"


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """What a person acts on. `version` is the ETag: it grows with every change.

    `recurrences` counts the episodes folded in after the first; `episodes` names the newest of them (at
    most 100). Times are milliseconds, UTC. `seen_at_ms` None = unseen. `merged_into` has its episodes now.
    `settled_ms` and `settled_severity`: what the data said when it was resolved or snoozed.
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
    snoozed_until_ms: int | None = None
    assignee: str | None = None
    merged_into: str | None = None
    settled_ms: int | None = None
    settled_severity: Severity | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an anomaly; `action` is the action that did it, None for an episode."""

    sequence: int
    anomaly_id: str
    tenant: str
    at_ms: int
    actor: str
    kind: str
    detail: str
    action: int | None = None


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Filters of a list; None = any. Newest change first; `before_sequence` is the cursor.

    What was merged into another one is in no list.
    """

    tenant: str
    device: str | None = None
    application: str | None = None
    parameter: str | None = None
    severity: Severity | None = None
    condition: Condition | None = None
    handling: Handling | None = None
    unresolved: bool | None = None
    seen: bool | None = None
    assignee: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    before_sequence: int | None = None
    limit: int = 50


class Inbox(ABC):
    """Ordered and durable. Thread-safe.

    Its log has two kinds of records: rows of the outbox, by their sequence, and actions, each of which names
    the row it comes after. What the inbox shows follows from that log and from nothing else.
    """

    @abstractmethod
    def fold(self, rows: Sequence[OutboxRow], now_ms: int) -> Sequence[Anomaly]:
        """Fold episodes in, idempotent by outbox sequence, synced on return; the anomalies that changed."""

    @abstractmethod
    def act(self, action: Action) -> Recorded:
        """Do it to every target that can take it, synced on return; each outcome says what became of one.

        The same key again changes nothing and gets the first answer; with another action it is a
        ConflictError.
        """

    @abstractmethod
    def wake(self, now_ms: int, *, limit: int = 100) -> int:
        """Open what was snoozed until now, by an action of each tenant; how many, at most `limit`."""

    @abstractmethod
    def action(self, tenant: str, sequence: int) -> Recorded | None:
        """One action of the tenant."""

    @abstractmethod
    def action_of_key(self, tenant: str, actor: str, key: str) -> Recorded | None:
        """What an actor was answered under a key; None where there was none, and for the key ""."""

    @abstractmethod
    def actions(self, after: int, *, limit: int = 1000) -> list[Recorded]:
        """Actions with a sequence above `after`, ascending."""

    @abstractmethod
    def position(self) -> int:
        """The last outbox sequence folded in."""

    @abstractmethod
    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """A page, newest change first."""

    @abstractmethod
    def anomalies_of(self, devices: Collection[str], query: AnomalyQuery) -> list[Anomaly]:
        """As `anomalies`, of these devices alone, which are named once; `query` names none itself.

        Costs a look for each device, and with other filters than `unresolved` its newer past.
        """

    @abstractmethod
    def anomaly(self, tenant: str, anomaly_id: str) -> Anomaly | None:
        """One anomaly of the tenant."""

    @abstractmethod
    def history(self, tenant: str, anomaly_id: str) -> list[Change]:
        """What happened to it, oldest first."""

    @abstractmethod
    def history_from(self, tenant: str, anomaly_id: str, version: int, *, limit: int = 100) -> list[Change]:
        """What happened to it since it had this version, oldest first: each version is one entry."""

    @abstractmethod
    def changes(self, after: int, *, tenant: str | None = None, limit: int = 1000) -> list[Change]:
        """Entries with a sequence above `after`, ascending; for live views."""

    @abstractmethod
    def changes_of(
        self, tenant: str, devices: Collection[str], after: int, *, limit: int = 1000
    ) -> list[Change]:
        """The same of these devices' anomalies alone; costs what changed at them, and nothing for others."""

    @abstractmethod
    def last_change(self) -> int:
        """The newest sequence of `changes`, 0 before the first."""

    @abstractmethod
    def close(self) -> None:
        """Close; idempotent."""
