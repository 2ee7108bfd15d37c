"""Maintenance windows of a device: docs/how-to/maintain.md, "What happens within a window"."""

from __future__ import annotations

from dataclasses import dataclass, field

from proof.model.records import MaintenanceSet

KEPT_MAX = 256


@dataclass(slots=True)
class Maintenance:
    """Spans as (first ms, one behind the last, window), by their beginning."""

    spans: list[tuple[int, int, str]] = field(default_factory=list)

    def hear(self, record: MaintenanceSet, newest_ms: int) -> None:
        """From a stamp on, a window is as the record says; before it, as it was."""
        from_ms = max(record.effective_ms, newest_ms + 1)
        kept = []
        for first, below, window in self.spans:
            if window != record.window:
                kept.append((first, below, window))
            elif first < from_ms:
                kept.append((first, min(below, from_ms), window))
        for first, below in record.spans:
            if below > from_ms and record.no_alert:
                kept.append((max(first, from_ms), below, record.window))
        latest = sorted(kept, key=lambda span: span[1])[-KEPT_MAX:]
        self.spans = sorted(latest, key=lambda span: span[0])

    def silences(self, ts: int) -> bool:
        """Whether nobody is alerted at a stamp."""
        return any(first <= ts < below for first, below, _ in self.spans)

    def again_ms(self, ts: int) -> int:
        """The first stamp from this one on at which somebody is."""
        while self.silences(ts):
            ts = max(below for first, below, _ in self.spans if first <= ts < below)
        return ts
