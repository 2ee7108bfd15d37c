"""One anomaly per cause: to which anomaly an episode belongs, and what the anomaly then says.

Pure: every decision follows from the rows in their order and the two windows, so that folding the same
outbox again, cut anywhere, gives the same anomalies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import xxhash

from tocsin.inbox.abstract import Anomaly, Condition
from tocsin.inbox.action import Handling
from tocsin.model import Episode, Severity

ENDLESS_MS: Final = 1 << 62
EPISODES_NAMED_MAX: Final = 100
_NAMES_IN_SENTENCE: Final = 5
_RANKED: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """`correlation_ms`: how far apart the starts of episodes with one cause may lie.
    `recurrence_ms`: how long after its end the same cause may come back.
    """

    correlation_ms: int = 600_000
    recurrence_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An episode of the same device that may have the same cause; never a retracted one."""

    anomaly_id: str
    parameter: str
    started_ms: int
    ends_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the episodes of an anomaly amount to: of the valid ones, or of all if every one was retracted.

    `names` are the newest episodes' ids, newest first; `strongest` is (parameter, explanation), which of a
    retracted one says why, and of several the one that ends last; `peak_score` is 0 where no detector gave a
    score.
    """

    episodes: int
    retracted: bool
    started_ms: int
    last_abnormal_ms: int
    ends_ms: int
    severity: Severity
    peak_score: float
    strongest: tuple[str, str]
    parameters: tuple[str, ...]
    detectors: tuple[str, ...]
    names: tuple[str, ...]


def ends_ms(episode: Episode) -> int:
    """When it ended; later than any time while it lasts."""
    return ENDLESS_MS if episode.end_ms is None else episode.end_ms


def rank(severity: Severity) -> int:
    """Severities as ascending numbers.

    >>> rank(Severity.CRITICAL) > rank(Severity.WARNING) > rank(Severity.INFO)
    True
    """
    return _RANKED.index(severity)


def severity_of(number: int) -> Severity:
    """The inverse of `rank`."""
    return _RANKED[number]


def anomaly_id(episode: Episode) -> str:
    """The id of the anomaly that begins with this episode; the same in every run."""
    return _id_of(episode.tenant, episode.device, episode.id)


def split_id(anomaly: Anomaly, first_episode: str, sequence: int) -> str:
    """The id of the anomaly that an action splits off; the same whenever the log is played."""
    return _id_of(anomaly.tenant, anomaly.device, first_episode, f"split {sequence}")


def _id_of(*names: str) -> str:
    payload = b"".join(len(part).to_bytes(4, "little") + part for part in (name.encode() for name in names))
    return f"an_{xxhash.xxh3_128_hexdigest(payload)}"


def reach_ms(episode: Episode, windows: Windows) -> tuple[int, int]:
    """The span in which a neighbour must touch to matter for `place`."""
    reach = max(windows.correlation_ms, windows.recurrence_ms)
    return episode.started_ms - reach, min(ends_ms(episode) + reach, ENDLESS_MS)


def place(episode: Episode, neighbours: Sequence[Neighbour], windows: Windows) -> str | None:
    """The anomaly that a new episode belongs to; None = it begins one.

    Episodes that overlap or start together come first, then a recurrence of the same parameter; among
    several the nearest in time, then the older anomaly.
    """
    matches = (_match(episode, neighbour, windows) for neighbour in neighbours)
    return min((match for match in matches if match is not None), default=(0, 0, 0, None))[-1]


def _match(episode: Episode, other: Neighbour, windows: Windows) -> tuple[int, int, int, str] | None:
    gap_ms = max(episode.started_ms - other.ends_ms, other.started_ms - ends_ms(episode), 0)
    together = abs(episode.started_ms - other.started_ms) <= windows.correlation_ms
    if gap_ms == 0 or together:
        return 0, gap_ms, other.started_ms, other.anomaly_id
    if other.parameter == episode.parameter and gap_ms <= windows.recurrence_ms:
        return 1, gap_ms, other.started_ms, other.anomaly_id
    return None


def begin(episode: Episode) -> Anomaly:
    """The anomaly that a first episode begins, before anything was summed up."""
    return Anomaly(
        id=anomaly_id(episode),
        tenant=episode.tenant,
        application=episode.application,
        device=episode.device,
        parameters=(),
        detectors=(),
        severity=episode.severity,
        condition=Condition.ACTIVE,
        handling=Handling.OPEN,
        started_ms=episode.started_ms,
        last_abnormal_ms=episode.last_abnormal_ms,
        cleared_ms=None,
        updated_sequence=0,
        version=0,
        recurrences=0,
        explanation="",
        peak_score=0.0,
        episodes=(),
    )


def apply(anomaly: Anomaly, summary: Summary) -> Anomaly:
    """The anomaly with what its episodes say now; version and sequence are left to the store."""
    lasting = summary.ends_ms == ENDLESS_MS and not summary.retracted
    # an episode that was retracted while it lasted never ended: its last abnormal reading has to do
    cleared_ms = summary.last_abnormal_ms if summary.ends_ms == ENDLESS_MS else summary.ends_ms
    return msgspec.structs.replace(
        anomaly,
        parameters=summary.parameters,
        detectors=summary.detectors,
        severity=summary.severity,
        condition=Condition.ACTIVE if lasting else Condition.CLEARED,
        started_ms=summary.started_ms,
        last_abnormal_ms=summary.last_abnormal_ms,
        cleared_ms=None if lasting else cleared_ms,
        recurrences=summary.episodes - 1,
        explanation=_explain(summary),
        peak_score=summary.peak_score,
        episodes=summary.names,
    )


def _explain(summary: Summary) -> str:
    parameter, sentence = summary.strongest
    if summary.retracted:
        return f"withdrawn: {sentence}"
    others = [name for name in summary.parameters if name != parameter]
    if not others:
        return sentence
    named = ", ".join(others[:_NAMES_IN_SENTENCE]) + (", …" if len(others) > _NAMES_IN_SENTENCE else "")
    return f"{sentence}; and {len(others)} more parameter{'s' if len(others) > 1 else ''}: {named}"


def kind_of_change(before: Anomaly | None, after: Anomaly, summary: Summary, episode: Episode) -> str:
    """What happened, in one word; `before` is None for a new anomaly."""
    if before is None:
        return "opened"
    if summary.retracted:
        return "retracted"
    if before.handling != after.handling:
        return "reopened"
    if before.condition != after.condition:
        return "resumed" if after.condition is Condition.ACTIVE else "cleared"
    if after.recurrences > before.recurrences:
        return "recurred" if episode.parameter in (*before.parameters, "") else "extended"
    return "updated"
