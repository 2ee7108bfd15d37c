"""The life of an anomaly: what each action makes of it, and what opens it again. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from tocsin.control import FeedbackKind
from tocsin.inbox.abstract import Anomaly, Condition
from tocsin.inbox.action import Action, ActionKind, Handling, Held
from tocsin.inbox.folding import rank
from tocsin.model import Episode

TOLD: Final = {
    ActionKind.SEEN: "seen",
    ActionKind.ACKNOWLEDGE: "acknowledged",
    ActionKind.SNOOZE: "snoozed",
    ActionKind.RESOLVE: "resolved",
    ActionKind.REOPEN: "reopened",
    ActionKind.ASSIGN: "assigned",
    ActionKind.COMMENT: "commented",
    ActionKind.FEEDBACK: "feedback",
    ActionKind.WAKE: "woken",
    ActionKind.MERGE: "merged",
    ActionKind.SPLIT: "split",
    ActionKind.UNDO: "undone",
}
"""What the history says of each action."""

_FEEDBACK: Final = {
    FeedbackKind.FALSE_ALARM: "false alarm, so limits are raised",
    FeedbackKind.CONFIRMED: "confirmed, so what is abnormal is not learnt for 30 days",
    FeedbackKind.EXPECTED: "expected, so what is abnormal at these hours of the week is learnt for 30 days",
    FeedbackKind.NEW_NORMAL: "a new normal, so everything is learnt anew",
    FeedbackKind.WITHDRAWN: "the last feedback on its series is taken back",
}

HARMLESS: Final = frozenset({TOLD[ActionKind.SEEN], TOLD[ActionKind.COMMENT]})
"""Entries that nobody's action overwrites: who has not read them may act all the same."""


class RefusedError(Exception):
    """This action makes no sense for this anomaly as it is; the text says why."""


def after(anomaly: Anomaly, action: Action) -> Anomaly:
    """The anomaly when the action was done to it; RefusedError where it can't be."""
    match action.kind:
        case ActionKind.ACKNOWLEDGE:
            _must_not_be_resolved(anomaly)
            anomaly = _handled(anomaly, Handling.ACKNOWLEDGED)
        case ActionKind.SNOOZE:
            _must_not_be_resolved(anomaly)
            anomaly = _settled(_handled(anomaly, Handling.SNOOZED, action.until_ms))
        case ActionKind.RESOLVE:
            anomaly = _settled(_handled(anomaly, Handling.RESOLVED))
        case ActionKind.REOPEN:
            if anomaly.handling is Handling.OPEN:
                raise RefusedError("It is open already.")
            anomaly = _handled(anomaly, Handling.OPEN)
        case ActionKind.WAKE:
            if anomaly.snoozed_until_ms is None or anomaly.snoozed_until_ms > action.at_ms:
                raise RefusedError("It does not wake up yet.")
            return _handled(anomaly, Handling.OPEN)
        case ActionKind.ASSIGN:
            anomaly = msgspec.structs.replace(anomaly, assignee=action.assignee)
        case ActionKind.COMMENT | ActionKind.SEEN | ActionKind.FEEDBACK:
            pass
        case ActionKind.MERGE | ActionKind.SPLIT | ActionKind.UNDO:
            raise RuntimeError(f"{action.kind} is about more than one anomaly")
    seen_at_ms = action.at_ms if anomaly.seen_at_ms is None else anomaly.seen_at_ms
    return msgspec.structs.replace(anomaly, seen_at_ms=seen_at_ms)


def detail_of(action: Action) -> str:
    """What the history says besides the kind."""
    about = ""
    if action.until_ms is not None:
        about = f"until {datetime.fromtimestamp(action.until_ms / 1000, UTC):%-d %b %Y, %H:%M} UTC"
    elif action.kind is ActionKind.ASSIGN:
        about = f"to {action.assignee}" if action.assignee else "to nobody"
    elif action.feedback is not None:
        about = _FEEDBACK[action.feedback]
    return ": ".join(part for part in (about, action.note) if part)


def met(before: Anomaly, now: Anomaly, fresh: Episode | None) -> Anomaly:
    """The anomaly as an episode leaves it that was folded in: opened again, unseen, where people must know.

    `fresh` is the episode if it was not known before. What was resolved opens again when an episode begins
    later than what they had dealt with, when it is abnormal again after it was over, or when it gets worse;
    what is snoozed only when it gets worse.
    """
    if now.settled_ms is None or now.settled_severity is None:
        return now
    worse = rank(now.severity) > rank(now.settled_severity)
    recurs = (
        fresh is not None and not (fresh.retracted or fresh.suppressed) and fresh.started_ms > now.settled_ms
    )
    again = before.condition is Condition.CLEARED and now.condition is Condition.ACTIVE
    if worse or (now.handling is Handling.RESOLVED and (recurs or again)):
        return msgspec.structs.replace(_handled(now, Handling.OPEN), seen_at_ms=None)
    return now


def held(anomaly: Anomaly) -> Held:
    """What an undo gives back."""
    return Held(**{name: getattr(anomaly, name) for name in Held.__struct_fields__})


def gone(anomaly: Anomaly) -> str:
    """Why nothing can be done to an anomaly that was merged."""
    return f"It was merged into {anomaly.merged_into}: act on that one."


def grouped(anomaly: Anomaly) -> Anomaly:
    """The anomaly after its episodes were put together anew by somebody who knows all of them."""
    return anomaly if anomaly.settled_ms is None else _settled(anomaly)


def _must_not_be_resolved(anomaly: Anomaly) -> None:
    if anomaly.handling is Handling.RESOLVED:
        raise RefusedError("It is resolved: reopen it first.")


def _handled(anomaly: Anomaly, handling: Handling, snoozed_until_ms: int | None = None) -> Anomaly:
    return msgspec.structs.replace(
        anomaly,
        handling=handling,
        snoozed_until_ms=snoozed_until_ms,
        settled_ms=None,
        settled_severity=None,
    )


def _settled(anomaly: Anomaly) -> Anomaly:
    """With a mark up to which people know it."""
    settled_ms = max(anomaly.last_abnormal_ms, anomaly.cleared_ms or anomaly.last_abnormal_ms)
    return msgspec.structs.replace(anomaly, settled_ms=settled_ms, settled_severity=anomaly.severity)
