"""Feedback of other kinds, each at its place in the log and taken back: confirmed, expected, new normal."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import START_MS, LogHistory, events_of, log_of, record_of
from tests.replay_kit import ran, restored
from tocsin.control import (
    FEEDBACK_LASTS_MS,
    Control,
    Correct,
    FeedbackGiven,
    FeedbackKind,
    Policy,
    SeriesName,
    Settings,
    SettingsChanged,
    kind_of,
)
from tocsin.events import EventBatch
from tocsin.log.abstract import Record
from tocsin.model import Episode, Verdict
from tocsin.processing.batching import Events
from tocsin.processing.feedback import KEPT_MAX, acted
from tocsin.processing.hours import hours_of
from tocsin.processing.preview import run, trial
from tocsin.processing.processor import Output, process
from tocsin.processing.proof import prove, span
from tocsin.processing.state import PartitionState
from tocsin.processing.timeline import Timeline

STEP_MS = 1_800_000
DAY_MS = 86_400_000
DAY = 48  # readings
MONDAY_MS = START_MS - (START_MS - 4 * DAY_MS) % (7 * DAY_MS)
SEASONAL = SeriesName(application="pumps", parameter="a", detector="seasonal")
HEALTH = SeriesName(application="pumps", parameter="a", detector="health")
RULES = Settings(
    policy=Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1),
    timezone="Europe/Berlin",
)
CORRECT = Correct(tenant="t", devices=("pump-0",))
OTHERS = (FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED, FeedbackKind.NEW_NORMAL)


def at(reading: int) -> int:
    """The stamp of a reading, counted from a Monday 0:00 UTC."""
    return MONDAY_MS + reading * STEP_MS


def said(
    kind: FeedbackKind, action: int, *spans: tuple[int, int], name: SeriesName = SEASONAL
) -> FeedbackGiven:
    """Feedback on a series of pump-0 that was abnormal from one reading to another."""
    return FeedbackGiven(
        tenant="t",
        device="pump-0",
        kind=kind,
        series=(name,),
        anomaly=f"an_{action}",
        action=action,
        at_ms=START_MS,
        spans=tuple((at(first), at(last)) for first, last in spans),
    )


def readings(first: int, last: int, *, off: float = 0.0, of_day: range = range(DAY)) -> EventBatch:
    """A reading each half an hour of both series; `a` is off by so much at these half hours of the day."""
    rows = []
    for number in range(first, last):
        noise = (number * 7919 % 97) / 97.0
        away = off if number % DAY in of_day else 0.0
        rows.append(("pump-0", at(number), {"a": 20.0 + noise + away, "b": 5.0 + noise}))
    return events_of(rows)


def log(*contents: EventBatch | Control) -> list[Record]:
    return log_of([SettingsChanged(tenant="t", effective_ms=0, settings=RULES), *contents])


def abnormal(outputs: list[Output], from_ms: int = 0) -> int:
    """How many readings of `a` the detector `seasonal` found abnormal at first, from a stamp on."""
    found = 0
    for judged in (judged for output in outputs for judged in output.judged):
        verdicts = judged.verdicts[0]
        own = judged.batch.parameter[verdicts.gathered.row] == judged.batch.names.index("a")
        own &= verdicts.gathered.readings.ts >= from_ms
        found += int((verdicts.scores.verdict[own] == Verdict.ABNORMAL).sum())
    return found


def learnt(state: PartitionState, name: SeriesName = SEASONAL) -> bytes:
    """All that a detector knows of `a`."""
    tenant = state.tenant("t")
    series = tenant.series_number(0, name.application, name.parameter)
    rows = tenant.slots[name.detector].state
    return rows.hot[series].tobytes() + rows.cells[series].tobytes()


WEEKS = readings(0, 28 * DAY)
FAULT = readings(28 * DAY, 32 * DAY, off=15.0)
AFTER = readings(32 * DAY, 35 * DAY)
FAULT_SPAN = (28 * DAY, 32 * DAY - 1)


def test_what_is_confirmed_is_not_learnt_whenever_it_is_said() -> None:
    """A fault of four days becomes normal after one, unless it is confirmed, on the first day or the last."""
    usual, _ = ran(log(WEEKS, FAULT, AFTER))
    early = said(FeedbackKind.CONFIRMED, 1, (28 * DAY, 28 * DAY + 9))
    late = said(FeedbackKind.CONFIRMED, 1, FAULT_SPAN)
    first, rest = readings(28 * DAY, 28 * DAY + 10, off=15.0), readings(28 * DAY + 10, 32 * DAY, off=15.0)
    prompt, outputs = ran(log(WEEKS, first, early, rest, AFTER))
    tardy, _ = ran(log(WEEKS, FAULT, late, AFTER))
    mean = {name: float(state.tenant("t").slots["seasonal"].state.hot["series_mean"][0]) for name, state in
            {"usual": usual, "prompt": prompt, "tardy": tardy}.items()}  # fmt: skip
    assert mean["usual"] > mean["prompt"] + 1.0
    assert learnt(prompt) == learnt(tardy)
    assert abnormal(outputs, at(28 * DAY)) > 3 * DAY > abnormal(ran(log(WEEKS, FAULT))[1], at(28 * DAY))


def test_what_is_expected_at_an_hour_of_the_week_is_learnt_there_alone() -> None:
    """A peak on Mondays at 6 alarms less and less; the same on a Tuesday alarms as before."""
    six = range(10, 14)  # 5:00 to 7:00 UTC, 6 to 8 in Berlin
    peaks = [readings(7 * week * DAY, (7 * week + 1) * DAY, off=15.0, of_day=six) for week in range(4, 8)]
    calm = [readings((7 * week + 1) * DAY, 7 * (week + 1) * DAY) for week in range(4, 8)]
    tuesday = readings((7 * 8 + 1) * DAY, (7 * 8 + 2) * DAY, off=15.0, of_day=six)
    weeks = [part for pair in zip(peaks, calm, strict=True) for part in pair]
    expected = said(FeedbackKind.EXPECTED, 1, (28 * DAY + 10, 28 * DAY + 13))
    usual, told = ran(log(WEEKS, *weeks, tuesday)), ran(log(WEEKS, weeks[0], expected, *weeks[1:], tuesday))
    feedback = told[0].tenant("t").slots["seasonal"].feedback
    assert [each.hours for each in acted(feedback.of(0))] == [(6, 7)]
    from_ms, tuesday_ms = at(35 * DAY), at((7 * 8 + 1) * DAY)
    mondays = [abnormal(outputs, from_ms) - abnormal(outputs, tuesday_ms) for _, outputs in (usual, told)]
    assert mondays[1] < mondays[0]
    assert abnormal(told[1], tuesday_ms) >= abnormal(usual[1], tuesday_ms) > 0


def test_a_new_normal_is_learnt_anew_from_the_next_reading_on() -> None:
    """Nothing is abnormal while it learns, then it judges by what came since; the run that went on ends."""
    new = said(FeedbackKind.NEW_NORMAL, 1)
    first, rest = readings(28 * DAY, 28 * DAY + 10, off=15.0), readings(28 * DAY + 10, 32 * DAY, off=15.0)
    _, outputs = ran(log(WEEKS, first, new, rest))
    assert abnormal(outputs, at(28 * DAY)) == 10
    assert abnormal(ran(log(WEEKS, first, rest))[1], at(28 * DAY)) > 10
    (episode,) = (each for each in episodes_of(outputs) if each.started_ms == at(28 * DAY))
    assert episode.end_ms is not None
    assert abnormal(ran(log(WEEKS, first, new, rest, AFTER))[1], at(32 * DAY)) > 0


def episodes_of(outputs: list[Output]) -> list[Episode]:
    """The last state of each episode of `a` that `seasonal` found and that stands."""
    last = {each.id: each for output in outputs for each in output.episodes}
    own = [each for each in last.values() if (each.parameter, each.detector) == ("a", "seasonal")]
    return sorted((each for each in own if not each.retracted), key=lambda each: each.started_ms)


@pytest.mark.parametrize("kind", [*OTHERS, FeedbackKind.FALSE_ALARM])
def test_what_is_taken_back_is_as_if_it_had_never_been_said(kind: FeedbackKind) -> None:
    """What the detector knows is what it would know, to the bit, and so are the verdicts that hold."""
    given_, back = said(kind, 1, FAULT_SPAN), said(FeedbackKind.WITHDRAWN, 2)
    usual, told = ran(log(WEEKS, FAULT, AFTER)), ran(log(WEEKS, FAULT, given_, AFTER, back))
    assert learnt(told[0]) == learnt(usual[0])
    assert told[0].totals().final == usual[0].totals().final
    assert acted(told[0].tenant("t").slots["seasonal"].feedback.of(0)) == ()
    again = ran(log(WEEKS, FAULT, given_, AFTER, back, back, given_))
    assert again[0].totals().final == usual[0].totals().final


def test_the_last_that_was_said_is_taken_back_first() -> None:
    """One after another, whatever their kinds."""
    back = [said(FeedbackKind.WITHDRAWN, 10 + number) for number in range(4)]
    told = [
        said(FeedbackKind.FALSE_ALARM, 1),
        said(FeedbackKind.CONFIRMED, 2, FAULT_SPAN),
        said(FeedbackKind.FALSE_ALARM, 3),
        said(FeedbackKind.NEW_NORMAL, 4),
    ]
    seen = []
    for count in range(5):
        feedback = ran(log(WEEKS, FAULT, *told, *back[:count]))[0].tenant("t").slots["seasonal"].feedback
        steps = int(feedback.of(0)["steps"][-1])
        seen.append((steps, sorted(kind_of(each).value for each in acted(feedback.of(0)))))
    assert seen == [
        (2, ["confirmed", "false_alarm", "false_alarm", "new_normal"]),
        (2, ["confirmed", "false_alarm", "false_alarm"]),
        (1, ["confirmed", "false_alarm"]),
        (1, ["false_alarm"]),
        (0, []),
    ]


def test_each_that_is_taken_back_takes_one_false_alarm_with_it() -> None:
    """What was said before two of them is left alone until both are taken back."""
    told = [said(FeedbackKind.CONFIRMED, 1, (0, 9))]
    told += [said(FeedbackKind.FALSE_ALARM, number) for number in (2, 3)]
    back = [said(FeedbackKind.WITHDRAWN, 10 + number) for number in range(3)]
    seen = []
    for count in range(4):
        state, _ = ran(log(readings(0, 10), *told, *back[:count]))
        rows = state.tenant("t").slots["seasonal"].feedback.of(0)
        seen.append((int(rows["steps"][-1]), "confirmed" in {each.kind for each in acted(rows)}))
    assert seen == [(2, True), (1, True), (0, True), (0, False)]


def test_what_acts_on_the_past_reaches_back_thirty_days_and_ends_by_itself() -> None:
    """However long ago the anomaly began."""
    long_ago = said(FeedbackKind.CONFIRMED, 1, (0, 35 * DAY - 1))
    state, _ = ran(log(WEEKS, FAULT, AFTER, long_ago))
    (found,) = acted(state.tenant("t").slots["seasonal"].feedback.of(0))
    newest_ms = at(35 * DAY - 1)
    assert (found.from_ms, found.until_ms) == (newest_ms - FEEDBACK_LASTS_MS, newest_ms)
    of_a_span_taken_back = said(FeedbackKind.CONFIRMED, 1, (DAY, DAY + 9))  # by a correction, say
    state, _ = ran(log(readings(0, 10), of_a_span_taken_back))
    (found,) = acted(state.tenant("t").slots["seasonal"].feedback.of(0))
    assert found.from_ms == at(9) + 1


@pytest.mark.parametrize("kind", [FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED])
def test_what_ends_by_itself_leaves_what_comes_later_alone(kind: FeedbackKind) -> None:
    """A fault from the thirtieth day on is learnt as if nothing had been said; one before it is not."""
    before, end = 28 * DAY, 50 * DAY  # it acts from the twentieth day on
    told = said(kind, 1, (20 * DAY, before - 1))
    for begins, ends, same in ((end, end + 4 * DAY, True), (end - 4 * DAY, end, False)):
        later = (
            readings(before, begins),
            readings(begins, ends, off=15.0),
            readings(ends, end + 5 * DAY),
        )
        (usual, _), (state, _) = ran(log(WEEKS, *later)), ran(log(WEEKS, told, *later))
        assert (learnt(state) == learnt(usual)) is same


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_said_of_limits_is_forgotten_before_anything_else(kind: FeedbackKind) -> None:
    """Many answers later a correction finds what was learnt under the first, and it can be taken back."""
    told = [
        said(FeedbackKind.WITHDRAWN if number % 2 else FeedbackKind.FALSE_ALARM, 2 + number)
        for number in range(2 * KEPT_MAX - 1)  # what is forgotten left the limits as they were
    ]
    records = log(WEEKS, FAULT, said(kind, 1, FAULT_SPAN), AFTER, *told)
    state, _ = ran(records)
    corrected, _ = ran([*records, record_of(CORRECT, records[-1].next_offset)])
    assert learnt(corrected) == learnt(state)
    back = [said(FeedbackKind.WITHDRAWN, 98), said(FeedbackKind.WITHDRAWN, 99)]
    taken_back, _ = ran(log(WEEKS, FAULT, said(kind, 1, FAULT_SPAN), AFTER, *told, *back))
    kinds = [acted(each.tenant("t").slots["seasonal"].feedback.of(0)) for each in (state, taken_back)]
    assert [{each.kind for each in found} for found in kinds] == [{"", kind.value}, set()]


def test_of_much_that_acts_otherwise_the_oldest_is_forgotten() -> None:
    """The limits that were raised between stay as high as they were, and what was said last is kept."""
    told = [said(FeedbackKind.CONFIRMED, number, FAULT_SPAN) for number in range(KEPT_MAX)]
    alarms = [said(FeedbackKind.FALSE_ALARM, KEPT_MAX + number) for number in range(2)]
    for more, first, before in ((alarms[:1], 1, 0), (alarms, 1, 1)):
        state, _ = ran(log(readings(0, DAY), *told, *more))
        found = acted(state.tenant("t").slots["seasonal"].feedback.of(0))
        assert len(found) == KEPT_MAX
        assert (found[0].action, found[0].steps_before) == (first, before)
        assert (found[-1].action, found[-1].steps) == (more[-1].action, len(more))


def test_health_learns_anew_and_holds_nothing() -> None:
    """A new normal acts on it; it keeps nothing out of learning, so there is nothing to confirm."""
    state, _ = ran(log(WEEKS, *(said(kind, number, name=HEALTH) for number, kind in enumerate(OTHERS))))
    (found,) = acted(state.tenant("t").slots["health"].feedback.of(0))
    assert found.kind == "new_normal"


def eventful() -> list[Record]:
    """All kinds, given and taken back, with late readings, a correction, and runs that go on meanwhile."""
    late = events_of([("pump-0", at(28 * DAY + 30) + 7, {"a": 44.0})])
    parts = [readings(28 * DAY + 12 * number, 28 * DAY + 12 * (number + 1), off=15.0) for number in range(12)]
    return log(
        WEEKS,
        *parts[:2],
        said(FeedbackKind.CONFIRMED, 1, (28 * DAY, 28 * DAY + 20)),
        parts[2],
        said(FeedbackKind.FALSE_ALARM, 2),
        *parts[3:5],
        said(FeedbackKind.EXPECTED, 3, (28 * DAY, 28 * DAY + 5)),
        late,
        parts[5],
        CORRECT,
        said(FeedbackKind.NEW_NORMAL, 4),
        *parts[6:8],
        said(FeedbackKind.WITHDRAWN, 5),
        *parts[8:10],
        said(FeedbackKind.NEW_NORMAL, 6, name=HEALTH),
        late,
        said(FeedbackKind.WITHDRAWN, 7),
        *parts[10:],
        readings(31 * DAY, 33 * DAY, off=-12.0),
        CORRECT,
    )


@settings(max_examples=12, deadline=None)
@given(cuts=st.sets(st.integers(1, 24), max_size=8))
def test_however_the_log_is_cut_the_digests_are_the_same(cuts: set[int]) -> None:
    """Also where a cut falls between feedback and the reading that meets it."""
    records = eventful()
    assert ran(records, tuple(sorted(cuts)))[0].totals() == ran(records)[0].totals()


@pytest.mark.parametrize("cut", range(3, 24, 2))
def test_from_any_checkpoint_the_rest_of_the_log_gives_the_same(cut: int) -> None:
    """A restored state has feedback, met or not; what it has is not taken in again."""
    records = eventful()
    whole, (part, _) = ran(records)[0], ran(records[:cut])
    again, applied = restored(part)
    process(records, again, LogHistory(records), applied)
    assert (again.totals().scored, again.totals().final) == (whole.totals().scored, whole.totals().final)
    assert learnt(again) == learnt(whole)


def test_a_correction_finds_what_stands() -> None:
    """Derived again at the end, nothing is found that was not there: live is what a correction gives."""
    state, _ = ran(eventful())
    again, outputs = ran([*eventful(), record_of(CORRECT, eventful()[-1].next_offset)])
    assert again.totals().final == state.totals().final
    assert outputs[-1].corrections[-1].episodes == []


def test_episodes_under_feedback_of_all_kinds_are_proved() -> None:
    """Those it falls into too, with what was learnt before, or learnt anew on the way."""
    records = eventful()
    _, outputs = ran(records)
    kept = [each for output in outputs for each in output.episodes if each.evidence and not each.retracted]
    kinds = {said_.kind for each in kept if each.evidence for said_ in each.evidence.feedback}
    assert {"confirmed", "expected", "new_normal"} <= kinds
    for episode in kept:
        evidence = episode.evidence
        assert evidence is not None
        from_ms, to_ms = span(episode, evidence)
        events = LogHistory(records)("t", "pump-0", evidence.before_offset)
        rows = np.flatnonzero(events.batch.ts >= (from_ms or 0))
        if to_ms is not None:
            rows = rows[events.batch.ts[rows] <= to_ms]
        proof = prove(episode, Events("t", events.offsets[rows], events.batch.take(rows)))
        assert proof.matches, (episode.detector, proof.differences)


def facts(episodes: list[Episode] | tuple[Episode, ...]) -> list[object]:
    """What does not name a place in the log."""
    return [msgspec.structs.replace(each, evidence=None, id="", revision=0) for each in episodes]


@pytest.mark.parametrize("kind", [FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED, FeedbackKind.WITHDRAWN])
def test_a_preview_of_what_acts_on_the_past_is_what_gets_revised(kind: FeedbackKind) -> None:
    """The episodes that stand before are those without it, those that stand after are those with it."""
    before = [said(FeedbackKind.CONFIRMED, 1, FAULT_SPAN)] if kind is FeedbackKind.WITHDRAWN else []
    record = said(kind, 2, FAULT_SPAN)
    records = log(WEEKS, FAULT, AFTER, *before)
    state, outputs = ran(records)
    tried = trial(state.tenant("t"), record, FEEDBACK_LASTS_MS)
    assert tried is not None
    assert tried.moves
    found = run(tried, LogHistory(records)("t", "pump-0", 1 << 62))
    _, after = ran(log(WEEKS, FAULT, AFTER, *before, record))
    recent = [each for each in episodes_of(outputs) if (each.end_ms or 1 << 62) >= tried.from_ms]
    revised = [each for each in episodes_of(after) if (each.end_ms or 1 << 62) >= tried.from_ms]
    assert facts(found.without) == facts(recent)
    assert facts(found.given) == facts(revised)
    assert found.changing or found.vanishing or found.appearing


def test_a_preview_of_a_false_alarm_leaves_a_new_normal_in_force() -> None:
    """Without the feedback, it finds what stands: what was learnt anew meanwhile was."""
    new = said(FeedbackKind.NEW_NORMAL, 1)
    first, rest = readings(28 * DAY, 28 * DAY + 10, off=15.0), readings(28 * DAY + 10, 32 * DAY, off=15.0)
    records = log(WEEKS, first, new, rest, AFTER)
    state, outputs = ran(records)
    tried = trial(state.tenant("t"), said(FeedbackKind.FALSE_ALARM, 2), FEEDBACK_LASTS_MS)
    assert tried is not None
    found = run(tried, LogHistory(records)("t", "pump-0", 1 << 62))
    recent = [each for each in episodes_of(outputs) if (each.end_ms or 1 << 62) >= tried.from_ms]
    assert facts(found.without) == facts(recent)


def test_hours_are_those_on_the_device_s_clock() -> None:
    """On the night that clocks go back the same hour comes twice; a week has all of them."""
    timeline = Timeline()
    timeline.restore([(Settings(timezone="Europe/Berlin"), 0, -1)])
    timeline.add_devices(["pump-0"], 0)
    back_ms = 1_698_537_600_000  # Sunday, 29 October 2023, 0:00 UTC
    assert hours_of([(back_ms, back_ms + 2 * 3_600_000 - 1)], timeline, 0) == {6 * 24 + 2}
    assert len(hours_of([(back_ms, back_ms + 8 * DAY_MS)], timeline, 0)) == 168


def test_what_vanishes_by_feedback_says_so_and_not_that_records_came_late() -> None:
    """Peaks that were expected from the first on are no faults from some week on: no record shows that."""
    six = range(10, 14)
    peaks = [readings(7 * week * DAY, (7 * week + 1) * DAY, off=15.0, of_day=six) for week in range(4, 8)]
    calm = [readings((7 * week + 1) * DAY, 7 * (week + 1) * DAY) for week in range(4, 8)]
    weeks = [part for pair in zip(peaks, calm, strict=True) for part in pair]
    expected = said(FeedbackKind.EXPECTED, 1, (28 * DAY + 10, 28 * DAY + 14))
    _, outputs = ran(log(WEEKS, *weeks, expected))
    gone = [each for output in outputs for each in output.episodes if each.retracted]
    assert gone
    assert {each.explanation for each in gone} == {"with what people said of it nothing was abnormal"}
