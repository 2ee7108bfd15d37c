"""What people make of an anomaly: docs/explanation/handling.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

from proof.model.policy import SEVERITIES


@dataclass(frozen=True, slots=True)
class Deed:
    """An action that was done to `done`, in the order in which it names them; others it left alone."""

    sequence: int
    position: int
    kind: str
    at_ms: int
    done: tuple[str, ...]
    until_ms: int | None = None
    assignee: str | None = None
    episodes: tuple[str, ...] = ()
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What the data say of an anomaly, as far as it matters here."""

    active: bool
    severity: str
    last_ms: int


@dataclass(frozen=True, slots=True)
class Handled:
    """`settled` is what the data had said when it was resolved or snoozed."""

    handling: str = "open"
    seen_at_ms: int | None = None
    snoozed_until_ms: int | None = None
    assignee: str | None = None
    settled: Span | None = None

    def done(self, deed: Deed, now: Span) -> Handled:
        """After one of the simple actions."""
        seen = self if self.seen_at_ms is not None else replace(self, seen_at_ms=deed.at_ms)
        free = replace(seen, snoozed_until_ms=None, settled=None)
        match deed.kind:
            case "acknowledge":
                after = replace(free, handling="acknowledged")
            case "snooze":
                after = replace(free, handling="snoozed", snoozed_until_ms=deed.until_ms, settled=now)
            case "resolve":
                after = replace(free, handling="resolved", settled=now)
            case "reopen":
                after = replace(free, handling="open")
            case "wake":
                after = replace(free, handling="open", seen_at_ms=self.seen_at_ms)
            case "assign":
                after = replace(seen, assignee=deed.assignee)
            case "seen" | "comment" | "feedback":
                after = seen
            case _:
                raise ValueError(deed.kind)
        return after

    def given_back(self, before: Handled) -> Handled:
        """After an undo: as it was, but who has seen it has seen it."""
        return replace(before, seen_at_ms=self.seen_at_ms)

    def regrouped(self, now: Span) -> Handled:
        """After its episodes were put together anew."""
        return self if self.settled is None else replace(self, settled=now)

    def met(self, before: Span, now: Span, begun_ms: int | None) -> Handled:
        """After an episode; `begun_ms` is its start if it was not known before."""
        if self.settled is None:
            return self
        worse = SEVERITIES.index(now.severity) > SEVERITIES.index(self.settled.severity)
        recurs = begun_ms is not None and begun_ms > self.settled.last_ms
        again = now.active and not before.active
        if worse or (self.handling == "resolved" and (recurs or again)):
            return replace(self, handling="open", seen_at_ms=None, snoozed_until_ms=None, settled=None)
        return self
