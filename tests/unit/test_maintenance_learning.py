"""Maintenance windows within which nothing is learnt: readings are judged, and leave no trace behind."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.kit import START_MS, LogHistory, events_of, log_of
from tests.replay_kit import assert_same_from_any_checkpoint, ran
from tocsin.control import Control, Correct, MaintenanceSet, Policy, Settings, SettingsChanged
from tocsin.detectors.abstract import Rows
from tocsin.events import EventBatch
from tocsin.log.abstract import Record
from tocsin.model import Episode, Flag
from tocsin.processing.batching import Events
from tocsin.processing.episodes import seal
from tocsin.processing.proof import prove, span
from tocsin.processing.state import PartitionState, Slot

MINUTE_MS = 60_000
HOUR = 60
DAY = 24 * HOUR
AT_ONCE = Settings(policy=Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1))
CORRECT = Correct(tenant="t", devices=("pump-0",))
KNOWN = (
    *("scale", "knee", "excess", "smooth_knee", "smooth_excess", "smooth_spread", "usual_scale", "hours"),
    *("series_mean", "series_var", "last", "quantum", "seen", "pace", "day_level", "week_level"),
)
"""What `seasonal` has learnt, beside its cells."""
KNOWN_OF_HEALTH = (
    *("first_ms", "longest", "longest_ms", "level", "level_spread", "noise", "changes", "days"),
    "day_readings_most",
)


def at(minute: float) -> int:
    return START_MS + int(minute * MINUTE_MS)


def window(
    first: float,
    below: float,
    *,
    device: str = "pump-0",
    no_alert: bool = True,
    no_learn: bool = True,
    revision: int = 1,
    from_minute: float = -1e6,
) -> MaintenanceSet:
    """A window between two minutes in which nothing is learnt."""
    return MaintenanceSet(
        tenant="t",
        window="mw_1",
        revision=revision,
        effective_ms=at(from_minute),
        devices=(device,),
        spans=((at(first), at(below)),),
        no_alert=no_alert,
        no_learn=no_learn,
    )


def minutes(first: int, last: int, *, off: float = 0.0, device: str = "pump-0", every: int = 1) -> EventBatch:
    """A reading a minute, noisy, all off by so much."""
    rows = []
    for minute in range(first, last, every):
        noise = (minute * 7919 % 97) / 97.0
        rows.append((device, at(minute), {"a": 20.0 + noise + off}))
    return events_of(rows, flags=Flag.LIVE)


def log(*contents: EventBatch | Control) -> list[Record]:
    return log_of([SettingsChanged(tenant="t", effective_ms=0, settings=AT_ONCE), *contents])


def slot_of(state: PartitionState, detector: str = "seasonal") -> Slot:
    return state.tenants["t"].slots[detector]


def knowledge(state: PartitionState, device: str = "pump-0") -> tuple[bytes, ...]:
    """All that detectors and the order of records have learnt of a device's one series."""
    tenant = state.tenants["t"]
    number = tenant.device_number(device)
    assert number is not None
    (series,) = tenant.device_series(number)
    found: list[Rows] = [slot_of(state).state.cells[series]]
    for detector, names in (("seasonal", KNOWN), ("health", KNOWN_OF_HEALTH)):
        hot = slot_of(state, detector).state.hot[series]
        found += [np.asarray(hot[name]) for name in names]
    row = tenant.devices.rows[number], tenant.series.rows[series]
    found += [np.asarray(each[name]) for each in row for name in ("interval_ms", "intervals")]
    return tuple(each.tobytes() for each in found)


QUIET = minutes(0, 3 * DAY)
HOLDS = window(3 * DAY, 3 * DAY + 5 * HOUR)
WILD = minutes(3 * DAY, 3 * DAY + 5 * HOUR, off=9.0, every=3)


