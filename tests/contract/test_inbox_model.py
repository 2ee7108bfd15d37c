"""The life of anomalies: whatever becomes of episodes and whatever people do, in whatever order.

The model is proof.model.inbox, which shares no code with the product. Besides: an anomaly keeps its id and
an episode its anomaly, what was folded in before changes nothing, versions and changes go hand in hand, and
an inbox that has folded everything at once shows the same.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proof.compare import plain
from proof.model.inbox import Inbox as Model
from tests.inbox_kit import DAY_MS, MINUTE_MS, NOW_MS, WINDOWS, episode
from tests.power_kit import memory_folder
from tocsin.commit.abstract import OutboxRow
from tocsin.errors import ConflictError
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Condition
from tocsin.inbox.action import Action, ActionKind, Recorded, Target
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.model import Episode, Severity

TENANTS = ("a", "b")
GAPS_MIN = (0, 1, 9, 10, 11, 60, 24 * 60 - 1, 24 * 60, 24 * 60 + 1)
SIMPLE = (
    ActionKind.SEEN,
    ActionKind.ACKNOWLEDGE,
    ActionKind.SNOOZE,
    ActionKind.RESOLVE,
    ActionKind.RESOLVE,
    ActionKind.REOPEN,
    ActionKind.ASSIGN,
    ActionKind.COMMENT,
)
HOME = ("tenant", "application", "device", "parameter")
gaps = st.sampled_from([*GAPS_MIN, *(-gap for gap in GAPS_MIN)])


class InboxLife(RuleBasedStateMachine):
    """An outbox that grows, and an inbox that takes it in, falls behind, repeats and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = memory_folder()
        self.model = Model(WINDOWS.correlation_ms, WINDOWS.recurrence_ms)
        self.outbox: list[OutboxRow] = []
        self.newest: dict[str, Episode] = {}
        self.folded = 0
        self.homes: dict[str, str] = {}
        self.before: dict[str, Anomaly] = {}
        self.acted = 0
        self.now_ms = NOW_MS
        self.open()

    def open(self) -> None:
        self.inbox = EmbeddedInbox(Path(self.folder.name) / "inbox.db", WINDOWS)

    def publish(self, state: Episode, skipped: int = 0) -> None:
        """Sequences ascend over all partitions; some rows are none of this inbox's."""
        last = self.outbox[-1].sequence if self.outbox else 0
        self.outbox.append(OutboxRow(last + 1 + skipped, state))
        self.newest[state.id] = state

    @rule(
        gap_min=gaps,
        length_min=st.none() | st.sampled_from(GAPS_MIN),
        device=st.sampled_from(["d0", "d0", "d1"]),
        parameter=st.sampled_from(["t", "t", "p", ""]),
        application=st.sampled_from(["hvac", "hvac", "lifts"]),
        tenant=st.sampled_from(["a", "a", "a", "b"]),
        severity=st.sampled_from(Severity),
        score=st.integers(1, 3),
        alike=st.booleans(),
        skipped=st.integers(0, 1),
    )
    def begin(self, gap_min: int, length_min: int | None, alike: bool, skipped: int, **fields: Any) -> None:
        """An episode, near the end or the start of an earlier one; or of long ago."""
        known = list(self.newest.values())
        base_ms = 0
        if known:
            other = known[-1]
            if alike:
                fields |= {name: getattr(other, name) for name in HOME}
            base_ms = other.started_ms if gap_min < 0 or other.end_ms is None else other.end_ms
        start_min = base_ms // MINUTE_MS + gap_min
        end_min = None if length_min is None else start_min + length_min
        fields["score"] = float(fields["score"])
        self.publish(episode(f"e{len(known)}", start_min, end_min, **fields), skipped)

    @precondition(lambda self: self.newest)
    @rule(data=st.data(), end_min=st.sampled_from(GAPS_MIN), severity=st.sampled_from(Severity))
    def go_on(self, data: st.DataObject, end_min: int, severity: Severity) -> None:
        """An episode ends, or is worse than it was."""
        state = self.draw(data)
        end_ms = state.started_ms + end_min * MINUTE_MS
        if end_min:
            state = msgspec.structs.replace(state, end_ms=end_ms, last_abnormal_ms=end_ms)
        self.publish(msgspec.structs.replace(state, severity=severity))

    @precondition(lambda self: self.newest)
    @rule(data=st.data(), moved_min=gaps, retracted=st.booleans(), lasts=st.booleans())
    def revise(self, data: st.DataObject, moved_min: int, retracted: bool, lasts: bool) -> None:
        """A correction moves it, makes it last again, takes it away or brings it back."""
        state = self.draw(data)
        started_ms = state.started_ms + moved_min * MINUTE_MS
        ended_ms = max(started_ms, state.last_abnormal_ms)
        revised = msgspec.structs.replace(
            state,
            started_ms=started_ms,
            last_abnormal_ms=ended_ms,
            end_ms=None if lasts else ended_ms,
            revision=state.revision + 1,
            retracted=retracted,
        )
        self.publish(revised)

    def draw(self, data: st.DataObject) -> Episode:
        return data.draw(st.sampled_from(list(self.newest.values())))

    @rule(data=st.data(), again=st.integers(0, 5))
    def fold(self, data: st.DataObject, again: int) -> None:
        """Some of what waits; some rows that were folded before come once more."""
        self.fold_until(data.draw(st.integers(self.folded, len(self.outbox))), again)

    def fold_until(self, until: int, again: int = 0) -> None:
        """What waits up to there, and `again` so many rows that were folded before."""
        rows = self.outbox[max(self.folded - again, 0) : until]
        changed = self.inbox.fold(rows, NOW_MS)
        self.model.fold(plain.episode(row.episode) for row in self.outbox[self.folded : until])
        self.folded = max(self.folded, until)
        assert {anomaly.id for anomaly in changed} == {
            anomaly.id for anomaly in self.everything() if self.before.get(anomaly.id) != anomaly
        }

    @precondition(lambda self: self.before)
    @rule(
        data=st.data(),
        kind=st.sampled_from([*SIMPLE, *SIMPLE, ActionKind.MERGE, ActionKind.SPLIT, ActionKind.UNDO]),
        actor=st.sampled_from(["maria", "tom"]),
        behind=st.sampled_from([None, 0, 0, 1, 2]),
        key=st.sampled_from(["", "", "k1", "k2"]),
    )
    def act(self, data: st.DataObject, kind: ActionKind, actor: str, behind: int | None, key: str) -> None:
        """Somebody does something, to one or several, having read versions that may be old."""
        self.now_ms += MINUTE_MS
        action = self.drawn(data, kind, actor, behind, key)
        changes, actions = self.inbox.changes(0), self.inbox.actions(0)
        first = [old for old in actions if key and (old.action.key, old.action.actor) == (key, actor)]
        if first and not first[0].action.is_repeated_by(action):
            with pytest.raises(ConflictError):
                self.inbox.act(action)
            recorded = first[0]
        else:
            recorded = self.inbox.act(action)
        if first or not recorded.sequence:
            assert (self.inbox.changes(0), self.inbox.actions(0)) == (changes, actions)
        if not first:
            self.check_versions(action, recorded, changes)
            self.follow(recorded)
            self.ask_again(action, recorded)

    @precondition(lambda self: self.before)
    @rule(data=st.data(), gap_min=gaps, kind=st.sampled_from([ActionKind.RESOLVE, ActionKind.SNOOZE]))
    def deal_with_what_recurs(self, data: st.DataObject, gap_min: int, kind: ActionKind) -> None:
        """Somebody deals with an anomaly, and then one of its parameters is abnormal again, or was before."""
        self.fold_until(len(self.outbox))
        self.before = {anomaly.id: anomaly for anomaly in self.everything()}
        one = self.before[data.draw(st.sampled_from(sorted(self.before)))]
        self.now_ms += MINUTE_MS
        until_ms = self.now_ms + MINUTE_MS if kind is ActionKind.SNOOZE else None
        action = Action(
            kind=kind,
            tenant=one.tenant,
            actor="maria",
            at_ms=self.now_ms,
            targets=(Target(id=one.id),),
            until_ms=until_ms,
        )
        self.follow(self.inbox.act(action))
        other = self.newest[one.episodes[0]]
        start_min = (other.end_ms or other.last_abnormal_ms) // MINUTE_MS + gap_min
        again = {name: getattr(other, name) for name in HOME} | {"severity": other.severity, "score": 1.0}
        self.publish(episode(f"e{len(self.newest)}", start_min, start_min + 5, **again))
        self.before = {anomaly.id: anomaly for anomaly in self.everything()}
        self.fold_until(len(self.outbox))

    @precondition(lambda self: self.acted)
    @rule(data=st.data(), back=st.integers(0, 3))
    def take_back(self, data: st.DataObject, back: int) -> None:
        """Somebody undoes a recent action; only what nothing has happened to since is given back."""
        undone = self.inbox.actions(max(0, self.acted - 1 - back), limit=1)[0]
        self.now_ms += MINUTE_MS
        action = Action(
            kind=ActionKind.UNDO,
            tenant=undone.action.tenant,
            actor="tom",
            at_ms=self.now_ms,
            targets=(),
            undoes=undone.sequence,
        )
        changes = self.inbox.changes(0)
        recorded = self.inbox.act(action)
        versions = {outcome.id: outcome.version for outcome in undone.outcomes}
        for outcome in recorded.outcomes:
            own = [change.kind for change in changes if change.anomaly_id == outcome.id]
            if not outcome.code:
                assert not set(own[versions[outcome.id] :]) - {"seen", "commented"}
        self.follow(recorded)

    @precondition(lambda self: len(self.before) > 1)
    @rule(data=st.data(), key=st.sampled_from(["", "m"]))
    def put_together(self, data: st.DataObject, key: str) -> None:
        """Somebody merges two anomalies of one device, if there are two, and asks again when he has a key."""
        groups: dict[tuple[str, str, str], list[str]] = {}
        for each in self.everything():
            groups.setdefault((each.tenant, each.device, each.application), []).append(each.id)
        pairs = sorted(names for names in groups.values() if len(names) > 1)
        if not pairs:
            return
        names = data.draw(st.permutations(data.draw(st.sampled_from(pairs))))[:2]
        tenant = self.before[names[0]].tenant
        self.now_ms += MINUTE_MS
        action = Action(
            kind=ActionKind.MERGE,
            tenant=tenant,
            actor="maria",
            at_ms=self.now_ms,
            targets=tuple(Target(id=name) for name in names),
            key=key and f"{key}{self.now_ms}",
        )
        recorded = self.inbox.act(action)
        self.follow(recorded)
        self.ask_again(action, recorded)

    def drawn(
        self, data: st.DataObject, kind: ActionKind, actor: str, behind: int | None, key: str
    ) -> Action:
        one = data.draw(st.sampled_from(sorted(self.before)))
        tenant = self.before[one].tenant
        alike = [name for name, each in self.before.items() if each.tenant == tenant]
        more = (
            ()
            if kind is ActionKind.SPLIT
            else data.draw(st.lists(st.sampled_from(sorted(alike)), max_size=2))
        )
        names = () if kind is ActionKind.UNDO else tuple(dict.fromkeys([one, *more]))
        if kind is ActionKind.MERGE and len(names) < 2:
            kind = ActionKind.RESOLVE
        targets = tuple(
            Target(id=name, version=None if behind is None else self.before[name].version - behind)
            for name in names
        )
        own = self.before[one].episodes or ("none",)
        splits = data.draw(st.lists(st.sampled_from(own), min_size=1, max_size=2, unique=True))
        return Action(
            kind=kind,
            tenant=tenant,
            actor=actor,
            at_ms=self.now_ms,
            targets=targets,
            note="why",
            until_ms=self.now_ms + 3 * MINUTE_MS if kind is ActionKind.SNOOZE else None,
            assignee=data.draw(st.sampled_from(["tom", None])) if kind is ActionKind.ASSIGN else None,
            episodes=tuple(splits) if kind is ActionKind.SPLIT else (),
            undoes=data.draw(st.integers(1, self.acted + 1)) if kind is ActionKind.UNDO else None,
            key=key,
        )

    @rule()
    def wake(self) -> None:
        """Time goes by, and the clock looks what is due."""
        self.now_ms += MINUTE_MS
        due = [
            each for each in self.everything() if (each.snoozed_until_ms or self.now_ms + 1) <= self.now_ms
        ]
        assert self.inbox.wake(self.now_ms) == len(due)
        for recorded in self.inbox.actions(self.acted):
            self.follow(recorded)

    def follow(self, recorded: Recorded) -> None:
        """The model does what was done; afterwards episodes may have other homes."""
        if recorded.sequence:
            assert recorded.sequence == self.acted + 1
            self.acted += 1
            self.model.act(plain.deed(recorded))
            self.homes.clear()

    def ask_again(self, action: Action, recorded: Recorded) -> None:
        """No answer was heard: with a key the same comes back, and nothing is done."""
        if action.key and recorded.sequence:
            changes = self.inbox.changes(0)
            again = self.inbox.act(msgspec.structs.replace(action, at_ms=self.now_ms + 1))
            assert again == msgspec.structs.replace(recorded, repeated=True)
            assert self.inbox.changes(0) == changes

    def check_versions(self, action: Action, recorded: Recorded, changes: list[Change]) -> None:
        """Nobody overwrites what he has not read: who was let through had seen all that matters."""
        codes = {outcome.id: outcome.code for outcome in recorded.outcomes}
        for target in action.targets:
            before = self.before[target.id]
            if target.version is None or before.merged_into is not None:
                continue
            own = [change.kind for change in changes if change.anomaly_id == target.id]
            news = set(own[max(target.version, 0) :]) - {"seen", "commented"}
            stale = bool(news) or not 0 < target.version <= before.version
            if action.kind is ActionKind.MERGE:
                assert not stale or any(codes.values())
            else:
                assert (codes[target.id] == "precondition_failed") == stale

    @precondition(lambda self: self.folded)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """What was folded in before says nothing new."""
        first = data.draw(st.integers(0, self.folded))
        changes = self.inbox.changes(0)
        assert self.inbox.fold(self.outbox[first : self.folded], NOW_MS + DAY_MS) == []
        assert self.inbox.changes(0) == changes

    @rule()
    def restart(self) -> None:
        self.inbox.close()
        self.open()

    def everything(self) -> list[Anomaly]:
        return [
            anomaly
            for tenant in TENANTS
            for anomaly in self.inbox.anomalies(AnomalyQuery(tenant, limit=10_000))
        ]

    @invariant()
    def the_model_agrees(self) -> None:
        found = sorted(map(plain.anomaly, self.everything()), key=lambda anomaly: anomaly.id)
        assert found == self.model.anomalies()
        assert self.inbox.position() == (self.outbox[self.folded - 1].sequence if self.folded else 0)

    @invariant()
    def nothing_is_lost_or_moves(self) -> None:
        """Anomalies stay, their versions rise as their changes do, and no episode changes its anomaly."""
        changes = self.inbox.changes(0)
        whose = {change.anomaly_id: change.tenant for change in changes}
        known = {name: self.inbox.anomaly(tenant, name) for name, tenant in whose.items()}
        found = {name: anomaly for name, anomaly in known.items() if anomaly is not None}
        listed = {anomaly.id for anomaly in self.everything()}
        assert listed == {name for name, anomaly in found.items() if anomaly.merged_into is None}
        assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))
        told = Counter(change.anomaly_id for change in changes)
        assert told == {name: anomaly.version for name, anomaly in found.items()}
        for name, before in self.before.items():
            now = found[name]
            assert (now.tenant, now.application, now.device) == (
                before.tenant,
                before.application,
                before.device,
            )
            assert now == before or now.version > before.version
        for anomaly in found.values():
            assert (anomaly.condition is Condition.CLEARED) == (anomaly.cleared_ms is not None)
            for name in anomaly.episodes:
                assert self.homes.setdefault(name, anomaly.id) == anomaly.id
        self.before = found

    def teardown(self) -> None:
        try:
            at_once = EmbeddedInbox(Path(self.folder.name) / "whole.db", WINDOWS)
            for recorded in self.inbox.actions(0):
                at_once.fold([row for row in self.outbox if row.sequence <= recorded.position], NOW_MS)
                assert at_once.act(recorded.action) == recorded
            at_once.fold(self.outbox[: self.folded], NOW_MS)
            assert self.inbox.changes(0) == at_once.changes(0)
            for anomaly in self.before.values():
                assert at_once.anomaly(anomaly.tenant, anomaly.id) == anomaly
            assert self.inbox.verify() == []
            at_once.close()
        finally:
            self.inbox.close()
            self.folder.cleanup()


TestInboxLife = InboxLife.TestCase
TestInboxLife.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
