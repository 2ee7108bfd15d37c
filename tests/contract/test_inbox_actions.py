"""What every inbox promises of what people do: ordered, durable, once, and never over somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.inbox_kit import MINUTE_MS, NOW_MS, Opener, episode, kinds, listed, only, rows
from tocsin.errors import ConflictError
from tocsin.inbox.abstract import Anomaly, Inbox
from tocsin.inbox.action import Action, ActionKind, Handling, Recorded, Target
from tocsin.model import Severity

LATER_MS = NOW_MS + 60 * MINUTE_MS
Do = Callable[..., Recorded]


@pytest.fixture
def do(inbox: Inbox) -> Do:
    """Acts as maria does, on the one anomaly there is unless told otherwise."""

    def act(kind: ActionKind, *, version: int | None = None, **changed: Any) -> Recorded:
        ids = changed.pop("ids", None) or [each.id for each in listed(inbox)]
        targets = tuple(Target(id=each, version=version) for each in ids)
        values: dict[str, Any] = {"tenant": "a", "actor": "maria", "at_ms": NOW_MS, "targets": targets}
        return inbox.act(Action(kind=kind, **(values | changed)))

    return act


def codes(recorded: Recorded) -> list[str]:
    return [outcome.code for outcome in recorded.outcomes]


def found(inbox: Inbox) -> Anomaly:
    inbox.fold(rows(episode("e1", 0, 30)), NOW_MS)
    return only(inbox)


@pytest.mark.parametrize(
    ("kind", "given", "handling", "told", "detail"),
    [
        (ActionKind.SEEN, {}, Handling.OPEN, "seen", ""),
        (ActionKind.ACKNOWLEDGE, {"note": "on my way"}, Handling.ACKNOWLEDGED, "acknowledged", "on my way"),
        (
            ActionKind.SNOOZE,
            {"until_ms": 1_795_341_600_000, "note": "part is ordered"},
            Handling.SNOOZED,
            "snoozed",
            "until 22 Nov 2026, 10:00 UTC: part is ordered",
        ),
        (ActionKind.RESOLVE, {"note": "bearing replaced"}, Handling.RESOLVED, "resolved", "bearing replaced"),
        (ActionKind.ASSIGN, {"assignee": "tom"}, Handling.OPEN, "assigned", "to tom"),
        (ActionKind.COMMENT, {"note": "it hums"}, Handling.OPEN, "commented", "it hums"),
    ],
)
def test_an_action_is_an_entry_of_the_history(
    inbox: Inbox, do: Do, kind: ActionKind, given: dict[str, Any], handling: Handling, told: str, detail: str
) -> None:
    """It changes what it says, counts the version up, and says who did it; whoever acts has seen it."""
    before = found(inbox)
    recorded = do(kind, version=before.version, **given)
    anomaly = only(inbox)
    assert (anomaly.handling, anomaly.seen_at_ms) == (handling, NOW_MS)
    assert anomaly.assignee == given.get("assignee")
    assert anomaly.snoozed_until_ms == given.get("until_ms")
    change = inbox.history("a", anomaly.id)[-1]
    assert (change.kind, change.detail, change.actor, change.action) == (told, detail, "maria", 1)
    (outcome,) = recorded.outcomes
    assert (outcome.id, outcome.version, outcome.code) == (anomaly.id, before.version + 1, "")
    assert (recorded.sequence, recorded.position, anomaly.version) == (1, 1, before.version + 1)
    assert inbox.actions(0) == [recorded]
    assert inbox.changes(1) == [change]


def test_who_has_not_seen_the_newest_version_changes_nothing(inbox: Inbox, do: Do) -> None:
    """The second of two people who saw the same version is told what the first did, and nothing is lost."""
    version = found(inbox).version
    do(ActionKind.RESOLVE, version=version, note="done")
    late = do(ActionKind.ACKNOWLEDGE, version=version, actor="tom")
    assert (late.sequence, codes(late)) == (0, ["precondition_failed"])
    anomaly = only(inbox)
    assert (anomaly.handling, len(inbox.actions(0))) == (Handling.RESOLVED, 1)
    assert [each.kind for each in inbox.history_from("a", anomaly.id, version)] == ["resolved"]


def test_news_from_the_data_count_as_a_change(inbox: Inbox, do: Do) -> None:
    """Whoever resolves what has recurred meanwhile is told so first."""
    version = found(inbox).version
    inbox.fold(rows(episode("e2", 60), first=2), NOW_MS)
    assert codes(do(ActionKind.RESOLVE, version=version)) == ["precondition_failed"]


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_version_that_never_was_is_refused(inbox: Inbox, do: Do, version: int) -> None:
    """A version ahead of the anomaly's, or before its first, is none that anybody has read."""
    found(inbox)
    assert codes(do(ActionKind.RESOLVE, version=version)) == ["precondition_failed"]


