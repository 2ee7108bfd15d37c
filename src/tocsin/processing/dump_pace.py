"""How often logs of a device come, by the hour of the day, and how long they may stay away.

A pure function of the device's dumps, as the log has them. A machine that sends every half hour by day and
every six hours by night is compared with its own hours.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.control import DumpReceived, DumpRules

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
HOURS: Final = 24
READY_MS: Final = 7 * DAY_MS
LIVE_MS: Final = DAY_MS
"""What was collected longer ago when it came is history: that nothing follows it tells nothing."""
_LEARNT_TIMES: Final = 2
_FADES_DAYS_MAX: Final = 64


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Logs stayed away from `heard_ms` on for longer than `limit_ms`, where `usual_ms` was the longest usual.

    The limit follows from that and the rules, `times` and `least_s`; what was usual, from the dumps in the
    log from `first_offset` on.
    """

    heard_ms: int
    usual_ms: int
    limit_ms: int
    times: float
    least_s: int
    first_offset: int

    @property
    def started_ms(self) -> int:
        """When the limit had passed."""
        return self.heard_ms + self.limit_ms


class DumpPace(msgspec.Struct, kw_only=True):
    """Changed in place; part of the device's DumpOrder. Times are of what dumps hold, not of their arrival.

    `longest_ms[h]`: the longest time from a dump of that hour of the day (UTC) to the next one, which fades
    by a sixteenth a day. `usual_ms` and `limit_ms` hold behind the newest dump, by the rules `times` and
    `least_s`; a limit of 0 is none.
    `lag_ms`: how long after that time dumps come, at most; fades as well. `told`: a tick has
    revealed a silence that lasts. `first_offset` is that of the first dump that is known here.
    """

    first_ms: int
    first_offset: int
    heard_ms: int
    longest_ms: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS)
    lag_ms: int = 0
    usual_ms: int = 0
    limit_ms: int = 0
    times: float = 0.0
    least_s: int = 0
    live: bool = False
    told: bool = False
    application: str = ""
    version: str = ""

    @property
    def silence(self) -> Silence:
        """That behind the newest dump, once its limit has passed."""
        return Silence(
            heard_ms=self.heard_ms,
            usual_ms=self.usual_ms,
            limit_ms=self.limit_ms,
            times=self.times,
            least_s=self.least_s,
            first_offset=self.first_offset,
        )

    @property
    def due_ms(self) -> int | None:
        """The moment behind which a tick reveals a silence; None where none does."""
        if not self.live or self.told or not self.limit_ms:
            return None
        return self.heard_ms + self.limit_ms + self.lag_ms

    def hear(self, dump: DumpReceived, rules: DumpRules) -> Silence | None:
        """Take a dump in; the silence that it ends. One that holds nothing newer changes nothing."""
        stamp_ms = stamp_of(dump)
        if stamp_ms <= self.heard_ms:
            return None
        gap_ms = stamp_ms - self.heard_ms
        ended = self.silence if self.limit_ms and gap_ms > self.limit_ms else None
        self._learn(stamp_ms, gap_ms)
        self.take(dump, rules)
        return ended

    def take(self, dump: DumpReceived, rules: DumpRules) -> None:
        """Let it be the newest one."""
        self.heard_ms = stamp_of(dump)
        lag_ms = dump.received_ms - self.heard_ms
        self.lag_ms = max(lag_ms, self.lag_ms)
        self.live, self.told = lag_ms <= LIVE_MS, False
        self.application, self.version = dump.application, dump.version
        self.usual_ms = self._usual_ms()
        ready = self.heard_ms - self.first_ms >= READY_MS and self.usual_ms > 0
        self.times, self.least_s = rules.silence_times, rules.silence_min_s
        self.limit_ms = limit_ms(self.usual_ms, self.times, self.least_s) if ready else 0

    def _learn(self, stamp_ms: int, gap_ms: int) -> None:
        """Behind a limit, no more counts than twice what was usual: a slower pace is learnt by steps."""
        days = stamp_ms // DAY_MS - self.heard_ms // DAY_MS
        for _ in range(min(days, _FADES_DAYS_MAX)):
            self.longest_ms = [_faded(each) for each in self.longest_ms]
            self.lag_ms = _faded(self.lag_ms)
        if self.limit_ms:
            gap_ms = min(gap_ms, max(_LEARNT_TIMES * self.usual_ms, HOUR_MS))
        hour = _hour_of(self.heard_ms)
        self.longest_ms[hour] = max(self.longest_ms[hour], gap_ms)

    def _usual_ms(self) -> int:
        """The longest of this hour and those beside it; of all hours, where none of these is known."""
        hour = _hour_of(self.heard_ms)
        near = max(self.longest_ms[(hour + beside) % HOURS] for beside in (-1, 0, 1))
        return near or max(self.longest_ms)


def limit_ms(usual_ms: int, times: float, least_s: int) -> int:
    """How long logs may stay away."""
    return max(int(times * usual_ms), least_s * 1000)


def stamp_of(dump: DumpReceived) -> int:
    """The end of what a dump holds, as far as that lies behind its arrival; else its arrival."""
    said = dump.received_ms if dump.collected_to_ms is None else dump.collected_to_ms
    return min(said, dump.received_ms)


def begun(dump: DumpReceived, offset: int, rules: DumpRules) -> DumpPace:
    """What the first dump of a device tells."""
    pace = DumpPace(first_ms=stamp_of(dump), first_offset=offset, heard_ms=stamp_of(dump))
    pace.take(dump, rules)
    return pace


def _faded(span_ms: int) -> int:
    """What is left of it a day later."""
    return span_ms - span_ms // 16


def _hour_of(ms: int) -> int:
    return ms // HOUR_MS % HOURS
