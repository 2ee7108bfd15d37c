"""Logs that stay away, against the plain model: however the log is cut, after restarts, and proved again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proof.compare import plain
from proof.model import expected
from tests.kit import LogHistory, events_of, log_of
from tocsin.control import (
    Control,
    Correct,
    DumpOutcome,
    DumpReceived,
    DumpRules,
    MaintenanceSet,
    Settings,
    SettingsChanged,
    Tick,
    dump_decision,
)
from tocsin.events import EventBatch
from tocsin.log.abstract import Record, RecordKind
from tocsin.model import Episode, Flag
from tocsin.processing.controls import Applied
from tocsin.processing.dump_pace import stamp_of
from tocsin.processing.dump_silence import prove_silence
from tocsin.processing.processor import process
from tocsin.processing.restoring import Restoration
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.processing.standing import as_it_stands
from tocsin.processing.state import PartitionState

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = 1_790_000_400_000  # 15:00 UTC
RULES = DumpRules(silence_times=2.0, silence_min_s=3_600)

Step = tuple[str, int, int, int]
"""What, how many minutes after the step before, and two numbers of its own."""
DEVICES = ("a", "b")

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["dump", "dump", "dump", "again", "conflict", "bad", "silent about its time"]),
            st.sampled_from([1, 30, 30, 60, 360, 360, 1_500, 3_000]),
            st.integers(0, 1),
            st.sampled_from([0, 0, 0, 20, 400, 2_000, -90]),
        ),
        st.tuples(st.just("tick"), st.sampled_from([1, 61, 200, 800, 4_000]), st.just(0), st.just(0)),
        st.tuples(st.just("rules"), st.just(0), st.sampled_from([0, 2, 3]), st.sampled_from([60, 90_000])),
        st.tuples(st.just("window"), st.just(0), st.integers(0, 500), st.integers(1, 3_000)),
        st.tuples(st.just("event"), st.just(1), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("correct"), st.just(0), st.just(0), st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


@dataclass(slots=True)
class Writer:
    """Turns steps into what a log holds; time goes on and is that of whoever receives."""

    now_ms: int = START_MS
    contents: list[Control | EventBatch] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules(RULES)

    def rules(self, rules: DumpRules) -> None:
        changed = SettingsChanged(tenant="t", effective_ms=self.now_ms, settings=Settings(dumps=rules))
        self.contents.append(changed)

    def dump(self, device: str = "a", *, lag_ms: int = 0, **other: object) -> None:
        """One that was collected up to so long ago."""
        self.sent[device] = self.sent.get(device, 0) + 1
        dump = DumpReceived(
            tenant="t",
            device=device,
            sequence=self.sent[device],
            sha256="0" * 64,
            size_bytes=1,
            outcome=DumpOutcome.ACCEPTED,
            application="presses",
            version=str(self.sent[device] % 2),
            collected_to_ms=self.now_ms - lag_ms,
            received_ms=self.now_ms,
        )
        self.contents.append(DumpReceived(**{n: getattr(dump, n) for n in dump.__struct_fields__} | other))

    def tick(self) -> None:
        self.contents.append(Tick(now_ms=self.now_ms))

    def step(self, step: Step) -> None:
        what, minutes, one, other = step
        self.now_ms += minutes * MINUTE_MS
        device = DEVICES[one % 2]
        match what:
            case "dump":
                self.dump(device, lag_ms=other * MINUTE_MS)
            case "again":
                self.sent[device] = max(self.sent.get(device, 0) - 1, 0)
                self.dump(device, lag_ms=other * MINUTE_MS)
            case "conflict":
                self.dump(device, outcome=DumpOutcome.CONFLICT)
            case "bad":
                self.dump(device, lag_ms=other * MINUTE_MS, outcome=DumpOutcome.QUARANTINED)
            case "silent about its time":
                self.dump(device, collected_to_ms=None)
            case "tick":
                self.tick()
            case "rules":
                self.rules(DumpRules(silence_times=one, silence_min_s=other))
            case "window":
                self.window(one, other)
            case "event":
                self.contents.append(events_of([(device, self.now_ms, {"x": 1.0})], flags=Flag.LIVE))
            case _:
                self.contents.append(Correct(tenant="t", devices=DEVICES))

    def window(self, begins_min: int, minutes: int) -> None:
        first_ms = self.now_ms + begins_min * MINUTE_MS
        self.contents.append(
            MaintenanceSet(
                tenant="t",
                window="mw_1",
                revision=1,
                effective_ms=self.now_ms,
                devices=("a",),
                spans=((first_ms, first_ms + minutes * MINUTE_MS),),
                no_alert=True,
            )
        )

    def records(self) -> list[Record]:
        return log_of(self.contents)


def a_week(writer: Writer, by_day_min: int = 30) -> Writer:
    """Eight days of a machine that sends so often by day, and every six hours by night."""
    end_ms = writer.now_ms + 8 * DAY_MS
    while writer.now_ms < end_ms:
        writer.dump()
        hour = writer.now_ms // HOUR_MS % 24
        writer.now_ms += (by_day_min * MINUTE_MS) if 8 <= hour < 20 else 6 * HOUR_MS
    return writer


def told(records: Sequence[Record]) -> list[Episode]:
    """What comes of these records in one piece."""
    return process(records, PartitionState(0), LogHistory(records)).episodes


def log_after_a_week(steps: Sequence[Step]) -> list[Record]:
    writer = a_week(Writer(), by_day_min=240)
    for step in steps:
        writer.step(step)
    return writer.records()


LOGS = STEPS.map(log_after_a_week)
WITHDRAWN = log_after_a_week([("tick", 1_500, 0, 0), ("dump", 1, 0, 1_490), ("tick", 1_500, 0, 0)])
OVER_A_WINDOW = log_after_a_week(
    [("window", 0, 10, 2_900), ("tick", 1_500, 0, 0), ("tick", 3_000, 0, 0), ("dump", 1, 0, 0)]
)
WITHIN_A_WINDOW = log_after_a_week([("window", 0, 10, 2_900), ("tick", 1_500, 0, 0), ("dump", 60, 0, 0)])
SWITCHED_OFF = log_after_a_week(
    [("tick", 1_500, 0, 0), ("rules", 0, 0, 60), ("tick", 9, 0, 0), ("dump", 9, 0, 0), ("tick", 4_000, 0, 0)]
)


@settings(deadline=None, max_examples=50)
@given(LOGS)
@example(WITHDRAWN)
@example(OVER_A_WINDOW)
@example(WITHIN_A_WINDOW)
@example(SWITCHED_OFF)
def test_silences_of_logs_are_those_of_the_model(records: list[Record]) -> None:
    """Whatever comes, the same episodes are told in the same order, and the same sums are left."""
    state = PartitionState(0)
    episodes = process(records, state, LogHistory(records)).episodes
    model = expected(plain.records(records))
    assert [plain.episode(each) for each in episodes] == model.episodes
    assert state.totals().scored == model.totals["scored"]
    assert state.totals().final == model.totals["final"]


@settings(deadline=None, max_examples=30)
@given(LOGS, st.data())
def test_cuts_and_restarts_change_no_silence(records: list[Record], data: st.DataObject) -> None:
    """In pieces, and from chunks of two positions with the log behind them, the same comes out."""
    whole, state = PartitionState(0), PartitionState(0)
    once = process(records, whole, LogHistory(records)).episodes
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(records))] * 2)))
    pieces = []
    for begin, end in pairwise((0, first, second)):
        pieces += process(records[begin:end], state, LogHistory(records)).episodes
        shards = np.flatnonzero(occupied(state))
        if end == first:
            header = snapshot_header(state, records[first].offset if first < len(records) else state.position)
            chunks = {chunk.shard: chunk for chunk in snapshot_shards(state, shards)}
        else:
            chunks |= {chunk.shard: chunk for chunk in snapshot_shards(state, shards[::2])}
    restoration = Restoration(0)
    for chunk in (header, *chunks.values()):
        restoration.add(chunk)
    again, below = restoration.finish()
    process(records[:second], again, LogHistory(records), Applied(below))
    behind = process(records[second:], again, LogHistory(records)).episodes
    assert pieces + behind == once
    assert (again.totals().scored, again.totals().final) == (whole.totals().scored, whole.totals().final)


@settings(deadline=None, max_examples=30)
@given(LOGS)
@example(OVER_A_WINDOW)
@example(WITHIN_A_WINDOW)
def test_every_silence_of_logs_is_proved(records: list[Record]) -> None:
    """Each published state can be derived again from the device's dumps alone, and from no others."""
    for episode in told(records):
        if episode.reason != "logs_silent" or episode.retracted:
            continue
        own = [
            (record.offset, decision)
            for record in records
            if record.kind is RecordKind.CONTROL
            and (decision := dump_decision(record.payload, episode.device)) is not None
        ]
        assert prove_silence(episode, own).matches
        assert episode.evidence is not None
        others = [
            (offset, each)
            for offset, each in own
            if not isinstance(each, DumpReceived) or stamp_of(each) != episode.evidence.from_ms
        ]
        assert not prove_silence(episode, others).matches


