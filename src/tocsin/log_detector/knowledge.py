"""All that is known of a device: what its logs say, how often, in which order and with which numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]

ROWS_MAX: Final = 512
COMPONENTS_MAX: Final = 64
SHAPES_MAX: Final = 2_048
RECENT_H: Final = 168.0
"""What was seen in so many hours of logs is in use: to forget it for want of room is told."""
SHAPE_BYTES_MAX: Final = 1_024
EXAMPLE_CHARACTERS: Final = 160
TEXT_CHARACTERS: Final = 300
CELLS: Final = 168
UP, UP_FAR, DOWN, LEVEL, SPREAD, SPREAD_SLOTS, HELD_H, HELD_SEEN, HELD_USUAL = range(9)
MARKS: Final = 9
"""Columns of a row's marks. Three sums of evidence (more lines, far more, fewer); how many times what its
cells say is usual by now; how far counts stray beyond chance, and of how many hours; what a run held."""


class Kind(IntEnum):
    """What lines a row counts."""

    TEMPLATE = 0
    ALL = 1
    WARNINGS = 2
    ERRORS = 3


class Row(msgspec.Struct, kw_only=True):
    """Something whose lines are counted: a template, or all lines or those of a level of a component.

    Hours are hours of logs seen, not of a clock. `seen` counts lines while the row is young.
    """

    uid: int
    component: str
    kind: Kind
    id: str = ""
    text: str = ""
    level: int = 0
    born_h: float = 0.0
    last_h: float = 0.0
    seen: int = 0
    reported: bool = False
    example: str = ""


class Known(msgspec.Struct, kw_only=True):
    """A shape and the row that counts it."""

    component: str
    text: bytes
    uid: int
    last_h: float


class Rarity(msgspec.Struct, kw_only=True):
    """How often templates of one class of levels were new, over the last two stretches of hours.

    Each stretch is twice as long as the one before, up to a month. `lines` are those of new templates
    while they were young.
    """

    span_h: float = 1.0
    hours: float = 0.0
    new: float = 0.0
    lines: float = 0.0
    hours_before: float = 0.0
    new_before: float = 0.0
    lines_before: float = 0.0


class Follower(msgspec.Struct, kw_only=True):
    """What came behind the lines of a row, most of it: rows and how often."""

    total: float = 0.0
    after: dict[int, float] = {}


class Number(msgspec.Struct, kw_only=True):
    """A number in the lines of a row: the level it keeps, what varies within a dump and between dumps."""

    uid: int
    place: int
    dumps: int = 0
    level: float = 0.0
    within: float = 0.0
    between: float = 0.0
    knee: float = 3.0
    excess: float = 1.0
    rising: float = 0.5
    held_h: float = 0.0
    last_h: float = 0.0


@dataclass(slots=True)
class Knowledge:
    """Rows with their arrays side by side; `cells` are roots of lines, `hours` the hours they are of."""

    hours: float = 0.0
    slots: int = 0
    dumps: int = 0
    end_ms: int = 0
    offsets: dict[str, int] = field(default_factory=dict)
    next_uid: int = 0
    rows: list[Row] = field(default_factory=list)
    shapes: dict[tuple[str, bytes], Known] = field(default_factory=dict)
    rarities: list[Rarity] = field(default_factory=lambda: [Rarity(), Rarity(), Rarity()])
    order: dict[int, Follower] = field(default_factory=dict)
    numbers: dict[tuple[int, int], Number] = field(default_factory=dict)
    cells: Halves = field(default_factory=lambda: np.zeros((0, CELLS), np.float16))
    cell_hours: Halves = field(default_factory=lambda: np.zeros((0, CELLS), np.float16))
    marks: Floats = field(default_factory=lambda: np.zeros((0, MARKS), np.float64))

    def places(self) -> dict[int, int]:
        """Where the row with a uid stands."""
        return {row.uid: place for place, row in enumerate(self.rows)}

    def add(self, rows: Iterable[Row]) -> None:
        """Put new rows behind the others."""
        before = len(self.rows)
        self.rows.extend(rows)
        more = len(self.rows) - before
        marks = np.zeros((more, MARKS), np.float64)
        marks[:, [LEVEL, SPREAD]] = 1.0
        self.marks = np.vstack([self.marks, marks])
        empty = np.zeros((more, CELLS), np.float16)
        self.cells, self.cell_hours = np.vstack([self.cells, empty]), np.vstack([self.cell_hours, empty])

    def forget_components(self, coming: Iterable[str]) -> int:
        """Keep the components of a dump that comes, and those seen last, as many as there is room for.

        Gives how many templates in use were forgotten with them.
        """
        wanted = set(coming)
        seen = {row.component: row.last_h for row in self.rows if row.kind is Kind.ALL}
        others = sorted((last_h, name) for name, last_h in seen.items() if name not in wanted)
        leaving = {name for _, name in others[: max(len(wanted) + len(others) - COMPONENTS_MAX, 0)]}
        return self._drop({row.uid for row in self.rows if row.component in leaving}) if leaving else 0

    def make_room(self, wanted: int) -> int:
        """Forget templates not seen for longest until `wanted` more rows find room.

        Gives how many of them were in use.
        """
        leaving = len(self.rows) + wanted - ROWS_MAX
        if leaving <= 0:
            return 0
        old = sorted((row.last_h, row.uid) for row in self.rows if row.kind is Kind.TEMPLATE)
        return self._drop({uid for _, uid in old[:leaving]})

    def _drop(self, gone: set[int]) -> int:
        """Forget rows and all about them; how many were templates in use."""
        used = sum(row.uid in gone and row.kind is Kind.TEMPLATE and self._in_use(row) for row in self.rows)
        kept = [place for place, row in enumerate(self.rows) if row.uid not in gone]
        self.rows = [self.rows[place] for place in kept]
        self.marks, self.cells = self.marks[kept], self.cells[kept]
        self.cell_hours = self.cell_hours[kept]
        self.shapes = {key: known for key, known in self.shapes.items() if known.uid not in gone}
        self.numbers = {key: each for key, each in self.numbers.items() if key[0] not in gone}
        self.order = {uid: each for uid, each in self.order.items() if uid not in gone}
        for each in self.order.values():
            each.after = {uid: count for uid, count in each.after.items() if uid not in gone}
        return used

    def forget_shapes(self) -> int:
        """Keep the shapes seen last, as many as there is room for; how many of the others were in use."""
        if len(self.shapes) <= SHAPES_MAX:
            return 0
        in_order = sorted(self.shapes.items(), key=lambda item: (-item[1].last_h, item[0]))
        self.shapes = dict(in_order[:SHAPES_MAX])
        return sum(self._in_use(known) for _, known in in_order[SHAPES_MAX:])

    def _in_use(self, known: Row | Known) -> bool:
        return known.last_h >= self.hours - RECENT_H
