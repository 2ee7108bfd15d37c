"""Third step: let each detector score the readings that its settings let it see."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.detectors.abstract import Scores
from tocsin.processing.ordering import Gathered
from tocsin.processing.state import Slot


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one detector said about a batch."""

    detector: str
    gathered: Gathered
    scores: Scores


def score(gathered: Gathered, slot: Slot) -> Verdicts:
    """Score the readings in order with one detector, which learns from each after scoring it."""
    seen = gathered if slot.enabled.all() else gathered.take(slot.enabled[gathered.version])
    scores = Scores.empty(len(seen.readings))
    slot.detector.score(seen.readings, slot.state, slot.settings, scores)
    return Verdicts(slot.detector.info.name, seen, scores)
