"""How episodes become anomalies: docs/adr/0010-one-anomaly-per-cause.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from proof.model.digest import names_hash
from proof.model.episodes import Episode
from proof.model.policy import SEVERITIES

ENDLESS_MS = 2**62
NAMED_MAX = 100


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What the inbox shows, without its sentence, what people did and the version that grows with both."""

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


@dataclass(slots=True)
class _Group:
    """Episodes with one cause, newest states, in the order in which they first came.

    Each keeps the application of its first state: a device as a whole may go over to another one.
    """

    id: str
    first: Episode
    episodes: dict[str, Episode] = field(default_factory=dict)


@dataclass(slots=True)
class Inbox:
    """Folds episodes one by one; both windows are those of the settings of the inbox."""

    correlation_ms: int = 600_000
    recurrence_ms: int = 86_400_000
    groups: list[_Group] = field(default_factory=list)

    def fold(self, episodes: Iterable[Episode]) -> None:
        """Take in episodes in the order in which they were published."""
        for episode in episodes:
            group = self._home(episode)
            if group is None and not episode.retracted:
                group = _Group(f"an_{names_hash(episode.tenant, episode.device, episode.id):032x}", episode)
                self.groups.append(group)
            if group is not None:
                known = group.episodes.get(episode.id, episode)
                group.episodes[episode.id] = replace(episode, application=known.application)

    def anomalies(self) -> list[Anomaly]:
        """All, by id."""
        return sorted(map(_anomaly, self.groups), key=lambda anomaly: anomaly.id)

    def _home(self, episode: Episode) -> _Group | None:
        for group in self.groups:
            if group.first.tenant == episode.tenant and episode.id in group.episodes:
                return group
        return None if episode.retracted else self._near(episode)

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
        if other.retracted or (other.tenant, other.device, other.application) != whose:
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
    valid = [episode for episode in everything if not episode.retracted]
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
