"""Records runs and cuts their power, until the time is up; counts distinct states and harm."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proof.power.disk import Disk, State
from proof.power.examining import Examiner
from proof.power.history import history_of
from proof.power.judging import Finding, Harm
from proof.power.recording import PRODUCERS, Recording, record
from proof.subject.crates import crates, digest_of
from proof.subject.haste import PACES
from proof.subject.promise import decode_promise
from proof.subject.server import EndedError

STATES_A_CUT: Final = 3
_TOLD_MAX: Final = 20


def memory() -> Path | None:
    """A folder in memory where there is one: durability is reckoned here, real disks only cost time."""
    shared = Path("/dev/shm")  # noqa: S108 - what is made there has a random name and belongs to its owner alone
    return shared if shared.is_dir() else None


@dataclass(slots=True)
class Figures:
    """What a campaign has found so far. States with harm are laid out below `keep`, to be looked at."""

    keep: Path | None = None

    states: set[bytes] = field(default_factory=set)
    harm: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    runs: int = 0
    events: int = 0
    opened: int = 0
    ended: int = 0

    def add(self, seed: int, moment: int, state: State, findings: Sequence[Finding]) -> None:
        """Count the state, and each kind of harm in it once."""
        self.states.add(state.hash())
        if findings and self.keep is not None and len(self.words) < _TOLD_MAX:
            state.write(self.keep / f"{seed}-{moment}-{state.hash().hex()[:8]}")
        for harm in {finding.harm for finding in findings}:
            self.harm[harm] += 1
        for finding in findings:
            if len(self.words) < _TOLD_MAX:
                self._tell(f"seed {seed}, event {moment}: {finding.harm}: {finding.words}")

    def add_other(self, seed: int, found: str, expected: str) -> None:
        """Count findings in dumps that are not those of the model once all are judged."""
        if found != expected:
            self.harm[Harm.CORRUPT] += 1
            self._tell(f"seed {seed}: findings in dumps add up to {found}, by the model to {expected}")

    def add_end(self, seed: int, error: EndedError) -> None:
        """Count a server that ended by itself: it met something that it can't go on with."""
        self.ended += 1
        self._tell(f"seed {seed}: {error}")

    def _tell(self, words: str) -> None:
        """Keep it, and say it at once: a campaign may run for hours, and may never come to its end."""
        self.words.append(words)
        print(words, file=sys.stderr, flush=True)

    def as_json(self) -> dict[str, Any]:
        """The figures by their names."""
        return {
            "power_loss_states": len(self.states),
            **{f"power_loss_{harm}": self.harm[harm] for harm in Harm},
            "power_loss_ended": self.ended,
            "power_loss_runs": self.runs,
            "power_loss_events": self.events,
            "power_loss_stores_opened": self.opened,
        }


def cut_often(
    recording: Recording,
    examiner: Examiner,
    seed: int,
    figures: Figures,
    until_s: float,
    states_max: int,
    *,
    stop_at_harm: bool = False,
) -> None:
    """Cut the power all through a run, again and again, until time or states are up or nothing new comes."""
    rng = random.Random(seed)
    examined: set[tuple[bytes, int]] = set()
    chance = min(0.5, states_max / (STATES_A_CUT * len(recording.events)))
    while time.monotonic() < until_s and len(examined) < states_max:
        disk = Disk()
        before = len(examined)
        for moment, event in enumerate(recording.events):
            disk.play(event)
            if disk.uncertain and rng.random() < chance:
                _cut(disk, rng, examiner, examined, figures, seed, moment)
            if time.monotonic() > until_s or (stop_at_harm and figures.harm):
                return
        if len(examined) < before + 50:
            break  # nearly all of what this run can leave has been seen


def _cut(
    disk: Disk,
    rng: random.Random,
    examiner: Examiner,
    examined: set[tuple[bytes, int]],
    figures: Figures,
    seed: int,
    moment: int,
) -> None:
    promises = [decode_promise(mark) for mark in disk.marks]
    for _ in range(STATES_A_CUT):
        state: State = disk.state(rng)
        digest = state.hash()
        if (digest, len(promises)) in examined:
            continue
        examined.add((digest, len(promises)))
        figures.add(seed, moment, state, examiner.examine(state, promises))


def _examine(
    recording: Recording,
    scratch: Path,
    seed: int,
    figures: Figures,
    until_s: float,
    states_max: int,
    *,
    stop_at_harm: bool,
) -> None:
    (scratch / "states").mkdir()
    figures.events += len(recording.events)
    expected = digest_of([crates(producer, seed) for producer in PRODUCERS])
    figures.add_other(seed, recording.digest["digest_dumps"], expected)
    examiner = Examiner(history_of(recording.events, seed), recording.key, scratch / "states")
    cut_often(recording, examiner, seed, figures, until_s, states_max, stop_at_harm=stop_at_harm)
    figures.opened += examiner.opened


def campaign(
    seconds: float,
    seed: int,
    *,
    plant: str = "",
    states_a_run: int = 4000,
    runs_max: int = 1 << 30,
    keep: Path | None = None,
) -> Figures:
    """Run after run, each with a seed of its own, until the time is up."""
    figures, until_s = Figures(keep=keep), time.monotonic() + seconds
    while time.monotonic() < until_s and figures.runs < runs_max and not (plant and figures.words):
        with tempfile.TemporaryDirectory(dir=memory(), prefix="tocsin-power-") as folder:
            scratch = Path(folder)
            kills = figures.runs % 2 * 2
            pace = PACES[figures.runs // 2 % len(PACES)]
            figures.runs += 1
            try:
                recording = record(scratch, seed, kills=kills, plant=plant, settings=pace)
            except EndedError as error:
                figures.add_end(seed, error)
            else:
                _examine(recording, scratch, seed, figures, until_s, states_a_run, stop_at_harm=bool(plant))
        print(f"seed {seed}, {kills} kills: {figures.as_json()}", file=sys.stderr, flush=True)
        seed += 1
    return figures
