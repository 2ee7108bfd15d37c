"""What turns of devices work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tocsin.clock import Clock
from tocsin.commit.abstract import CommitStore
from tocsin.commit.dump_steps import BEFORE_ALL, DumpPlace, DumpStepStore, JudgedDump
from tocsin.control import DumpDetectorFailed, DumpDetectorRule, DumpReceived
from tocsin.model import Episode
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_snapshots import BLOCKS

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """`decide` logs a decision in a partition, durably, and gives its offset; it may raise a TocsinError.

    `rules` are the tenant's detectors in force as the partition's processor has read them, by name.
    `published` is called after a commit with episodes. `chance` gives numbers from 0 up to 1.
    `snapshot_blocks` are how many dumps snapshots lie apart, in growing sizes.
    """

    steps: DumpStepStore
    commits: CommitStore
    archives: Archives
    decide: Callable[[int, DumpDetectorFailed], int]
    rules: Callable[[int, str], Mapping[str, DumpDetectorRule]]
    lease_epoch: Callable[[int], int]
    published: Callable[[], None]
    clock: Clock
    chance: Callable[[], float]
    snapshot_blocks: Sequence[int] = BLOCKS

    def dealt(self, tenant: str, device: str, after: DumpPlace) -> Iterator[DumpReceived]:
        """The device's dumps that are no longer ready, behind a place, in order; read in pages."""
        while page := self.steps.dealt(tenant, device, after, limit=_PAGE):
            yield from page
            after = page[-1].epoch, page[-1].sequence

    def judged(self, tenant: str, device: str, detector: str) -> Iterator[JudgedDump]:
        """All dumps that a detector has judged, in order; read in pages."""
        after = BEFORE_ALL
        while page := self.steps.judged(tenant, device, detector, after, limit=_PAGE):
            yield from page
            after = page[-1].place

    def episodes(self, tenant: str, device: str, detector: str) -> list[Episode]:
        """The newest revisions of a detector's episodes, with their evidence."""
        found: list[Episode] = []
        after_id = ""
        while page := self.commits.episodes(tenant, device=device, after_id=after_id, limit=_PAGE):
            named = [episode.id for episode in page if episode.detector == detector]
            proved = (self.commits.episode(tenant, episode_id) for episode_id in named)
            found += [episode for episode in proved if episode is not None]
            after_id = page[-1].id
        return found


def place_of(dump: DumpReceived) -> DumpPlace:
    """Where it belongs in the device's order."""
    return dump.epoch, dump.sequence
