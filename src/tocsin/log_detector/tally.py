"""What a dump holds, counted: its lines by component, shape and hour. Nothing is kept line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import numpy as np

from tocsin.dump_detectors.abstract import Dump, Member
from tocsin.log_detector import _tally_kernel as kernel
from tocsin.log_detector.component_tally import SLOTS_MAX, ComponentTally, take
from tocsin.log_detector.settings import offset_ms
from tocsin.log_detector.stretch import joined, no_hours
from tocsin.memory import zeroed
from tocsin.templates._header_kernel import TIME_KIND, TIME_MS
from tocsin.templates._stamp_kernel import LOCAL, YEARLESS
from tocsin.templates._stamp_kernel import UTC as IN_UTC
from tocsin.templates.format import RECOGNISED, Format
from tocsin.templates.mined import Mined
from tocsin.templates.miner import SHAPES_MAX, Miner
from tocsin.templates.reader import Reader

COMPONENTS_MAX: Final = 32
"""Of one dump; what others write is counted together."""
READ_BYTES: Final = 1 << 20
POWERS: Final = np.array([float(10**digits) for digits in range(kernel.DIGITS_MAX + 2)])
"""Of ten, exact: vectorised powers are off by a last bit on some machines."""
_OTHERS: Final = "(others)"


@dataclass(slots=True)
class DumpTally:
    """A dump's components, and the hours that its counts are of: from `base_ms` on, one after the other.

    `from_ms` and `to_ms` are what the dump says, else what its lines say without wrong stamps, else 0.
    `offset_ms` is what local time is ahead of UTC, `offsets` what the clocks of components without a zone
    are found to be ahead.
    """

    components: dict[str, ComponentTally]
    base_ms: int
    from_ms: int
    to_ms: int
    offset_ms: int
    offsets: dict[str, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """How the lines of a device are read. `zone` is that of stamps that name none, None to find it out."""

    zone: tzinfo | None = None
    format: Format = RECOGNISED


def tally(dump: Dump, offsets: Mapping[str, int], after_ms: int, rules: Rules | None = None) -> DumpTally:
    """Read the whole dump once, or twice if no begin is said and its first stamp is of another hour.

    That is a wrong stamp, or one of the newest member of a rotated log.

    `offsets` are those of the dump before, `after_ms` is its end.
    """
    rules = rules or Rules()
    first, last = dump.collected_from_ms or 0, dump.collected_to_ms or 0
    if last and not first:
        first = after_ms if 0 < after_ms < last else 0
    ahead_ms = local_offset_ms(offsets) if rules.zone is None else offset_ms(rules.zone, first or last)
    read = _Reading(first, last, _hour_of(first, ahead_ms) if first else -1, offsets, rules, ahead_ms)
    read.all(dump)
    oldest, newest = joined(read.hours)
    if not first and not oldest - kernel.HOUR_MS < read.clock[kernel.BASE_MS] <= oldest:
        if rules.zone is not None:
            ahead_ms = offset_ms(rules.zone, oldest)
        read = _Reading(0, last, _hour_of(oldest, ahead_ms), offsets, rules, ahead_ms)
        read.all(dump)
    if not first and newest:
        first, last = oldest, newest
    elif not first and last:
        first = _hour_of(last, ahead_ms)
    base = int(read.clock[kernel.BASE_MS])
    base = base if base >= 0 else max(first, 0)
    return DumpTally(read.components, base, first, max(last or newest, first), ahead_ms, read.offsets)


def _hour_of(ms: int, offset_ms: int) -> int:
    """Where the hour of a time begins, by the clock on the wall."""
    return ms - (ms + offset_ms) % kernel.HOUR_MS


class _Reading:
    """Counts members as if the first hour began at `base_ms`, -1 for that of the first line with a time.

    `ahead_ms` is what clocks are ahead of UTC where a zone is declared: `offsets` are not asked then.
    """

    def __init__(
        self,
        first_ms: int,
        last_ms: int,
        base_ms: int,
        offsets: Mapping[str, int],
        rules: Rules,
        ahead_ms: int,
    ) -> None:
        self.zone, self.ahead_ms = rules.zone, ahead_ms
        self.reader = Reader(zone=rules.zone or UTC, format=rules.format)
        self.clock = np.zeros(kernel.CLOCK_FIELDS, np.int64)
        self.clock[kernel.FROM_MS], self.clock[kernel.TO_MS] = first_ms, last_ms
        self.clock[kernel.BASE_MS], self.clock[kernel.SLOTS] = base_ms, SLOTS_MAX
        said = min(max(first_ms or last_ms, 0), 4_000_000_000_000)
        self.year = datetime.fromtimestamp(said / 1000, UTC).year
        self.hours = no_hours()
        self.tables, self.examples = _tables(), _examples()
        self.components: dict[str, ComponentTally] = {}
        self.offsets = dict(offsets) if rules.zone is None else {}

    def all(self, dump: Dump) -> None:
        """Read every member once."""
        clock, components = self.clock, self.components
        for member in dump.members():
            name = member.component
            if name not in components and len(components) >= COMPONENTS_MAX:
                name = _OTHERS
            clock[kernel.OFFSET_MS] = self.offsets.get(name, 0) if self.zone is None else self.ahead_ms
            self._read(member, components.setdefault(name, ComponentTally()))
            if clock[kernel.CHECKED] and self.zone is None:
                self.offsets[name] = int(clock[kernel.OFFSET_MS])

    def _read(self, member: Member, component: ComponentTally) -> None:
        """Count a member's lines in tables that fit any, most of which are never touched.

        They are as they were afterwards.
        """
        clock = self.clock
        clock[kernel.PREVIOUS], clock[kernel.LINES], clock[kernel.LONGEST_BYTES] = -1, 0, 0
        clock[kernel.CHECKED] = clock[kernel.TIMED] = 0
        clock[kernel.LAST_MS] = clock[kernel.FROM_MS]
        miner = Miner(self.year)
        tables, examples = self.tables, self.examples
        for mined in miner.mine(_blocks(member), self.reader):
            if self.zone is not None:
                _to_utc(mined)
            columns = (mined.data, mined.shapes, mined.heads, mined.ends, mined.words, mined.continued)
            kernel.tally_lines(columns, clock, self.hours, tables, examples, POWERS)
        take(member.name, miner, component, tables, examples, clock)
        _clear(tables, examples, miner.shapes)


def _to_utc(mined: Mined) -> None:
    """Write stamps on the wall in UTC; a time of day stays: it is next to the line before."""
    heads = mined.heads
    walls = np.isin(heads[:, TIME_KIND], (LOCAL, YEARLESS))
    if walls.any():
        heads[walls, TIME_MS] = mined.columns().stamps_us[walls] // 1000
        heads[walls, TIME_KIND] = IN_UTC


def local_offset_ms(offsets: Mapping[str, int]) -> int:
    """What local time is ahead of UTC: what the first clock says that is not UTC's."""
    return next((offsets[name] for name in sorted(offsets) if offsets[name]), 0)