def test_looking_and_talking_are_in_nobodys_way(inbox: Inbox, do: Do) -> None:
    """That somebody saw it or said something does not keep another from acting on what he has read."""
    version = found(inbox).version
    do(ActionKind.SEEN, actor="tom")
    do(ActionKind.COMMENT, actor="tom", note="it hums")
    assert codes(do(ActionKind.ACKNOWLEDGE, version=version)) == [""]


def test_seeing_it_again_changes_nothing(inbox: Inbox, do: Do) -> None:
    """The first who sees it counts."""
    found(inbox)
    do(ActionKind.SEEN)
    seen = only(inbox)
    do(ActionKind.SEEN, actor="tom", at_ms=LATER_MS)
    assert only(inbox) == seen


def test_the_same_key_gets_the_first_answer(inbox: Inbox, do: Do) -> None:
    """A phone that asks again after a lost answer changes nothing; another action under it is refused."""
    version = found(inbox).version
    first = do(ActionKind.ACKNOWLEDGE, version=version, key="k", note="mine")
    do(ActionKind.RESOLVE)
    again = do(ActionKind.ACKNOWLEDGE, version=version, key="k", note="mine", at_ms=LATER_MS)
    assert again.repeated
    assert (again.sequence, again.outcomes, again.action) == (1, first.outcomes, first.action)
    assert inbox.action_of_key("a", "maria", "k") == first
    assert inbox.action_of_key("a", "tom", "k") is inbox.action_of_key("a", "maria", "") is None
    assert only(inbox).handling is Handling.RESOLVED
    with pytest.raises(ConflictError, match="another action"):
        do(ActionKind.RESOLVE, version=version, key="k")
    other = do(ActionKind.COMMENT, key="k", note="hers", actor="tom")
    assert not other.repeated


def test_what_was_refused_may_be_tried_again_with_its_key(inbox: Inbox, do: Do) -> None:
    """A refusal is no record, so the key is free for the same action after the newest version was read."""
    version = found(inbox).version
    do(ActionKind.ACKNOWLEDGE)
    assert codes(do(ActionKind.RESOLVE, version=version, key="k")) == ["precondition_failed"]
    assert codes(do(ActionKind.RESOLVE, version=version + 1, key="k")) == [""]


@pytest.mark.parametrize(
    ("first", "then", "refused"),
    [
        (ActionKind.RESOLVE, ActionKind.ACKNOWLEDGE, True),
        (ActionKind.RESOLVE, ActionKind.SNOOZE, True),
        (ActionKind.RESOLVE, ActionKind.REOPEN, False),
        (ActionKind.SEEN, ActionKind.REOPEN, True),
        (ActionKind.ACKNOWLEDGE, ActionKind.REOPEN, False),
        (ActionKind.SNOOZE, ActionKind.ACKNOWLEDGE, False),
        (ActionKind.SNOOZE, ActionKind.RESOLVE, False),
    ],
)
def test_what_makes_no_sense_is_refused(
    inbox: Inbox, do: Do, first: ActionKind, then: ActionKind, refused: bool
) -> None:
    """What is resolved is reopened before anything else is done to it; what is open can't be reopened."""
    found(inbox)
    do(first, until_ms=LATER_MS if first is ActionKind.SNOOZE else None)
    assert codes(do(then)) == ["conflict" if refused else ""]
    if not refused:
        assert only(inbox).snoozed_until_ms is None


