"""Merge, split and undo: actions about several anomalies, done to all of them or to none."""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from tocsin.inbox import folding, handling
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import Action, ActionKind, Handling, Outcome, Recorded, Target
from tocsin.inbox.rows import QUERIES, find, put, summary_of
from tocsin.inbox.targets import put_change, ready, recorded_of, refused, unchanged

EPISODES_MOVED_MAX: Final = 5000
BECAUSE_OF_OTHERS: Final = "Another one of them can't be merged."
"""What is said of an anomaly that stays only because one that is named with it can't be merged."""
_SINCE: Final = "It has changed since, so it stays as it is."
UNDOABLE: Final = frozenset(
    {
        ActionKind.ACKNOWLEDGE,
        ActionKind.SNOOZE,
        ActionKind.RESOLVE,
        ActionKind.REOPEN,
        ActionKind.ASSIGN,
        ActionKind.MERGE,
        ActionKind.SPLIT,
    }
)


class Grouping:
    """One such action, inside a transaction. Nothing is written unless it can be done."""

    def __init__(self, writer: apsw.Connection, place: str, action: Action, sequence: int) -> None:
        self._writer: Final = writer
        self._place: Final = place
        self._action: Final = action
        self._sequence: Final = sequence

    def outcomes(self) -> tuple[Outcome, ...]:
        """Do it; what became of each anomaly."""
        match self._action.kind:
            case ActionKind.MERGE:
                return self._merge()
            case ActionKind.SPLIT:
                return self._split()
            case _:
                return self._undo()

    def _merge(self) -> tuple[Outcome, ...]:
        found = [self._ready(target) for target in self._action.targets]
        kept, *others = found
        if isinstance(kept, Outcome) or any(isinstance(other, Outcome) for other in others):
            return _none_of(found)
        sources = [other for other in others if isinstance(other, Anomaly)]
        moved = [self._episodes(source.id) for source in sources]
        if why := _why_not_together(kept, sources, sum(map(len, moved))):
            return _none_of([refused(kept, why), *sources])
        done = [self._empty(source, kept, names) for source, names in zip(sources, moved, strict=True)]
        named = "with " + ", ".join(source.id for source in sources)
        return (self._put_again(kept, handling.TOLD[ActionKind.MERGE], named), *done)

    def _empty(self, source: Anomaly, kept: Anomaly, names: tuple[str, ...]) -> Outcome:
        """What is left of an anomaly that was merged: its history, and where its episodes are."""
        self._move(source.id, kept.id, names)
        after = msgspec.structs.replace(source, merged_into=kept.id, episodes=())
        after = self._told(after, "merged_into", kept.id)
        return Outcome(id=source.id, version=after.version, before=handling.held(source), moved=names)

    def _split(self) -> tuple[Outcome, ...]:
        found = self._ready(self._action.targets[0])
        if isinstance(found, Outcome):
            return (found,)
        names = tuple(dict.fromkeys(self._action.episodes))
        own = self._episodes(found.id)
        if not set(names) < set(own) or not names:
            return (refused(found, "Name some of its episodes, but not all of them."),)
        first = next(name for name in own if name in names)
        split_off = msgspec.structs.replace(
            found, id=folding.split_id(found, first, self._sequence), version=0, updated_sequence=0
        )
        put(self._writer, split_off)
        self._move(found.id, split_off.id, names)
        left = self._put_again(found, handling.TOLD[ActionKind.SPLIT], f"into {split_off.id}", names)
        return left, self._put_again(split_off, "split_off", f"from {found.id}")

    def _undo(self) -> tuple[Outcome, ...]:
        wanted = {"tenant": self._action.tenant, "sequence": self._action.undoes}
        row: Any = self._writer.execute(QUERIES["action"], wanted).fetchone()
        undone = recorded_of(row, self._place) if row else None
        if undone is None or undone.action.kind not in UNDOABLE:
            return ()
        done = [outcome for outcome in undone.outcomes if not outcome.code]
        if undone.action.kind in {ActionKind.MERGE, ActionKind.SPLIT}:
            return self._undo_grouping(undone, done)
        return tuple(self._give_back(undone, outcome) for outcome in done)

    def _give_back(self, undone: Recorded, outcome: Outcome) -> Outcome:
        found = self._ready(Target(id=outcome.id, version=outcome.version))
        if isinstance(found, Outcome) or outcome.before is None:
            return _since(found)
        after = msgspec.structs.replace(found, **msgspec.structs.asdict(outcome.before))
        after = self._told(after, handling.TOLD[ActionKind.UNDO], _named(undone))
        return Outcome(id=found.id, version=after.version, before=handling.held(found))

    def _undo_grouping(self, undone: Recorded, done: list[Outcome]) -> tuple[Outcome, ...]:
        found = [find(self._writer, undone.action.tenant, outcome.id) for outcome in done]
        for outcome in done:
            if not unchanged(self._writer, self._place, undone.action.tenant, outcome.id, outcome.version):
                return tuple(
                    refused(each, _SINCE, "precondition_failed") for each in found if each is not None
                )
        anomalies = [each for each in found if each is not None]
        if undone.action.kind is ActionKind.SPLIT:
            kept, split_off = anomalies
            back = self._empty(split_off, kept, self._episodes(split_off.id))
            return self._put_again(kept, handling.TOLD[ActionKind.UNDO], _named(undone)), back
        kept, *sources = anomalies
        for source, outcome in zip(sources, done[1:], strict=True):
            self._move(kept.id, source.id, outcome.moved)
        again = [msgspec.structs.replace(source, merged_into=None) for source in sources]
        told = handling.TOLD[ActionKind.UNDO], _named(undone)
        return self._put_again(kept, *told), *(self._put_again(source, *told) for source in again)

    def _ready(self, target: Target) -> Anomaly | Outcome:
        return ready(self._writer, self._place, self._action, target)

    def _episodes(self, anomaly_id: str) -> tuple[str, ...]:
        """All of them, in the order in which they were folded in."""
        rows: Any = self._writer.execute(QUERIES["episodes_of"], {"anomaly_id": anomaly_id})
        return tuple(row[0] for row in rows)

    def _move(self, source: str, target: str, names: tuple[str, ...]) -> None:
        wanted = {"tenant": self._action.tenant, "source": source, "target": target}
        self._writer.execute(
            QUERIES["move_episodes"], wanted | {"names": msgspec.json.encode(names).decode()}
        )

    def _put_again(self, anomaly: Anomaly, kind: str, detail: str, moved: tuple[str, ...] = ()) -> Outcome:
        """Reckoned anew from the episodes it has now."""
        after = folding.apply(anomaly, summary_of(self._writer, anomaly.id))
        after = self._told(handling.grouped(after), kind, detail)
        before = handling.held(anomaly)
        return Outcome(id=anomaly.id, version=after.version, before=before, moved=moved)

    def _told(self, anomaly: Anomaly, kind: str, detail: str) -> Anomaly:
        told = ": ".join(part for part in (detail, self._action.note) if part)
        return put_change(self._writer, anomaly, self._action, self._sequence, kind, told)


def _why_not_together(kept: Anomaly, sources: list[Anomaly], moved: int) -> str:
    """Why these are not one anomaly; "" if they may be."""
    if any((each.device, each.application) != (kept.device, kept.application) for each in sources):
        return "Only anomalies of one device and application can be merged."
    open_ones = any(each.handling is not Handling.RESOLVED for each in sources)
    if kept.handling is Handling.RESOLVED and open_ones:
        return "It is resolved and the other is not: reopen it first."
    if moved > EPISODES_MOVED_MAX:
        return f"More than {EPISODES_MOVED_MAX} episodes would move."
    return ""


def _none_of(found: list[Anomaly | Outcome]) -> tuple[Outcome, ...]:
    """Those that can't, with their reasons; the others stay because of them."""
    return tuple(each if isinstance(each, Outcome) else refused(each, BECAUSE_OF_OTHERS) for each in found)


def _since(found: Anomaly | Outcome) -> Outcome:
    return found if isinstance(found, Outcome) else refused(found, _SINCE, "precondition_failed")


def _named(undone: Recorded) -> str:
    return f"{undone.action.kind.value} (action {undone.sequence})"
