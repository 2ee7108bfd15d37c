"""Run after run: killed at one call after the other, then at random ones, then with a disk that fails."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proof.kills.faults import FAULTS
from proof.kills.run import LATER_CALLS, Expected, Outcome, Run
from proof.subject.expected import expected_of
from proof.subject.life import config_of
from proof.subject.traffic import Body, bodies

PRODUCERS: Final = ("north", "south")
STEPS: Final = 24
DEVICES: Final = 3
FAULT_EVERY: Final = 4
_TOLD_MAX: Final = 20


@dataclass(slots=True)
class Figures:
    """What a campaign has found so far. `covered` are the calls of a run at which a first life was killed."""

    runs: int = 0
    kills: int = 0
    failures: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    covered: set[int] = field(default_factory=set)
    run_calls: int = 0
    words: list[str] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count a run; one with any problem is one failure."""
        self.runs += 1
        self.kills += outcome.kills
        self.ended += outcome.ended
        self.failures += bool(outcome.problems)
        room = _TOLD_MAX - len(self.words)
        self.words += [f"run {self.runs}, seed {seed}: {words}" for words in outcome.problems[:room]]

    def as_json(self) -> dict[str, Any]:
        """The figures by their names."""
        return {
            "kill_points": self.kills,
            "kill_failures": self.failures,
            "kill_runs": self.runs,
            "kill_run_calls": self.run_calls,
            "kill_calls_covered": len(self.covered),
            "disk_faults": dict(self.faults),
            "disk_faults_ended": self.ended,
        }


class Campaign:
    """Runs of one seed's bodies; the expectation is made once, before any fork."""

    def __init__(self, scratch: Path, seed: int, *, planted: str = "") -> None:
        self.figures: Final = Figures()
        self._scratch = scratch
        self._seed = seed
        self._planted = planted
        self._rng = random.Random(seed)
        self._bodies: dict[str, list[Body]] = {
            producer: list(bodies(producer, seed, steps=STEPS, devices=DEVICES)) for producer in PRODUCERS
        }
        together = [body for own in self._bodies.values() for body in own]
        self._expected = Expected(*expected_of(together, scratch, config_of(scratch / "none")))

    def undisturbed(self) -> None:
        """A run without any harm, to learn how many calls it has; it must come to what is expected."""
        outcome = self._run().settle(self._planted)
        self.figures.run_calls = outcome.calls
        self.figures.add(self._seed, outcome)

    def kill(self, call: int, later: int = 2) -> None:
        """Kill the first life before this call, the next ones before random calls, then let one settle."""
        run = self._run()
        torn = self._rng.random() < 0.3
        if run.kill_at(call, torn=torn, planted=self._planted):
            self.figures.covered.add(call)
        for _ in range(later):
            run.kill_at(
                self._rng.randint(1, LATER_CALLS), torn=self._rng.random() < 0.3, planted=self._planted
            )
        self.figures.add(self._seed, run.settle(self._planted))

    def disturb(self, number: int) -> None:
        """A life with a failing disk, then one that settles."""
        run = self._run()
        fault = FAULTS[number % len(FAULTS)]
        run.disturb(fault, self._rng, max(self.figures.run_calls // 2, 1))
        self.figures.faults[fault.name] += run.outcome.faults
        self.figures.add(self._seed, run.settle())

    def _run(self) -> Run:
        scratch = Path(tempfile.mkdtemp(dir=self._scratch))
        return Run(scratch, self._bodies, self._expected)


def campaign(
    scratch: Path, seed: int, seconds: float, *, every: bool = False, planted: str = "", first: int = 1
) -> Figures:
    """Until the time is up, or with `every` until each call from `first` on was a kill point."""
    until_s = time.monotonic() + seconds
    work = Campaign(scratch, seed, planted=planted)
    work.undisturbed()
    calls = list(range(first, work.figures.run_calls + 1))
    if not every:
        random.Random(seed).shuffle(calls)
    for number, call in enumerate(calls):
        if planted and work.figures.failures:
            break
        if time.monotonic() > until_s and not every:
            break
        work.kill(call)
        if number % FAULT_EVERY == 0 and not planted:
            work.disturb(number // FAULT_EVERY)
        if number % 20 == 19:
            print(work.figures.as_json(), file=sys.stderr, flush=True)
    return work.figures
