"""One run of lives over one disk: each but the last is ended or disturbed, the last has to settle."""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from proof.kills.faults import SYNC_FAILED, Fault
from proof.subject.crates import Crate
from proof.subject.expected import differences
from proof.subject.nursery import Cradle, Death, born, cradle_in, died
from proof.subject.traffic import Body
from tocsin.services.digest import Digest

LATER_CALLS: Final = 300
LIVES_MAX: Final = 4
"""How often a life that was told to end by an error of its disk is followed by another."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the undisturbed run came to; `dumps` is the digest of dumps, empty where there are none."""

    digests: Mapping[str, str]
    accepted: int
    dumps: str = ""


@dataclass(slots=True)
class Outcome:
    """What a run came to: how often it was killed or failed, at how many calls, and what was wrong."""

    kills: int = 0
    faults: int = 0
    ended: int = 0
    calls: int = 0
    problems: list[str] = field(default_factory=list)


class Run:
    """Bodies are sent by the lives themselves; what they were answered is kept beside the disk."""

    def __init__(
        self,
        scratch: Path,
        bodies: Mapping[str, Sequence[Body]],
        expected: Expected,
        machines: Sequence[Sequence[Crate]] = (),
    ) -> None:
        self._cradle: Final[Cradle] = cradle_in(scratch, bodies, machines)
        self._expected: Final = expected
        self.outcome: Final = Outcome()

    def kill_at(self, call: int, *, torn: bool, planted: str = "") -> bool:
        """A life that is killed before its call of this number; False if it settled earlier."""
        self._cradle.control.kill_at(call, torn=torn)
        death = self._life(planted)
        if death.code == -signal.SIGKILL:
            self.outcome.kills += 1
            return True
        self._judge(death, f"killed at call {call}")
        return False

    def disturb(self, fault: Fault, rng: random.Random, after_max: int) -> None:
        """A life whose disk fails for a while, and what follows when it ends by that."""
        control = self._cradle.control
        fault.inject(control, rng, after_max)
        death = self._life()
        failed, words = control.failed, f"{fault.name}: {control.failed} calls failed"
        control.heal()
        self.outcome.faults += failed > 0
        if death.code == 0:
            self._judge(death, words)
            if failed and fault.ends:
                self.outcome.problems.append(f"{words}, and it lived on")
            return
        self.outcome.ended += 1
        if fault.ends and death.code != SYNC_FAILED:
            self.outcome.problems.append(f"{words}, and it ended with {death.code}: {death.words}")
        if not failed or death.code in {124, *(-number for number in signal.Signals)}:
            self.outcome.problems.append(f"{words}: ended with {death.code}: {death.words}")

    def settle(self, planted: str = "") -> Outcome:
        """The last life, undisturbed: everything that was ever answered is there, and all else is sent."""
        self._cradle.control.kill_at(0)
        self._judge(self._life(planted), "undisturbed")
        return self.outcome

    def _life(self, planted: str = "") -> Death:
        before = self._cradle.control.calls
        death = died(self._cradle, born(self._cradle, planted=planted))
        self.outcome.calls += max(0, self._cradle.control.calls - before)
        return death

    def _judge(self, death: Death, what: str) -> None:
        if death.code:
            self.outcome.problems.append(f"{what}: ended with {death.code}: {death.words}")
            return
        digest = msgspec.json.decode(death.result, type=Digest)
        found = differences(digest, self._expected.digests, self._expected.accepted)
        if self._expected.dumps not in {"", digest.digest_dumps}:
            found.append(f"digest_dumps is {digest.digest_dumps}, of all in order {self._expected.dumps}")
        self.outcome.problems += [f"{what}: {words}" for words in found]
