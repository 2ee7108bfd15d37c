"""Whether a series is watched: from an abnormal reading until its policy would end the run."""

from __future__ import annotations

from dataclasses import dataclass

from proof.model.records import NEVER_MS, Settings
from proof.model.verdicts import ABNORMAL, NORMAL


@dataclass(slots=True)
class Watch:
    """`since_ms` is the first abnormal reading of the latest watch."""

    on: bool = False
    since_ms: int = NEVER_MS
    last_abnormal_ms: int = NEVER_MS
    calm: int = 0

    def follow(self, rules: Settings, ts: int, verdict: int) -> None:
        """One more verdict."""
        if verdict == ABNORMAL:
            self.since_ms = self.since_ms if self.on else ts
            self.on, self.calm, self.last_abnormal_ms = True, 0, ts
        elif verdict == NORMAL and self.on:
            self.calm = min(self.calm + 1, 255)
            quiet = ts - self.last_abnormal_ms >= rules.close_after_s * 1000
            self.on = not (quiet and self.calm >= rules.close_readings)
