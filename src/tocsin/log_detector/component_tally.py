"""What the members of one component say, added up: shapes with their lines, order and numbers, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xxhash

from tocsin.dump_detectors.abstract import EvidenceLine
from tocsin.log_detector import _tally_kernel as kernel
from tocsin.log_detector.knowledge import SHAPE_BYTES_MAX
from tocsin.log_detector.stretch import Floats, Ints
from tocsin.templates._mine_kernel import LINE_BYTES_MAX
from tocsin.templates.miner import Miner

SLOTS_MAX: Final = 192
SHAPES_KEPT_MAX: Final = 2_048
"""Of a component, over all its members; a device has no more."""
FOLLOWS_MAX: Final = 16_384
JUDGED_BYTES_MIN: Final = 32
CONTROL_SHARE: Final = 1 / 16
"""Of the bytes of examples, one of each shape: with more of them that are control bytes a component writes no
text. Random and packed bytes have 0.11, UTF-16 has 0.5; colours of a terminal are none."""
_CONTROL: Final = np.zeros(256, np.bool_)
_CONTROL[[*range(9), 11, 12, *range(14, 27), *range(28, 32), 127]] = True


@dataclass(slots=True)
class ShapeTally:
    """The lines of one shape in a dump: their worst level, examples, and how many in hours that have any."""

    slots: npt.NDArray[np.int16]
    lines: Ints
    level: int
    examples: list[EvidenceLine]
    numbers: dict[int, Floats] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many lines there are."""
        return int(self.lines.sum())

    @property
    def counts(self) -> Ints:
        """Lines by hour; the last are those of no known hour."""
        counts = np.zeros(SLOTS_MAX + 1, np.int64)
        counts[self.slots] = self.lines
        return counts

    def add(self, other: ShapeTally) -> None:
        """Take in the same shape of another member."""
        self.slots, self.lines = _sparse(self.counts + other.counts)
        self.level = max(self.level, other.level)
        self.examples = [self.examples[0], other.examples[-1]]
        for place, kept in other.numbers.items():
            self.numbers[place] = merged(self.numbers[place], kept) if place in self.numbers else kept


def _sparse(counts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int16], Ints]:
    slots = np.flatnonzero(counts).astype(np.int16)
    return slots, counts[slots].astype(np.int64)


@dataclass(slots=True)
class ComponentTally:
    """A component's lines in a dump. `follows` counts pairs of shapes, one line behind the other.

    It keeps the `SHAPES_KEPT_MAX` shapes with most lines; `dropped` counts the others, for each member anew.
    """

    shapes: dict[bytes, ShapeTally] = field(default_factory=dict)
    follows: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    levels: Ints = field(default_factory=lambda: np.zeros((kernel.LEVELS, SLOTS_MAX + 1), np.int64))
    dropped: int = 0
    lines: int = 0
    longest_bytes: int = 0
    example: EvidenceLine | None = None
    judged_bytes: int = 0
    control_bytes: int = 0

    @property
    def is_text(self) -> bool:
        """Whether its lines are made of what is written, as far as examples of all shapes tell."""
        few = self.judged_bytes < JUDGED_BYTES_MIN
        return few or self.control_bytes <= CONTROL_SHARE * self.judged_bytes


def take(name: str, miner: Miner, component: ComponentTally, tables: Any, examples: Any, clock: Ints) -> None:
    """Put a member's tables to what its component has so far."""
    counts, levels, worst, follows, numbers = tables
    component.levels += levels
    component.lines += int(clock[kernel.LINES])
    longest_bytes = min(int(clock[kernel.LONGEST_BYTES]), LINE_BYTES_MAX)  # how much more came is chance
    component.longest_bytes = max(component.longest_bytes, longest_bytes)
    _judge_bytes(component, miner.shapes, examples)
    texts = [short(text) for text in miner.texts()]
    found = numbers[:, :, kernel.COUNT] > 0.0
    for shape in _wanted(component, texts, counts):
        slots, lines = _sparse(counts[shape])
        seen = ShapeTally(slots, lines, int(worst[shape]), _lines(name, shape, examples))
        if shape < kernel.FOLLOWED:
            seen.numbers = {
                place: numbers[shape, place].copy() for place in range(kernel.WORDS) if found[shape, place]
            }
        component.example = component.example or seen.examples[0]
        if texts[shape] in component.shapes:
            component.shapes[texts[shape]].add(seen)
        else:
            component.shapes[texts[shape]] = seen
    _trim(component)
    _follow(component, texts[: kernel.FOLLOWED], follows)


def _judge_bytes(component: ComponentTally, shapes: int, examples: Any) -> None:
    """Count the bytes of the first example of each shape, and of lines whose shape found no room."""
    texts, sizes, _, _ = examples
    rows = [*range(shapes), len(texts) - 1]
    used = np.arange(texts.shape[2]) < sizes[rows, 0][:, None]
    component.judged_bytes += int(np.count_nonzero(used))
    component.control_bytes += int(np.count_nonzero(_CONTROL[texts[rows, 0]] & used))


def _wanted(component: ComponentTally, texts: Sequence[bytes], counts: Ints) -> list[int]:
    """The shapes of a member worth a place, in their order: those known, of others the most frequent."""
    if len(texts) + len(component.shapes) <= SHAPES_KEPT_MAX:
        return list(range(len(texts)))
    totals = counts[: len(texts)].sum(axis=1).tolist()
    fresh = [shape for shape, text in enumerate(texts) if text not in component.shapes]
    fresh.sort(key=lambda shape: (-totals[shape], shape))
    left = fresh[SHAPES_KEPT_MAX:]
    component.dropped += len(left)
    gone = set(left)
    return [shape for shape in range(len(texts)) if shape not in gone]


def _trim(component: ComponentTally) -> None:
    """Leave the shapes with most lines, of equal ones those that came first."""
    if len(component.shapes) <= SHAPES_KEPT_MAX:
        return
    in_order = sorted(component.shapes, key=lambda text: -component.shapes[text].total)
    for text in in_order[SHAPES_KEPT_MAX:]:
        del component.shapes[text]
        component.dropped += 1


def _follow(component: ComponentTally, texts: Sequence[bytes], follows: Ints) -> None:
    """Add pairs of shapes that are kept, new ones while there is room."""
    for first, second in np.argwhere(follows[: len(texts), : len(texts)]).tolist():
        pair = texts[first], texts[second]
        if not (pair[0] in component.shapes and pair[1] in component.shapes):
            continue
        if pair in component.follows or len(component.follows) < FOLLOWS_MAX:
            component.follows[pair] = component.follows.get(pair, 0) + int(follows[first, second])


def short(text: bytes) -> bytes:
    """A masked text of bounded length that still tells it from others."""
    if len(text) <= SHAPE_BYTES_MAX:
        return text
    return text[: SHAPE_BYTES_MAX - 16] + xxhash.xxh3_64_hexdigest(text).encode()


def _lines(name: str, shape: int, examples: Any) -> list[EvidenceLine]:
    texts, sizes, places, _ = examples
    found: list[EvidenceLine] = []
    for which in (0, 1):
        number = int(places[shape, which])
        if found and found[0].number == number:
            return [found[0], found[0]]
        text = texts[shape, which, : max(int(sizes[shape, which]), 0)].tobytes().decode("utf-8", "replace")
        found.append(EvidenceLine(member=name, number=number, text=text))
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
