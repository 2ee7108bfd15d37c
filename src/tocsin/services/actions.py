"""What people do with anomalies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.access.people import principal_of
from tocsin.access.permissions import Permission, require
from tocsin.access.person import Person
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.control import FeedbackKind, SeriesName
from tocsin.errors import ConflictError, InvalidInputError, NotFoundError, PreconditionFailedError
from tocsin.inbox.abstract import Change, Inbox
from tocsin.inbox.action import Action, ActionKind, Recorded, Target
from tocsin.inbox.grouping import BECAUSE_OF_OTHERS, UNDOABLE
from tocsin.inbox.handling import HARMLESS, TOLD
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import INBOX_ACTIONS
from tocsin.services.audit import AuditTrail
from tocsin.services.colleagues import Colleagues, acts
from tocsin.services.sight import MappingUnknownError, NoTechnicianError, Sight

TARGETS_MAX: Final = 100
EPISODES_MAX: Final = 1000
NOTE_CHARACTERS_MAX: Final = 4000
NAME_CHARACTERS_MAX: Final = 256
SNOOZE_MS_MAX: Final = 366 * 86_400_000
_NOT_FOR_PEOPLE: Final = frozenset({ActionKind.WAKE})
_OF_ONE: Final = frozenset({ActionKind.FEEDBACK, ActionKind.MERGE, ActionKind.SPLIT, ActionKind.UNDO})
_NEEDS_NO_VERSION: Final = frozenset({ActionKind.SEEN, ActionKind.COMMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for, as in Action; `others` are to be merged into the anomaly that is acted on."""

    kind: ActionKind
    note: str = ""
    until_ms: int | None = None
    assignee: str | None = None
    others: Sequence[Target] = ()
    episodes: Sequence[str] = ()
    undoes: int | None = None
    key: str = ""
    feedback: FeedbackKind | None = None
    series: tuple[SeriesName, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


class ChangedError(PreconditionFailedError):
    """Somebody was faster: `changes` is what has happened since the version that was acted on.

    `other` names the anomaly where it is one that was to be merged into the one that is acted on; `names`
    are what people call the actors.
    """

    def __init__(
        self, version: int, changes: Sequence[Change], names: Mapping[str, str], other: str = ""
    ) -> None:
        told = "; ".join(f"{change.kind} by {names.get(change.actor, change.actor)}" for change in changes)
        super().__init__(
            f"The anomaly {other and other + ' '}has changed since it was read "
            f"({told or 'it never had that version'}): read it again, it has version {version} now.",
            field="anomalies" if other else "If-Match",
        )
        self.version: Final = version
        self.changes: Final = changes


class NotResponsibleError(ConflictError):
    """Who is to see to an anomaly would never see it: the device is not the technician's."""

    code = "not_responsible"


class Actions:
    """Within one tenant at a time. What was done is durable on return, and in the audit log.

    `holder_of(tenant, holder)` knows credentials and people, those no longer in force too.
    """

    def __init__(
        self,
        inbox: Inbox,
        audit: AuditTrail,
        clock: Clock,
        meters: Meters,
        holder_of: Callable[[str, str], Principal | None],
        colleagues: Colleagues,
        sight: Sight,
    ) -> None:
        self._inbox: Final = inbox
        self._audit: Final = audit
        self._clock: Final = clock
        self._meters: Final = meters
        self._holder_of: Final = holder_of
        self._colleagues: Final = colleagues
        self._sight: Final = sight

    def one(self, principal: Principal, asked: Asked, target: Target) -> Recorded:
        """Act on one anomaly; a merge takes further ones in, which `asked.others` names.

        ChangedError if it has another version by now, unless all that came since was that somebody looked or
        said something; ConflictError where the action makes no sense, or the key came with another one;
        NotFoundError. Then nothing was done.
        """
        recorded = self._act(principal, asked, (target, *asked.others))
        left = [outcome for outcome in recorded.outcomes if outcome.code]
        outcome = next((each for each in left if each.detail != BECAUSE_OF_OTHERS), None)
        if outcome is None:
            return recorded
        other = outcome.id if outcome.id != target.id else ""
        if outcome.code == "not_found":
            raise NotFoundError(_about(other, outcome.detail))
        if outcome.code == "conflict":
            raise ConflictError(_about(other, outcome.detail))
        versions = {each.id: each.version or 0 for each in (target, *asked.others)}
        since = self._inbox.history_from(principal.tenant, outcome.id, versions[outcome.id])
        raise ChangedError(outcome.version, since, self.names(principal, since), other)

    def was_done(self, principal: Principal, key: str) -> bool:
        """Whether the caller has done something under this key, whatever has come in its way since."""
        return self._inbox.action_of_key(principal.tenant, _actor(principal), key) is not None

    def many(self, principal: Principal, asked: Asked, targets: Sequence[Target]) -> Recorded:
        """Act on each that can take it; the outcomes say which could not, and why."""
        if asked.kind in _OF_ONE:
            raise InvalidInputError("This is done to one anomaly at a time.", field="action")
        return self._act(principal, asked, tuple(targets))

    def undo(self, principal: Principal, sequence: int, *, note: str = "", key: str = "") -> Recorded:
        """Give back to each anomaly what an action took, unless something has happened to it since.

        NotFoundError if there is none, or if it did something at a device that is not seen; ConflictError for
        one that can't be undone.
        """
        require(principal, Permission.HANDLE)
        undone = self._inbox.action(principal.tenant, sequence)
        if undone is None or not self._sees_all_of(principal, undone):
            raise NotFoundError("There is no such action.")
        if undone.action.kind not in UNDOABLE:
            raise ConflictError(f"This can't be undone: {TOLD[undone.action.kind]}.")
        return self._act(principal, Asked(kind=ActionKind.UNDO, note=note, key=key, undoes=sequence), ())

    def undoable(self, principal: Principal, history: Sequence[Change]) -> Recorded | None:
        """The newest action on an anomaly with that history, if nothing has happened to it since."""
        news = [change for change in history if change.kind not in HARMLESS]
        if not news or news[-1].action is None:
            return None
        recorded = self._inbox.action(principal.tenant, news[-1].action)
        if recorded is None or recorded.action.kind not in UNDOABLE:
            return None
        return recorded if self._sees_all_of(principal, recorded) else None

    def names(self, principal: Principal, changes: Sequence[Change]) -> Mapping[str, str]:
        """By actor, what people call the person or credential; left out where it is not known."""
        require(principal, Permission.READ)
        actors = {change.actor for change in changes if change.action is not None}
        holders = {actor: self._holder_of(principal.tenant, actor) for actor in actors}
        return {actor: holder.name or actor for actor, holder in holders.items() if holder is not None}

    def _act(self, principal: Principal, asked: Asked, targets: tuple[Target, ...]) -> Recorded:
        require(principal, Permission.HANDLE)
        hidden = tuple(each.id for each in targets if self._is_hidden(principal, each.id))
        action = Action(
            kind=asked.kind,
            tenant=principal.tenant,
            actor=_actor(principal),
            at_ms=self._clock.now_ms(),
            targets=targets,
            note=asked.note,
            until_ms=asked.until_ms,
            assignee=self._assignee(principal, asked, [each.id for each in targets if each.id not in hidden]),
            episodes=tuple(asked.episodes),
            undoes=asked.undoes,
            key=asked.key,
            feedback=asked.feedback,
            series=asked.series,
            spans=asked.spans,
            hidden=hidden,
        )
        check(action)
        self._check_snooze_is_ahead(principal, action)
        recorded = self._inbox.act(action)
        if recorded.sequence and not recorded.repeated:
            self._meters.add(INBOX_ACTIONS, 1, kind=asked.kind.value)
        if recorded.sequence and asked.kind is not ActionKind.SEEN:
            done = ", ".join(outcome.id for outcome in recorded.outcomes if not outcome.code)
            self._audit.did(principal, f"anomaly.{asked.kind.value}", done)
        return recorded

    def _check_snooze_is_ahead(self, principal: Principal, action: Action) -> None:
        """InvalidInputError, unless it repeats one that was ahead when it was done."""
        is_over = action.until_ms is not None and action.until_ms <= action.at_ms
        if is_over and not self.was_done(principal, action.key):
            raise InvalidInputError("This time is over: a snooze ends at a time to come.", field="until")

    def _is_hidden(self, principal: Principal, anomaly_id: str) -> bool:
        if not self._sight.limited(principal):
            return False
        anomaly = self._inbox.anomaly(principal.tenant, anomaly_id)
        return anomaly is not None and not self._sight.sees(principal, anomaly.device)

    def _sees_all_of(self, principal: Principal, recorded: Recorded) -> bool:
        """Whether nothing was done by it at devices that are another's."""
        done = (outcome.id for outcome in recorded.outcomes if not outcome.code)
        return not any(self._is_hidden(principal, each) for each in done)

    def _assignee(self, principal: Principal, asked: Asked, anomalies: Sequence[str]) -> str | None:
        """The one form of a person's name, or the text where it is nobody's."""
        if asked.assignee is None or asked.kind is not ActionKind.ASSIGN:
            return asked.assignee
        person = self._colleagues.named(principal.tenant, asked.assignee)
        if person is None:
            return asked.assignee
        if not self.was_done(principal, asked.key):
            self._require_sees_to(person, anomalies)
        return person.name

    def _require_sees_to(self, person: Person, anomalies: Sequence[str]) -> None:
        """InvalidInputError for who does not act, NotResponsibleError for who would never see one of them."""
        if not acts(person):
            raise InvalidInputError(f"{person.display_name} does not act on anomalies.", field="assignee")
        for name in anomalies:
            anomaly = self._inbox.anomaly(person.tenant, name)
            if anomaly is not None and not self._may_see(principal_of(person), anomaly.device):
                detail = f"{person.display_name} would never see it: {anomaly.device} is not theirs."
                raise NotResponsibleError(detail, field="assignee")

    def _may_see(self, principal: Principal, device: str) -> bool:
        """True, too, where the directory has not said yet: work can be given while it is down."""
        try:
            return self._sight.sees(principal, device)
        except NoTechnicianError:
            return False
        except MappingUnknownError:
            return True


def _actor(principal: Principal) -> str:
    return principal.person or principal.key_id


def _about(other: str, detail: str) -> str:
    return f"{other}: {detail}" if other else detail


def needs_version(kind: ActionKind) -> bool:
    """Whether people could overwrite each other by it."""
    return kind not in _NEEDS_NO_VERSION


def check(action: Action) -> None:
    """InvalidInputError where it can't be understood, naming the field."""
    if action.kind in _NOT_FOR_PEOPLE:
        raise InvalidInputError("Nobody does this by hand.", field="action")
    if (action.kind is ActionKind.FEEDBACK) is (action.feedback is None):
        raise InvalidInputError("Feedback, and nothing else, says what it was.", field="kind")
    _check_targets(action)
    if action.kind is ActionKind.COMMENT and not action.note.strip():
        raise InvalidInputError("A comment needs a note.", field="note")
    _check_length(action.note, "note", NOTE_CHARACTERS_MAX)
    _check_length(action.key, "Idempotency-Key", NAME_CHARACTERS_MAX)
    _check_snooze(action)
    _check_assignee(action)


def _check_targets(action: Action) -> None:
    least = {ActionKind.MERGE: 2, ActionKind.UNDO: 0}.get(action.kind, 1)
    if not least <= len(action.targets) <= TARGETS_MAX:
        raise InvalidInputError(f"Name {max(least - 1, 1)} to {TARGETS_MAX} anomalies.", field="anomalies")
    if len({target.id for target in action.targets}) < len(action.targets):
        raise InvalidInputError("An anomaly is named twice.", field="anomalies")
    if bool(action.episodes) != (action.kind is ActionKind.SPLIT):
        raise InvalidInputError("A split, and nothing else, names episodes.", field="episodes")
    if len(action.episodes) > EPISODES_MAX:
        raise InvalidInputError(f"Name at most {EPISODES_MAX} episodes.", field="episodes")


def _check_assignee(action: Action) -> None:
    if action.assignee is None:
        return
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
