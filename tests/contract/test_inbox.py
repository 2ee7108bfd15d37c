"""What every inbox promises: one anomaly per cause, the same however the episodes arrive in batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inbox_kit import (
    MINUTE_MS,
    NOW_MS,
    WINDOWS,
    Opener,
    episode,
    kinds,
    listed,
    only,
    rows,
)
from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Condition, Inbox
from tocsin.inbox.action import Action, ActionKind, Handling, Target
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.inbox.folding import EPISODES_NAMED_MAX
from tocsin.model import Episode, Severity
from tocsin.storage.scripts import load_scripts


def test_a_lasting_episode_is_an_active_anomaly(inbox: Inbox) -> None:
    """An episode that has not ended makes an open, active, unseen anomaly that says what it says."""
    (changed,) = inbox.fold(rows(episode("e1", 0)), NOW_MS)
    anomaly = only(inbox)
    assert changed == anomaly == inbox.anomaly("a", anomaly.id)
    assert anomaly.id.startswith("an_")
    assert (anomaly.condition, anomaly.handling) == (Condition.ACTIVE, Handling.OPEN)
    assert (anomaly.cleared_ms, anomaly.seen_at_ms, anomaly.recurrences) == (None, None, 0)
    assert (anomaly.explanation, anomaly.peak_score) == ("temperature is high", 2.0)
    assert (anomaly.parameters, anomaly.detectors, anomaly.episodes) == (
        ("temperature",),
        ("seasonal",),
        ("e1",),
    )
    assert (anomaly.version, anomaly.updated_sequence) == (1, 1)


def test_it_clears_when_all_its_episodes_have_ended(inbox: Inbox) -> None:
    """The anomaly is cleared at the latest end, not before the last of its episodes has ended."""
    pressure: dict[str, Any] = {"parameter": "pressure"}
    inbox.fold(rows(episode("e1", 0), episode("e2", 3, **pressure), episode("e1", 0, 20)), NOW_MS)
    assert only(inbox).condition is Condition.ACTIVE
    inbox.fold(rows(episode("e2", 3, 15, **pressure), first=4), NOW_MS)
    anomaly = only(inbox)
    assert (anomaly.condition, anomaly.cleared_ms) == (Condition.CLEARED, 20 * MINUTE_MS)
    assert kinds(inbox, anomaly) == ["opened", "extended", "updated", "cleared"]


@pytest.mark.parametrize(
    ("second", "anomalies"),
    [
        (episode("e2", 29, 90, parameter="pressure"), 1),
        (episode("e2", 30, 90, parameter="pressure"), 1),
        (episode("e2", 31, 90, parameter="pressure"), 2),
        (episode("e2", -10, -5, parameter="pressure"), 1),
        (episode("e2", -11, -5, parameter="pressure"), 2),
        (episode("e2", 12, 13, detector="health"), 1),
        (episode("e2", 30 + 24 * 60, 30 + 25 * 60), 1),
        (episode("e2", 31 + 24 * 60, 30 + 25 * 60), 2),
        (episode("e2", 12, 13, device="pump-8"), 2),
        (episode("e2", 12, 13, application="lifts"), 2),
    ],
    ids=[
        "overlaps",
        "touches the end",
        "begins after the end",
        "starts within the window before",
        "starts too early",
        "another detector",
        "recurs after a day",
        "recurs too late",
        "another device",
        "another application",
    ],
)
def test_one_anomaly_per_cause(inbox: Inbox, second: Episode, anomalies: int) -> None:
    """Episodes of a device that overlap, start together or recur are one anomaly; others are not."""
    inbox.fold(rows(episode("e1", 0, 30), second), NOW_MS)
    assert len(listed(inbox)) == anomalies


def test_a_recurrence_resumes_and_is_counted(inbox: Inbox) -> None:
    """The same parameter, abnormal again within a day, is the anomaly with its old id. It is not told as
    reopened: nobody had resolved it."""
    inbox.fold(rows(episode("e1", 0, 30)), NOW_MS)
    first = only(inbox)
    inbox.fold(rows(episode("e2", 600), episode("e2", 600, 620), first=2), NOW_MS)
    again = only(inbox)
    assert (again.id, again.recurrences, again.episodes) == (first.id, 1, ("e2", "e1"))
    assert kinds(inbox, again) == ["opened", "resumed", "cleared"]
    assert again.version == first.version + 2


def test_the_nearest_cause_wins(inbox: Inbox) -> None:
    """An episode that fits two anomalies joins the one it overlaps, not the one it might recur from."""
    inbox.fold(
        rows(
            episode("e1", 0, 30),
            episode("e2", 600, 700, parameter="pressure"),
            episode("e3", 650, 660),
        ),
        NOW_MS,
    )
    recurrences = {anomaly.parameters: anomaly.recurrences for anomaly in listed(inbox)}
    assert recurrences == {("temperature",): 0, ("pressure", "temperature"): 1}


def test_the_strongest_episode_speaks(inbox: Inbox) -> None:
    """Severity is the highest, the sentence that of the strongest, and it names the other parameters."""
    others = [
        episode(f"e{number}", 1, parameter=f"p{number}", severity=Severity.INFO, score=9.0)
        for number in range(7)
    ]
    inbox.fold(rows(episode("e", 0, severity=Severity.CRITICAL), *others), NOW_MS)
    anomaly = only(inbox)
    assert anomaly.severity is Severity.CRITICAL
    assert anomaly.peak_score == 9.0
    assert anomaly.explanation == "temperature is high; and 7 more parameters: p0, p1, p2, p3, p4, …"


def test_of_equally_strong_episodes_the_one_that_ends_last_speaks(inbox: Inbox) -> None:
    """What is silent again is not told of as what was silent, however late the first one is heard of."""
    first = episode("e1", 0, 10, explanation="was silent for 10 minutes")
    again = episode("e2", 30, explanation="is silent")
    inbox.fold(rows(first, again), NOW_MS)
    assert (only(inbox).explanation, only(inbox).recurrences) == ("is silent", 1)
    inbox.fold(rows(episode("e2", 30, 50, explanation="was silent for 20 minutes"), first=3), NOW_MS)
    assert only(inbox).explanation == "was silent for 20 minutes"
    inbox.fold(rows(episode("e1", 0, 11, revision=1, explanation="was silent before"), first=4), NOW_MS)
    assert only(inbox).explanation == "was silent for 20 minutes"


def test_a_score_that_is_none_counts_as_zero(inbox: Inbox) -> None:
    """An episode without a score is folded like any other, and folding it again changes nothing."""
    inbox.fold(rows(episode("e1", 0, score=math.nan), episode("e1", 0, score=math.nan)), NOW_MS)
    assert (only(inbox).peak_score, only(inbox).version) == (0.0, 1)


def test_a_revision_updates_in_place(inbox: Inbox) -> None:
    """A new revision of an episode replaces what the anomaly took from the old one."""
    inbox.fold(rows(episode("e1", 0, 30, severity=Severity.CRITICAL)), NOW_MS)
    inbox.fold(rows(episode("e1", 5, 20, revision=1, explanation="less"), first=2), NOW_MS)
    anomaly = only(inbox)
    assert (anomaly.started_ms, anomaly.cleared_ms) == (5 * MINUTE_MS, 20 * MINUTE_MS)
    assert (anomaly.severity, anomaly.explanation, anomaly.recurrences) == (Severity.WARNING, "less", 0)


def test_a_retracted_episode_is_taken_out(inbox: Inbox) -> None:
    """After a correction the anomaly speaks of the episodes that are left."""
    pressure = episode("e2", 1, 10, parameter="pressure", explanation="pressure is high", score=1.5)
    gone = episode("e1", 0, retracted=True, revision=1)
    inbox.fold(rows(episode("e1", 0), pressure, gone), NOW_MS)
    anomaly = only(inbox)
    assert (anomaly.parameters, anomaly.episodes, anomaly.recurrences) == (("pressure",), ("e2",), 0)
    assert (anomaly.condition, anomaly.explanation) == (Condition.CLEARED, "pressure is high")


def test_an_anomaly_without_valid_episodes_is_withdrawn(inbox: Inbox) -> None:
    """When every episode was retracted, the anomaly is cleared, says why, and keeps its history."""
    gone = episode("e1", 0, retracted=True, revision=1, explanation="late records showed nothing")
    inbox.fold(rows(episode("e1", 0), gone), NOW_MS)
    anomaly = only(inbox)
    assert (anomaly.condition, anomaly.cleared_ms) == (Condition.CLEARED, 5 * MINUTE_MS)
    assert anomaly.explanation == "withdrawn: late records showed nothing"
    assert anomaly.episodes == ("e1",)
    assert kinds(inbox, anomaly) == ["opened", "retracted"]
    inbox.fold(rows(episode("e2", 0, 30), first=3), NOW_MS)
    assert len(listed(inbox)) == 2


def test_an_anomaly_that_maintenance_keeps_back_says_so(inbox: Inbox) -> None:
    """No data have changed: a window that began before it was given afterwards."""
    kept = episode("e1", 0, 5, revision=1, suppressed="mw_1")
    inbox.fold(rows(episode("e1", 0), kept), NOW_MS)
    assert only(inbox).explanation == "withdrawn: kept back by maintenance; temperature is high"


def test_a_retraction_of_something_unknown_is_nothing(inbox: Inbox) -> None:
    """An episode that is first heard of when it is retracted makes no anomaly, but is counted as folded."""
    assert inbox.fold(rows(episode("e1", 0, retracted=True)), NOW_MS) == []
    assert listed(inbox) == []
    assert inbox.position() == 1


def test_what_maintenance_keeps_back_is_no_anomaly(inbox: Inbox) -> None:
    """Until it opens behind the window: then it is one, under the same episode."""
    kept = episode("e1", 0, suppressed="mw_1")
    assert inbox.fold(rows(kept), NOW_MS) == []
    assert listed(inbox) == []
    inbox.fold(rows(episode("e1", 0), first=2), NOW_MS)
    assert only(inbox).episodes == ("e1",)


def test_what_turns_out_to_have_been_in_maintenance_is_withdrawn(inbox: Inbox) -> None:
    """As what a correction has retracted: nobody has to see to it any more."""
    inbox.fold(rows(episode("e1", 0), episode("e1", 0, suppressed="mw_1", revision=1)), NOW_MS)
    assert only(inbox).condition is Condition.CLEARED


def test_ids_do_not_depend_on_the_run(opener: Opener) -> None:
    """Two inboxes give the same episodes the same anomaly id; another tenant's differs."""
    first, second = opener("one"), opener("two")
    first.fold(rows(episode("e1", 0)), NOW_MS)
    second.fold(
        rows(episode("e0", 0, device="x"), episode("e1", 0), episode("e1", 0, tenant="b"), first=7), 5
    )
    (same,) = listed(second, device="pump-7")
    assert same.id == only(first).id
    (other,) = second.anomalies(AnomalyQuery(tenant="b"))
    assert other.id != same.id


