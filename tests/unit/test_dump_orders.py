"""The order of dumps as part of the processor's state: however the log is cut, and after replays."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.kit import LogHistory, log_of
from tocsin.control import (
    Control,
    Correct,
    DumpDecision,
    DumpOutcome,
    DumpReceived,
    GapGivenUp,
    LineSpan,
    Tick,
    decode_control,
    dump_decision,
)
from tocsin.log.abstract import Record
from tocsin.processing.controls import Applied
from tocsin.processing.dump_gaps import prove_gap
from tocsin.processing.dump_order import DumpOrder, DumpPlace, Moved
from tocsin.processing.dump_places import place_dumps
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
        collected_to_ms=st.none() | st.integers(0, 10),
        lines=st.none() | st.just(LineSpan(first=0, below=1)),
    ),
    st.builds(
        GapGivenUp,
        tenant=TENANTS,
        device=DEVICES,
        epoch=st.integers(0, 1),
        from_sequence=st.just(1),
        to_sequence=st.integers(1, 5),
        at_ms=st.integers(0, 10),
        waited_ms=st.integers(0, 10),
    ),
    st.builds(Correct, tenant=TENANTS, devices=st.just(("a", "b"))),
    st.builds(Tick, now_ms=st.integers(0, 10**6)),
)
LOGS = st.lists(CONTROLS, max_size=30).map(log_of)


def came(sequence: int) -> DumpReceived:
    return DumpReceived(
        tenant="t", device="a", sequence=sequence, sha256="0" * 64, size_bytes=1, outcome=DumpOutcome.ACCEPTED
    )


CORRECTED_GAP = log_of(
    [
        came(1),
        came(3),
        GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=2, to_sequence=2, at_ms=9),
        Correct(tenant="t", devices=("a", "b")),
        came(5),
        GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=4, to_sequence=4, at_ms=9),
        came(4),
    ]
)


def run(records: list[Record], cuts: list[int]) -> tuple[PartitionState, list[Moved]]:
    """Process a log in pieces that end after the records numbered in `cuts`."""
    state, moved = PartitionState(0), []
    for first, last in pairwise([0, *sorted(cuts), len(records)]):
        moved += process(records[first:last], state, LogHistory(records)).dumps
    return state, moved


def sums(state: PartitionState) -> tuple[str, str]:
    """The digests that episodes of gaps are part of."""
    return state.totals().scored, state.totals().final


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
    assert sums(once) == sums(often)


@settings(deadline=None)
@given(LOGS)
@example(CORRECTED_GAP)
def test_every_gap_with_missing_dumps_is_one_proved_episode(records: list[Record]) -> None:
    """Each is told once, by an id of its own, can be derived again, and no correction touches it."""
    state = PartitionState(0)
    output = process(records, state, LogHistory(records))
    assert len(output.episodes) == sum(bool(moved.missing) for moved in output.dumps)
    assert len({(each.tenant, each.id) for each in output.episodes}) == len(output.episodes)
    for episode in output.episodes:
        own = [
            (record.offset, decision)
            for record in records
            if (decision := dump_decision(record.payload, episode.device)) is not None
            and decision.tenant == episode.tenant
        ]
        assert prove_gap(episode, own).matches
    assert state.totals().scored == state.totals().final


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
    assert sums(again) == sums(whole)
    for now_ms in (0, 10**6, 2 * 10**6):
        assert again.dumps.overdue(now_ms, lambda _: 10**6) == whole.dumps.overdue(now_ms, lambda _: 10**6)


@given(LOGS)
def test_the_end_of_the_last_window_is_that_of_the_last_dump_that_was_cut(records: list[Record]) -> None:
    """A device's own dumps have none, and a window whose number was taken goes to another one."""
    state, _ = run(records, [])
    expected: dict[tuple[str, str], int | None] = {}
    for record in records:
        control = decode_control(record.payload)
        if isinstance(control, DumpReceived) and control.lines and control.outcome != DumpOutcome.CONFLICT:
            expected[control.tenant, control.device] = control.collected_to_ms
    assert state.dumps.cut_to_ms() == {key: end for key, end in expected.items() if end is not None}


@given(st.lists(CONTROLS, max_size=30))
def test_the_list_of_dumps_agrees_with_the_order(controls: list[Control]) -> None:
    """Each body that came is listed once in the place where it is counted; nothing missing has come."""
    mine = [
        replace(control, sha256="f" * 64)
        if isinstance(control, DumpReceived) and control.outcome is DumpOutcome.CONFLICT
        else control
        for control in controls
        if isinstance(control, DumpDecision) and (control.tenant, control.device) == ("t", "a")
    ]
    order = DumpOrder()
    for decision in mine:
        _ = order.receive(decision) if isinstance(decision, DumpReceived) else order.give_up(decision)
    found = place_dumps(mine)
    listed = Counter(item.place for item in found.dumps)
    for place in (DumpPlace.READY, DumpPlace.WAITING, DumpPlace.AFTER_GAP, DumpPlace.QUARANTINED):
        assert listed[place] == order.counts.get(place, 0)
    keys = [item.key for item in found.dumps]
    assert keys == sorted(set(keys))
    there = {key[:2] for key, item in zip(keys, found.dumps, strict=True) if item.place != "conflict"}
    lost = {(span.epoch, n) for span in found.missing for n in range(span.first, span.last + 1)}
    assert not lost & there


def test_what_changes_is_checkpointed() -> None:
    """A dump, a tick that stamps it and a gap given up each mark the device's shard as changed."""
    controls: list[Control] = [
        came(2),
        Tick(now_ms=1),
        GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=1, to_sequence=1),
    ]
    records = log_of(controls)
    state = PartitionState(0)
    for record in records:
        state.touched[:] = False
        process([record], state, LogHistory(records))
        assert np.flatnonzero(state.touched).tolist() == list(state.dumps.shards)
