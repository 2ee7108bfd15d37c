"""Episodes against labelled spans: what was found, and what was a false alarm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tocsin.model import Episode


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled fault of one device, or of one parameter of it ("" = any); both ends included, in ms."""

    device: str
    parameter: str
    kind: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """Labelled and found spans by kind, and the episodes that touch none."""

    labelled: Counter[str]
    found: Counter[str]
    false_alarms: int

    @property
    def recall(self) -> float:
        """The share of spans found, of each kind alone and then averaged: the rare kinds count as much."""
        shares = [self.found[kind] / count for kind, count in self.labelled.items()]
        return sum(shares) / max(1, len(shares))


def match(spans: Iterable[Span], episodes: Iterable[Episode], slack_ms: int) -> Found:
    """An episode finds every span of its series that it overlaps; it may come `slack_ms` after the end."""
    by_device: defaultdict[str, list[Span]] = defaultdict(list)
    labelled: Counter[str] = Counter()
    for span in spans:
        by_device[span.device].append(span)
        labelled[span.kind] += 1
    hits: set[Span] = set()
    false_alarms = 0
    for episode in episodes:
        touched = [span for span in by_device[episode.device] if _touches(span, episode, slack_ms)]
        hits.update(touched)
        false_alarms += not touched
    return Found(labelled, Counter(span.kind for span in hits), false_alarms)


def _touches(span: Span, episode: Episode, slack_ms: int) -> bool:
    meant = span.parameter in ("", episode.parameter)
    return meant and episode.started_ms <= span.to_ms + slack_ms and episode.last_abnormal_ms >= span.from_ms
