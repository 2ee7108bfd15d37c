"""Feedback that acts: a false alarm raises the limits of a series from its place in the log on."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from tests.kit import START_MS, LogHistory, events_of, log_of
from tests.replay_kit import ran, restored
from tocsin.control import (
    LIMIT_FACTORS,
    STEPS_MAX,
    Control,
    Correct,
    FeedbackGiven,
    FeedbackKind,
    Policy,
    SeriesName,
    Settings,
    SettingsChanged,
)
from tocsin.events import EventBatch
from tocsin.log.abstract import Record
from tocsin.model import Episode, Verdict
from tocsin.processing.batching import Events
from tocsin.processing.controls import take_feedback
from tocsin.processing.feedback import KEPT_MAX, acted
from tocsin.processing.preview import run, trial
from tocsin.processing.processor import Output, process
from tocsin.processing.proof import prove, span
from tocsin.runtimes.embedded.views import moved_limits
from tocsin.services.feedback import would_act

MINUTE_MS = 60_000
NAME = SeriesName(application="pumps", parameter="a", detector="seasonal")
AT_ONCE = Settings(policy=Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1))
CORRECT = Correct(tenant="t", devices=("pump-0",))


def said(kind: FeedbackKind, action: int, *names: SeriesName) -> FeedbackGiven:
    """Feedback on pump-0's series."""
    return FeedbackGiven(
        tenant="t",
        device="pump-0",
        kind=kind,
        series=names or (NAME,),
        anomaly=f"an_{action}",
        action=action,
        at_ms=START_MS,
    )


def minutes(first: int, last: int, *, spike: float = 0.0) -> EventBatch:
    """A reading a minute of both series, noisy, each tenth of `a` off by `spike`."""
    rows = []
    for minute in range(first, last):
        noise = (minute * 7919 % 97) / 97.0
        off = spike if minute % 10 == 9 else 0.0
        rows.append(("pump-0", START_MS + minute * MINUTE_MS, {"a": 20.0 + noise + off, "b": 5.0 + noise}))
    return events_of(rows)


def shifted(first: int, last: int) -> EventBatch:
    """A reading a minute of `a`, beyond what was ever usual and within three times as much."""
    rows = [
        ("pump-0", START_MS + minute * MINUTE_MS, {"a": 22.5 + minute % 5 / 10})
        for minute in range(first, last)
    ]
    return events_of(rows)


def settled() -> SettingsChanged:
    return SettingsChanged(tenant="t", effective_ms=0, settings=AT_ONCE)


def log(*contents: EventBatch | Control) -> list[Record]:
    return log_of([settled(), *contents])


def abnormal(outputs: list[Output], parameter: str = "a") -> int:
    """How many readings of a parameter `seasonal` found abnormal."""
    found = 0
    for output in outputs:
        for judged in output.judged:
            verdicts = judged.verdicts[0]
            own = judged.batch.parameter[verdicts.gathered.row] == judged.batch.names.index(parameter)
            found += int((verdicts.scores.verdict[own] == Verdict.ABNORMAL).sum())
    return found


ALARMS = (FeedbackKind.FALSE_ALARM,) * 3


def test_a_false_alarm_raises_the_limit_of_its_series_alone() -> None:
    """What was alarmed about is not any more; another series of the device is judged as before."""
    quiet, loud = minutes(0, 2000), minutes(2000, 2060, spike=1.2)
    usual = abnormal(ran(log(quiet, loud))[1])
    told = [said(kind, number) for number, kind in enumerate(ALARMS)]
    raised = ran(log(quiet, *told, loud))[1]
    assert usual > 0
    assert abnormal(raised) < usual
    other = SeriesName(application="pumps", parameter="b", detector="seasonal")
    beside = [said(kind, number, other) for number, kind in enumerate(ALARMS)]
    assert abnormal(ran(log(quiet, *beside, loud))[1]) == usual


def test_feedback_of_a_device_is_told_by_parameter() -> None:
    """Of each series what was said of it, oldest first; nothing of those that nobody spoke of."""
    state = ran(log(minutes(0, 20), *(said(kind, number) for number, kind in enumerate(ALARMS[:2]))))[0]
    own = state.tenants["t"]
    device = own.device_number("pump-0")
    assert device is not None
    told = moved_limits(own, device)
    assert {name: [each.factor for each in limits] for name, limits in told.items()} == {"a": [1.5, 2.25]}
    assert {(each.application, each.detector) for each in told["a"]} == {("pumps", "seasonal")}


