"""What a visitor does with an anomaly, by the forms of its page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from tocsin.access.permissions import Permission, allows
from tocsin.errors import ConflictError, ForbiddenError, InvalidInputError
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import ActionKind, Handling, Target
from tocsin.services.actions import Asked
from tocsin.services.sessions import csrf_matches
from tocsin.web.past import told
from tocsin.web.visitor import Visitor

SNOOZES: Final = {"1": "for an hour", "4": "for 4 hours", "24": "for a day", "168": "for a week"}
"""How long, in hours, and in words."""

OFFERED: Final = {
    Handling.OPEN: (ActionKind.ACKNOWLEDGE, ActionKind.RESOLVE),
    Handling.ACKNOWLEDGED: (ActionKind.RESOLVE, ActionKind.REOPEN),
    Handling.SNOOZED: (ActionKind.ACKNOWLEDGE, ActionKind.RESOLVE, ActionKind.REOPEN),
    Handling.RESOLVED: (ActionKind.REOPEN,),
}
"""What the buttons of an anomaly offer, the likeliest first."""

EXPECTED: Final = "expected"
"""What a form asks for that teaches the dictionary the new templates of the anomaly."""
_HOUR_MS: Final = 3_600_000
_DIGITS_MAX: Final = 18


def look_at(visitor: Visitor, anomaly_id: str) -> Anomaly:
    """The anomaly, seen by whoever may act."""
    anomalies, principal = visitor.services.anomalies, visitor.principal
    found = anomalies.one(principal, anomaly_id)
    if found.seen_at_ms is not None or found.merged_into or not allows(principal, Permission.HANDLE):
        return found
    visitor.services.actions.one(principal, Asked(kind=ActionKind.SEEN), Target(id=found.id))
    return anomalies.one(principal, anomaly_id)


def handling_of(visitor: Visitor, found: Anomaly, **said: str) -> dict[str, Any]:
    """What the part of the page needs that people change."""
    history = visitor.services.anomalies.history(visitor.principal, found.id)
    may_act = allows(visitor.principal, Permission.HANDLE) and found.merged_into is None
    dictionaries = visitor.services.dictionaries
    return {
        "anomaly": found,
        "past": told(history),
        "names": visitor.services.actions.names(visitor.principal, history),
        "may_act": may_act,
        "answerable": may_act and visitor.services.feedback.is_answerable(visitor.principal, found.id),
        "expectable": dictionaries.expectable(visitor.principal, found.id) if may_act else [],
        "offered": [kind.value for kind in OFFERED[found.handling]],
        "snoozes": SNOOZES,
        "csrf": visitor.session.csrf,
        "own_name": visitor.services.colleagues.own_name(visitor.principal),
        "colleagues": visitor.services.colleagues.offered(visitor.principal),
        "shown": visitor.services.colleagues.shown(visitor.principal, [found.assignee]),
        "now_ms": visitor.services.clock.now_ms(),
        "undoable": visitor.services.actions.undoable(visitor.principal, history),
        "keys": [secrets.token_urlsafe(12) for _ in range(6)],
        "mistake": said.get("mistake", ""),
        "note": said.get("note", ""),
        "assignee": said.get("assignee", found.assignee or ""),
    }


def act(visitor: Visitor, anomaly_id: str, form: Mapping[str, str]) -> None:
    """Do what the form says; its version and key are those of the page that it stands on."""
    if not csrf_matches(visitor.session, form.get("csrf")):
        raise ForbiddenError("This form is not from one of these pages.")
    if form.get("action") == EXPECTED:
        visitor.services.dictionaries.expect(visitor.principal, anomaly_id)
        return
    kind = _kind(form.get("action", ""))
    key, note = form.get("key", ""), form.get("note", "").strip().replace("\r\n", "\n")
    if kind is ActionKind.UNDO:
        number = version_of(form.get("number", ""))
        undone = visitor.services.actions.undo(visitor.principal, number, note=note, key=key)
        if not any(outcome.id == anomaly_id and not outcome.code for outcome in undone.outcomes):
            raise ConflictError("It was not undone, because something has happened since.")
        return
    asked = Asked(
        kind=kind,
        note=note,
        until_ms=_until_ms(visitor, form) if kind is ActionKind.SNOOZE else None,
        assignee=(form.get("assignee", "").strip() or None) if kind is ActionKind.ASSIGN else None,
        key=key,
    )
    target = Target(id=anomaly_id, version=version_of(form.get("version", "")))
    visitor.services.actions.one(visitor.principal, asked, target)


def _kind(name: str) -> ActionKind:
    try:
        return ActionKind(name)
    except ValueError:
        raise InvalidInputError("There is no such action.", field="action") from None


def version_of(text: str) -> int:
    """A number that a page has written into its form; InvalidInputError if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise InvalidInputError("This form is not from one of these pages.", field="version")
    return int(text)


def _until_ms(visitor: Visitor, form: Mapping[str, str]) -> int:
    """The form's page says from when it counts, so that the same form sent twice means the same."""
    if form.get("hours") not in SNOOZES:
        raise InvalidInputError("Say for how long.", field="hours")
    now_ms = visitor.services.clock.now_ms()
    until_ms = min(version_of(form.get("since", "")), now_ms) + int(form["hours"]) * _HOUR_MS
    if until_ms <= now_ms and not visitor.services.actions.was_done(visitor.principal, form.get("key", "")):
        raise InvalidInputError(
            "Nothing was done, because this page was older than the snooze is long. It counts from now on: "
            "send it again.",
            field="since",
        )
    return until_ms
