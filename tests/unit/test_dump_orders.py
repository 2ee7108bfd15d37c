"""The order of dumps as part of the processor's state: however the log is cut, and after replays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import LogHistory, log_of
from tocsin.control import Control, DumpOutcome, DumpReceived, GapGivenUp, Tick
from tocsin.log.abstract import Record
from tocsin.processing.controls import Applied
from tocsin.processing.dump_order import DumpOrder, Moved
from tocsin.processing.processor import process
from tocsin.processing.restoring import Restoration
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.processing.state import PartitionState

TENANTS = st.sampled_from(["t", "u"])
DEVICES = st.sampled_from(["a", "b", "c"])
CONTROLS: st.SearchStrategy[Control] = st.one_of(
    st.builds(
        DumpReceived,
        tenant=TENANTS,
        device=DEVICES,
        epoch=st.integers(0, 1),
        sequence=st.integers(1, 5),
        sha256=st.just("0" * 64),
        size_bytes=st.just(1),
        outcome=st.sampled_from(DumpOutcome),
    ),
    st.builds(
        GapGivenUp,
        tenant=TENANTS,
        device=DEVICES,
        epoch=st.integers(0, 1),
        from_sequence=st.just(1),
        to_sequence=st.integers(1, 5),
    ),
    st.builds(Tick, now_ms=st.integers(0, 10**6)),
)
LOGS = st.lists(CONTROLS, max_size=30).map(log_of)


def run(records: list[Record], cuts: list[int]) -> tuple[PartitionState, list[Moved]]:
    """Process a log in pieces that end after the records numbered in `cuts`."""
    state, moved = PartitionState(0), []
    for first, last in pairwise([0, *sorted(cuts), len(records)]):
        moved += process(records[first:last], state, LogHistory(records)).dumps
    return state, moved


def orders(state: PartitionState) -> dict[tuple[str, str], DumpOrder]:
    return {(tenant, device): order for tenant, device, order in state.dumps.all()}


@settings(deadline=None)
@given(LOGS, st.data())
def test_cutting_the_log_differently_changes_no_order(records: list[Record], data: st.DataObject) -> None:
    """However the log is cut, the same dumps become ready in the same order."""
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=5))
    once, moved = run(records, [])
    often, moved_often = run(records, cuts)
    assert orders(once) == orders(often)
    assert moved == moved_often


@settings(deadline=None)
@given(LOGS, st.data())
def test_replay_behind_checkpoints_gives_the_same_order(records: list[Record], data: st.DataObject) -> None:
    """Chunks taken at different positions and the log behind them give the state that was lost."""
    whole, _ = run(records, [])
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(records))] * 2)))
    state = PartitionState(0)
    process(records[:first], state, LogHistory(records))
    chunks = {chunk.shard: chunk for chunk in snapshot_shards(state, np.flatnonzero(occupied(state)))}
    assert set(chunks) == set(state.dumps.shards)
    header = snapshot_header(state, records[first].offset if first < len(records) else state.position)
    process(records[first:second], state, LogHistory(records))
    again_at = np.flatnonzero(occupied(state))[::2]
    chunks |= {chunk.shard: chunk for chunk in snapshot_shards(state, again_at)}
    restoration = Restoration(0)
    for chunk in (header, *chunks.values()):
        restoration.add(chunk)
    again, below = restoration.finish()
    process(records, again, LogHistory(records), Applied(below))
    assert orders(again) == orders(whole)
    for now_ms in (0, 10**6, 2 * 10**6):
        assert again.dumps.overdue(now_ms, lambda _: 10**6) == whole.dumps.overdue(now_ms, lambda _: 10**6)


def test_what_changes_is_checkpointed() -> None:
    """A dump, a tick that stamps it and a gap given up each mark the device's shard as changed."""
    controls: list[Control] = [
        DumpReceived(
            tenant="t", device="a", sequence=2, sha256="0" * 64, size_bytes=1, outcome=DumpOutcome.ACCEPTED
        ),
        Tick(now_ms=1),
        GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=1, to_sequence=1),
    ]
    records = log_of(controls)
    state = PartitionState(0)
    for record in records:
        state.touched[:] = False
        process([record], state, LogHistory(records))
        assert np.flatnonzero(state.touched).tolist() == list(state.dumps.shards)
