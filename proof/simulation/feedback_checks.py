"""What must hold of feedback: each that was answered is in the log, as an action that was done, and acts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from proof.compare import plain
from proof.compare.differences import apart
from proof.model import Expected
from proof.simulation.clients import FRESH_MS
from proof.simulation.comparing import records_of
from proof.simulation.lives import Lives
from proof.simulation.people import People
from tocsin.bootstrap import Application
from tocsin.control import FeedbackGiven, decode_control
from tocsin.inbox.action import ActionKind, Recorded
from tocsin.log.abstract import Record, RecordKind

_EVERYTHING = 100_000


class FeedbackChecks:
    """Looks at a system that was told everything and has started again."""

    def __init__(self, lives: Lives, people: People) -> None:
        self._findings = lives.findings
        self._people = people

    def remember(self, application: Application) -> None:
        """Before anybody asks again, which would write what is missing: what was answered is in the log."""
        partitions = range(application.log.partitions)
        everything = [record for partition in partitions for record in records_of(application, partition)]
        numbers = {given.action for given in _logged(everything)}
        for told in self._people.told:
            said = told.said
            if said is not None and "feedback" in said and said["action"] not in numbers:
                self._findings.add("feedback lost", f"{said} was told, the log has {sorted(numbers)}")

    def check(self, application: Application, records: Sequence[Record], model: Expected) -> int:
        """Whether every law holds; how many steps moved a limit."""
        logged = _logged(records)
        actions = application.stores.inbox.actions(0, limit=_EVERYTHING)
        self._once(logged, application.clock.now_ms())
        self._decided(logged, {each.sequence: each for each in actions})
        self._acting(application, model)
        return sum(map(len, model.said.values()))

    def _once(self, logged: Sequence[FeedbackGiven], now_ms: int) -> None:
        """Asking again writes nothing again, as long as the log knows it."""
        fresh = Counter(given.action for given in logged if now_ms - given.at_ms < FRESH_MS)
        if twice := [number for number, count in fresh.items() if count > 1]:
            self._findings.add("feedback twice", f"{twice}")

    def _decided(self, logged: Sequence[FeedbackGiven], actions: dict[int, Recorded]) -> None:
        """Nothing is in the log that nobody said, or otherwise than it was said."""
        for given in logged:
            found = actions.get(given.action)
            action = found.action if found is not None else None
            if action is None or action.kind is not ActionKind.FEEDBACK:
                self._findings.add("feedback of nobody", f"{given}, there is {found}")
            elif (action.feedback, action.series, action.spans, action.at_ms) != (
                given.kind,
                given.series,
                given.spans,
                given.at_ms,
            ):
                self._findings.add("other feedback", f"{given}, the action is {action}")

    def _acting(self, application: Application, model: Expected) -> None:
        """Limits stand where the model says, also in what was restored after the last cut."""
        live = dict(item for worker in application.runtime.workers for item in plain.said(worker.state))
        for difference in apart("limits moved", model.said, live):
            self._findings.add("limits differ", difference)


def _logged(records: Sequence[Record]) -> list[FeedbackGiven]:
    return [given for record in records if (given := _feedback(record)) is not None]


def _feedback(record: Record) -> FeedbackGiven | None:
    control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
    return control if isinstance(control, FeedbackGiven) else None
