"""Maintenance windows: within one nobody is alerted, and what goes on behind it is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.kit import START_MS, LogHistory, events_of, log_of
from tests.replay_kit import assert_same_from_any_checkpoint, ran
from tocsin.control import Control, Correct, MaintenanceSet, Policy, Settings, SettingsChanged, Tick
from tocsin.events import EventBatch
from tocsin.log.abstract import Record
from tocsin.model import Episode, Flag
from tocsin.processing.batching import Events
from tocsin.processing.maintenance import KEPT_MAX, acted
from tocsin.processing.processor import Output
from tocsin.processing.proof import prove, span

MINUTE_MS = 60_000
AT_ONCE = Settings(policy=Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1))
CORRECT = Correct(tenant="t", devices=("pump-0",))


def at(minute: float) -> int:
    return START_MS + int(minute * MINUTE_MS)


def window(
    first: float, below: float, *, name: str = "mw_1", revision: int = 1, from_minute: float = -1e6
) -> MaintenanceSet:
    """A window of pump-0 between two minutes; none where they are the same."""
    return MaintenanceSet(
        tenant="t",
        window=name,
        revision=revision,
        effective_ms=at(from_minute),
        devices=("pump-0", "pump-9"),
        spans=((at(first), at(below)),) if below > first else (),
        no_alert=True,
    )


def minutes(first: int, last: int, *, off: float = 0.0) -> EventBatch:
    """A reading a minute, noisy, all off by so much."""
    rows = []
    for minute in range(first, last):
        noise = (minute * 7919 % 97) / 97.0
        rows.append(("pump-0", at(minute), {"a": 20.0 + noise + off}))
    return events_of(rows, flags=Flag.LIVE)


def log(*contents: EventBatch | Control) -> list[Record]:
    return log_of([SettingsChanged(tenant="t", effective_ms=0, settings=AT_ONCE), *contents])


def episodes(outputs: list[Output], detector: str = "seasonal") -> list[Episode]:
    """Every published state of the detector's episodes."""
    return [each for output in outputs for each in output.episodes if each.detector == detector]


def told(found: list[Episode]) -> list[tuple[bool, bool]]:
    """Of each state whether it is suppressed, and whether it has ended."""
    return [(bool(each.suppressed), each.end_ms is not None) for each in found]


QUIET = minutes(0, 2000)


def test_what_is_abnormal_within_a_window_alone_alerts_nobody_and_is_kept() -> None:
    """Without the window it would have been an episode; with it, the same one, suppressed and by whom."""
    loud, after = minutes(2000, 2010, off=30.0), minutes(2010, 2100)
    usual = episodes(ran(log(QUIET, loud, after))[1])
    assert told(usual)[0] == (False, False)
    found = episodes(ran(log(QUIET, window(1990, 2050), loud, after))[1])
    assert {each.suppressed for each in found} == {"mw_1"}
    assert found[0].id == usual[0].id
    assert told(found)[-1] == (True, True)


def test_what_goes_on_behind_a_window_opens_there() -> None:
    """At the first abnormal reading behind it, as the same episode, which began within."""
    found = episodes(
        ran(log(QUIET, window(1990, 2005), minutes(2000, 2020, off=30.0), minutes(2020, 2100)))[1]
    )
    assert told(found)[0] == (True, False)
    opened = next(each for each in found if not each.suppressed)
    assert (opened.started_ms, opened.opened_ms, opened.id) == (at(2000), at(2005), found[0].id)
    assert told(found)[-1] == (False, True)


def test_what_was_open_before_a_window_goes_on() -> None:
    """Somebody has been told of it."""
    found = episodes(
        ran(log(QUIET, window(2005, 2050), minutes(2000, 2020, off=30.0), minutes(2020, 2100)))[1]
    )
    assert not any(each.suppressed for each in found)


def test_a_window_changes_no_verdict() -> None:
    """Scores and what is learnt are the same: the digests differ by the episodes alone."""
    loud, after = minutes(2000, 2010, off=30.0), minutes(2010, 2100)
    plain = ran(log(QUIET, loud, after))[0].tenant("t")
    quiet = ran(log(QUIET, window(1990, 2050), loud, after))[0].tenant("t")
    for name, slot in plain.slots.items():
        assert slot.state.hot[:1].tobytes() == quiet.slots[name].state.hot[:1].tobytes()


def test_a_silence_within_a_window_is_suppressed() -> None:
    """No tick within it reveals one, and the record that ends it says that there was one."""
    found = episodes(
        ran(log(QUIET, window(1999, 2500), Tick(now_ms=at(2400)), minutes(2450, 2460)))[1], "health"
    )
    silent = [each for each in found if each.reason == "silent"]
    assert told(silent) == [(True, True)]
    assert silent[0].suppressed == "mw_1"


def test_a_silence_that_outlasts_a_window_is_told_behind_it() -> None:
    """By the first tick after the window's end; it began when the device fell silent."""
    ticks = [Tick(now_ms=at(2500)), Tick(now_ms=at(2501))]
    found = episodes(ran(log(QUIET, window(1999, 2500), *ticks, minutes(2600, 2610)))[1], "health")
    silent = [each for each in found if each.reason == "silent"]
    assert told(silent) == [(False, False), (False, True)]
    assert {each.opened_ms for each in silent} == {at(2500)}
    assert silent[0].started_ms < at(2100)


