"""How episodes and actions become anomalies: docs/adr/0010-one-anomaly-per-cause.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from proof.model.digest import names_hash
from proof.model.episodes import Episode
from proof.model.people import Deed, Handled, Span
from proof.model.policy import SEVERITIES

ENDLESS_MS = 2**62
NAMED_MAX = 100


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What the inbox shows, without its sentence and the version that grows with every change."""

    id: str
    tenant: str
    application: str
    device: str
    parameters: tuple[str, ...]
    detectors: tuple[str, ...]
    severity: str
    condition: str
    started_ms: int
    last_abnormal_ms: int
    cleared_ms: int | None
    recurrences: int
    peak_score: float
    episodes: tuple[str, ...]
    handling: str = "open"
    seen_at_ms: int | None = None
    snoozed_until_ms: int | None = None
    assignee: str | None = None


@dataclass(slots=True)
class _Group:
    """Episodes with one cause, newest states, in the order in which they first came.

    Each keeps the application of its first state: a device as a whole may go over to another one.
    """

    id: str
    first: Episode
    episodes: dict[str, Episode] = field(default_factory=dict)
    handled: Handled = field(default_factory=Handled)

    def span(self) -> Span:
        """What the data say now."""
        anomaly = _anomaly(self)
        last_ms = max(anomaly.last_abnormal_ms, anomaly.cleared_ms or anomaly.last_abnormal_ms)
        return Span(anomaly.condition == "active", anomaly.severity, last_ms)


@dataclass(slots=True)
class Inbox:
    """Folds episodes one by one; both windows are those of the settings of the inbox."""

    correlation_ms: int = 600_000
    recurrence_ms: int = 86_400_000
    groups: list[_Group] = field(default_factory=list)
    came: dict[tuple[str, str], int] = field(default_factory=dict)
    deeds: dict[int, tuple[Deed, list[tuple[_Group, Handled, tuple[str, ...]]]]] = field(default_factory=dict)

    def fold(self, episodes: Iterable[Episode]) -> None:
        """Take in episodes in the order in which they were published."""
        for episode in episodes:
            group = self._home(episode)
            if group is None and not episode.void:
                group = _Group(f"an_{names_hash(episode.tenant, episode.device, episode.id):032x}", episode)
                self.groups.append(group)
            if group is not None:
                self._join(group, episode)

    def act(self, deed: Deed) -> None:
        """Do what was done, to those to whom it was done."""
        groups = [group for name in deed.done for group in self.groups if group.id == name]
        taken = [(group, group.handled, tuple(group.episodes)) for group in groups]
        match deed.kind:
            case "merge":
                kept, *others = groups
                for other in others:
                    self._move(other, kept, tuple(other.episodes))
            case "split":
                taken.append(self._split(groups[0], deed))
            case "undo":
                self._undo(deed)
            case _:
                for group in groups:
                    group.handled = group.handled.done(deed, group.span())
        self.deeds[deed.sequence] = deed, taken

    def anomalies(self) -> list[Anomaly]:
        """All that have not been merged into others, by id."""
        found = [_anomaly(group) for group in self.groups if group.episodes]
        return sorted(found, key=lambda anomaly: anomaly.id)

    def _join(self, group: _Group, episode: Episode) -> None:
        self.came.setdefault((episode.tenant, episode.id), len(self.came))
        begun_ms = None if episode.id in group.episodes or episode.void else episode.started_ms
        before = group.span() if group.episodes else None
        known = group.episodes.get(episode.id, episode)
        group.episodes[episode.id] = replace(episode, application=known.application)
        if before is not None:
            group.handled = group.handled.met(before, group.span(), begun_ms)

    def _split(self, group: _Group, deed: Deed) -> tuple[_Group, Handled, tuple[str, ...]]:
        first = min(deed.episodes, key=lambda name: self.came[group.first.tenant, name])
        names = (group.first.tenant, group.first.device, first, f"split {deed.sequence}")
        new = _Group(f"an_{names_hash(*names):032x}", group.first, handled=group.handled)
        self.groups.append(new)
        self._move(group, new, deed.episodes)
        return new, new.handled, ()

    def _move(self, source: _Group, target: _Group, names: tuple[str, ...]) -> None:
        """Episodes stay in the order in which they first came, wherever they are."""
        for name in names:
            target.episodes[name] = source.episodes.pop(name)
        tenant = target.first.tenant
        target.episodes = dict(sorted(target.episodes.items(), key=lambda item: self.came[tenant, item[0]]))
        for group in (source, target):
            if group.episodes:
                group.handled = group.handled.regrouped(group.span())

    def _undo(self, deed: Deed) -> None:
        undone, taken = self.deeds[deed.undoes or 0]
        match undone.kind:
            case "merge":
                (kept, _, _), *others = taken
                for group, _, names in others:
                    self._move(kept, group, names)
            case "split":
                (whole, _, _), (new, _, _) = taken
                self._move(new, whole, tuple(new.episodes))
            case _:
                for group, handled, _ in taken:
                    if group.id in deed.done:
                        group.handled = group.handled.given_back(handled)

    def _home(self, episode: Episode) -> _Group | None:
        for group in self.groups:
            if group.first.tenant == episode.tenant and episode.id in group.episodes:
                return group
        return None if episode.void else self._near(episode)

    def _near(self, episode: Episode) -> _Group | None:
        """The nearest of those that overlap or start together, else of those where the parameter recurs."""
        found = [
            (*rank, other.started_ms, group.id, group)
            for group in self.groups
            for other in group.episodes.values()
            if (rank := self._rank(episode, other)) is not None
        ]
        return min(found, key=lambda item: item[:4])[-1] if found else None

    def _rank(self, episode: Episode, other: Episode) -> tuple[int, int] | None:
        """(kind, gap); None where the two have nothing to do with each other."""
        whose = (episode.tenant, episode.device, episode.application)
        if other.void or (other.tenant, other.device, other.application) != whose:
            return None
        gap_ms = max(episode.started_ms - _end_ms(other), other.started_ms - _end_ms(episode), 0)
        if gap_ms == 0 or abs(episode.started_ms - other.started_ms) <= self.correlation_ms:
            return 0, gap_ms
        recurs = other.parameter == episode.parameter and gap_ms <= self.recurrence_ms
        return (1, gap_ms) if recurs else None


