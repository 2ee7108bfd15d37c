"""What people do with anomalies: records of the inbox's own ordered log."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tocsin.control import FeedbackKind, SeriesName
from tocsin.model import Severity


class Handling(StrEnum):
    """What people have made of it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class ActionKind(StrEnum):
    """What is done. `wake` is done by the clock, all others by people."""

    SEEN = "seen"
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    ASSIGN = "assign"
    COMMENT = "comment"
    FEEDBACK = "feedback"
    MERGE = "merge"
    SPLIT = "split"
    UNDO = "undo"
    WAKE = "wake"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly that is acted on. `version`: as whoever acts has seen it; None = whatever it is now."""

    id: str
    version: int | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done by `actor` to some anomalies of one tenant.

    `until_ms` is when a snooze ends, `assignee` who is to see to it (None = nobody). A merge puts all targets
    into the first one; a split takes `episodes` out of the only one; an undo has no targets but those of the
    action that it `undoes`. `key`: the same key of the same actor stands for the same action; "" = none.
    `feedback` is what was said of the `series` of the anomaly, which was abnormal in the `spans`. Targets
    that are `hidden` from who acts are as if there were none of that name.
    """

    kind: ActionKind
    tenant: str
    actor: str
    at_ms: int
    targets: tuple[Target, ...]
    note: str = ""
    until_ms: int | None = None
    assignee: str | None = None
    episodes: tuple[str, ...] = ()
    undoes: int | None = None
    key: str = ""
    feedback: FeedbackKind | None = None
    series: tuple[SeriesName, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    hidden: tuple[str, ...] = ()

    def is_repeated_by(self, other: Action) -> bool:
        """Whether the other asks for the same; when, and what data and directory add, does not matter."""
        asked = msgspec.structs.replace(
            other, at_ms=self.at_ms, series=self.series, spans=self.spans, hidden=self.hidden
        )
        return asked == self


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What people had made of an anomaly, for an undo."""

    handling: Handling
    snoozed_until_ms: int | None
    assignee: str | None
    settled_ms: int | None
    settled_severity: Severity | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one target. `code` is "" if it was done, else why not. `version` is as of then.

    `before`: how it was handled. `moved`: episodes that left it for another anomaly.
    """

    id: str
    version: int = 0
    code: str = ""
    detail: str = ""
    before: Held | None = None
    moved: tuple[str, ...] = ()


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An action in its place. `position`: the outbox sequence that had been folded in before it.

    `sequence` 0: no target took it, so nothing was recorded. `repeated`: it had been recorded before.
    """

    sequence: int
    position: int
    action: Action
    outcomes: tuple[Outcome, ...]
    repeated: bool = False