def _blocks(member: Member) -> Iterator[bytes]:
    with member.open() as stream:
        while block := stream.read(READ_BYTES):
            yield block


def _tables() -> tuple[Any, ...]:
    return (
        zeroed((SHAPES_MAX + 1, SLOTS_MAX + 1), np.dtype(np.int32)),
        np.zeros((kernel.LEVELS, SLOTS_MAX + 1), np.int64),
        np.zeros(SHAPES_MAX + 1, np.int64),
        np.zeros((kernel.FOLLOWED, kernel.FOLLOWED), np.int32),
        np.zeros((kernel.FOLLOWED, kernel.WORDS, kernel.NUMBER_FIELDS), np.float64),
    )


def _examples() -> tuple[Any, ...]:
    return (
        zeroed((SHAPES_MAX + 1, 2, kernel.EXAMPLE_BYTES), np.dtype(np.uint8)),
        np.full((SHAPES_MAX + 1, 2), -1, np.int32),
        np.zeros((SHAPES_MAX + 1, 2), np.int64),
        np.full(SHAPES_MAX + 1, -1, np.int64),
    )


def _clear(tables: tuple[Any, ...], examples: tuple[Any, ...], shapes: int) -> None:
    """Make tables as new in which so many shapes were counted, and lines without room for theirs."""
    counts, levels, worst, follows, numbers = tables
    _, sizes, places, _ = examples
    for each in (counts, worst, places):
        each[:shapes] = each[-1] = 0
    for each in (levels, follows[:shapes], numbers[:shapes]):
        each[:] = 0
    sizes[:shapes] = sizes[-1] = -1


def spans(found: DumpTally) -> list[tuple[int, int, float]]:
    """The hours of a dump, of eight days at most: place in its counts, begin, and the share it covers."""
    hours: list[tuple[int, int, float]] = []
    for slot in range(SLOTS_MAX):
        begin = found.base_ms + slot * kernel.HOUR_MS
        end = begin + kernel.HOUR_MS
        covered = min(end, found.to_ms) - max(begin, found.from_ms)
        if covered > 0:
            hours.append((slot, begin, covered / kernel.HOUR_MS))
        if end >= found.to_ms:
            break
    return hours
