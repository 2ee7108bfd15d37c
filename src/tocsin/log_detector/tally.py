"""What a dump holds, counted: its lines by component, shape and hour. Nothing is kept line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.dump_detectors.abstract import Dump, EvidenceLine, Member
from tocsin.log_detector import _tally_kernel as kernel
from tocsin.templates.miner import SHAPES_MAX, Miner

SLOTS_MAX: Final = 192
COMPONENTS_MAX: Final = 32
"""Of one dump; what others write is counted together."""
READ_BYTES: Final = 1 << 20
POWERS: Final = 10.0 ** np.arange(kernel.DIGITS_MAX + 2)
_OTHERS: Final = "(others)"
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class ShapeTally:
    """The lines of one shape in a dump: by hour (the last: of no known hour), their worst level, examples."""

    counts: Ints
    level: int
    examples: list[EvidenceLine]
    numbers: dict[int, Floats] = field(default_factory=dict)

    def add(self, other: ShapeTally) -> None:
        """Take in the same shape of another member."""
        self.counts = self.counts + other.counts
        self.level = max(self.level, other.level)
        self.examples = [self.examples[0], other.examples[-1]]
        for place, kept in other.numbers.items():
            self.numbers[place] = merged(self.numbers[place], kept) if place in self.numbers else kept


@dataclass(slots=True)
class ComponentTally:
    """A component's lines in a dump. `follows` counts pairs of shapes, one line behind the other."""

    shapes: dict[bytes, ShapeTally] = field(default_factory=dict)
    follows: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    levels: Ints = field(default_factory=lambda: np.zeros((kernel.LEVELS, SLOTS_MAX + 1), np.int64))
    beyond: Ints = field(default_factory=lambda: np.zeros(SLOTS_MAX + 1, np.int64))
    lines: int = 0
    longest_bytes: int = 0
    longest: EvidenceLine | None = None
    example: EvidenceLine | None = None


@dataclass(slots=True)
class DumpTally:
    """A dump's components, and the hours that its counts are of: from `base_ms` on, one after the other.

    `from_ms` and `to_ms` are what the dump says, else what its lines say, else 0. `offset_ms` is what local
    time is ahead of UTC, `offsets` what the clocks of components without a zone are found to be ahead.
    """

    components: dict[str, ComponentTally]
    base_ms: int
    from_ms: int
    to_ms: int
    offset_ms: int
    offsets: dict[str, int]


def tally(dump: Dump, offsets: Mapping[str, int], after_ms: int) -> DumpTally:
    """Read the whole dump once. `offsets` are those of the dump before, `after_ms` is its end."""
    offset_ms = local_offset_ms(offsets)
    clock = np.zeros(kernel.CLOCK_FIELDS, np.int64)
    first, last = dump.collected_from_ms or 0, dump.collected_to_ms or 0
    if last and not first:
        first = after_ms if 0 < after_ms < last else 0
    clock[kernel.FROM_MS], clock[kernel.TO_MS] = first, last
    known = first or last
    clock[kernel.BASE_MS] = known - (known + offset_ms) % kernel.HOUR_MS if known else -1
    clock[kernel.SLOTS] = SLOTS_MAX
    year = datetime.fromtimestamp(min(max(known, 0), 4_000_000_000_000) / 1000, UTC).year if known else 1970
    components: dict[str, ComponentTally] = {}
    found = dict(offsets)
    for member in dump.members():
        name = (
            member.component
            if member.component in components or len(components) < COMPONENTS_MAX
            else _OTHERS
        )
        clock[kernel.OFFSET_MS] = found.get(name, 0)
        _read(member, components.setdefault(name, ComponentTally()), clock, year)
        if clock[kernel.CHECKED] and len(found) < COMPONENTS_MAX:
            found[name] = int(clock[kernel.OFFSET_MS])
    begin = first or int(clock[kernel.FIRST_MS])
    end = max(last or int(clock[kernel.NEWEST_MS]), begin)
    base = max(int(clock[kernel.BASE_MS]), 0)
    return DumpTally(components, base, begin, end, offset_ms, found)


def local_offset_ms(offsets: Mapping[str, int]) -> int:
    """What local time is ahead of UTC: what the first clock says that is not UTC's."""
    return next((offsets[name] for name in sorted(offsets) if offsets[name]), 0)


