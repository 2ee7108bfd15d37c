"""Maintenance windows of a device: docs/how-to/maintain.md, "What happens within a window"."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from proof.model.records import MaintenanceSet

KEPT_MAX = 256


@dataclass(frozen=True, slots=True)
class Span:
    """When a window holds, below `below_ms`, and what it asks for."""

    first_ms: int
    below_ms: int
    window: str
    no_alert: bool
    no_learn: bool

    def holds(self, ts: int) -> bool:
        """Whether it holds at a stamp."""
        return self.first_ms <= ts < self.below_ms


@dataclass(slots=True)
class Maintenance:
    """Spans by their beginning."""

    spans: list[Span] = field(default_factory=list)

    def hear(self, record: MaintenanceSet, newest_ms: int) -> None:
        """From a stamp on, a window is as the record says; before it, as it was."""
        from_ms = max(record.effective_ms, newest_ms + 1)
        kept = []
        for span in self.spans:
            if span.window != record.window:
                kept.append(span)
            elif span.first_ms < from_ms:
                kept.append(replace(span, below_ms=min(span.below_ms, from_ms)))
        for first, below in record.spans:
            if below > from_ms:
                asked = record.no_alert, record.no_learn
                kept.append(Span(max(first, from_ms), below, record.window, *asked))
        latest = sorted(kept, key=lambda span: span.below_ms)[-KEPT_MAX:]
        self.spans = sorted(latest, key=lambda span: span.first_ms)

    def silences(self, ts: int) -> bool:
        """Whether nobody is alerted at a stamp."""
        return any(span.holds(ts) and span.no_alert for span in self.spans)

    def learns(self, ts: int) -> bool:
        """Whether what is sent at a stamp is learnt."""
        return not any(span.holds(ts) and span.no_learn for span in self.spans)

    def again_ms(self, ts: int) -> int:
        """The first stamp from this one on at which somebody is."""
        while self.silences(ts):
            ts = max(span.below_ms for span in self.spans if span.holds(ts) and span.no_alert)
        return ts