def silence_after(minutes: int, writer: Writer) -> Episode | None:
    """What a tick shows so long after the last dump."""
    writer.now_ms = latest_ms(writer) + minutes * MINUTE_MS
    writer.tick()
    found = told(writer.records())
    return found[-1] if found else None


def latest_ms(writer: Writer) -> int:
    return max(each.received_ms for each in writer.contents if isinstance(each, DumpReceived))


def sent_until(hour: int) -> Writer:
    """A machine that has sent for eight days and stops within this hour of the day (UTC)."""
    writer = a_week(Writer())
    while latest_ms(writer) // HOUR_MS % 24 != hour:
        at = writer.now_ms // HOUR_MS % 24
        writer.dump()
        writer.now_ms += (30 * MINUTE_MS) if 8 <= at < 20 else 6 * HOUR_MS
    return writer


def test_by_day_logs_are_missed_after_an_hour() -> None:
    """Where dumps come every half hour, two of them that do not come are a silence."""
    assert silence_after(60, sent_until(12)) is None
    found = silence_after(61, sent_until(12))
    assert found is not None
    assert found.reason == "logs_silent"
    assert found.end_ms is None
    assert found.explanation == (
        "no logs were received for 1 hour 1 minute; "
        "at this time of the day it sends some at least every 30 minutes"
    )