def _blocks(member: Member) -> Iterator[bytes]:
    with member.open() as stream:
        while block := stream.read(READ_BYTES):
            yield block


def _read(member: Member, component: ComponentTally, clock: Ints, year: int) -> None:
    """Count a member's lines in tables that fit any, most of which are never touched."""
    clock[kernel.PREVIOUS], clock[kernel.LINES], clock[kernel.LONGEST_BYTES] = -1, 0, 0
    clock[kernel.CHECKED] = clock[kernel.TIMED] = 0
    clock[kernel.LAST_MS] = clock[kernel.FROM_MS]
    miner = Miner(year)
    tables = _tables()
    examples = _examples()
    for mined in miner.mine(_blocks(member)):
        columns = (mined.data, mined.shapes, mined.heads, mined.ends, mined.words, mined.continued)
        kernel.tally_lines(columns, clock, tables, examples, POWERS)
    _take(member.name, miner, component, tables, examples, clock)


def _tables() -> tuple[Any, ...]:
    return (
        np.zeros((SHAPES_MAX + 1, SLOTS_MAX + 1), np.int32),
        np.zeros((kernel.LEVELS, SLOTS_MAX + 1), np.int64),
        np.zeros(SHAPES_MAX + 1, np.int64),
        np.zeros((kernel.FOLLOWED, kernel.FOLLOWED), np.int32),
        np.zeros((kernel.FOLLOWED, kernel.WORDS, kernel.NUMBER_FIELDS), np.float64),
    )


def _examples() -> tuple[Any, ...]:
    return (
        np.empty((SHAPES_MAX + 1, 2, kernel.EXAMPLE_BYTES), np.uint8),
        np.full((SHAPES_MAX + 1, 2), -1, np.int32),
        np.zeros((SHAPES_MAX + 1, 2), np.int64),
        np.full(SHAPES_MAX + 1, -1, np.int64),
    )


def _take(
    name: str, miner: Miner, component: ComponentTally, tables: Any, examples: Any, clock: Ints
) -> None:
    """Put a member's tables to what its component has so far."""
    counts, levels, worst, follows, numbers = tables
    component.levels += levels
    component.beyond += counts[SHAPES_MAX]
    component.lines += int(clock[kernel.LINES])
    component.longest_bytes = max(component.longest_bytes, int(clock[kernel.LONGEST_BYTES]))
    texts = miner.texts()
    found = numbers[:, :, kernel.COUNT] > 0.0
    followed = min(len(texts), kernel.FOLLOWED)
    for shape, text in enumerate(texts):
        seen = ShapeTally(counts[shape].astype(np.int64), int(worst[shape]), _lines(name, shape, examples))
        if shape < kernel.FOLLOWED:
            seen.numbers = {
                place: numbers[shape, place].copy() for place in range(kernel.WORDS) if found[shape, place]
            }
        component.example = component.example or seen.examples[0]
        if text in component.shapes:
            component.shapes[text].add(seen)
        else:
            component.shapes[text] = seen
    for first, second in np.argwhere(follows[:followed, :followed]).tolist():
        pair = texts[first], texts[second]
        component.follows[pair] = component.follows.get(pair, 0) + int(follows[first, second])


def _lines(name: str, shape: int, examples: Any) -> list[EvidenceLine]:
    texts, sizes, places, _ = examples
    found = []
    for which in (0, 1):
        raw = texts[shape, which, : max(int(sizes[shape, which]), 0)].tobytes()
        text = raw.decode("utf-8", "replace")
        found.append(EvidenceLine(member=name, number=int(places[shape, which]), text=text))
    return found


def merged(one: Floats, other: Floats) -> Floats:
    """What is kept of some values and of those behind them."""
    both = one.copy()
    shift = other[kernel.PIVOT] - one[kernel.PIVOT]
    count, total = other[kernel.COUNT], other[kernel.SUM]
    both[kernel.COUNT] += count
    both[kernel.SUM] += total + count * shift
    both[kernel.SQUARES] += other[kernel.SQUARES] + 2.0 * shift * total + count * shift * shift
    both[kernel.UPS] += other[kernel.UPS] + (other[kernel.PIVOT] > one[kernel.NEWEST])
    both[kernel.DOWNS] += other[kernel.DOWNS] + (other[kernel.PIVOT] < one[kernel.NEWEST])
    both[kernel.NEWEST] = other[kernel.NEWEST]
    return both


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
