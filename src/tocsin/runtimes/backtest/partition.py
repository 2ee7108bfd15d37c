"""One partition of a backtest, from its records to what came of them; every runtime feeds it alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from tocsin.control import Correct
from tocsin.log.abstract import Record
from tocsin.model import Episode
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState
from tocsin.runtimes.backtest.past import Past
from tocsin.runtimes.backtest.verdicts import PartitionVerdicts

DEVICES_PER_CORRECTION: Final = 20


class PartitionRun:
    """The state of one partition, its episodes, and its verdicts if they are kept.

    Every event stays in memory (about 150 bytes a reading), since a correction may need it.
    """

    def __init__(self, partition: int, detectors: Collection[str], keep_verdicts: bool) -> None:
        self.state: Final = PartitionState(partition)
        self.episodes: Final[list[Episode]] = []
        self.verdicts: Final = PartitionVerdicts(detectors) if keep_verdicts else None
        self._past: Final = Past()

    def apply(self, record: Record) -> None:
        """Process the next record of the partition."""
        output = process([record], self.state, self._past)
        self._past.add(output.judged)
        self.episodes.extend(output.episodes)
        if self.verdicts is not None:
            self.verdicts.add(output.judged)
            for correction in output.corrections:
                self.verdicts.correct(correction.judged)

    def corrections(self) -> Iterator[Correct]:
        """The decisions that derive every device with late readings again; each is to be applied."""
        for tenant in list(self.state.tenants.values()):
            dirty = tenant.dirty_devices()
            for first in range(0, len(dirty), DEVICES_PER_CORRECTION):
                named = tuple(dirty[first : first + DEVICES_PER_CORRECTION])
                yield Correct(tenant=tenant.tenant, devices=named)