def test_nothing_of_a_window_is_learnt() -> None:
    """Behind it all that is known is what would be, had the device sent nothing within it."""
    behind = minutes(3 * DAY + 5 * HOUR, 3 * DAY + 5 * HOUR + 1)
    paused = knowledge(ran(log(QUIET, HOLDS, WILD, behind))[0])
    gap = window(3 * DAY + 5 * HOUR - 1, 3 * DAY + 5 * HOUR, no_learn=True)
    last = minutes(3 * DAY + 5 * HOUR - 1, 3 * DAY + 5 * HOUR)
    silent = knowledge(ran(log(QUIET, gap, last, behind))[0])
    learnt = knowledge(ran(log(QUIET, replace_learning(HOLDS), WILD, behind))[0])
    assert paused == silent
    assert paused != learnt


def replace_learning(record: MaintenanceSet) -> MaintenanceSet:
    return msgspec.structs.replace(record, no_learn=False)


def test_readings_of_a_window_are_judged_as_ever() -> None:
    """What is far off is abnormal and opens an episode, where only learning is off."""
    heard = window(3 * DAY, 3 * DAY + 5 * HOUR, no_alert=False)
    _, outputs = ran(log(QUIET, heard, WILD))
    found = [each for output in outputs for each in output.episodes if each.parameter == "a"]
    assert found
    assert not any(each.suppressed for each in found)
    assert found[0].started_ms == at(3 * DAY)


def test_what_is_abnormal_for_long_is_not_learnt_either() -> None:
    """Without a window another level is normal after a day; within one it stays what it is not."""
    long = window(3 * DAY, 6 * DAY)
    shifted = minutes(3 * DAY, 6 * DAY, off=9.0, every=5)
    paused, _ = ran(log(QUIET, long, shifted))
    learnt, _ = ran(log(QUIET, replace_learning(long), shifted))
    assert slot_of(paused).state.hot["series_mean"][0] < 21.0
    assert slot_of(learnt).state.hot["series_mean"][0] > 22.0


def test_the_end_of_a_window_is_one_reading_sharp() -> None:
    """The first reading at its end is learnt, the last one before it is not."""
    one = window(3 * DAY, 3 * DAY + 10)
    seen = []
    for below in (3 * DAY + 10, 3 * DAY + 11):
        state, _ = ran(log(QUIET, one, minutes(3 * DAY, below)))
        seen.append(int(slot_of(state).state.hot["seen"][0]))
    assert seen == [3 * DAY, 3 * DAY + 1]


