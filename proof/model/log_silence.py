"""When the logs of a device stay away for too long: docs/explanation/episodes.md, "Logs that stay away".

Told from all dumps so far each time: nothing is kept but the list of what was heard, and what was found out
about its beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from proof.model.records import DumpCame, Settings

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A dump that was newer than all before: the time it reaches up to, and how much later it came."""

    at_ms: int
    lag_ms: int
    stream: tuple[str, str]
    times: float
    least_s: int


@dataclass(slots=True)
class LogSilence:
    """Of one device. `told`: the silence that a tick has shown, as it began; None if none lasts."""

    heard: list[Heard] = field(default_factory=list)
    usual_ms: dict[int, int] = field(default_factory=dict)
    told: int | None = None

    def hear(self, dump: DumpCame, settings: Settings) -> tuple[str, int, int]:
        """What a dump that is neither repeated nor in conflict tells: nothing, `ended` or `withdrawn`.

        With it, when the silence began and ended.
        """
        upto_ms = dump.received_ms if dump.upto_ms is None else dump.upto_ms
        at_ms = min(upto_ms, dump.received_ms)
        wanted = settings.logs_silence_times > 0
        found = ("nothing", 0, 0)
        if dump.received_ms <= 0 or not (self.heard or wanted):
            return found
        if not self.heard or at_ms > self.heard[-1].at_ms:
            if self.heard:
                found = self._gone_on(at_ms)
            stream = (dump.application, dump.version)
            lag_ms = dump.received_ms - at_ms
            rules = settings.logs_silence_times, settings.logs_silence_min_s
            self.heard.append(Heard(at_ms, lag_ms, stream, *rules))
            self.told = None
        if not wanted and self.told is None:
            self.heard.clear()
            self.usual_ms.clear()
        return found

    def _gone_on(self, at_ms: int) -> tuple[str, int, int]:
        limit_ms = self.limit_ms(len(self.heard))
        began_ms = self.heard[-1].at_ms + limit_ms
        if limit_ms and at_ms > began_ms:
            return "ended", began_ms, at_ms
        return ("nothing", 0, 0) if self.told is None else ("withdrawn", self.told, at_ms)

    def revealed(self, now_ms: int) -> int | None:
        """When the silence began that a tick shows."""
        if not self.heard or self.told is not None or self.heard[-1].lag_ms > DAY_MS:
            return None
        limit_ms = self.limit_ms(len(self.heard))
        began_ms = self.heard[-1].at_ms + limit_ms
        return began_ms if limit_ms and now_ms > began_ms + self._lag_ms() else None

    def limit_ms(self, count: int) -> int:
        """How long nothing may come behind the first so many; 0 before there were seven days."""
        last = self.heard[count - 1]
        usual_ms = self._usual(count)
        if last.at_ms - self.heard[0].at_ms < 7 * DAY_MS or not usual_ms:
            return 0
        return max(int(last.times * usual_ms), last.least_s * 1000)

    def _usual(self, count: int) -> int:
        """What is usual behind the first so many."""
        if count not in self.usual_ms:
            self.usual_ms[count] = self._found_usual(count)
        return self.usual_ms[count]

    def _found_usual(self, count: int) -> int:
        longest = [0] * 24
        for number in range(1, count):
            before, after = self.heard[number - 1], self.heard[number]
            gap_ms = after.at_ms - before.at_ms
            if self.limit_ms(number):
                gap_ms = min(gap_ms, max(2 * self._usual(number), HOUR_MS))
            for _ in range(min(after.at_ms // DAY_MS - before.at_ms // DAY_MS, 64)):
                longest = [each - each // 16 for each in longest]
            hour = before.at_ms // HOUR_MS % 24
            longest[hour] = max(longest[hour], gap_ms)
        hour = self.heard[count - 1].at_ms // HOUR_MS % 24
        beside = (longest[hour - 1], longest[hour], longest[(hour + 1) % 24])
        return max(beside) or max(longest)

    def _lag_ms(self) -> int:
        lag_ms = self.heard[0].lag_ms
        for before, after in pairwise(self.heard):
            for _ in range(min(after.at_ms // DAY_MS - before.at_ms // DAY_MS, 64)):
                lag_ms -= lag_ms // 16
            lag_ms = max(lag_ms, after.lag_ms)
        return lag_ms
