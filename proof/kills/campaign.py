"""Run after run: killed at one call after the other, then at random ones, then with a disk that fails."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from proof.kills.faults import FAULTS
from proof.kills.run import LATER_CALLS, Expected, Outcome, Run
from proof.subject.crates import crates, digest_of
from proof.subject.expected import expected_of
from proof.subject.life import config_of
from proof.subject.nursery import require_alone
from proof.subject.traffic import Body, bodies

PRODUCERS: Final = ("north", "south")
STEPS: Final = 36  # a shift behind 20 readings is found, so that there is an anomaly to say something of
DEVICES: Final = 3
FAULT_EVERY: Final = 4
FOREVER_S: Final = 1e9
_TOLD_MAX: Final = 20


@dataclass(slots=True)
class Figures:
    """What a campaign has found so far. `covered` are the calls of a run at which a first life was killed."""

    runs: int = 0
    kills: int = 0
    failures: int = 0
    faults: dict[str, int] = field(default_factory=dict)
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

    def join(self, other: Figures) -> None:
        """Add what another part of the campaign has found."""
        self.runs += other.runs
        self.kills += other.kills
        self.failures += other.failures
        for name, count in other.faults.items():
            self.faults[name] = self.faults.get(name, 0) + count
        self.ended += other.ended
        self.covered |= other.covered
        self.words += other.words

    def as_json(self) -> dict[str, Any]:
        """The figures by their names."""
        return {
            "kill_points": self.kills,
            "kill_failures": self.failures,
            "kill_runs": self.runs,
            "kill_run_calls": self.run_calls,
            "kill_calls_covered": len(self.covered),
            "disk_faults": self.faults,
            "disk_faults_ended": self.ended,
        }


class Campaign:
    """Runs of one seed's bodies; the expectation is made once, before any fork."""

    def __init__(self, scratch: Path, seed: int, *, planted: str = "") -> None:
        self.figures = Figures()
        self._scratch = scratch
        self._place = tempfile.TemporaryDirectory(dir=scratch)
        self._seed = seed
        self._planted = planted
        self._rng = random.Random(seed)
        self._bodies: dict[str, list[Body]] = {
            producer: list(bodies(producer, seed, steps=STEPS, devices=DEVICES)) for producer in PRODUCERS
        }
        together = [body for own in self._bodies.values() for body in own]
        self._machines = [crates(producer, seed) for producer in PRODUCERS]
        undisturbed = expected_of(together, scratch, config_of(scratch / "none"))
        self._expected = Expected(*undisturbed, digest_of(self._machines))

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
        faults = self.figures.faults
        faults[fault.name] = faults.get(fault.name, 0) + run.outcome.faults
        self.figures.add(self._seed, run.settle())

    def share(self, number: int, calls: Sequence[int], until_s: float) -> Figures:
        """Kill at these calls, with a failing disk now and then, until the time is up."""
        self.figures = Figures(run_calls=self.figures.run_calls)
        self._rng = random.Random(f"{self._seed}/{number}")
        for done, call in enumerate(calls):
            if time.monotonic() > until_s or (self._planted and self.figures.failures):
                break
            self.kill(call)
            if done % FAULT_EVERY == 0 and not self._planted:
                self.disturb(done // FAULT_EVERY + number)
            if done % 20 == 19:
                print(number, self.figures.as_json(), file=sys.stderr, flush=True)
        return self.figures

    def _run(self) -> Run:
        self._place.cleanup()
        self._place = tempfile.TemporaryDirectory(dir=self._scratch)
        scratch = Path(self._place.name)
        return Run(scratch, self._bodies, self._expected, self._machines)


def campaign(
    scratch: Path,
    seed: int,
    seconds: float,
    *,
    every: bool = False,
    planted: str = "",
    first: int = 1,
    last: int = 0,
    side_by_side: int = 4,
) -> Figures:
    """Until the time is up, or with `every` until each call from `first` on was a kill point.

    With `last` first lives are killed at so many last calls alone: where all is settled, and people act.

    Lives mostly wait, so several runs go on at once, each in a process forked from this one.
    """
    until_s = time.monotonic() + (FOREVER_S if every else seconds)
    work = Campaign(scratch, seed, planted=planted)
    work.undisturbed()
    end = work.figures.run_calls + 1
    calls = list(range(max(first, end - last) if last else first, end))
    random.Random(seed).shuffle(calls)
    shares = [calls[number::side_by_side] for number in range(side_by_side)]
    places = [scratch / f"figures-{number}" for number in range(side_by_side)]
    workers = [
        _forked(work, number, share, until_s, place)
        for number, (share, place) in enumerate(zip(shares, places, strict=True))
    ]
    for process, place in zip(workers, places, strict=True):
        _, status = os.waitpid(process, 0)
        if status:
            raise RuntimeError(f"a part of the campaign ended with {os.waitstatus_to_exitcode(status)}")
        work.figures.join(msgspec.json.decode(place.read_bytes(), type=Figures))
    return work.figures


def _forked(work: Campaign, number: int, calls: Sequence[int], until_s: float, place: Path) -> int:
    """A process that works through a share and leaves its figures in a file; its id."""
    require_alone()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        place.write_bytes(msgspec.json.encode(work.share(number, calls, until_s)))
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends with it
        traceback.print_exc()
    finally:
        os._exit(code)
