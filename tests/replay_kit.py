"""A log through the processor, in pieces and from its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tests.kit import LogHistory
from tocsin.log.abstract import Record
from tocsin.processing.controls import Applied
from tocsin.processing.processor import Output, process
from tocsin.processing.restoring import Restoration
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.processing.state import PartitionState


def ran(records: list[Record], cuts: Sequence[int] = ()) -> tuple[PartitionState, list[Output]]:
    """The log through the processor, cut after so many records."""
    state, history = PartitionState(0), LogHistory(records)
    edges = pairwise([0, *cuts, len(records)])
    return state, [process(records[first:last], state, history) for first, last in edges]


def restored(state: PartitionState) -> tuple[PartitionState, Applied]:
    """The state from its chunks, with no position, and which records it has."""
    restoration = Restoration(0)
    restoration.add(snapshot_header(state, 0))
    for chunk in snapshot_shards(state, np.flatnonzero(occupied(state)).astype(np.int64)):
        restoration.add(chunk)
    found, below = restoration.finish()
    return found, Applied(below)


def assert_same_from_any_checkpoint(records: list[Record]) -> None:
    """After each record the state goes through a checkpoint, and the rest gives what the whole log gave."""
    whole = ran(records)[0].totals()
    for cut in range(1, len(records)):
        state, applied = restored(ran(records[:cut])[0])
        process(records, state, LogHistory(records), applied)
        assert state.totals().final == whole.final, cut
