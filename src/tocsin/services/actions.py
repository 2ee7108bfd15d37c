"""What people do with anomalies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import ConflictError, InvalidInputError, NotFoundError, TocsinError
from tocsin.inbox.abstract import Change, Inbox
from tocsin.inbox.action import Action, ActionKind, Recorded, Target
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import INBOX_ACTIONS
from tocsin.services.audit import AuditTrail

TARGETS_MAX: Final = 100
NOTE_CHARACTERS_MAX: Final = 4000
NAME_CHARACTERS_MAX: Final = 256
SNOOZE_MS_MAX: Final = 366 * 86_400_000
_NOT_FOR_PEOPLE: Final = frozenset({ActionKind.WAKE})
_NEEDS_NO_VERSION: Final = frozenset({ActionKind.SEEN, ActionKind.COMMENT})


class ChangedError(TocsinError):
    """Somebody was faster: `changes` is what has happened since the version that was acted on."""

    code = "precondition_failed"
    status = 412

    def __init__(self, version: int, changes: Sequence[Change]) -> None:
        told = "; ".join(f"{change.kind} by {change.actor}" for change in changes)
        super().__init__(
            f"The anomaly has changed since it was read ({told or 'it never had that version'}): "
            f"read it again, it has version {version} now.",
            field="If-Match",
        )
        self.version: Final = version
        self.changes: Final = changes


class Actions:
    """Within one tenant at a time. What was done is durable on return, and in the audit log.

    `holder_of(tenant, key_id)` knows credentials, revoked ones too.
    """

    def __init__(
        self,
        inbox: Inbox,
        audit: AuditTrail,
        clock: Clock,
        meters: Meters,
        holder_of: Callable[[str, str], Principal | None],
    ) -> None:
        self._inbox: Final = inbox
        self._audit: Final = audit
        self._clock: Final = clock
        self._meters: Final = meters
        self._holder_of: Final = holder_of

    def one(
        self,
        principal: Principal,
        kind: ActionKind,
        target: Target,
        *,
        note: str = "",
        until_ms: int | None = None,
        assignee: str | None = None,
        key: str = "",
    ) -> Recorded:
        """Act on one anomaly.

        ChangedError if it has another version by now, unless all that came since was that somebody looked or
        said something; ConflictError where the action makes no sense, or the key came with another one;
        NotFoundError. Then nothing was done.
        """
        recorded = self._act(principal, kind, (target,), note, until_ms, assignee, key)
        (outcome,) = recorded.outcomes
        if outcome.code == "not_found":
            raise NotFoundError(outcome.detail)
        if outcome.code == "conflict":
            raise ConflictError(outcome.detail)
        if outcome.code:
            since = self._inbox.history_from(principal.tenant, target.id, target.version or 0)
            raise ChangedError(outcome.version, since)
        return recorded

    def names(self, principal: Principal, changes: Sequence[Change]) -> Mapping[str, str]:
        """By actor, what people call the credential; the actor itself where it is not known any more."""
        require(principal, Permission.READ)
        actors = {change.actor for change in changes if change.action is not None}
        holders = {actor: self._holder_of(principal.tenant, actor) for actor in actors}
        return {actor: holder.name or actor for actor, holder in holders.items() if holder is not None}

    def _act(
        self,
        principal: Principal,
        kind: ActionKind,
        targets: tuple[Target, ...],
        note: str,
        until_ms: int | None,
        assignee: str | None,
        key: str,
    ) -> Recorded:
        require(principal, Permission.HANDLE)
        action = Action(
            kind=kind,
            tenant=principal.tenant,
            actor=principal.key_id,
            at_ms=self._clock.now_ms(),
            targets=targets,
            note=note,
            until_ms=until_ms,
            assignee=assignee,
            key=key,
        )
        check(action)
        recorded = self._inbox.act(action)
        if recorded.sequence and not recorded.repeated:
            self._meters.add(INBOX_ACTIONS, 1, kind=kind.value)
        if recorded.sequence and kind is not ActionKind.SEEN:
            done = ", ".join(outcome.id for outcome in recorded.outcomes if not outcome.code)
            self._audit.did(principal, f"anomaly.{kind.value}", done)
        return recorded


def needs_version(kind: ActionKind) -> bool:
    """Whether people could overwrite each other by it."""
    return kind not in _NEEDS_NO_VERSION


def check(action: Action) -> None:
    """InvalidInputError where it can't be understood, naming the field."""
    if action.kind in _NOT_FOR_PEOPLE:
        raise InvalidInputError("Nobody does this by hand.", field="action")
    if not 0 < len(action.targets) <= TARGETS_MAX:
        raise InvalidInputError(f"Name 1 to {TARGETS_MAX} anomalies.", field="anomalies")
    if len({target.id for target in action.targets}) < len(action.targets):
        raise InvalidInputError("An anomaly is named twice.", field="anomalies")
    if action.kind is ActionKind.COMMENT and not action.note.strip():
        raise InvalidInputError("A comment needs a note.", field="note")
    _check_length(action.note, "note", NOTE_CHARACTERS_MAX)
    _check_length(action.key, "Idempotency-Key", NAME_CHARACTERS_MAX)
    _check_snooze(action)
    if action.assignee is not None:
        if action.kind is not ActionKind.ASSIGN:
            raise InvalidInputError("Only assign takes an assignee.", field="assignee")
        if not action.assignee.strip():
            raise InvalidInputError("Name somebody, or null for nobody.", field="assignee")
        _check_length(action.assignee, "assignee", NAME_CHARACTERS_MAX)


def _check_snooze(action: Action) -> None:
    if action.kind is not ActionKind.SNOOZE:
        if action.until_ms is not None:
            raise InvalidInputError("Only snooze takes until.", field="until")
    elif action.until_ms is None:
        raise InvalidInputError("Say until when.", field="until")
    elif action.until_ms - action.at_ms > SNOOZE_MS_MAX:
        raise InvalidInputError("A snooze lasts at most a year.", field="until")


def _check_length(text: str, field: str, characters_max: int) -> None:
    if len(text) > characters_max:
        raise InvalidInputError(f"At most {characters_max} characters.", field=field)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInputError("This text has characters that can't be kept.", field=field)
