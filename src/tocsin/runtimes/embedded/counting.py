"""What the metrics say of each step; added once a step, never per reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from tocsin.inbox.abstract import Change
from tocsin.model import Episode, Status, Verdict
from tocsin.observability import metrics
from tocsin.observability.meters import Meters
from tocsin.processing.processor import Output

_STATUSES: Final = tuple(status.name.lower() for status in Status)
_VERDICTS: Final = tuple(verdict.name.lower() for verdict in Verdict)


def count_step(meters: Meters, output: Output) -> None:
    """Readings by what became of them, verdicts, and episodes of one step."""
    for status in _STATUSES:
        number = sum(counts[status] for counts in output.counts.values())
        if number:
            meters.add(metrics.PROCESSOR_READINGS, number, status=status)
    for (detector, verdict), number in _verdicts(output).items():
        meters.add(metrics.PROCESSOR_VERDICTS, number, detector=detector, verdict=verdict)
    events = Counter((episode.detector, _event(episode)) for episode in output.episodes)
    for (detector, event), number in events.items():
        meters.add(metrics.PROCESSOR_EPISODES, number, detector=detector, event=event)


def count_changes(meters: Meters, changes: Sequence[Change]) -> None:
    """Changes of anomalies by kind."""
    for kind, number in Counter(change.kind for change in changes).items():
        meters.add(metrics.INBOX_ANOMALIES, number, kind=kind)


def _verdicts(output: Output) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for batch in output.judged:
        for verdicts in batch.verdicts:
            given = verdicts.scores.verdict
            for number, name in enumerate(_VERDICTS):
                found[verdicts.detector, name] += int(np.count_nonzero(given == number))
    return +found


def _event(episode: Episode) -> str:
    if episode.retracted:
        return "retracted"
    if episode.suppressed:
        return "suppressed"
    if episode.revision:
        return "corrected"
    return "opened" if episode.end_ms is None else "closed"