def test_by_night_logs_are_missed_after_twice_as_long_as_they_usually_take() -> None:
    """Nobody is woken because a machine is as quiet as every night."""
    night = sent_until(20)
    assert silence_after(12 * 60, night) is None
    assert silence_after(12 * 60 + 1, sent_until(20)) is not None


def test_the_next_dump_ends_a_silence_whether_a_tick_has_shown_it_or_not() -> None:
    """So history that is imported tells the same as what was watched: the span, the severity and the id."""
    watched, imported = sent_until(12), sent_until(12)
    begun = silence_after(300, watched)
    for writer in (watched, imported):
        writer.now_ms = latest_ms(writer) + 500 * MINUTE_MS
        writer.dump()
    first, second = told(watched.records())[-1], told(imported.records())[-1]
    assert begun is not None
    assert first.id == second.id == begun.id
    assert plain.episode(first) == plain.episode(second)
    assert first.end_ms == latest_ms(watched)
    assert first.started_ms == begun.started_ms == first.end_ms - 500 * MINUTE_MS + 60 * MINUTE_MS


def test_dumps_that_were_held_back_take_a_silence_back() -> None:
    """A machine without a network keeps its dumps and sends them later: it has not been silent."""
    writer = sent_until(12)
    assert silence_after(300, writer) is not None
    writer.dump(lag_ms=280 * MINUTE_MS)
    assert told(writer.records())[-1].retracted


def test_a_machine_that_sends_its_dumps_in_heaps_is_waited_for_as_long_as_ever() -> None:
    """How late dumps usually come is learnt: a tick before that shows nothing."""
    writer = Writer()
    for _ in range(9):
        evening_ms = writer.now_ms + DAY_MS
        for before in range(20, -1, -1):
            writer.now_ms = evening_ms
            writer.dump(lag_ms=before * 60 * MINUTE_MS)
    assert silence_after(20 * 60, writer) is None


def test_history_tells_of_no_silence_that_goes_on() -> None:
    """What was collected long ago says nothing about now."""
    writer = Writer()
    for day in range(20, 5, -1):
        for half in range(24):
            writer.now_ms += 1
            writer.dump(lag_ms=day * DAY_MS - half * 30 * MINUTE_MS)
    assert silence_after(10_000, writer) is None


def test_a_slower_pace_becomes_usual() -> None:
    """Whoever sends every second hour from now on is told of some times, not for ever."""
    writer = sent_until(12)
    for _ in range(12 * 14):
        writer.now_ms = latest_ms(writer) + 120 * MINUTE_MS
        writer.tick()
        writer.dump()
    found = told(writer.records())
    late_ms = latest_ms(writer) - 5 * DAY_MS
    assert found
    assert max(each.started_ms for each in found) < late_ms


def test_a_long_silence_is_not_usual_from_then_on() -> None:
    """Behind two days without logs a machine is missed after twice an hour, which is all that was learnt."""
    writer = sent_until(12)
    for minutes in (2 * 24 * 60, 30):
        writer.now_ms = latest_ms(writer) + minutes * MINUTE_MS
        writer.dump()
    before = told(writer.records())
    assert [each.end_ms is None for each in before] == [False]
    found = silence_after(121, writer)
    assert found is not None
    assert found.end_ms is None
    assert found.started_ms == latest_ms(writer) + 120 * MINUTE_MS


def test_a_silence_that_lasts_has_a_sentence_that_grows() -> None:
    """Who looks later reads how long it has been by then."""
    writer = sent_until(12)
    state, records = PartitionState(0), None
    writer.now_ms = latest_ms(writer) + 120 * MINUTE_MS
    writer.tick()
    records = writer.records()
    (episode,) = process(records, state, LogHistory(records)).episodes[-1:]
    later = as_it_stands(episode, state.tenant("t"), latest_ms(writer) + 300 * MINUTE_MS)
    assert later.explanation.startswith("no logs were received for 5 hours;")
