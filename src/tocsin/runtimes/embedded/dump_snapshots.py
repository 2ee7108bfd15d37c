"""What a detector knew after some of a device's dumps, so that a correction need not begin at the first.

Snapshots change how long a correction takes and nothing else: one is used only where a run from the first
dump would come to the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.commit.dump_steps import BEFORE_ALL, DumpPlace, DumpStepStore, JudgedDump, StepSnapshot

BLOCKS: Final = (16, 128, 1024)
"""By the default waits for a gap, a dump that came after it lies fewer than 16 dumps back."""
_BLOCKS_OF_A_SIZE: Final = 2


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Those of one detector and device, at most two for each size of `blocks`; none without sizes."""

    steps: DumpStepStore
    key: tuple[str, str, str]
    blocks: Sequence[int] = BLOCKS

    def due(self, before: DumpPlace | None, place: DumpPlace) -> bool:
        """Whether the state after a dump is to be kept; `before` is the dump shown before it."""
        return bool(self.blocks) and (before is None or self._block(before) != self._block(place))

    def thin(self, found: MutableMapping[DumpPlace, Any]) -> None:
        """Take out what is not worth keeping."""
        for place in found.keys() - worth_keeping(found, self.blocks):
            del found[place]

    def last(
        self, before: DumpPlace, judged: Iterable[JudgedDump], version: str, config: bytes
    ) -> StepSnapshot | None:
        """The last one before a dump, if all up to it was judged by this version and configuration.

        From another version's findings a run from the first dump would differ.
        """
        found = self.steps.snapshot(*self.key, before)
        if found is None or (found.version, found.config) != (version, config):
            return None
        behind = (each for each in judged if each.place <= found.place)
        same = all((each.version, each.config) == (version, config) for each in behind)
        return found if same else None

    def turnover(
        self, taken: Sequence[StepSnapshot], wrong_from: DumpPlace | None = None
    ) -> tuple[list[StepSnapshot], list[DumpPlace]]:
        """Which of those `taken` are to be kept, and which kept ones forgotten.

        Those from `wrong_from` on are taken anew: they lacked a late dump, or were of another version.
        """
        kept = self.steps.snapshot_places(*self.key)
        right = [place for place in kept if wrong_from is None or place < wrong_from]
        worth = worth_keeping([*right, *(each.place for each in taken)], self.blocks)
        forgotten = [place for place in kept if place not in worth or place not in right]
        return [each for each in taken if each.place in worth], forgotten

    def _block(self, place: DumpPlace) -> DumpPlace:
        return place[0], place[1] // self.blocks[0]


def worth_keeping(places: Collection[DumpPlace], blocks: Sequence[int]) -> set[DumpPlace]:
    """Of each size the first place in the newest two blocks: the farther back, the fewer.

    >>> sorted(worth_keeping([(0, number) for number in range(1, 42)], (2, 8)))
    [(0, 32), (0, 38), (0, 40)]
    """
    worth: set[DumpPlace] = set()
    for size in blocks:
        first: dict[DumpPlace, DumpPlace] = {}
        for place in sorted(places):
            first.setdefault((place[0], place[1] // size), place)
        worth.update(first[block] for block in sorted(first)[-_BLOCKS_OF_A_SIZE:])
    return worth


def place_behind(snapshot: StepSnapshot | None) -> DumpPlace:
    """The dump behind which a correction goes on."""
    return BEFORE_ALL if snapshot is None else snapshot.place
