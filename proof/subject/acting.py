"""What somebody does to the anomalies of a Tocsin in this process, each thing once."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final

from proof.subject.answers import Answers, BrokenPromiseError
from tocsin.access.principal import Principal
from tocsin.bootstrap import Application
from tocsin.errors import BackpressureError, StorageFullError, StorageUnavailableError
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.action import ActionKind, Recorded, Target
from tocsin.services.actions import Asked

PATIENCE_S: Final = 60.0
_KINDS: Final = (ActionKind.ACKNOWLEDGE, ActionKind.COMMENT, ActionKind.RESOLVE, ActionKind.REOPEN)
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
    """Do everything to the first few anomalies; blocks.

    BrokenPromiseError where something is done twice, or what was answered before is done again or otherwise.
    """
    inbox = application.stores.inbox
    names = sorted(each.id for each in inbox.anomalies(AnomalyQuery(person.tenant, limit=_EVERYTHING)))
    for name in names[:_ANOMALIES_MAX]:
        for kind in _KINDS:
            deed = Deed(name, kind.value)
            recorded = _until_done(application, person, deed, kind)
            if answers.has(deed) and not recorded.repeated:
                raise BrokenPromiseError(f"{deed.key} was done, and is done again")
            answers.note(deed, _answer(recorded))
    keys = [each.action.key for each in inbox.actions(0, limit=_EVERYTHING)]
    if len(keys) > len(set(keys)):
        raise BrokenPromiseError(f"done twice: {keys}")


def _until_done(application: Application, person: Principal, deed: Deed, kind: ActionKind) -> Recorded:
    deadline_s = time.monotonic() + PATIENCE_S
    asked = Asked(kind=kind, note=deed.key, key=deed.key)
    while True:
        try:
            return application.services.actions.one(person, asked, Target(id=deed.producer))
        except _TRY_AGAIN as error:
            if application.runtime.failure is not None or time.monotonic() > deadline_s:
                raise BrokenPromiseError(f"{deed.key}: {error}") from error
            time.sleep(0.02)


def _answer(recorded: Recorded) -> str:
    done = [[outcome.id, outcome.version] for outcome in recorded.outcomes if not outcome.code]
    return json.dumps({"action": recorded.sequence, "done": done})
