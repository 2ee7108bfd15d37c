"""What people say of a series, as one detector hears it: docs/explanation/feedback.md."""

from __future__ import annotations

from dataclasses import dataclass, field

STEPS_MAX = 3
KEPT_MAX = 32


@dataclass(slots=True)
class Said:
    """One piece of feedback: from `from_ms` on the limits are raised by `steps`, until then by `before`."""

    from_ms: int
    steps: int
    before: int
    action: int


@dataclass(slots=True)
class Feedback:
    """All that acts on a series, oldest first."""

    said: list[Said] = field(default_factory=list)

    def hear(self, kind: str, action: int, from_ms: int) -> None:
        """Take one in, unless it is known or changes nothing."""
        before = self.said[-1].steps if self.said else 0
        after = min(before + 1, STEPS_MAX) if kind == "false_alarm" else max(before - 1, 0)
        if after == before or any(each.action == action for each in self.said):
            return
        if self.said:
            from_ms = max(from_ms, self.said[-1].from_ms)
        self.said = [*self.said, Said(from_ms, after, before, action)][-KEPT_MAX:]

    def factor(self, ts: int) -> float:
        """How many times as high limits are at a stamp."""
        steps = self.said[0].before if self.said else 0
        for each in self.said:
            if each.from_ms <= ts:
                steps = each.steps
        return float(1.5**steps)