def test_folding_again_changes_nothing(inbox: Inbox) -> None:
    """Rows at or below the position are passed over, also when they come together with new ones."""
    batch = rows(episode("e1", 0), episode("e1", 0, 30), episode("e2", 60))
    inbox.fold(batch[:2], NOW_MS)
    before = inbox.changes(0)
    assert inbox.fold(batch[:2], NOW_MS) == []
    assert (inbox.changes(0), inbox.position()) == (before, 2)
    inbox.fold(batch, NOW_MS)
    assert inbox.position() == 3
    assert inbox.changes(0)[: len(before)] == before


def test_everything_survives_opening_again(opener: Opener) -> None:
    """Anomalies, changes and position are the same after closing and opening."""
    inbox = opener()
    inbox.fold(rows(episode("e1", 0), episode("e2", 60, device="pump-8")), NOW_MS)
    before = (listed(inbox), inbox.changes(0), inbox.position())
    inbox.close()
    inbox.close()
    again = opener()
    assert (listed(again), again.changes(0), again.position()) == before
    again.fold(rows(episode("e1", 0, 30), first=3), NOW_MS)
    assert [anomaly.condition for anomaly in listed(again)] == [Condition.CLEARED, Condition.ACTIVE]


def test_a_fold_that_fails_leaves_nothing(inbox: Inbox) -> None:
    """A row that cannot be folded takes the whole batch back, position included."""
    broken = episode("e2", 60, explanation=b"pump")  # bytes in a text column
    with pytest.raises(Exception, match="TEXT"):
        inbox.fold(rows(episode("e1", 0), broken), NOW_MS)
    assert (listed(inbox), inbox.changes(0), inbox.position()) == ([], [], 0)


