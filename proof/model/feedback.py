"""What people say of a series, as one detector hears it: docs/explanation/feedback.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

STEPS_MAX = 3
KEPT_MAX = 32
LASTS_MS = 30 * 86_400_000
HOUR_MS = 3_600_000
OF_LIMITS = ("false_alarm", "withdrawn")
EVERY_HOUR = frozenset(range(168))


@dataclass(slots=True)
class Said:
    """One piece of feedback: from `from_ms` on the limits are raised by `steps`, until then by `before`.

    "Confirmed" and "expected" act below `until_ms`. Once it is `void` it acts on nothing.
    """

    kind: str
    from_ms: int
    steps: int
    before: int
    action: int
    until_ms: int = 0
    hours: frozenset[int] = frozenset()
    void: bool = False


@dataclass(slots=True)
class Feedback:
    """All that acts on a series, oldest first."""

    said: list[Said] = field(default_factory=list)

    def hear(
        self, kind: str, action: int, newest_ms: int, begins_ms: int | None, hours: frozenset[int]
    ) -> bool:
        """Take one in, unless it is known or changes nothing; whether it changes the past.

        `begins_ms` is where the anomaly began, `hours` those of the week in which it was abnormal.
        """
        before = self.said[-1].steps if self.said else 0
        after = before
        undone = self._last_standing() if kind == "withdrawn" else None
        if kind == "false_alarm":
            after = min(before + 1, STEPS_MAX)
        elif kind == "withdrawn" and undone is None:
            after = max(before - 1, 0)
        limits_only = kind in OF_LIMITS and undone is None
        if any(each.action == action for each in self.said) or (limits_only and after == before):
            return False
        own = Said(kind, newest_ms + 1, after, before, action)
        if kind in ("confirmed", "expected"):
            first_ms = newest_ms + 1 if begins_ms is None else min(begins_ms, newest_ms + 1)
            own.from_ms = max(first_ms, newest_ms - LASTS_MS)
            own.until_ms = own.from_ms + LASTS_MS
            own.hours = hours if kind == "expected" else frozenset()
        if self.said:
            own.from_ms = max(own.from_ms, self.said[-1].from_ms)
        if undone is not None:
            undone.void = own.void = True
            own.from_ms = self.said[-1].from_ms
            behind = self.said[self.said.index(undone) + 1 :]
            for each in (*behind, own):  # nothing of them moves a limit by itself
                each.steps = each.before = undone.before
            undone.steps = undone.before
        self.said = _kept([*self.said, own])
        return not limits_only and kind != "new_normal"

    @property
    def acting(self) -> list[Said]:
        """What was not taken back."""
        return [each for each in self.said if not each.void]

    def _last_standing(self) -> Said | None:
        """What was said last and not taken back, as far as it is known."""
        standing = [each for each in self.said if not each.void and each.kind != "withdrawn"]
        return standing[-1] if standing else None

    def factor(self, ts: int) -> float:
        """How many times as high limits are at a stamp."""
        steps = self.said[0].before if self.said else 0
        for each in self.said:
            if each.from_ms <= ts:
                steps = each.steps
        return float(1.5**steps)

    def hold_s(self, ts: int, offset_ms: int, usual_s: float) -> float:
        """For how long what is abnormal is not learnt."""
        hold_s = usual_s
        for each in self.said:
            acts = not each.void and each.from_ms <= ts < each.until_ms
            if acts and (each.kind == "confirmed" or hour_of_week(ts, offset_ms) in each.hours):
                hold_s = max(usual_s, LASTS_MS / 1000) if each.kind == "confirmed" else 0.0
        return hold_s

    def begins_anew(self, since_ms: int, ts: int) -> bool:
        """Whether a new normal acts on a reading that did not act on the one before it, at `since_ms`."""
        return any(
            each.kind == "new_normal" and not each.void and since_ms < each.from_ms <= ts
            for each in self.said
        )


def _kept(said: list[Said]) -> list[Said]:
    """One less where there are too many: the oldest that moved limits or is void, else the oldest."""
    if len(said) <= KEPT_MAX:
        return said
    gone = next((place for place, each in enumerate(said[:-1]) if each.void or each.kind in OF_LIMITS), 0)
    for each in said[:gone]:
        each.steps = each.before = said[gone].steps
    return said[:gone] + said[gone + 1 :]


@dataclass(frozen=True, slots=True)
class Heard:
    """What people say of one reading: how many times as high limits are, and the hold by the usual one.

    It is not learnt where maintenance keeps it out.
    """

    factor: float = 1.0
    hold_s: Callable[[float], float] = float
    learns: bool = True


def hour_of_week(ts: int, offset_ms: int) -> int:
    """Counted from Monday 0:00 local time."""
    hours = (ts + offset_ms) // HOUR_MS
    return (hours // 24 + 3) % 7 * 24 + hours % 24


def hours_of(spans: Iterable[tuple[int, int]], offset_ms: Callable[[int], int]) -> frozenset[int]:
    """The hours of the week in which these spans lie."""
    found: set[int] = set()
    for first_ms, last_ms in spans:
        if last_ms - first_ms >= 168 * HOUR_MS:
            return EVERY_HOUR
        for ts in [*range(first_ms, last_ms, HOUR_MS // 4), last_ms]:
            found.add(hour_of_week(ts, offset_ms(ts)))
    return frozenset(found)
