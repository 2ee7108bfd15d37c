"""What goes on, told as it is when somebody asks and not as it was when it was committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from tocsin.clock import Clock
from tocsin.commit.abstract import CommitStore
from tocsin.inbox.abstract import Anomaly, Condition
from tocsin.model import Episode


class Standing(Protocol):
    """Knows the runs that go on; the runtime offers it."""

    def lasting(self, tenant: str, devices: Collection[str]) -> set[str]:
        """Ids of the episodes of these devices that have not ended."""
        ...

    def as_they_stand(self, tenant: str, episodes: Sequence[Episode], now_ms: int) -> list[Episode]:
        """The episodes with span, peak and sentence as of the newest record."""
        ...


class Lasting:
    """Renders anomalies and episodes at the time of reading.

    The committed states say what was true at an episode's opening or worsening; no reading makes a revision.
    """

    def __init__(self, commits: CommitStore, standing: Standing, clock: Clock) -> None:
        self._commits = commits
        self._standing = standing
        self._clock = clock

    def episodes(self, tenant: str, episodes: Sequence[Episode]) -> list[Episode]:
        """The same as they stand now."""
        return self._standing.as_they_stand(tenant, episodes, self._clock.now_ms())

    def anomalies(self, tenant: str, anomalies: Sequence[Anomaly]) -> list[Anomaly]:
        """The same; of active ones the sentence and the last abnormal time are those of now."""
        devices = {each.device for each in anomalies if each.condition is Condition.ACTIVE}
        if not devices:
            return list(anomalies)
        lasting = self._standing.lasting(tenant, devices)
        named = {name for each in anomalies for name in each.episodes if name in lasting}
        told = self._told(tenant, sorted(named))
        now = {episode.id: episode for episode in self.episodes(tenant, list(told.values()))}
        return [_told_now(each, told, now) for each in anomalies]

    def _told(self, tenant: str, names: Iterable[str]) -> dict[str, Episode]:
        found = (self._commits.episode(tenant, name) for name in names)
        return {episode.id: episode for episode in found if episode is not None}


def _told_now(anomaly: Anomaly, told: dict[str, Episode], now: dict[str, Episode]) -> Anomaly:
    """The anomaly with what its lasting episodes say now, where its sentence is theirs."""
    explanation, last_ms, score = anomaly.explanation, anomaly.last_abnormal_ms, anomaly.peak_score
    for name in anomaly.episodes:
        if name in now and anomaly.condition is Condition.ACTIVE:
            before, after = told[name].explanation, now[name]
            last_ms = max(last_ms, after.last_abnormal_ms)
            score = max(score, after.score)
            if anomaly.explanation.startswith(before):
                explanation = after.explanation + anomaly.explanation[len(before) :]
    return msgspec.structs.replace(
        anomaly, explanation=explanation, last_abnormal_ms=last_ms, peak_score=score
    )