def test_tenants_are_apart(inbox: Inbox) -> None:
    """A tenant sees neither another's anomalies nor their history or changes, even knowing the id."""
    inbox.fold(rows(episode("e1", 0), episode("e1", 0, tenant="b")), NOW_MS)
    (theirs,) = inbox.anomalies(AnomalyQuery(tenant="b"))
    assert only(inbox).tenant == "a"
    assert inbox.anomaly("a", theirs.id) is None
    assert inbox.history("a", theirs.id) == []
    assert [change.tenant for change in inbox.changes(0, tenant="a")] == ["a"]
    assert len(inbox.changes(0)) == 2


def test_changes_are_one_ordered_log(inbox: Inbox) -> None:
    """Sequences ascend without gaps, each change names its anomaly, and reading resumes after any of them."""
    inbox.fold(rows(episode("e1", 0), episode("e2", 0, device="pump-8"), episode("e1", 0, 30)), NOW_MS)
    changes = inbox.changes(0)
    assert [change.sequence for change in changes] == [1, 2, 3]
    assert inbox.last_change() == 3
    assert inbox.changes(1, limit=1) == changes[1:2]
    assert {change.at_ms for change in changes} == {NOW_MS}
    assert inbox.history("a", changes[0].anomaly_id) == [changes[0], changes[2]]