def _end_ms(episode: Episode) -> int:
    return ENDLESS_MS if episode.end_ms is None else episode.end_ms


def _anomaly(group: _Group) -> Anomaly:
    everything = list(group.episodes.values())
    valid = [episode for episode in everything if not episode.void]
    counted = valid or everything
    ends_ms = max(map(_end_ms, counted))
    last_abnormal_ms = max(episode.last_abnormal_ms for episode in counted)
    active = bool(valid) and ends_ms == ENDLESS_MS
    cleared_ms = last_abnormal_ms if ends_ms == ENDLESS_MS else ends_ms
    return Anomaly(
        id=group.id,
        tenant=group.first.tenant,
        application=group.first.application,
        device=group.first.device,
        parameters=tuple(sorted({episode.parameter for episode in counted} - {""})),
        detectors=tuple(sorted({episode.detector for episode in counted})),
        severity=max((episode.severity for episode in counted), key=SEVERITIES.index),
        condition="active" if active else "cleared",
        started_ms=min(episode.started_ms for episode in counted),
        last_abnormal_ms=last_abnormal_ms,
        cleared_ms=None if active else cleared_ms,
        recurrences=len(counted) - 1,
        peak_score=max(episode.score for episode in counted),
        episodes=tuple(episode.id for episode in reversed(counted))[:NAMED_MAX],
        handling=group.handled.handling,
        seen_at_ms=group.handled.seen_at_ms,
        snoozed_until_ms=group.handled.snoozed_until_ms,
        assignee=group.handled.assignee,
    )


def in_time(episodes: Iterable[Episode]) -> list[Episode]:
    """In the order of the time of the data, as a backtest folds them: by the end, or while it lasts by the
    later of opening and last abnormal reading, but no state before an earlier one of the same episode."""
    moments: dict[str, int] = {}
    ordered = []
    for episode in episodes:
        lasting_ms = max(episode.opened_ms, episode.last_abnormal_ms)
        moment = lasting_ms if episode.end_ms is None else episode.end_ms
        moments[episode.id] = max(moment, moments.get(episode.id, moment))
        ordered.append((moments[episode.id], episode.id, episode))
    return [episode for _, _, episode in sorted(ordered, key=lambda item: item[:2])]
