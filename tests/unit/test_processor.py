"""The laws of the processor: it is a pure function of the log."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import START_MS, LogHistory, Row, events_of, fleet, log_of
from tocsin.control import Correct, Policy, Quarantine, Settings, SettingsChanged, Tick
from tocsin.events import EventBatch
from tocsin.log.abstract import Record
from tocsin.model import Episode, Flag
from tocsin.processing.controls import Applied
from tocsin.processing.processor import process
from tocsin.processing.restoring import Restoration
from tocsin.processing.snapshots import snapshot_header, snapshot_shards
from tocsin.processing.state import PartitionState, digest_sums

SEEDS = st.integers(0, 10_000)


def run(records: list[Record], cuts: list[int] | None = None) -> tuple[PartitionState, list[Episode]]:
    """Process a log in pieces that end after the records numbered in `cuts`."""
    state, episodes = PartitionState(0), []
    edges = [0, *sorted(set(cuts or [])), len(records)]
    for first, last in pairwise(edges):
        episodes += process(records[first:last], state, LogHistory(records)).episodes
    return state, episodes


def split(rows: list[Row], size: int) -> list[EventBatch]:
    return [events_of(rows[at : at + size]) for at in range(0, len(rows), size)]


def controls_amid(batches: list[EventBatch], seed: int) -> list[Record]:
    """A log with settings, ticks, a quarantine and a correction among the events."""
    rng = np.random.default_rng(seed)
    contents: list[object] = [SettingsChanged(tenant="t", effective_ms=0, settings=Settings())]
    changed = Settings(timezone="Europe/Berlin", policy=Policy(open_after_s=120))
    decisions = [
        SettingsChanged(tenant="t", effective_ms=START_MS + 3_000_000, settings=changed),
        Tick(now_ms=START_MS + 4_000_000),
        Quarantine(tenant="t", devices=("pump-2",), reason="test"),
        Quarantine(tenant="t", devices=("pump-2",), reason="test", released=True),
        Correct(tenant="t", devices=("pump-0", "pump-1")),
    ]
    places = np.sort(rng.integers(0, len(batches) + 1, len(decisions)))
    for number, batch in enumerate(batches):
        contents += [decision for decision, place in zip(decisions, places, strict=True) if place == number]
        contents.append(batch)
    contents += [decision for decision, place in zip(decisions, places, strict=True) if place == len(batches)]
    return log_of(contents)  # type: ignore[arg-type]


def late(rows: list[Row], seed: int, share: float = 0.1) -> list[Row]:
    """The same rows with some delivered up to 30 places later, and some twice."""
    rng = np.random.default_rng(seed)
    places = np.arange(len(rows), dtype=np.float64)
    moved = rng.random(len(rows)) < share
    places[moved] += rng.integers(1, 30, int(moved.sum()))
    delivered = [rows[row] for row in np.argsort(places, kind="stable")]
    repeats = [delivered[row] for row in rng.integers(0, len(rows), 5)]
    return delivered + repeats


def digests(state: PartitionState, name: str) -> list[tuple[object, int]]:
    return sorted(item for tenant in state.tenants.values() for item in digest_sums(tenant)[name])


def test_a_shift_of_level_opens_one_episode_with_its_numbers() -> None:
    """A device that suddenly reads 40 degrees more gets an episode that says so."""
    rows = [("pump-0", START_MS + step * 60_000, {"temperature": 20 + step % 3 * 0.1}) for step in range(200)]
    rows += [
        ("pump-0", START_MS + step * 60_000, {"temperature": 60.0 + step % 3}) for step in range(200, 215)
    ]
    _, episodes = run(log_of(split(rows, 50)))
    opened = [episode for episode in episodes if episode.detector == "seasonal"]
    assert opened
    assert opened[0].started_ms == START_MS + 200 * 60_000
    assert opened[0].opened_ms - opened[0].started_ms >= 300_000
    assert "temperature" in opened[0].explanation


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([1, 7, 50]), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_cutting_the_log_differently_changes_nothing(seed: int, size: int, cuts: list[int]) -> None:
    """However the log is cut into calls, state, episodes in their order and counts are the same."""
    records = controls_amid(split(late(fleet(seed), seed), size), seed)
    whole, all_episodes = run(records)
    parts, episodes = run(records, [cut for cut in cuts if cut < len(records)])
    assert parts.totals() == whole.totals()
    assert list(map(_bare, episodes)) == list(map(_bare, all_episodes))
    assert digests(parts, "final") == digests(whole, "final")


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, sizes=st.tuples(st.integers(1, 40), st.integers(1, 400)))
def test_the_size_of_batches_changes_no_digest(seed: int, sizes: tuple[int, int]) -> None:
    """Events give the same digests and episodes however many share a record."""
    rows = late(fleet(seed), seed)
    results = []
    for size in sizes:
        state, episodes = run(log_of(split(rows, size)))
        bare = [msgspec.structs.replace(episode, evidence=None) for episode in episodes]
        results.append((state.totals().scored, sorted(bare, key=lambda e: (e.id, e.readings, e.end_ms or 0))))
    assert results[0] == results[1]


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_a_device_does_not_depend_on_others(seed: int) -> None:
    """A device's episodes are the same alone and among others."""
    rows = late(fleet(seed, devices=4), seed)
    _, together = run(log_of(split(rows, 64)))
    for device in ("pump-0", "pump-1"):
        own = [row for row in rows if row[0] == device]
        _, alone = run(log_of(split(own, 64)))
        expected = [_bare(episode) for episode in together if episode.device == device]
        assert sorted(map(_bare, alone), key=str) == sorted(expected, key=str)


