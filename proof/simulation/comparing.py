"""What the records of a simulation must lead to: by the product in one go, and by the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proof.compare import plain
from proof.compare.differences import Found, differences
from proof.model import expected
from tocsin.bootstrap import Application
from tocsin.log.abstract import Record
from tocsin.model import Episode
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState
from tocsin.runtimes.backtest.past import Past


def records_of(application: Application, partition: int) -> Iterator[Record]:
    """All records of a partition, from the lake where the log is trimmed."""
    log, lake = application.log, application.lake
    yield from lake.records(partition, 0, log.begin(partition))
    position = log.begin(partition)
    while records := log.read(partition, position):
        yield from records
        position = records[-1].next_offset


class Again:
    """All records processed anew, one at a time: states by partition, and every episode in order.

    `expected` is what the model makes of them.
    """

    def __init__(self, records: Mapping[int, list[Record]]) -> None:
        self.states: dict[int, PartitionState] = {}
        self.episodes: list[Episode] = []
        self._found = Found()
        everything = [record for own in records.values() for record in own]
        self.expected = expected(plain.records(everything))
        for partition, own in records.items():
            self._run(partition, own)
        self._found.close(list(self.states.values()))

    def differences(self) -> list[str]:
        """Where the model says something else of the same records."""
        return differences(self.expected, self._found)

    def _run(self, partition: int, records: list[Record]) -> None:
        state, past = PartitionState(partition), Past()
        for record in records:
            output = process([record], state, past)
            past.add(output.judged)
            self.episodes += output.episodes
            self._found.take(partition, output)
        self.states[partition] = state