def test_a_recurrence_opens_what_was_resolved(inbox: Inbox, do: Do) -> None:
    """The same cause after it was resolved: open again, unseen, counted, and told as reopened."""
    found(inbox)
    do(ActionKind.RESOLVE, note="bearing replaced")
    inbox.fold(rows(episode("e2", 60, 70), first=2), LATER_MS)
    anomaly = only(inbox)
    assert (anomaly.handling, anomaly.seen_at_ms, anomaly.recurrences) == (Handling.OPEN, None, 1)
    assert kinds(inbox, anomaly) == ["opened", "resolved", "reopened"]


def test_news_of_what_was_resolved_open_nothing(inbox: Inbox, do: Do) -> None:
    """It ends, is told more exactly, or another parameter of that time comes late: it stays resolved."""
    inbox.fold(rows(episode("e1", 0)), NOW_MS)
    do(ActionKind.RESOLVE)
    inbox.fold(
        rows(
            episode("e1", 0, 4),
            episode("e2", 2, 3, parameter="pressure"),
            episode("e1", 0, 4, revision=1, score=2.5),
            first=2,
        ),
        LATER_MS,
    )
    assert only(inbox).handling is Handling.RESOLVED


def test_abnormal_again_opens_what_was_resolved(inbox: Inbox, do: Do) -> None:
    """A correction that makes an ended episode last again says that it was not over."""
    found(inbox)
    do(ActionKind.RESOLVE)
    inbox.fold(rows(episode("e1", 0, revision=1), first=2), LATER_MS)
    assert only(inbox).handling is Handling.OPEN


@pytest.mark.parametrize("kind", [ActionKind.RESOLVE, ActionKind.SNOOZE])
def test_what_gets_worse_opens(inbox: Inbox, do: Do, kind: ActionKind) -> None:
    """Who resolved or snoozed a warning has said nothing of what is critical."""
    found(inbox)
    do(kind, until_ms=LATER_MS if kind is ActionKind.SNOOZE else None)
    inbox.fold(rows(episode("e1", 0, 30, revision=1, severity=Severity.CRITICAL), first=2), LATER_MS)
    anomaly = only(inbox)
    assert (anomaly.handling, anomaly.snoozed_until_ms, anomaly.seen_at_ms) == (Handling.OPEN, None, None)


@pytest.mark.parametrize("kind", [ActionKind.ACKNOWLEDGE, ActionKind.SNOOZE])
def test_a_recurrence_leaves_who_is_at_it_in_peace(inbox: Inbox, do: Do, kind: ActionKind) -> None:
    """What is acknowledged or snoozed stays so when it recurs, and the count says that it did."""
    found(inbox)
    do(kind, until_ms=LATER_MS if kind is ActionKind.SNOOZE else None)
    before = only(inbox)
    inbox.fold(rows(episode("e2", 60, 70), first=2), LATER_MS)
    anomaly = only(inbox)
    assert (anomaly.handling, anomaly.recurrences) == (before.handling, 1)


def test_what_is_snoozed_wakes_at_its_time(inbox: Inbox, do: Do) -> None:
    """Not before; then it is open, by an action of the clock, once."""
    found(inbox)
    do(ActionKind.SNOOZE, until_ms=LATER_MS)
    assert inbox.wake(LATER_MS - 1) == 0
    assert only(inbox).handling is Handling.SNOOZED
    assert inbox.wake(LATER_MS) == 1
    assert inbox.wake(LATER_MS) == 0
    anomaly = only(inbox)
    assert (anomaly.handling, anomaly.snoozed_until_ms) == (Handling.OPEN, None)
    assert kinds(inbox, anomaly) == ["opened", "snoozed", "woken"]
    assert inbox.history("a", anomaly.id)[-1].actor == "tocsin"


