"""Flip after flip in a folder that was stopped in order, and in one whose process was killed."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proof.corruption.flipping import flips_in, kind_of
from proof.corruption.trial import FAILURES, Fate, Verdict, Ward, before_of
from proof.kills.run import Expected
from proof.subject.answers import Answers
from proof.subject.expected import expected_of
from proof.subject.life import config_of, live
from proof.subject.nursery import Cradle, a_life, born, cradle_in, died
from proof.subject.traffic import bodies

PRODUCERS: Final = ("north", "south")
STEPS: Final = 24
_TOLD_MAX: Final = 40
KILLED: Final = 77


@dataclass(slots=True)
class Figures:
    """Flips by fate, and by kind of file with their fate."""

    fates: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a flip."""
        self.fates[verdict.fate] += 1
        self.kinds[f"{kind_of(verdict.flip.path)}: {verdict.fate}"] += 1
        if verdict.fate in FAILURES and len(self.words) < _TOLD_MAX:
            self.words.append(f"{verdict.fate}: {verdict.flip}: {verdict.words}")

    @property
    def failures(self) -> int:
        """Flips that were neither harmless, named nor mended."""
        return sum(self.fates[fate] for fate in FAILURES)

    def as_json(self) -> dict[str, Any]:
        """The figures by their names."""
        return {
            "corruption_flips": self.fates.total(),
            "corruption_failures": self.failures,
            **{f"corruption_{fate}": self.fates[fate] for fate in Fate},
        }


def campaign(scratch: Path, seed: int, seconds: float, flips_max: int = 1 << 30) -> Figures:
    """Until the time is up; each folder gets half of it."""
    figures, rng = Figures(), random.Random(seed)
    sent = {producer: list(bodies(producer, seed, steps=STEPS, devices=3)) for producer in PRODUCERS}
    together = [body for own in sent.values() for body in own]
    expected = Expected(*expected_of(together, scratch, config_of(scratch / "none")))
    for number, killed in enumerate((False, True)):
        until_s = time.monotonic() + seconds / 2
        place = Path(tempfile.mkdtemp(dir=scratch))
        cradle = cradle_in(place, sent)
        death = died(cradle, born(cradle, a_death if killed else a_life))
        if death.code != (KILLED if killed else 0):
            raise RuntimeError(f"the sound run ended with {death.code}: {death.words}")
        ward = Ward(cradle, before_of(cradle), expected)
        for flip in flips_in(cradle.data, rng, flips_max // 2 + number):
            if time.monotonic() > until_s:
                break
            figures.add(ward.judge(flip))
        print(f"killed {killed}: {dict(figures.kinds)}", file=sys.stderr, flush=True)
    return figures


def a_death(cradle: Cradle) -> bytes:
    """Live until all is settled, and end as a kill ends it: nothing is merged or closed."""
    live(config_of(cradle.data), cradle.bodies, Answers(cradle.scratch / "answers"), end=KILLED)
    raise AssertionError("it lived on")
