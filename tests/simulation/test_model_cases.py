"""Logs on which the product and the model once differed, each with what was wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proof.compare import plain
from proof.model import expected
from proof.model.episodes import Episode
from proof.model.records import Event
from tests.kit import log_of
from tests.model_kit import TENANT, batch_of
from tests.simulation.test_model import compare
from tocsin.control import Control, Correct, Policy, Quarantine, Range, Settings, SettingsChanged, Tick
from tocsin.log.abstract import Record

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
AT_ONCE = Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1)
STUCK = {"health": {"ready_s": 0.0, "changes": 3.0, "stuck_readings": 4.0, "stuck_s": 60.0}}


def event(minute: float, values: dict[str, float], **others: object) -> Event:
    """An event of pump-0 so many minutes after the start."""
    ts = START_MS + round(minute * MINUTE_MS)
    sent = Event(0, 0, TENANT, "pump-0", "pumps", "1", ts, True, False, tuple(values.items()))
    return replace(sent, **others)  # type: ignore[arg-type]


def varying(first: int, last: int, *names: str) -> list[Event]:
    """One event a minute, with another value each time."""
    return [event(minute, dict.fromkeys(names or ("a",), 20.0 + minute % 3)) for minute in range(first, last)]


def settings_of(**wanted: object) -> SettingsChanged:
    """Settings that act from the beginning."""
    return SettingsChanged(tenant=TENANT, effective_ms=0, settings=Settings(**wanted))  # type: ignore[arg-type]


def log(*contents: list[Event] | Control, size: int = 1000) -> list[Record]:
    """A log of these events, `size` to a record, and control records."""
    found: list[object] = []
    for content in contents:
        if isinstance(content, list):
            found += [batch_of(content[at : at + size]) for at in range(0, len(content), size)]
        else:
            found.append(content)
    return log_of(found, tenant=TENANT)  # type: ignore[arg-type]


def agreed(records: list[Record]) -> list[Episode]:
    """The published states of episodes, on which product and model agree."""
    assert compare(records, []) == []
    return expected(plain.records(records)).episodes


CORRECT = Correct(tenant=TENANT, devices=("pump-0",))


@pytest.mark.parametrize("size", [1, 1000])
def test_an_episode_names_the_application_and_version_of_its_series(size: int) -> None:
    """What a later event of the same record says about the device does not count."""
    both = [*varying(0, 30, "a", "b"), *varying(30, 60, "a")]
    fans = [replace(sent, application="fans", version="9", ts=sent.ts + 1) for sent in varying(0, 61, "b")]
    mixed = sorted([*both, *fans], key=lambda sent: sent.ts)
    missing = [episode for episode in agreed(log(mixed, size=size)) if episode.reason == "missing"]
    assert [(episode.application, episode.parameter) for episode in missing] == [("pumps", "b")]


def test_the_first_good_stamp_does_not_lend_its_application_to_a_wrong_clock() -> None:
    """A device that has only sent stamps of the future is known by its own application."""
    others = [replace(sent, device="pump-1", application="fans") for sent in varying(0, 5)]
    ahead = [event(10**6 + minute, {"a": 1.0}, clock_wrong=True) for minute in range(3)]
    (told,) = agreed(log([*others, *ahead]))
    assert (told.reason, told.device, told.application) == ("clock", "pump-0", "pumps")


def test_the_same_parameter_of_two_applications_is_missing_twice() -> None:
    """Both episodes start at the same moment; they have ids of their own."""
    two = [sent for minute in range(20) for sent in (event(minute, {"a": minute % 3}),)]
    fans = [replace(sent, application="fans") for sent in two]
    pairs = [sent for pair in zip(two, fans, strict=True) for sent in pair]
    missing = agreed(log(pairs, varying(20, 60, "b")))
    assert {episode.application for episode in missing} == {"pumps", "fans"}
    assert len({episode.id for episode in missing}) == 2


@pytest.mark.parametrize("size", [1, 1000])
def test_episodes_come_in_the_order_of_the_log(size: int) -> None:
    """A silence that ends after a run of another detector is published after it, however records are cut."""
    stuck = [event(minute, {"a": 5.0}) for minute in range(20, 40)]
    back = [event(minute, {"a": 20.0 + minute}) for minute in (400, 401, 402)]
    episodes = agreed(
        log(settings_of(detectors=STUCK, policy=AT_ONCE), varying(0, 20), stuck, back, size=size)
    )
    assert [episode.reason for episode in episodes[:2]] == ["stuck", "silent"]


def test_a_correction_leaves_a_silence_that_lasts() -> None:
    """A device that is silent stays so when its late readings are taken in; its return ends the silence."""
    late = Tick(now_ms=START_MS + 300 * MINUTE_MS)
    episodes = agreed(log(varying(0, 30), late, [event(12.5, {"a": 21.0})], CORRECT, varying(400, 402)))
    assert not any(episode.retracted for episode in episodes)
    assert len({episode.id for episode in episodes}) == 1
    assert (episodes[-1].reason, episodes[-1].end_ms) == ("silent", START_MS + 400 * MINUTE_MS)


def test_a_correction_that_lengthens_the_limit_lets_the_next_tick_judge() -> None:
    """Late readings may show that the device usually pauses longer: the silence is withdrawn for now."""
    slow = [event(-10_000 + 500 * step, {"a": 1.0 * step}) for step in range(20)]
    tick = Tick(now_ms=START_MS + 40 * MINUTE_MS)
    later = Tick(now_ms=START_MS + 40_000 * MINUTE_MS)
    episodes = agreed(log(varying(0, 12), tick, slow, CORRECT, tick, later, varying(50_000, 50_002)))
    assert [(episode.retracted, episode.end_ms is None) for episode in episodes] == [
        (False, True),
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_silence_ends_though_its_limit_was_changed_meanwhile() -> None:
    """The settings of the last stamp say when a silence began, to the tick and to the device's return."""
    tick = Tick(now_ms=START_MS + 300 * MINUTE_MS)
    patient = settings_of(silence_min_s=7 * 86_400)
    (begun, ended) = agreed(log(varying(0, 30), tick, patient, varying(400, 402)))
    assert (begun.id, begun.end_ms) == (ended.id, None)
    assert ended.end_ms == START_MS + 400 * MINUTE_MS