def test_another_tenants_anomaly_is_none(inbox: Inbox, do: Do) -> None:
    """Knowing an id of another tenant helps nobody."""
    anomaly = found(inbox)
    assert codes(do(ActionKind.RESOLVE, tenant="b", ids=[anomaly.id])) == ["not_found"]
    assert (inbox.actions(0), only(inbox)) == ([], anomaly)


@pytest.mark.parametrize(
    ("filters", "devices"),
    [
        ({"unresolved": True}, ["d2", "d0"]),
        ({"unresolved": False}, ["d1"]),
        ({"seen": False}, ["d0"]),
        ({"assignee": "tom"}, ["d2"]),
        ({"handling": Handling.RESOLVED, "device": "d1"}, ["d1"]),
    ],
)
def test_lists_are_filtered_by_what_people_did(
    inbox: Inbox, do: Do, filters: dict[str, Any], devices: list[str]
) -> None:
    """Unresolved, unseen, assigned to somebody."""
    inbox.fold(rows(*(episode(f"e{n}", 0, 30, device=f"d{n}") for n in range(3))), NOW_MS)
    ids = {anomaly.device: anomaly.id for anomaly in listed(inbox)}
    do(ActionKind.RESOLVE, ids=[ids["d1"]])
    do(ActionKind.ASSIGN, ids=[ids["d2"]], assignee="tom")
    assert [anomaly.device for anomaly in listed(inbox, **filters)] == devices


def test_actions_survive_opening_again(opener: Opener) -> None:
    """Actions, and what they made of the anomalies, are the same after closing and opening."""
    inbox = opener()
    anomaly = found(inbox)
    target = Target(id=anomaly.id, version=anomaly.version)
    done = inbox.act(
        Action(kind=ActionKind.RESOLVE, tenant="a", actor="m", at_ms=NOW_MS, targets=(target,), key="k")
    )
    before = (listed(inbox), inbox.changes(0), inbox.actions(0))
    inbox.close()
    again = opener()
    assert (listed(again), again.changes(0), again.actions(0)) == before
    assert again.act(done.action).repeated


def pumps(inbox: Inbox) -> list[Anomaly]:
    """Two anomalies of one device, hours apart; the older one first."""
    inbox.fold(rows(episode("e1", 0, 30), episode("e2", 600, 630, parameter="pressure")), NOW_MS)
    return sorted(listed(inbox), key=lambda anomaly: anomaly.started_ms)


def test_merged_anomalies_are_one(inbox: Inbox, do: Do) -> None:
    """The first has all episodes, also those that come later; the other says where they are, in no list."""
    first, second = pumps(inbox)
    recorded = do(ActionKind.MERGE, ids=[first.id, second.id], note="one leak")
    assert codes(recorded) == ["", ""]
    merged = only(inbox)
    assert (merged.id, merged.episodes, merged.recurrences) == (first.id, ("e2", "e1"), 1)
    assert merged.parameters == ("pressure", "temperature")
    left = inbox.anomaly("a", second.id)
    assert left is not None
    assert (left.merged_into, left.episodes, left.version) == (first.id, (), second.version + 1)
    assert [change.detail for change in inbox.changes(2)] == [
        f"{first.id}: one leak",
        f"with {second.id}: one leak",
    ]
    inbox.fold(rows(episode("e2", 600, 640, parameter="pressure"), episode("e3", 635), first=3), NOW_MS)
    assert only(inbox).episodes == ("e3", "e2", "e1")
    assert codes(do(ActionKind.RESOLVE, ids=[second.id])) == ["conflict"]