@pytest.mark.parametrize(
    ("filters", "devices"),
    [
        ({"device": "d1"}, ["d1"]),
        ({"application": "lifts"}, ["d2"]),
        ({"parameter": "pressure"}, ["d1"]),
        ({"severity": Severity.CRITICAL}, ["d2"]),
        ({"condition": Condition.ACTIVE}, ["d2"]),
        ({"condition": Condition.CLEARED}, ["d1", "d0"]),
        ({"handling": Handling.OPEN}, ["d2", "d1", "d0"]),
        ({"handling": Handling.RESOLVED}, []),
        ({"from_ms": 31 * MINUTE_MS}, ["d2", "d1"]),
        ({"to_ms": 99 * MINUTE_MS}, ["d1", "d0"]),
        ({"device": "d1", "condition": Condition.ACTIVE}, []),
        ({"limit": 2}, ["d2", "d1"]),
    ],
)
def test_lists_are_filtered(inbox: Inbox, filters: dict[str, Any], devices: list[str]) -> None:
    """Each filter keeps what it names; newest change first."""
    inbox.fold(
        rows(
            episode("e0", 0, 30, device="d0"),
            episode("e1", 40, 60, device="d1", parameter="pressure"),
            episode("e2", 100, device="d2", application="lifts", severity=Severity.CRITICAL),
        ),
        NOW_MS,
    )
    assert [anomaly.device for anomaly in listed(inbox, **filters)] == devices


def test_paging_holds_while_things_change(inbox: Inbox) -> None:
    """By cursor, what did not change meanwhile comes exactly once; what changed moves to the front."""
    inbox.fold(rows(*(episode(f"e{n}", 0, device=f"d{n}") for n in range(7))), NOW_MS)
    seen = listed(inbox, limit=3)
    inbox.fold(rows(episode("e1", 0, 30, device="d1"), episode("e9", 0, device="d9"), first=8), NOW_MS)
    while page := listed(inbox, limit=3, before_sequence=seen[-1].updated_sequence):
        seen += page
    assert [anomaly.device for anomaly in seen] == ["d6", "d5", "d4", "d3", "d2", "d0"]
    assert [anomaly.device for anomaly in listed(inbox, limit=2)] == ["d9", "d1"]


def test_names_are_bounded_and_counts_exact(inbox: Inbox) -> None:
    """However often it recurs, an anomaly names its newest 100 episodes and counts all of them."""
    total = EPISODES_NAMED_MAX + 20
    inbox.fold(rows(*(episode(f"e{n}", 60 * n, 60 * n + 10) for n in range(total))), NOW_MS)
    anomaly = only(inbox)
    assert anomaly.recurrences == total - 1
    assert anomaly.episodes == tuple(f"e{n}" for n in reversed(range(20, total)))


@st.composite
def outboxes(draw: st.DrawFn) -> list[OutboxRow]:
    """Rows of a few devices and parameters: openings, ends, revisions and retractions, in any order."""
    made: list[Episode] = []
    for _ in range(draw(st.integers(1, 25))):
        start = draw(st.integers(0, 4000))
        length = draw(st.none() | st.integers(0, 600))
        made.append(
            episode(
                f"e{draw(st.integers(0, 9))}",
                start,
                None if length is None else start + length,
                severity=draw(st.sampled_from(list(Severity))),
                score=float(draw(st.integers(1, 3))),
                retracted=draw(st.sampled_from([False, False, False, True])),
            )
        )
    # an episode keeps its device and parameter through all revisions, as its id says
    homes = [("d0", "t"), ("d0", "p"), ("d0", ""), ("d1", "t"), ("d1", "p")]
    return rows(
        *(
            msgspec.structs.replace(each, device=home[0], parameter=home[1])
            for each in made
            for home in [homes[int(each.id[1:]) % len(homes)]]
        )
    )