def test_a_window_of_one_device_leaves_others_learning() -> None:
    """Each device has its own spans, also where records of both come together."""
    both = events_of([(f"pump-{n % 2}", at(n // 2), {"a": 20.0 + n % 7}) for n in range(400)])
    more = events_of([(f"pump-{n % 2}", at(n // 2), {"a": 21.0 + n % 5}) for n in range(400, 520)])
    one, none = log(both, window(200, 300), more), log(both, more)
    assert knowledge(ran(one)[0], "pump-1") == knowledge(ran(none)[0], "pump-1")
    assert knowledge(ran(one)[0], "pump-0") != knowledge(ran(none)[0], "pump-0")


def test_a_series_that_is_new_within_a_window_is_new_behind_it() -> None:
    """What it sent before anything was learnt says nothing, not even what it began with."""
    known = events_of([("pump-0", at(-1), {"b": 1.0})], flags=Flag.LIVE)
    early = minutes(0, 100, off=50.0, every=2)
    behind = minutes(100, 100 + 2 * DAY)
    paused, fresh = ran(log(known, window(0, 100), early, behind))[0], ran(log(known, behind))[0]
    for detector, names in (("seasonal", KNOWN), ("health", KNOWN_OF_HEALTH)):
        for name in names:
            own, other = (slot_of(state, detector).state.hot[name][1] for state in (paused, fresh))
            assert own == other, name


def test_a_window_that_is_ended_is_learnt_from_again() -> None:
    """From behind the device's newest stamp on."""
    third = 3 * DAY
    ended = msgspec.structs.replace(HOLDS, spans=(), revision=2, effective_ms=at(third + 30))
    state, _ = ran(log(QUIET, HOLDS, minutes(third, third + 30), ended, minutes(third + 30, third + 40)))
    assert int(slot_of(state).state.hot["seen"][0]) == 3 * DAY + 10


def test_what_a_window_asks_for_may_change_while_it_holds() -> None:
    """Learning goes on from there, and nobody is alerted still."""
    learns = window(3 * DAY, 3 * DAY + 100, no_learn=False, revision=2, from_minute=3 * DAY + 30)
    parts = minutes(3 * DAY, 3 * DAY + 30), minutes(3 * DAY + 30, 3 * DAY + 60)
    state, _ = ran(log(QUIET, window(3 * DAY, 3 * DAY + 100), parts[0], learns, parts[1]))
    assert int(slot_of(state).state.hot["seen"][0]) == 3 * DAY + 30


def busy_log() -> list[Record]:
    """Runs and hours that begin before, within and behind windows; one late record."""
    third = 3 * DAY
    late = events_of([("pump-0", at(third + 20.5), {"a": 55.0})], flags=Flag.LIVE)
    return log(
        QUIET,
        window(third + 10, third + 130),
        minutes(third, third + 40, off=12.0),
        late,
        CORRECT,
        minutes(third + 40, third + 100),
        minutes(third + 100, third + 180, off=12.0),
        minutes(third + 180, third + 400, every=2),
        window(third + 420, third + 3000, no_alert=False, revision=2, from_minute=third + 400),
        minutes(third + 400, third + 900, off=4.0),
        late,
        CORRECT,
        minutes(third + 900, third + 1000),
        window(third + 1010, third + 1100, revision=3, from_minute=third + 1000),
        minutes(third + 1000, third + 1040),
        minutes(third + 1040, third + 1050, off=40.0),
        minutes(third + 1050, third + 1200),
    )


@pytest.mark.parametrize("cuts", [tuple(range(1, 14)), (4, 9)])
def test_however_the_log_is_cut_the_digests_are_the_same(cuts: tuple[int, ...]) -> None:
    """What was not learnt is part of the state between two calls."""
    records = busy_log()
    assert ran(records, cuts)[0].totals() == ran(records)[0].totals()


def test_from_any_checkpoint_the_rest_of_the_log_gives_the_same() -> None:
    """Windows come back with what they ask for."""
    assert_same_from_any_checkpoint(busy_log())


def test_late_readings_bring_what_readings_in_order_would_have_brought() -> None:
    """The order of arrival changes nothing in the end."""
    parts = [minutes(3 * DAY, 3 * DAY + 60, off=7.0), minutes(3 * DAY + 60, 3 * DAY + 400)]
    one = window(3 * DAY + 5, 3 * DAY + 90)
    ordered = ran(log(QUIET, one, *parts, CORRECT))[0].totals()
    late = ran(log(QUIET, one, *reversed(parts), CORRECT))[0].totals()
    assert late.final == ordered.final


def kept(records: list[Record]) -> list[Episode]:
    last = {each.id: each for output in ran(records)[1] for each in output.episodes}
    return [each for each in last.values() if not each.retracted]


def test_every_episode_is_proved_with_its_windows() -> None:
    """Also one that goes on over the end of a window; not where the evidence says that it was learnt."""
    records = busy_log()
    history = LogHistory(records)
    found, differ = kept(records), 0
    assert {bool(each.suppressed) for each in found} == {False, True}
    for episode in found:
        assert episode.evidence is not None
        from_ms, to_ms = span(episode, episode.evidence)
        events = history("t", "pump-0", records[-1].next_offset)
        keep = np.flatnonzero(
            (events.batch.ts >= (from_ms or 0)) & (events.batch.ts <= (to_ms or at(1e6)))
        ).astype(np.int64)
        own = Events(events.tenant, events.offsets[keep], events.batch.take(keep))
        assert prove(episode, own).matches, (episode, prove(episode, own))
        learnt = tuple(msgspec.structs.replace(each, no_learn=False) for each in episode.evidence.maintenance)
        other = msgspec.structs.replace(episode.evidence, maintenance=learnt)
        other = msgspec.structs.replace(other, seal=seal(other))
        differ += not prove(msgspec.structs.replace(episode, evidence=other), own).matches
    assert differ


def test_a_decision_that_says_nothing_of_learning_is_written_as_before() -> None:
    """So is evidence: what was sealed before keeps its seal."""
    said = replace_learning(HOLDS)
    assert b"no_learn" not in msgspec.json.encode(said)
    assert b"no_learn" in msgspec.json.encode(HOLDS)
