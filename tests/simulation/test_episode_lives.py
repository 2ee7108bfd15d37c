"""The life of an episode, state by state: it ends, after it began, its revisions rise."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings

from proof.model.records import Event
from tests.kit import LogHistory
from tests.model_kit import log_of_seed
from tests.simulation.test_corrections import DISORDERLY, LOGS
from tests.simulation.test_model import processed
from tests.simulation.test_model_cases import (
    AT_ONCE,
    CORRECT,
    MINUTE_MS,
    START_MS,
    STUCK,
    agreed,
    event,
    log,
    settings_of,
    varying,
)
from tocsin.control import Control, Policy, Quarantine, Range, Settings, SettingsChanged, Tick
from tocsin.log.abstract import Record
from tocsin.model import Episode
from tocsin.processing.proof import prove


def minute_of(ts: int | None) -> float | None:
    """Minutes after the start."""
    return None if ts is None else (ts - START_MS) / MINUTE_MS


def changed_at(minute: int, **wanted: object) -> SettingsChanged:
    """Settings that act from a minute after the start."""
    at_ms = START_MS + minute * MINUTE_MS
    return SettingsChanged(tenant="t", effective_ms=at_ms, settings=Settings(**wanted))  # type: ignore[arg-type]


def check_proofs(records: list[Record]) -> list[Episode]:
    """Every published state is derived again; those states."""
    _, episodes = processed(records, [])
    for episode in episodes:
        if not episode.retracted:
            assert episode.evidence
            events = LogHistory(records)(episode.tenant, episode.device, episode.evidence.before_offset)
            proof = prove(episode, events)
            assert proof.matches, (episode, proof.differences)
    return episodes


def test_an_episode_ends_when_its_detector_is_switched_off() -> None:
    """Its end is the first reading that the detector is not to judge; later on another one may begin."""
    stuck = [event(minute, {"a": 5.0}) for minute in range(20, 30)]
    still = [event(minute, {"a": 5.0}) for minute in range(40, 45)]
    sent: list[list[Event] | Control] = [
        settings_of(detectors=STUCK, policy=AT_ONCE),
        varying(0, 20),
        stuck,
        changed_at(30, detectors={"seasonal": {}}, policy=AT_ONCE),
        varying(32, 40),
        changed_at(40, detectors=STUCK, policy=AT_ONCE),
        still,
    ]
    records = log(*sent)
    agreed(records)
    agreed(log(*sent, [event(12.5, {"a": 20.0})], CORRECT))
    stuck_states = [episode for episode in check_proofs(records) if episode.reason == "stuck"]
    spans = [(minute_of(episode.started_ms), minute_of(episode.end_ms)) for episode in stuck_states]
    assert spans == [(26, None), (26, 32), (40, None)]


def test_a_wrong_clock_begins_at_the_last_good_stamp() -> None:
    """The stamps of a wrong clock say nothing about when it was wrong; the good ones around them do."""
    ahead = [event(10**6 + minute, {"a": 1.0}, clock_wrong=True) for minute in range(3)]
    records = log(varying(0, 5), ahead, varying(7, 9))
    agreed(records)
    told = check_proofs(records)
    spans = [(minute_of(episode.started_ms), minute_of(episode.end_ms)) for episode in told]
    assert spans == [(4, None), (4, 7)]


def test_a_clock_that_was_never_right_ends_where_it_begins() -> None:
    """With no good stamp before it there is but the first wrong one; it never ends before it begins."""
    ahead = [event(10**6 + minute, {"a": 1.0}, clock_wrong=True) for minute in range(3)]
    records = log(ahead, varying(0, 3))
    agreed(records)
    told = check_proofs(records)
    assert [(minute_of(episode.started_ms), minute_of(episode.end_ms)) for episode in told] == [
        (10**6, None),
        (10**6, 10**6),
    ]


def test_a_parameter_that_comes_within_its_limit_after_all_was_never_missing() -> None:
    """It lagged behind its device: the episode is retracted instead of ending before it began."""
    both = [event(minute, {"a": 1.0 * minute, "b": 2.0}) for minute in range(15)]
    alone = [event(minute, {"a": 1.0 * minute}) for minute in range(15, 60)]
    records = log(both, alone, [event(16, {"b": 2.0})])
    agreed(records)
    told = [episode for episode in check_proofs(records) if episode.reason == "missing"]
    assert [(episode.revision, episode.retracted) for episode in told] == [(0, False), (1, True)]


def test_a_parameter_is_missing_though_it_comes_in_quarantine() -> None:
    """Its readings count for nothing there; the proof does not count them either."""
    both = [event(minute, {"a": 1.0 * minute, "b": 2.0}) for minute in range(15)]
    alone = [event(minute, {"a": 1.0 * minute}) for minute in range(15, 60)]
    stopped, released = (
        Quarantine(tenant="t", devices=("pump-0",), reason="test", released=ends) for ends in (False, True)
    )
    records = log(both, alone, stopped, [event(61, {"b": 2.0})], released, varying(62, 70, "b"))
    agreed(records)
    assert [episode.reason for episode in check_proofs(records)] == ["missing", "missing"]


def test_revisions_rise_when_what_was_retracted_comes_back() -> None:
    """Late data take an episode away, later data bring it back: under the same id, with the next revision."""
    rare = settings_of(
        detectors={"health": {}},
        policy=Policy(open_after_s=0, open_readings=3, close_after_s=60, close_readings=1),
        parameters={"a": Range(upper=50.0)},
    )
    high = [event(minute, {"a": 90.0}) for minute in (30, 32, 34)]
    calm, more = [event(33.5, {"a": 20.0})], [event(minute, {"a": 90.0}) for minute in (30.2, 30.4)]
    episodes = agreed(log(rare, varying(0, 30), high, calm, CORRECT, more, CORRECT))
    assert len({episode.id for episode in episodes}) == 1
    assert [(episode.revision, episode.retracted) for episode in episodes] == [
        (0, False),
        (1, True),
        (2, False),
    ]


def test_a_silence_keeps_the_application_that_it_began_with() -> None:
    """The device comes back with other software: its silence is still that of the software before."""
    back = [event(100, {"a": 1.0}, application="fans", version="2")]
    late = [event(12.5, {"a": 1.0})]
    records = log(varying(0, 30), Tick(now_ms=START_MS + 90 * MINUTE_MS), back, late, CORRECT)
    episodes = [episode for episode in agreed(records) if episode.reason == "silent"]
    assert [episode.end_ms is None for episode in episodes[:2]] == [True, False]
    assert {episode.application for episode in episodes} == {"pumps"}
    assert [episode.version for episode in episodes[:2]] == ["1", "2"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=DISORDERLY | LOGS)
@example(records=log_of_seed(58, 19))  # a run ends at the first reading of an hour, by the cells of that hour
def test_every_episode_lives_an_orderly_life(records: list[Record]) -> None:
    """Of any log: no end before its beginning, rising revisions, one series an id, a proof of each state."""
    check_lives(check_proofs(records))


def check_lives(episodes: list[Episode]) -> None:
    """What must hold of all states of each episode, in the order of publication."""
    last: dict[str, Episode] = {}
    for episode in episodes:
        assert episode.end_ms is None or episode.end_ms >= episode.started_ms, episode
        before = last.get(episode.id)
        if before is not None:
            assert episode.revision >= before.revision + (before.retracted or episode.retracted), episode
            assert _whose(episode) == _whose(before), (before, episode)
        last[episode.id] = episode


def _whose(episode: Episode) -> tuple[str, ...]:
    return episode.tenant, episode.application, episode.device, episode.parameter, episode.detector
