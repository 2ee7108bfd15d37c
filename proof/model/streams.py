"""Which dumps the log lines of a device are cut into, told from all of its lines at once: ADR 0050.

Written to be read beside DESIGN.md's words, not beside the product: a device's lines and ticks are a list in
the order of the log, and each window is what is left of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

COMPONENTS_MAX = 1_000
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log as it lies in the log; `clock_wrong`: its time is not believed where windows end."""

    offset: int
    ts: int
    clock_wrong: bool
    arrival_ms: int
    application: str
    version: str
    component: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Minute:
    """A tick in the device's partition."""

    offset: int
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How windows are cut."""

    length_ms: int
    bytes_max: int
    quiet_ms: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A dump that must have been cut: its lines are those of the device from `first` on, below `below`."""

    first: int
    below: int
    from_ms: int
    to_ms: int
    application: str
    version: str
    files: dict[str, str]


@dataclass(slots=True)
class _Open:
    lines: list[Line]
    from_ms: int
    until_ms: int
    newest_ms: int = field(default=0)

    @property
    def size_bytes(self) -> int:
        return sum(len(line.text.encode()) for line in self.lines)

    @property
    def components(self) -> set[str]:
        return {line.component for line in self.lines}


def cuts(story: Sequence[Line | Minute], rules: Windows) -> Iterator[Cut]:
    """Every dump of a device, in order. A window that has not ended by the end of the story gives none."""
    window: _Open | None = None
    reached_ms: int | None = None
    for item in story:
        to_ms = None if window is None else _over(window, item, rules)
        if window is not None and to_ms is not None:
            yield _cut(window, item.offset, to_ms)
            window, reached_ms = None, to_ms
        if isinstance(item, Minute):
            continue
        if window is None:
            window = _begun(item, reached_ms, rules)
        window.lines.append(item)
        if not item.clock_wrong:
            window.newest_ms = max(window.newest_ms, item.ts)


def _begun(line: Line, reached_ms: int | None, rules: Windows) -> _Open:
    """A window begins in its place of the grid, or where the one before has ended if that is later."""
    time_ms = line.arrival_ms if line.clock_wrong else line.ts
    grid_ms = time_ms // rules.length_ms * rules.length_ms
    from_ms = grid_ms if reached_ms is None else max(grid_ms, min(reached_ms, time_ms))
    return _Open([], from_ms, grid_ms + rules.length_ms, from_ms)


def _over(window: _Open, item: Line | Minute, rules: Windows) -> int | None:
    """Up to which time the window lasted, if it has ended before this."""
    if isinstance(item, Minute):
        quiet_ms = item.now_ms - rules.quiet_ms
        heard_ms = max(line.arrival_ms for line in window.lines)
        return window.until_ms if max(window.until_ms, heard_ms) <= quiet_ms else None
    if not item.clock_wrong and item.ts >= window.until_ms:
        return window.until_ms
    too_large = window.size_bytes + len(item.text.encode()) > rules.bytes_max
    if too_large or len(window.components | {item.component}) > COMPONENTS_MAX:
        return min(window.newest_ms + 1, window.until_ms)
    return None


def _cut(window: _Open, below: int, to_ms: int) -> Cut:
    last, files = window.lines[-1], dict[str, str]()
    dated: set[str] = set()
    for line in window.lines:
        files[line.component] = files.get(line.component, "") + _written(line, dated) + "\n"
    first = window.lines[0].offset
    return Cut(first, below, window.from_ms, to_ms, last.application, last.version, files)


def _written(line: Line, dated: set[str]) -> str:
    """As a file has it: with its time and level, unless it has a time, or follows one that has."""
    if not line.level and (_STAMP.match(line.text) or line.component in dated):
        dated.add(line.component)
        return line.text
    at = datetime.fromtimestamp(line.ts // 1000, UTC).isoformat()[:19]
    level = f"{line.level.upper()} " if line.level else ""
    return f"{at}.{line.ts % 1000:03d}Z {level}{line.text}"