def test_a_parameter_that_goes_missing_within_a_window_is_told_behind_it() -> None:
    """If it is still missing then."""
    rows = [("pump-0", at(minute), {"b": 1.0 + minute % 3}) for minute in range(2000, 2400)]
    both = [("pump-0", at(minute), {"a": 20.0, "b": 1.0 + minute % 3}) for minute in range(1900, 2000)]
    records = log(minutes(0, 1900), events_of(both), window(1950, 2200), events_of(rows))
    missing = [each for each in episodes(ran(records)[1], "health") if each.reason == "missing"]
    assert len(missing) == 1
    assert missing[0].parameter == "a"
    assert missing[0].evidence is not None
    assert at(2200) <= missing[0].evidence.to_ms < at(2206)


def test_a_window_acts_behind_what_the_device_has_sent() -> None:
    """What was judged before stays as it was told, also in a correction."""
    loud, after = minutes(2000, 2010, off=30.0), minutes(2010, 2100)
    late = events_of([("pump-0", at(1500) + 7, {"a": 20.4})])
    records = log(QUIET, loud, window(1990, 2050), after, late, CORRECT)
    state, outputs = ran(records)
    assert not any(each.suppressed for each in episodes(outputs))
    own = state.tenant("t").maintenance.of(0)
    assert [(each.from_ms, each.until_ms) for each in acted(own)] == [(at(2009) + 1, at(2050))]


def test_a_window_that_is_ended_holds_no_longer() -> None:
    """From the stamp on from which that was said; what was before stays."""
    ended = window(0, 0, revision=2, from_minute=2003)
    records = log(QUIET, window(1990, 2500), ended, minutes(2000, 2020, off=30.0), minutes(2020, 2100))
    found = episodes(ran(records)[1])
    assert told(found)[0] == (True, False)
    assert next(each for each in found if not each.suppressed).opened_ms == at(2003)


def test_windows_of_a_device_are_bounded() -> None:
    """The newest are kept."""
    many = [window(3000 + 2 * n, 3001 + 2 * n, name=f"mw_{n}") for n in range(KEPT_MAX + 5)]
    state, _ = ran(log(minutes(0, 30), *many))
    found = acted(state.tenant("t").maintenance.of(0))
    assert len(found) == KEPT_MAX
    assert found[-1].window == f"mw_{KEPT_MAX + 4}"


def test_a_window_that_holds_outlasts_others_that_are_said_again_and_again() -> None:
    """As those of a location are, to all its devices, whenever one comes or goes."""
    often = [
        window(2000, 5000, name="mw_2", revision=n + 1, from_minute=2000 + n) for n in range(KEPT_MAX + 5)
    ]
    short = [window(3000 + 2 * n, 3001 + 2 * n, name=f"mw_{n + 3}") for n in range(KEPT_MAX)]
    state, _ = ran(log(minutes(0, 30), window(1000, 9000), *often, *short))
    found = {
        each.window: (each.from_ms, each.until_ms) for each in acted(state.tenant("t").maintenance.of(0))
    }
    assert found["mw_1"] == (at(1000), at(9000))
    assert found["mw_2"] == (at(2000), at(5000))


def busy_log() -> list[Record]:
    """Runs before, in and across windows, silences, late readings and corrections."""
    late = events_of([("pump-0", at(2001) + 7, {"a": 55.0})])
    return log(
        QUIET,
        window(2002, 2030),
        minutes(2000, 2010, off=30.0),
        minutes(2010, 2025),
        minutes(2025, 2040, off=30.0),
        late,
        CORRECT,
        window(2002, 2060, revision=2),
        minutes(2040, 2050),
        window(2045, 2300, name="mw_2"),
        Tick(now_ms=at(2200)),
        minutes(2250, 2260, off=20.0),
        late,
        CORRECT,
        Tick(now_ms=at(2400)),
        minutes(2450, 2500),
    )


@pytest.mark.parametrize("cuts", [(), tuple(range(1, 16)), (4, 9)])
def test_however_the_log_is_cut_the_digests_are_the_same(cuts: tuple[int, ...]) -> None:
    """Windows are part of the state between two calls."""
    records = busy_log()
    assert ran(records, cuts)[0].totals() == ran(records)[0].totals()


def test_from_any_checkpoint_the_rest_of_the_log_gives_the_same() -> None:
    """Windows come back with their device's shard."""
    assert_same_from_any_checkpoint(busy_log())


def test_late_readings_bring_what_readings_in_order_would_have_brought() -> None:
    """The order of arrival changes nothing in the end."""
    one = window(2002, 2030)
    parts = [minutes(2000, 2010, off=30.0), minutes(2010, 2040)]
    ordered = ran(log(QUIET, one, *parts, CORRECT))[0].totals()
    late = ran(log(QUIET, one, *reversed(parts), CORRECT))[0].totals()
    assert late.final == ordered.final


def test_every_episode_is_proved_with_its_windows() -> None:
    """Suppressed, opened behind a window, silent: derived again from the evidence alone."""
    records = busy_log()
    history = LogHistory(records)
    last = {each.id: each for output in ran(records)[1] for each in output.episodes}
    kept = [each for each in last.values() if not each.retracted]
    assert {bool(each.suppressed) for each in kept} == {False, True}
    for episode in kept:
        assert episode.evidence is not None
        from_ms, to_ms = span(episode, episode.evidence)
        events = history("t", "pump-0", records[-1].next_offset)
        keep = np.flatnonzero(
            (events.batch.ts >= (from_ms or 0)) & (events.batch.ts <= (to_ms or at(1e6)))
        ).astype(np.int64)
        own = Events(events.tenant, events.offsets[keep], events.batch.take(keep))
        assert prove(episode, own).matches, (episode, prove(episode, own))
        if episode.suppressed:
            other = msgspec.structs.replace(episode, suppressed="")
            assert not prove(other, own).matches