def test_split_episodes_are_an_anomaly_of_their_own(inbox: Inbox, do: Do) -> None:
    """It is handled as the other was, has a history that says whence it comes, and takes its recurrences."""
    inbox.fold(rows(episode("e1", 0, 30), episode("e2", 5, 20, parameter="pressure")), NOW_MS)
    do(ActionKind.ACKNOWLEDGE)
    whole = only(inbox)
    recorded = do(ActionKind.SPLIT, version=whole.version, episodes=("e2",))
    assert codes(recorded) == ["", ""]
    left, new = (inbox.anomaly("a", outcome.id) for outcome in recorded.outcomes)
    assert left is not None
    assert new is not None
    assert (left.id, left.parameters, left.episodes) == (whole.id, ("temperature",), ("e1",))
    assert (new.parameters, new.episodes, new.handling) == (("pressure",), ("e2",), Handling.ACKNOWLEDGED)
    assert [change.kind for change in inbox.history("a", new.id)] == ["split_off"]
    inbox.fold(rows(episode("e3", 60, 70, parameter="pressure"), first=3), NOW_MS)
    again = inbox.anomaly("a", new.id)
    assert again is not None
    assert again.recurrences == 1


@pytest.mark.parametrize("names", [("e1", "e2"), ("none",), ("e1", "none")])
def test_a_split_leaves_something_on_both_sides(inbox: Inbox, do: Do, names: tuple[str, ...]) -> None:
    """All of its episodes, or some that are not its own, are no split."""
    inbox.fold(rows(episode("e1", 0, 30), episode("e2", 5, 20, parameter="pressure")), NOW_MS)
    before = everything(inbox)
    assert codes(do(ActionKind.SPLIT, episodes=names)) == ["conflict"]
    assert everything(inbox) == before


def everything(inbox: Inbox) -> tuple[Any, ...]:
    return listed(inbox), inbox.changes(0), inbox.actions(0), inbox.verify()  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", ["another device", "resolved", "merged before", "changed", "unknown"])
def test_what_is_not_one_stays_apart(inbox: Inbox, do: Do, case: str) -> None:
    """Nothing of a merge is done if any of them can't be merged."""
    first, second = pumps(inbox)
    ids = [first.id, second.id]
    inbox.fold(rows(episode("e9", 0, 30, device="pump-8"), first=3), NOW_MS)
    (third,) = listed(inbox, device="pump-8")
    version = None
    match case:
        case "another device":
            ids.append(third.id)
        case "resolved":
            do(ActionKind.RESOLVE, ids=[first.id])
        case "merged before":
            inbox.fold(rows(episode("e3", 2000, 2001), first=4), NOW_MS)
            newest = next(each for each in listed(inbox) if each.episodes == ("e3",))
            do(ActionKind.MERGE, ids=[newest.id, second.id])
        case "changed":
            do(ActionKind.ACKNOWLEDGE, ids=[second.id])
            version = 1
        case "unknown":
            ids.append("an_none")
    before = everything(inbox)
    assert any(codes(do(ActionKind.MERGE, ids=ids, version=version)))
    assert everything(inbox) == before


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ActionKind.ACKNOWLEDGE, {}),
        (ActionKind.SNOOZE, {"until_ms": LATER_MS}),
        (ActionKind.RESOLVE, {}),
        (ActionKind.ASSIGN, {"assignee": "tom"}),
        (ActionKind.MERGE, {}),
    ],
)
def test_an_action_on_many_is_undone_as_one(
    inbox: Inbox, do: Do, kind: ActionKind, given: dict[str, Any]
) -> None:
    """Each gets back what it was; once. Looking and commenting meanwhile are in nobody's way."""
    before = {each.id: each for each in pumps(inbox)}
    done = do(kind, ids=list(before), **given)
    do(ActionKind.COMMENT, ids=[done.outcomes[0].id], note="was that right?")
    undone = do(ActionKind.UNDO, targets=(), undoes=done.sequence, note="no")
    assert codes(undone) == ["", ""]
    for anomaly in listed(inbox):
        was = before[anomaly.id]
        for name in ("handling", "snoozed_until_ms", "assignee", "episodes", "merged_into", "condition"):
            assert getattr(anomaly, name) == getattr(was, name)
        change = inbox.history("a", anomaly.id)[-1]
        assert (change.kind, change.detail) == ("undone", f"{kind.value} (action 1): no")
    again = do(ActionKind.UNDO, targets=(), undoes=done.sequence)
    assert codes(again) == ["precondition_failed", "precondition_failed"]