def _bare(episode: Episode) -> Episode:
    return msgspec.structs.replace(episode, evidence=None)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, share=st.sampled_from([0.02, 0.2, 0.9]))
def test_late_records_end_where_ordered_ones_do(seed: int, share: float) -> None:
    """After a correction the digests raw and final equal those of the ordered records."""
    rows = fleet(seed)
    ordered, _ = run(log_of(split(rows, 37)))
    correction = Correct(tenant="t", devices=("pump-0", "pump-1", "pump-2"))
    disordered, _ = run(log_of([*split(late(rows, seed, share), 37), correction]))
    assert disordered.pending_corrections == 0
    assert digests(disordered, "raw") == digests(ordered, "raw")
    assert digests(disordered, "final") == digests(ordered, "final")
    assert disordered.totals().final == ordered.totals().final


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, place=st.integers(1, 20))
def test_a_correction_in_the_middle_changes_nothing_at_the_end(seed: int, place: int) -> None:
    """Correcting early, and again at the end, gives the same as correcting once at the end."""
    batches = split(late(fleet(seed), seed), 20)
    correction = Correct(tenant="t", devices=("pump-0", "pump-1", "pump-2"))
    twice, _ = run(log_of([*batches[:place], correction, *batches[place:], correction]))
    once, _ = run(log_of([*batches, correction]))
    assert digests(twice, "final") == digests(once, "final")
    assert digests(twice, "raw") == digests(once, "raw")


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_replay_behind_checkpoints_arrives_at_the_same_state(seed: int, data: st.DataObject) -> None:
    """Chunks taken at different positions and the log behind them give the state that was lost."""
    records = controls_amid(split(late(fleet(seed), seed), 17), seed)
    whole, _ = run(records)
    places = st.integers(0, len(records))
    first, second = sorted([data.draw(places), data.draw(places)])
    state = PartitionState(0)
    process(records[:first], state, LogHistory(records))
    shards = {int(shard) for tenant in state.tenants.values() for shard in tenant.devices.used["shard"]}
    chunks = {chunk.shard: chunk for chunk in snapshot_shards(state, np.array(sorted(shards), np.int64))}
    assert set(chunks) == shards
    process(records[first:second], state, LogHistory(records))
    again_at = np.array(sorted(shards)[::2], np.int64)
    chunks |= {chunk.shard: chunk for chunk in snapshot_shards(state, again_at)}
    restoration = Restoration(0)
    for chunk in (snapshot_header(state, first), *chunks.values()):
        restoration.add(chunk)
    again, below = restoration.finish()
    process(records, again, LogHistory(records), Applied(below))
    assert _sums(again) == _sums(whole)
    rest = [Tick(now_ms=START_MS + 10**9)]
    assert _hashable(process(log_of(rest), again, LogHistory(records)).episodes) == _hashable(
        process(log_of(rest), whole, LogHistory(records)).episodes
    )


def test_a_correction_of_an_unknown_device_does_nothing() -> None:
    """A decision about a device that has sent nothing yet asks for no history and changes no state."""
    records = log_of([Correct(tenant="t", devices=("pump-0",)), *split(fleet(1), 50)])
    state, _ = run(records)
    plain, _ = run(log_of(split(fleet(1), 50)))
    assert _sums(state) == _sums(plain)


def test_a_device_runs_what_it_said_whoever_was_there_before() -> None:
    """Also while its clock has been wrong in all that it has sent; by no record of another device."""
    known = events_of([("pump-1", START_MS, {"a": 1.0})])
    wrong = events_of([("fan-1", START_MS, {"a": 1.0})], application="fans", flags=Flag.CLOCK_WRONG)
    state, _ = run(log_of([known, wrong]))
    tenant = state.tenants["t"]
    number = tenant.device_number("fan-1")
    assert number is not None
    assert tenant.streams[tenant.devices.rows[number]["stream"]] == ("fans", "1.0")


@pytest.mark.parametrize("corrected", [False, True])
def test_a_device_whose_clock_was_always_wrong_runs_what_it_said_last(corrected: bool) -> None:
    """By the log, not by its stamps; a correction leaves that as it is."""
    said = [("mills", 2_000), ("fans", 1_000)]
    wrong = [
        events_of([("fan-1", START_MS + ms, {"a": 1.0})], application=application, flags=Flag.CLOCK_WRONG)
        for application, ms in said
    ]
    state, _ = run(log_of([*wrong, *([Correct(tenant="t", devices=("fan-1",))] * corrected)]))
    tenant = state.tenants["t"]
    assert tenant.streams[tenant.devices.rows[0]["stream"]] == ("fans", "1.0")


def _sums(state: PartitionState) -> tuple[str, str, str]:
    totals = state.totals()
    return totals.raw, totals.scored, totals.final


def _hashable(episodes: list[Episode]) -> set[str]:
    return {f"{episode.id} {episode.started_ms} {episode.explanation}" for episode in episodes}


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_every_reading_is_counted_once(seed: int) -> None:
    """Accepted readings are scored, duplicate, conflict, late or unscored: the terms add up exactly."""
    rows = late(fleet(seed), seed)
    rows += [
        (device, ts, {name: value + 1 for name, value in values.items()}) for device, ts, values in rows[-3:]
    ]
    state, _ = run(controls_amid(split(rows, 23), seed))
    counts = state.totals().counts["t"]
    terms = (
        "scored",
        "duplicate",
        "conflict",
        "late",
        "unscored_text",
        "unscored_clock",
        "unscored_quarantined",
    )
    assert counts["accepted"] == sum(counts.get(term, 0) for term in terms)
    assert counts["accepted"] == sum(len(values) for _, _, values in rows)
