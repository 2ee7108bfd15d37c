"""Episodes as they are published: docs/explanation/episodes.md."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from proof.model.digest import Key, fields_hash, names_hash
from proof.model.policy import Run
from proof.model.records import GapGivenUp

KNOWN_MAX = 1000
"""Episodes of a device that corrections can still revise."""
DEVICE_REASONS = ("silent", "missing", "clock")


@dataclass(frozen=True, slots=True)
class Episode:
    """All fields but the sentence and the evidence; `parameter` is empty where the device is meant."""

    id: str
    tenant: str
    application: str
    version: str
    device: str
    parameter: str
    detector: str
    reason: str
    severity: str
    started_ms: int
    opened_ms: int
    end_ms: int | None
    last_abnormal_ms: int
    peak_ms: int
    readings: int
    value: float
    expected: float
    lower: float
    upper: float
    score: float
    revision: int = 0
    retracted: bool = False
    suppressed: bool = False

    @property
    def key(self) -> Key:
        """Whose digest it is part of: the series, or the device as a whole."""
        return Key(self.tenant, self.application if self.parameter else "", self.device, self.parameter)

    @property
    def cause(self) -> tuple[Key, str, str]:
        """What must be equal for two to be the same: of runs the detector, of others also the reason."""
        if self.detector == "dumps":
            return self.key, self.detector, self.id
        return self.key, self.detector, self.reason if self.reason in DEVICE_REASONS else ""

    @property
    def void(self) -> bool:
        """Whether nobody is to be told of it."""
        return self.retracted or self.suppressed

    @property
    def underived(self) -> bool:
        """Whether no correction derives it: it does not rest on readings in order of time."""
        return self.reason == "clock" or self.detector == "dumps"

    def digest(self) -> int:
        """Its row: the fields without id, version and revision."""
        numbers = (self.value, self.expected, self.lower, self.upper, self.score)
        return fields_hash(
            (
                *self.key,
                self.detector,
                self.reason,
                self.severity,
                self.started_ms,
                self.opened_ms,
                self.end_ms,
                self.last_abnormal_ms,
                self.peak_ms,
                self.readings,
                *(struct.pack("<d", number) for number in numbers),
                *(("suppressed",) if self.suppressed else ()),
            )
        )


def of_run(key: Key, version: str, detector: str, run: Run, end_ms: int | None) -> Episode:
    """The episode of a run that is or was open."""
    assert run.opened_ms is not None
    score = run.peak.score
    return Episode(
        id=_identity(key, detector, run.started_ms),
        tenant=key.tenant,
        application=key.application,
        version=version,
        device=key.device,
        parameter=key.parameter,
        detector=detector,
        reason=score.reason,
        severity=run.severity,
        started_ms=run.started_ms,
        opened_ms=run.opened_ms,
        end_ms=end_ms,
        last_abnormal_ms=run.last_abnormal_ms,
        peak_ms=run.peak.ts,
        readings=run.readings,
        value=run.peak.value,
        expected=score.expected,
        lower=score.lower,
        upper=score.upper,
        score=score.score,
        suppressed=run.suppressed,
    )


def of_silence(
    key: Key, stream: tuple[str, str], started_ms: int, end_ms: int | None, again_ms: int
) -> Episode:
    """A silence that is told from `again_ms` on; one that is over by then is suppressed."""
    episode = of_device(key, stream, "silent", started_ms, end_ms)
    if again_ms > started_ms and end_ms is not None and end_ms <= again_ms:
        return replace(episode, suppressed=True)
    return replace(episode, opened_ms=again_ms)


def of_device(key: Key, stream: tuple[str, str], reason: str, started_ms: int, end_ms: int | None) -> Episode:
    """A silence, a missing parameter or a wrong clock; `stream` is (application, version)."""
    return Episode(
        id=_identity(key, f"health.{reason}", started_ms),
        tenant=key.tenant,
        application=stream[0],
        version=stream[1],
        device=key.device,
        parameter=key.parameter,
        detector="health",
        reason=reason,
        severity="warning",
        started_ms=started_ms,
        opened_ms=started_ms,
        end_ms=end_ms,
        last_abnormal_ms=started_ms if end_ms is None else end_ms,
        peak_ms=started_ms,
        readings=0,
        value=0.0,
        expected=0.0,
        lower=0.0,
        upper=0.0,
        score=1.0,
    )


def of_gap(gap: GapGivenUp, first: int, stream: tuple[str, str]) -> Episode:
    """Dumps that are missing, from number `first` on; over as soon as it is told."""
    key = Key(gap.tenant, "", gap.device, "")
    return replace(
        of_device(key, stream, "gap", gap.at_ms - gap.waited_ms, gap.at_ms),
        id=_identity(key, "dumps.gap", f"{gap.epoch}.{first}"),
        detector="dumps",
        opened_ms=gap.at_ms,
    )


def of_log_silence(
    key: Key, stream: tuple[str, str], started_ms: int, end_ms: int | None, again_ms: int
) -> Episode:
    """Logs that stay away: as a silence, but for its name."""
    return replace(
        of_silence(key, stream, started_ms, end_ms, again_ms),
        id=_identity(key, "dumps.logs_silent", started_ms),
        detector="dumps",
        reason="logs_silent",
    )


def retracted(episode: Episode, version: str) -> Episode:
    """The last revision of an episode that was not so; `version` is that of the software which shows it."""
    return replace(
        episode,
        version=version,
        severity="info",
        opened_ms=episode.started_ms,
        end_ms=episode.started_ms if episode.end_ms is None else episode.end_ms,
        last_abnormal_ms=episode.started_ms,
        peak_ms=episode.started_ms,
        readings=0,
        value=0.0,
        expected=0.0,
        lower=0.0,
        upper=0.0,
        score=0.0,
        revision=episode.revision + 1,
        retracted=True,
        suppressed=False,
    )


def _identity(key: Key, detector: str, start: object) -> str:
    names = (key.tenant, key.application, key.device, key.parameter, detector, str(start))
    return f"ep_{names_hash(*names):032x}"


@dataclass(slots=True)
class Ledger:
    """What was last published of each episode of a device, in the order of that.

    `gone` are the revisions of retracted ones by id.
    """

    known: list[Episode] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)

    def publish(self, episode: Episode) -> Episode:
        """Remember an episode; one that a correction has moved keeps its id and revision."""
        same = (episode.cause, episode.started_ms)
        before = [old for old in self.known if (old.cause, old.started_ms) == same]
        if before:
            first = before[0]
            episode = replace(episode, id=first.id, application=first.application, revision=first.revision)
        else:
            episode = self.named(episode, self.known)
        others = [old for old in self.known if (old.cause, old.started_ms) != same]
        self.known = [*others[-KNOWN_MAX + 1 :], episode]
        return episode

    def named(self, episode: Episode, others: list[Episode]) -> Episode:
        """A new episode: under an id that is free, and above the revision of its retraction."""
        taken, number, id_ = {other.id for other in others}, 1, episode.id
        while id_ in taken:
            number += 1
            notice = episode.detector == "health" and episode.reason in DEVICE_REASONS
            detector = f"health.{episode.reason}" if notice else episode.detector
            id_ = _identity(episode.key, detector, f"{episode.started_ms}.{number}")
        return replace(episode, id=id_, revision=self.gone.pop(id_, -1) + 1)

    def withdraw(self, key: Key, reason: str, version: str) -> Episode:
        """Retract the episode of a device that lasts."""
        (lasting,) = [old for old in self.known if (old.key, old.reason, old.end_ms) == (key, reason, None)]
        self.known.remove(lasting)
        return self.retract(lasting, version)

    def retract(self, episode: Episode, version: str) -> Episode:
        """The last state of an episode of which no more is remembered than that."""
        last = retracted(episode, version)
        self.gone.pop(last.id, None)
        self.gone[last.id] = last.revision
        if len(self.gone) > KNOWN_MAX:
            del self.gone[next(iter(self.gone))]
        return last