def test_an_undo_leaves_alone_what_has_changed_since(inbox: Inbox, do: Do) -> None:
    """Of those that were resolved by mistake, the one that somebody reopened stays as he wants it."""
    first, second = pumps(inbox)
    done = do(ActionKind.RESOLVE, ids=[first.id, second.id])
    do(ActionKind.REOPEN, ids=[first.id], actor="tom")
    undone = do(ActionKind.UNDO, targets=(), undoes=done.sequence)
    assert [(outcome.id, outcome.code) for outcome in undone.outcomes] == [
        (first.id, "precondition_failed"),
        (second.id, ""),
    ]
    assert [change.kind for change in inbox.history("a", first.id)][-1] == "reopened"


def test_a_split_is_undone(inbox: Inbox, do: Do) -> None:
    """All episodes are back, and the one that was split off says where they are."""
    inbox.fold(rows(episode("e1", 0, 30), episode("e2", 5, 20, parameter="pressure")), NOW_MS)
    whole = only(inbox)
    done = do(ActionKind.SPLIT, episodes=("e1",))
    assert codes(do(ActionKind.UNDO, targets=(), undoes=done.sequence)) == ["", ""]
    anomaly = only(inbox)
    assert (anomaly.id, anomaly.episodes, anomaly.parameters) == (whole.id, whole.episodes, whole.parameters)
    gone = inbox.anomaly("a", done.outcomes[1].id)
    assert gone is not None
    assert gone.merged_into == whole.id


@pytest.mark.parametrize("kind", [ActionKind.COMMENT, ActionKind.SEEN])
def test_words_are_not_undone(inbox: Inbox, do: Do, kind: ActionKind) -> None:
    """What was said was said; and no action of another tenant or none at all is undone."""
    found(inbox)
    done = do(kind, note="it hums")
    before = everything(inbox)
    for undoes, tenant in ((done.sequence, "a"), (done.sequence, "b"), (99, "a")):
        assert do(ActionKind.UNDO, targets=(), undoes=undoes, tenant=tenant).sequence == 0
    assert everything(inbox) == before


def test_the_log_says_everything(opener: Opener) -> None:
    """Rows and actions played again in their order give the same anomalies, history and outcomes."""
    inbox, again = opener("one"), opener("two")
    outbox = rows(
        episode("e1", 0, 30), episode("e2", 600, 630, parameter="pressure"), episode("e3", 700, 710)
    )
    for row, kind in zip(outbox, (ActionKind.RESOLVE, ActionKind.MERGE, ActionKind.SNOOZE), strict=True):
        inbox.fold([row], NOW_MS)
        targets = tuple(Target(id=each.id) for each in listed(inbox))
        until_ms = LATER_MS if kind is ActionKind.SNOOZE else None
        inbox.act(Action(kind=kind, tenant="a", actor="m", at_ms=NOW_MS, targets=targets, until_ms=until_ms))
    for recorded in inbox.actions(0):
        again.fold([row for row in outbox if row.sequence <= recorded.position], NOW_MS)
        assert again.act(recorded.action) == recorded
    again.fold(outbox, NOW_MS)
    assert everything(again) == everything(inbox)
