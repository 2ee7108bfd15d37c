"""Where a device's log lines are cut into dumps: a pure function of its lines and of ticks.

A window is a run of a device's lines in the order of the log. It lasts from the first line's place in a grid
of times to the first line that lies beyond, so what is cut depends on no batch, no other device and no
restart. A tick ends the window of a device that has gone quiet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DeviceKey = tuple[str, str]
"""Tenant and device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRules:
    """How long a window is, how many bytes and components it may have, and when a quiet device's ends.

    `quiet_ms` counts from the end of the window and from the arrival of its last line, both.
    """

    length_ms: int = 300_000
    bytes_max: int = 32 << 20
    components_max: int = 1_000
    quiet_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What of a line decides where its window ends. `time_ms` is None where the device's clock is wrong."""

    offset: int
    time_ms: int | None
    arrival_ms: int
    component: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LinesFacts:
    """The same of several lines of a device that came at one moment; `newest_ms` as `time_ms`."""

    first: LineFacts
    newest_ms: int | None
    components: frozenset[str]
    size_bytes: int


@dataclass(slots=True)
class Window:
    """A device's lines from offset `first` on; those of [from_ms, to_ms) once it has ended below `below`."""

    first: int
    from_ms: int
    until_ms: int
    newest_ms: int
    arrival_ms: int = 0
    below: int = 0
    to_ms: int = 0
    size_bytes: int = 0
    components: set[str] = field(default_factory=set)


class LogWindows:
    """The open windows of a partition. Lines and ticks have to come in the order of the log."""

    def __init__(self, rules: WindowRules) -> None:
        self._rules: Final = rules
        self._open: dict[DeviceKey, Window] = {}
        self._reached_ms: dict[DeviceKey, int] = {}  # where each device's last window has ended, in time

    def __len__(self) -> int:
        return len(self._open)

    def resume(self, key: DeviceKey, reached_ms: int) -> None:
        """Go on behind a window that ended before a restart; before the device's first line."""
        self._reached_ms[key] = reached_ms

    def first(self, otherwise: int) -> int:
        """The lowest offset of a line in an open window; `otherwise` if none is open."""
        return min((window.first for window in self._open.values()), default=otherwise)

    def take(self, key: DeviceKey, line: LineFacts) -> Window | None:
        """Add a line; the window that has ended before it, if one has."""
        window = self._open.get(key)
        ended = None
        if window is not None and (full := self._ends(window, line)) is not None:
            ended = self._end(key, window, line.offset, full=full)
            window = None
        if window is None:
            window = self._open[key] = self._begun(key, line)
        window.arrival_ms = max(window.arrival_ms, line.arrival_ms)
        if line.time_ms is not None:
            window.newest_ms = max(window.newest_ms, line.time_ms)
        window.size_bytes += line.size_bytes
        window.components.add(line.component)
        return ended

    def join(self, key: DeviceKey, lines: LinesFacts) -> bool:
        """Add lines at once if `take` would end no window at any of them; whether it is so."""
        window = self._open.get(key) or self._begun(key, lines.first)
        newest_ms = window.newest_ms if lines.newest_ms is None else max(window.newest_ms, lines.newest_ms)
        size_bytes = window.size_bytes + lines.size_bytes
        components = window.components | lines.components
        rules = self._rules
        if newest_ms >= window.until_ms or size_bytes > rules.bytes_max:
            return False
        if len(components) > rules.components_max:
            return False
        window.newest_ms, window.size_bytes, window.components = newest_ms, size_bytes, components
        window.arrival_ms = max(window.arrival_ms, lines.first.arrival_ms)
        self._open[key] = window
        return True

    def tick(self, now_ms: int, offset: int) -> Iterator[tuple[DeviceKey, Window]]:
        """The windows that a tick at `offset` ends: their time is over, and nothing has come for a while."""
        before_ms = now_ms - self._rules.quiet_ms
        quiet = [
            (key, window)
            for key, window in self._open.items()
            if window.until_ms <= before_ms and window.arrival_ms <= before_ms
        ]
        for key, window in sorted(quiet, key=lambda item: item[0]):
            yield key, self._end(key, window, offset, full=False)

    def _ends(self, window: Window, line: LineFacts) -> bool | None:
        """Whether a window ends before a line, True because it is full; None: it goes on."""
        if line.time_ms is not None and line.time_ms >= window.until_ms:
            return False
        rules = self._rules
        crowded = line.component not in window.components and len(window.components) >= rules.components_max
        return True if crowded or window.size_bytes + line.size_bytes > rules.bytes_max else None

    def _begun(self, key: DeviceKey, line: LineFacts) -> Window:
        time_ms = line.arrival_ms if line.time_ms is None else line.time_ms
        length_ms = self._rules.length_ms
        from_ms = time_ms - time_ms % length_ms
        until_ms = from_ms + length_ms
        from_ms = max(from_ms, min(self._reached_ms.get(key, from_ms), time_ms))
        return Window(line.offset, from_ms, until_ms, from_ms)

    def _end(self, key: DeviceKey, window: Window, offset: int, *, full: bool) -> Window:
        del self._open[key]
        window.below = offset
        window.to_ms = window.until_ms
        if full:
            window.to_ms = min(max(window.newest_ms, window.from_ms) + 1, window.until_ms)
        self._reached_ms[key] = window.to_ms
        return window
