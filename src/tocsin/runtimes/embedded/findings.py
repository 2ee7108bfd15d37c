"""Abnormal readings out of what the processor put out, for the projection behind the short questions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from tocsin.model import Verdict
from tocsin.processing.judging import Judged
from tocsin.processing.processor import Output
from tocsin.processing.scoring import Verdicts
from tocsin.runtimes.embedded.scored import KeepOf, scored_of
from tocsin.scores.abstract import AbnormalReading, Findings

_ABNORMAL: Final = int(Verdict.ABNORMAL)


def findings_of(
    partition: int, position: int, output: Output, keep_of: KeepOf | None = None, after: int = 0
) -> Findings:
    """The abnormal readings of one step; a reading two detectors call abnormal goes to the stranger score.

    With `keep_of`, also the scores that the lake gets. A replay gives as `after` the position that these
    have reached: it may cut the log in other places than the steps before it did.
    """
    readings = _abnormal(partition, output.judged)
    for correction in output.corrections:
        readings += _abnormal(partition, correction.judged)
    corrected = [(correction.tenant, correction.device) for correction in output.corrections]
    scored = scored_of(partition, output, keep_of, after) if keep_of else []
    return Findings(partition, position, readings, corrected, scored)


def _abnormal(partition: int, judged: Iterable[Judged]) -> list[AbnormalReading]:
    found: list[AbnormalReading] = []
    for batch in judged:
        strangest: dict[int, AbnormalReading] = {}
        for verdicts in batch.verdicts:
            for place in np.flatnonzero(verdicts.scores.verdict == _ABNORMAL):
                row = int(verdicts.gathered.row[place])
                reading = _reading(partition, batch, verdicts, int(place))
                if row not in strangest or reading.score > strangest[row].score:
                    strangest[row] = reading
        found += strangest.values()
    return found


def _reading(partition: int, judged: Judged, verdicts: Verdicts, place: int) -> AbnormalReading:
    gathered, scores, batch = verdicts.gathered, verdicts.scores, judged.batch
    event, row = int(gathered.event[place]), int(gathered.row[place])
    return AbnormalReading(
        tenant=judged.tenant,
        application=batch.streams[batch.stream[event]][0],
        device=batch.device[event],
        parameter=batch.names[batch.parameter[row]],
        ts=int(gathered.readings.ts[place]),
        value=float(gathered.readings.value[place]),
        expected=_known(scores.expected[place]),
        lower=_known(scores.lower[place]),
        upper=_known(scores.upper[place]),
        score=float(scores.score[place]),
        detector=verdicts.detector,
        partition=partition,
        offset=int(judged.offsets[event]),
    )


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