@pytest.mark.parametrize("seed", range(4))
def test_feedback_is_refused_exactly_where_it_would_change_nothing(seed: int) -> None:
    """For every kind, whatever was said before, as long as a series keeps it and longer."""
    rng = random.Random(seed)
    state = ran(log(minutes(0, 20)))[0]
    own = state.tenants["t"]
    device = own.device_number("pump-0")
    assert device is not None
    rows, other = own.slots["seasonal"].feedback, own.slots["health"].feedback
    of_health = SeriesName(application="pumps", parameter="a", detector="health")
    for number in range(3 * KEPT_MAX):
        kind = rng.choice((*FeedbackKind, FeedbackKind.FALSE_ALARM, FeedbackKind.WITHDRAWN))
        names = (NAME,) if kind in (FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED) else (NAME, of_health)
        taken = would_act(kind, names, moved_limits(own, device))
        before = rows.of(0).tobytes(), other.of(0).tobytes()
        take_feedback(said(kind, number + 1, *names), number, own, None)
        assert taken is (before != (rows.of(0).tobytes(), other.of(0).tobytes())), (number, kind)


def test_limits_that_were_raised_can_be_lowered_when_how_is_forgotten() -> None:
    """Three false alarms, and much that was said and taken back since."""
    alarms = [said(kind, number) for number, kind in enumerate(ALARMS)]
    kinds = (FeedbackKind.NEW_NORMAL, FeedbackKind.WITHDRAWN) * (KEPT_MAX // 2)
    state = ran(log(minutes(0, 20), *alarms, *(said(kind, 10 + each) for each, kind in enumerate(kinds))))[0]
    own = state.tenants["t"]
    device = own.device_number("pump-0")
    assert device is not None
    told = moved_limits(own, device)
    assert [each.factor for each in told["a"]] == [LIMIT_FACTORS[-1]]
    assert would_act(FeedbackKind.WITHDRAWN, (NAME,), told)
    assert not would_act(FeedbackKind.FALSE_ALARM, (NAME,), told)
    take_feedback(said(FeedbackKind.WITHDRAWN, 99), 99, own, None)
    assert own.slots["seasonal"].feedback.of(0)["steps"][-1] == 2


def test_what_is_withdrawn_is_judged_as_before() -> None:
    """A step up and a step down leave the limit where it was, for readings that come after both."""
    quiet, calm, loud = minutes(0, 2000), minutes(2000, 2100), minutes(2100, 2160, spike=1.2)
    up, down = said(FeedbackKind.FALSE_ALARM, 1), said(FeedbackKind.WITHDRAWN, 2)
    usual = abnormal(ran(log(quiet, calm, loud))[1])
    assert abnormal(ran(log(quiet, up, calm, down, loud))[1]) == usual > 0


def test_limits_that_were_raised_and_lowered_leave_no_series_blind() -> None:
    """What was normal by raised limits is not learnt in the end, so that the fault is one again."""
    told = [said(kind, number) for number, kind in enumerate(ALARMS)]
    back = [said(FeedbackKind.WITHDRAWN, 10 + number) for number in range(len(ALARMS))]
    quiet, fault, after = minutes(0, 2000), shifted(2000, 2060), shifted(2060, 2100)
    usual = ran(log(quiet, fault, after))[0].totals()
    given_back = ran(log(quiet, *told, fault, *back, after))
    assert given_back[0].totals().final == usual.final
    assert abnormal(given_back[1]) > 0


def test_steps_are_bounded_and_each_action_counts_once() -> None:
    """Ten false alarms raise by three steps, the same action logged again by none; none is the least."""
    down = said(FeedbackKind.WITHDRAWN, 99)
    told = [said(FeedbackKind.FALSE_ALARM, number // 2) for number in range(20)]
    state, _ = ran(log(minutes(0, 30), down, *told))
    feedback = state.tenant("t").slots["seasonal"].feedback
    found = acted(feedback.of(0))
    assert [(each.steps_before, each.steps) for each in found] == [(0, 1), (1, 2), (2, STEPS_MAX)]
    assert [each.action for each in found] == [0, 1, 2]
    assert {each.from_ms for each in found} == {START_MS + 29 * MINUTE_MS + 1}


def test_feedback_kept_of_a_series_is_bounded() -> None:
    """The newest are kept; how high the limits were before the oldest of them is still known."""
    alarms = [said(kind, number) for number, kind in enumerate(ALARMS)]
    told = [said(FeedbackKind.NEW_NORMAL, 10 + number) for number in range(KEPT_MAX - 1)]
    state, _ = ran(log(minutes(0, 30), *alarms, *told))
    found = acted(state.tenant("t").slots["seasonal"].feedback.of(0))
    assert len(found) == KEPT_MAX
    assert (found[0].action, found[0].steps_before) == (2, 2)
    assert found[-1].action == 10 + KEPT_MAX - 2


def test_feedback_on_what_nobody_sends_changes_nothing() -> None:
    """An unknown device, series or detector: the state stays what it was."""
    unknown = SeriesName(application="pumps", parameter="z", detector="seasonal")
    nobody = msgspec.structs.replace(said(FeedbackKind.FALSE_ALARM, 1), device="pump-9")
    other = SeriesName(application="pumps", parameter="a", detector="nothing")
    plain = ran(log(minutes(0, 60), minutes(60, 90)))[0]
    told = ran(
        log(minutes(0, 60), said(FeedbackKind.FALSE_ALARM, 1, unknown, other), nobody, minutes(60, 90))
    )[0]
    assert told.totals() == plain.totals()


def loud_log() -> list[Record]:
    """Alarms before, between and after feedback, with late readings and a correction."""
    late = events_of([("pump-0", START_MS + 2050 * MINUTE_MS + 7, {"a": 21.7})])
    return log(
        minutes(0, 2000),
        minutes(2000, 2040, spike=1.4),
        said(FeedbackKind.FALSE_ALARM, 1),
        minutes(2040, 2080, spike=1.4),
        said(FeedbackKind.FALSE_ALARM, 2),
        minutes(2080, 2110, spike=20.0),
        late,
        CORRECT,
        said(FeedbackKind.WITHDRAWN, 3),
        minutes(2110, 2160, spike=1.8),
        late,
        CORRECT,
    )


@pytest.mark.parametrize("cuts", [(), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), (4, 9)])
def test_however_the_log_is_cut_the_digests_are_the_same(cuts: tuple[int, ...]) -> None:
    """Also where a cut falls between feedback and the reading that meets it."""
    records = loud_log()
    assert ran(records, cuts)[0].totals() == ran(records)[0].totals()


@pytest.mark.parametrize("cut", range(2, 13))
def test_from_any_checkpoint_the_rest_of_the_log_gives_the_same(cut: int) -> None:
    """A restored state has feedback, met or not; what it has is not taken in again."""
    records = loud_log()
    whole = ran(records)[0]
    part, _ = ran(records[:cut])
    again, applied = restored(part)
    again.position = 0
    process(records, again, LogHistory(records), applied)
    assert again.totals().final == whole.totals().final
    assert again.totals().scored == whole.totals().scored
    slots = whole.tenant("t").slots, again.tenant("t").slots
    for name in slots[0]:
        assert slots[0][name].feedback.of(0).tobytes() == slots[1][name].feedback.of(0).tobytes()
        assert slots[0][name].state.hot[:2].tobytes() == slots[1][name].state.hot[:2].tobytes()


def test_feedback_of_many_devices_is_restored_to_each() -> None:
    """Whatever the numbers of their series are by then: chunks come in the order of shards."""
    names = [f"pump-{number}" for number in range(9)]
    rows = [
        (name, START_MS + minute * MINUTE_MS, {"a": 20.0 + minute % 3})
        for minute in range(30)
        for name in names
    ]
    told = [
        msgspec.structs.replace(said(FeedbackKind.FALSE_ALARM, number + 1), device=name)
        for number, name in enumerate(names)
        for _ in range(number % 2)
    ]
    state, _ = ran(log(events_of(rows), *told))
    again, _ = restored(state)
    for number, name in enumerate(names):
        actions = []
        for each in (state, again):
            tenant = each.tenant("t")
            device = tenant.device_number(name)
            series = tenant.series_number(device or 0, "pumps", "a")
            assert (device is not None, series is not None) == (True, True)
            feedback = tenant.slots["seasonal"].feedback.of(series or 0)
            actions.append([each.action for each in acted(feedback)])
        assert actions == [[number + 1] * (number % 2)] * 2


def test_feedback_that_moved_nothing_moves_nothing_when_it_is_read_again() -> None:
    """A checkpoint has what was decided; the log behind it is read again after a crash."""
    records = log(
        minutes(0, 60), said(FeedbackKind.WITHDRAWN, 1), said(FeedbackKind.FALSE_ALARM, 2), minutes(60, 90)
    )
    whole, _ = ran(records)
    again, applied = restored(whole)
    again.position = 0
    process(records, again, LogHistory(records), applied)
    steps = [each.tenant("t").slots["seasonal"].feedback.of(0)["steps"].tolist() for each in (whole, again)]
    assert steps[0] == steps[1]
    assert steps[0][-1] == 1


def shifted_log() -> list[Record]:
    """Feedback while a run goes on."""
    shift = [
        ("pump-0", START_MS + minute * MINUTE_MS, {"a": 26.0 + minute % 5}) for minute in range(2000, 2060)
    ]
    before, after = events_of(shift[:20]), events_of(shift[20:])
    return log(minutes(0, 2000), before, said(FeedbackKind.FALSE_ALARM, 1), after, minutes(2060, 2100))


def edge_log() -> list[Record]:
    """Feedback that the first reading of a run meets, at the very stamp from which on it acts."""
    edge = events_of([("pump-0", START_MS + 1999 * MINUTE_MS + 1, {"a": 60.0})])
    return log(minutes(0, 2000), said(FeedbackKind.FALSE_ALARM, 1), edge, minutes(2000, 2060))


@pytest.mark.parametrize(
    ("records", "told"), [(loud_log(), "an_2"), (shifted_log(), "an_1"), (edge_log(), "an_1")]
)
def test_episodes_under_raised_limits_are_proved_and_name_the_feedback(
    records: list[Record], told: str
) -> None:
    """Those that begin after it and those it falls into; the evidence says on which anomaly it was given."""
    _, outputs = ran(records)
    published = [each for output in outputs for each in output.episodes if each.detector == "seasonal"]
    kept = [each for each in published if not each.retracted and each.evidence is not None]
    assert kept
    for episode in kept:
        evidence = episode.evidence
        assert evidence is not None
        from_ms, to_ms = span(episode, evidence)
        events = LogHistory(records)("t", "pump-0", evidence.before_offset)
        rows = np.flatnonzero(events.batch.ts >= (from_ms or 0))
        if to_ms is not None:
            rows = rows[events.batch.ts[rows] <= to_ms]
        own = Events("t", events.offsets[rows], events.batch.take(rows))
        assert prove(episode, own).matches
    named = {each.anomaly for episode in kept if episode.evidence for each in episode.evidence.feedback}
    assert told in named


def test_a_correction_finds_what_was_judged_at_once() -> None:
    """A device without late readings, derived again: `final` stays `scored`, feedback on the way or not."""
    quiet, loud = minutes(0, 2000), minutes(2000, 2060, spike=1.4)
    state, _ = ran(log(quiet, said(FeedbackKind.FALSE_ALARM, 1), loud, CORRECT))
    totals = state.totals()
    assert totals.final == totals.scored


def test_the_factors_are_powers_of_one_and_a_half() -> None:
    """Exact in binary, so that nothing depends on how they are computed."""
    assert tuple(1.5**steps for steps in range(STEPS_MAX + 1)) == LIMIT_FACTORS


def facts(episodes: list[Episode] | tuple[Episode, ...]) -> list[object]:
    """The last state of each episode of `seasonal`, without what names its place in the log."""
    last = {episode.id: episode for episode in episodes if episode.detector == "seasonal"}
    return [msgspec.structs.replace(each, evidence=None) for _, each in sorted(last.items())]


def test_a_preview_leaves_out_what_was_over_before_its_span() -> None:
    """Though the whole past is judged, only episodes that reach into the span are told."""
    early, loud = minutes(1000, 1010, spike=20.0), minutes(2000, 2060, spike=20.0)
    records = log(minutes(0, 1000), early, minutes(1010, 2000), loud)
    state, outputs = ran(records)
    tried = trial(state.tenant("t"), said(FeedbackKind.FALSE_ALARM, 1), 60 * MINUTE_MS)
    assert tried is not None
    found = run(tried, LogHistory(records)("t", "pump-0", 1 << 62))
    begun = [each.started_ms for output in outputs for each in output.episodes]
    assert min(begun) < tried.from_ms
    assert found.without
    assert all(each.end_ms is None or each.end_ms >= tried.from_ms for each in found.without)


@pytest.mark.parametrize("told", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [FeedbackKind.FALSE_ALARM, FeedbackKind.NEW_NORMAL, FeedbackKind.WITHDRAWN])
def test_a_preview_is_what_comes_when_the_same_data_come_after_the_feedback(
    kind: FeedbackKind, told: int
) -> None:
    """The same episodes to the bit, whatever had been said before; and without it, what came."""
    before = [said(FeedbackKind.FALSE_ALARM, number) for number in range(told)]
    quiet, loud = minutes(0, 2000), minutes(2000, 2060, spike=1.4)
    records = log(quiet, *before, loud)
    state, outputs = ran(records)
    span_ms = (2059 - 1999) * MINUTE_MS - 1  # from just behind the quiet ones on
    tried = trial(state.tenant("t"), said(kind, 99), span_ms)
    assert tried is not None
    found = run(tried, LogHistory(records)("t", "pump-0", 1 << 62))
    again = ran(log(quiet, *before, said(kind, 99), loud))[1]
    came = [each for output in outputs for each in output.episodes if each.started_ms >= tried.from_ms]
    comes = [each for output in again for each in output.episodes if each.started_ms >= tried.from_ms]
    if not tried.moves:
        assert (told, kind) in {(3, FeedbackKind.FALSE_ALARM), (0, FeedbackKind.WITHDRAWN)}
    assert facts(found.without) == facts(came)
    assert facts(found.given) == facts(comes)
    if told == 0 and kind is FeedbackKind.FALSE_ALARM:
        assert found.vanishing
        assert not found.appearing
