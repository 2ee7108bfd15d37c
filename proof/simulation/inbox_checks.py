"""What must hold of anomalies: they follow from episodes and actions in the order of the inbox's log."""

from __future__ import annotations

from typing import Final

from proof.compare import plain
from proof.model.inbox import Anomaly
from proof.model.inbox import Inbox as Model
from proof.simulation.lives import Lives
from proof.simulation.people import People
from proof.simulation.plan import TENANT
from tocsin.bootstrap import Application
from tocsin.cli.integrity import Verifiable
from tocsin.inbox.abstract import AnomalyQuery, Inbox
from tocsin.inbox.action import ActionKind, Recorded

_EVERYTHING: Final = 100_000
_IN_NOBODYS_WAY: Final = frozenset({"seen", "commented"})


class InboxChecks:
    """`acted` counts the actions that were found."""

    def __init__(self, lives: Lives, people: People) -> None:
        self.acted = 0
        self._lives: Final = lives
        self._people: Final = people
        self._findings: Final = lives.findings

    def check(self, application: Application) -> None:
        """Whether every law holds."""
        inbox = application.stores.inbox
        last, recorded, shown = -1, list[Recorded](), list[Anomaly]()
        while last != inbox.last_change():  # a snooze may end meanwhile
            last = inbox.last_change()
            recorded = inbox.actions(0, limit=_EVERYTHING)
            found = inbox.anomalies(AnomalyQuery(TENANT, limit=_EVERYTHING))
            shown = [plain.anomaly(each) for each in found]
        self.acted = len(recorded)
        self._told(recorded)
        self._unread(inbox, recorded)
        self._model(inbox, recorded, shown)
        if isinstance(inbox, Verifiable):
            for problem in inbox.verify():
                self._findings.add("damaged", problem)

    def _told(self, recorded: list[Recorded]) -> None:
        """What somebody was told to be done is there, and each request was done once."""
        by_number = {each.sequence: each for each in recorded}
        refused = {told.key for told in self._people.told if told.answer is not None and told.said is None}
        keys = [each.action.key for each in recorded if each.action.kind is not ActionKind.WAKE]
        if len(set(keys)) < len(keys) or not set(keys) <= {told.key for told in self._people.told}:
            self._findings.add("action twice", f"{keys}")
        if done_all_the_same := [key for key in keys if key in refused]:
            self._findings.add("done though refused", f"{done_all_the_same}")
        for told in self._people.told:
            said = told.said
            if said is None or said["action"] is None:
                continue
            found = by_number.get(said["action"])
            done = {each["id"]: each["version"] for each in said["done"]}
            if found is None or found.action.key != told.key or _done(found) != done:
                self._findings.add("action lost", f"{said} was told, there is {found}")

    def _unread(self, inbox: Inbox, recorded: list[Recorded]) -> None:
        """Nobody has acted on what he had not read."""
        told: dict[str, list[str]] = {}
        for change in inbox.changes(0, limit=_EVERYTHING):
            told.setdefault(change.anomaly_id, []).append(change.kind)
        for each in recorded:
            versions = _done(each)
            for target in each.action.targets:
                if target.version is None or target.id not in versions:
                    continue
                between = told[target.id][target.version : versions[target.id] - 1]
                if set(between) - _IN_NOBODYS_WAY:
                    self._findings.add("overwritten", f"{each} came after {between}")

    def _model(self, inbox: Inbox, recorded: list[Recorded], shown: list[Anomaly]) -> None:
        """The independent model shows the same."""
        model, folded = Model(), 0
        rows = sorted(row for row in self._lives.folded if row <= inbox.position())
        for each in recorded:
            until = sum(row <= each.position for row in rows)
            model.fold(plain.episode(self._lives.folded[row]) for row in rows[folded:until])
            model.act(plain.deed(each))
            folded = max(folded, until)
        model.fold(plain.episode(self._lives.folded[row]) for row in rows[folded:])
        expected = {each.id: each for each in model.anomalies() if each.tenant == TENANT}
        found = {each.id: each for each in shown}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                self._findings.add("anomaly differs", f"{found.get(name)}, the model: {expected.get(name)}")


def _done(recorded: Recorded) -> dict[str, int]:
    return {outcome.id: outcome.version for outcome in recorded.outcomes if not outcome.code}
