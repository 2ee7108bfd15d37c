"""What somebody does to the anomalies of a Tocsin in this process, each thing once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from proof.subject.answers import Answers, BrokenPromiseError
from proof.subject.logged import logged_decisions
from tocsin.access.principal import Principal
from tocsin.bootstrap import Application
from tocsin.control import FeedbackGiven, FeedbackKind
from tocsin.errors import BackpressureError, InvalidInputError, StorageFullError, StorageUnavailableError
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.action import ActionKind, Recorded, Target
from tocsin.services.actions import Asked

Done = TypeVar("Done")

PATIENCE_S: Final = 60.0
_KINDS: Final = ("acknowledge", "comment", "resolve", "reopen")
_SAID: Final = "false_alarm"
_ANOMALIES_MAX: Final = 6
_EVERYTHING: Final = 100_000
_TRY_AGAIN: Final = (BackpressureError, StorageFullError, StorageUnavailableError)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done to an anomaly, which is the `producer`; its kind is the number."""

    producer: str
    sequence: str

    @property
    def key(self) -> str:
        """By which it is known again."""
        return f"{self.producer}/{self.sequence}"


def act_on_all(application: Application, person: Principal, answers: Answers) -> None:
    """Do everything to the first few anomalies, and say that each was a false alarm; blocks.

    For a Tocsin that has settled, so that all limits are raised behind the last reading. BrokenPromiseError
    where something is done twice, or what was answered before is done again or otherwise, or is not logged.
    """
    inbox = application.stores.inbox
    names = sorted(each.id for each in inbox.anomalies(AnomalyQuery(person.tenant, limit=_EVERYTHING)))
    deeds = [Deed(name, kind) for name in names[:_ANOMALIES_MAX] for kind in (*_KINDS, _SAID)]
    check_logged(application, [deed for deed in deeds if deed.sequence == _SAID], answers)
    for deed in deeds:
        recorded = _until_done(application, person, deed)
        if answers.has(deed) and not (recorded and recorded.repeated):
            raise BrokenPromiseError(f"{deed.key} was done, and is done again or refused: {recorded}")
        if recorded:
            answers.note(deed, _answer(recorded))
    keys = [each.action.key for each in inbox.actions(0, limit=_EVERYTHING)]
    if len(keys) > len(set(keys)):
        raise BrokenPromiseError(f"done twice: {keys}")


def check_logged(application: Application, said: Sequence[Deed], answers: Answers) -> None:
    """What was answered is in the log, before anybody asks again: that would log it."""
    logged = Counter(each.action for each in logged_decisions(application, FeedbackGiven))
    for deed in said:
        told = answers.told(deed)
        number = json.loads(told)["action"] if told else 0
        if number and logged[number] != 1:
            raise BrokenPromiseError(f"{deed.key} was answered, and is {logged[number]} times in the log")


def _until_done(application: Application, person: Principal, deed: Deed) -> Recorded | None:
    """What was recorded; None where feedback could change nothing."""
    try:
        return until_done(application, deed.key, lambda: _done(application, person, deed))
    except InvalidInputError:
        return None


def until_done(application: Application, what: str, work: Callable[[], Done]) -> Done:
    """What a piece of work gives, tried until it is not refused for now; BrokenPromiseError after long."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except _TRY_AGAIN as error:
            if application.runtime.failure is not None or time.monotonic() > deadline_s:
                raise BrokenPromiseError(f"{what}: {error}") from error
            time.sleep(0.02)


def _done(application: Application, person: Principal, deed: Deed) -> Recorded:
    target, services = Target(id=deed.producer), application.services
    if deed.sequence == _SAID:
        kind = FeedbackKind(_SAID)
        given = services.feedback.give(
            person, deed.producer, kind, note=deed.key, target=target, key=deed.key
        )
        return given.recorded
    asked = Asked(kind=ActionKind(deed.sequence), note=deed.key, key=deed.key)
    return services.actions.one(person, asked, target)


def _answer(recorded: Recorded) -> str:
    done = [[outcome.id, outcome.version] for outcome in recorded.outcomes if not outcome.code]
    return json.dumps({"action": recorded.sequence, "done": done})