def everything(inbox: Inbox) -> tuple[Any, ...]:
    return listed(inbox, limit=1000), inbox.changes(0), inbox.position()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outbox=outboxes(), cuts=st.lists(st.integers(0, 25), max_size=5), again=st.integers(0, 5))
def test_batches_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, outbox: list[OutboxRow], cuts: list[int], again: int
) -> None:
    """Folding row by row, at once, or in any cuts with repeats gives equal anomalies and changes."""
    folder = tmp_path_factory.mktemp("cuts")
    whole, cut = EmbeddedInbox(folder / "whole.db", WINDOWS), EmbeddedInbox(folder / "cut.db", WINDOWS)
    whole.fold(outbox, NOW_MS)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(outbox)], strict=True):
        cut.fold(outbox[max(begin - again, 0) : end], NOW_MS)
    assert everything(cut) == everything(whole)
    check_laws(whole, outbox)
    whole.close()
    cut.close()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_of_some_devices_are_their_part_of_the_whole_list(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever was done to whose anomalies, and however long a page is: each once, newest change first."""
    inbox = EmbeddedInbox(tmp_path_factory.mktemp("pages") / "inbox.db", WINDOWS)
    devices = [f"pump-{number}" for number in range(6)]
    outbox = [
        episode(f"e{number}", number * 2_000, number * 2_000 + 5, device=data.draw(st.sampled_from(devices)))
        for number in range(data.draw(st.integers(0, 25)))
    ]
    inbox.fold(rows(*outbox), NOW_MS)
    for anomaly in listed(inbox, limit=1000):
        for kind in data.draw(st.lists(st.sampled_from([ActionKind.RESOLVE, ActionKind.SEEN]), max_size=2)):
            act = Action(kind=kind, tenant="a", actor="m", at_ms=NOW_MS, targets=(Target(id=anomaly.id),))
            inbox.act(act)
    some = data.draw(st.lists(st.sampled_from([*devices, "nowhere"]), unique=True))
    limit = data.draw(st.integers(1, 7))
    filters = AnomalyQuery(
        "a",
        unresolved=data.draw(st.sampled_from([None, True, False])),
        seen=data.draw(st.sampled_from([None, True, False])),
        condition=data.draw(st.sampled_from([None, *Condition])),
        limit=limit,
    )
    expected = [each for each in inbox.anomalies(replace(filters, limit=1000)) if each.device in some]
    found: list[Anomaly] = []
    before: int | None = None
    while page := inbox.anomalies_of(some, replace(filters, before_sequence=before)):
        assert len(page) <= limit
        found += page
        before = page[-1].updated_sequence
    assert found == expected
    assert inbox.anomalies_of(some, replace(filters, tenant="b")) == []
    whose = {each.id: each.device for each in listed(inbox, limit=1000)}
    after = data.draw(st.integers(0, 10))
    theirs = [each for each in inbox.changes(after, tenant="a") if whose[each.anomaly_id] in some]
    assert inbox.changes_of("a", some, after, limit=limit) == theirs[:limit]
    assert inbox.changes_of("b", some, after) == []
    inbox.close()


def check_laws(inbox: Inbox, outbox: Sequence[OutboxRow]) -> None:
    """What holds for every anomaly, by plain reckoning over the newest revision of each episode."""
    newest = {row.episode.id: row.episode for row in outbox}
    anomalies = listed(inbox, limit=1000)
    owned = [name for anomaly in anomalies for name in anomaly.episodes]
    assert len(owned) == len(set(owned))
    shown = {name for name in newest if any(not r.episode.retracted for r in outbox if r.episode.id == name)}
    assert {name for name in shown if not newest[name].retracted} <= set(owned) <= shown
    for anomaly in anomalies:
        own = [newest[name] for name in anomaly.episodes]
        valid = [each for each in own if not each.retracted]
        assert not valid or valid == own
        assert (anomaly.condition is Condition.ACTIVE) == any(each.end_ms is None for each in valid)
        assert anomaly.recurrences == len(own) - 1
        assert anomaly.started_ms == min(each.started_ms for each in own)
        assert anomaly.severity == max((each.severity for each in own), key=list(Severity).index)
        assert {each.device for each in own} == {anomaly.device}


def test_migrations_make_the_schema() -> None:
    """Applying the migrations one by one gives the documented schema."""
    scripts = load_scripts("tocsin.inbox", "inbox")
    assert "".join(scripts.migrations) == scripts.schema