def test_a_silence_is_withdrawn_when_the_device_had_kept_its_events() -> None:
    """Cut off for hours, a device sends everything with its own stamps: there was no gap."""
    tick = Tick(now_ms=START_MS + 300 * MINUTE_MS)
    begun, withdrawn = agreed(log(varying(0, 30), tick, varying(30, 300)))
    assert (begun.id, begun.reason, begun.end_ms) == (withdrawn.id, "silent", None)
    assert (withdrawn.retracted, withdrawn.revision) == (True, 1)


def test_a_correction_leaves_out_what_was_quarantined() -> None:
    """Readings that came while their device was put aside are scored neither at once nor by a correction."""
    aside = Quarantine(tenant=TENANT, devices=("pump-0",), reason="test")
    again = Quarantine(tenant=TENANT, devices=("pump-0",), reason="test", released=True)
    late = [event(12.5, {"a": 21.0})]
    records = log(varying(0, 30), aside, varying(30, 40), again, varying(40, 60), late, CORRECT)
    agreed(records)
    (counts,) = expected(plain.records(records)).counts.values()
    assert (counts["unscored_quarantined"], counts["scored"]) == (10, 50)


def test_too_late_is_too_late_after_an_update_too() -> None:
    """A new version of the software begins no new series: what is 31 days late takes no part."""
    old = [replace(sent, version="2", ts=sent.ts - 31 * DAY_MS) for sent in varying(3, 5)]
    agreed(log(varying(0, 30), [event(12.5, {"a": 1.0})], old, CORRECT))


def test_a_missing_parameter_and_a_stuck_one_keep_their_ids() -> None:
    """A run that lasts while its parameter is missing is not taken for the same episode by a correction."""
    stuck = [event(minute, {"a": 5.0, "b": minute % 3}) for minute in range(20, 40)]
    gone = [event(minute, {"b": minute % 3}) for minute in range(40, 90)]
    episodes = agreed(
        log(
            settings_of(detectors=STUCK, policy=AT_ONCE),
            [event(minute, {"a": minute % 3, "b": minute % 3}) for minute in range(20)],
            [*stuck, *gone],
            [event(35.5, {"a": 6.0})],
            CORRECT,
        )
    )
    ids: dict[str, set[str]] = {}
    for episode in episodes:
        ids.setdefault(episode.id, set()).add(episode.reason)
    assert all(len(reasons) == 1 for reasons in ids.values())
    assert {"stuck", "missing"} <= {episode.reason for episode in episodes}


def test_a_correction_revises_an_episode_that_still_lasts() -> None:
    """What an open episode says is revised as well, not only when it began and ended."""
    high = [event(30 + minute, {"a": 90.0}) for minute in range(3)]
    ranged = settings_of(
        detectors={"health": {}},
        policy=Policy(open_after_s=0, open_readings=3, close_after_s=60, close_readings=1),
        parameters={"a": Range(upper=50.0)},
    )
    episodes = agreed(log(ranged, varying(0, 30), high, [event(31.5, {"a": 190.0})], CORRECT))
    assert [(episode.revision, episode.end_ms) for episode in episodes] == [(0, None), (1, None)]
    assert [episode.opened_ms for episode in episodes] == [high[-1].ts, START_MS + round(31.5 * MINUTE_MS)]


def test_a_correction_outlives_settings_that_ran_another_detector() -> None:
    """After seventeen settings nobody remembers that `seasonal` ever ran; a correction works all the same."""
    alone = [settings_of(detectors={"health": {}}) for _ in range(17)]
    agreed(log(varying(0, 30), *alone, varying(30, 40), [event(12.5, {"a": 1.0})], CORRECT, varying(40, 50)))


def test_a_wrong_clock_that_is_delivered_again_stays_in_the_final_digest() -> None:
    """Two episodes with the same first stamp end differently: both rows count, corrected or not."""
    ahead = [event(10**6 + minute, {"a": 1.0}, clock_wrong=True) for minute in range(3)]
    sent = [*varying(0, 5), *ahead, *varying(5, 8), *ahead, *varying(8, 12)]
    before = log(sent)
    after = log(sent, [event(2.5, {"a": 1.0})], CORRECT)
    agreed(before)
    agreed(after)


def test_new_limits_of_a_stuck_value_act_at_once() -> None:
    """Settings that allow shorter runs judge the run that goes on, not the next day's."""
    episodes = agreed(
        log(
            settings_of(detectors={"health": {"ready_s": 0.0, "changes": 3.0}}, policy=AT_ONCE),
            varying(0, 20),
            [event(minute, {"a": 5.0}) for minute in range(20, 25)],
            settings_of(detectors=STUCK, policy=AT_ONCE),
            [event(minute, {"a": 5.0}) for minute in range(25, 30)],
        )
    )
    assert [episode.reason for episode in episodes] == ["stuck"]
