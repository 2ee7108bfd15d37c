"""Dump steps without threads and processes: a store, a detector in this process, a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.dump_kit import good_archive
from tocsin import threads
from tocsin.clock import ManualClock
from tocsin.commit.abstract import Commit, DumpKind, FreedDump
from tocsin.commit.dump_steps import BEFORE_ALL, Standing
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import DumpDetectorFailed, DumpDetectorRule, DumpOutcome, DumpReceived
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import StepDone, StepFailed, Stepper, Task
from tocsin.model import Episode
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_crew import Crew
from tocsin.runtimes.embedded.dump_ground import Ground
from tocsin.runtimes.embedded.dump_snapshots import BLOCKS
from tocsin.runtimes.embedded.dump_stepping import DumpStepping
from tocsin.threads import Future

MODULE: Final = """
import hashlib, json, os, time
from tocsin.dump_detectors.abstract import DumpDetector, Finding
from tocsin.model import Severity

class Counting(DumpDetector):
    '''Says what each line that begins with `fault` says; everything seen so far is in every sentence.

    One that begins with `new` is told as a new template. Behind a line `calm`, what it names is no fault
    until a line `alarm` names it: a late dump takes findings back, and brings them again. A line `raise`,
    `crash` or `hang`, with a path behind it, does so while a file is there.
    '''
    name = "counting"
    version = "VERSION"
    reads = READS

    def setup(self, config):
        unknown = config.keys() - {"add"}
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")

    def start(self, device):
        self.seen, self.dumps, self.calm = "", 0, []

    def process(self, dump):
        self.dumps += 1
        for member in dump.members():
            for line in member.lines():
                word, _, rest = line.text.strip().partition(" ")
                self.seen = hashlib.sha256(f"{self.seen}{line.text}".encode()).hexdigest()
                if word in ("calm", "alarm"):
                    self.calm = sorted({*self.calm, rest} if word == "calm" else {*self.calm} - {rest})
                elif word == "fault" and rest not in self.calm:
                    yield Finding(component=member.component, code="fault", severity=Severity.WARNING,
                        score=2.0, key=rest,
                        from_ms=dump.collected_from_ms or 0, to_ms=dump.collected_to_ms or 0,
                        reason=f"{rest} after {self.dumps} dumps: {self.seen[:8]}")
                elif word == "new":
                    yield Finding(component=member.component, code="new_template", severity=Severity.INFO,
                        score=2.0, from_ms=0, to_ms=0, reason=f"{rest} is new", evidence={"template": rest})
                elif word in ("raise", "crash", "hang") and (not rest or os.path.exists(rest)):
                    if word == "raise":
                        raise RuntimeError("told to")
                    if word == "crash":
                        os.abort()
                    time.sleep(3600)

    def save(self):
        return json.dumps([self.seen, self.calm, self.dumps]).encode()

    def load(self, state, version):
        self.seen, self.calm, self.dumps = json.loads(state)

    def note(self):
        return "" if self.dumps > 3 else f"{self.dumps} of 4 dumps"

    def migrate(self, state, version):
        if version not in self.reads:
            return super().migrate(state, version)
        return state
"""
DETECTOR: Final = "counting"


def module(version: str = "1", reads: Sequence[str] = ()) -> str:
    """The text of a package with the detector in this version, which can migrate states of those others."""
    return MODULE.replace("VERSION", version).replace("READS", repr(tuple(reads)))


class PlainStepper(Stepper):
    """Does a step at once, in this process; `fails` says of which it does not, and why."""

    def __init__(self, fails: Callable[[Task], StepFailed | None]) -> None:
        self._fails = fails
        self._limits = StepLimits()
        self._instances = Instances(self._limits)

    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        future: Future[StepDone | StepFailed] = threads.future()
        future.set_result(self._fails(task) or step(task, self._instances, self._limits))
        return future

    def close(self) -> None:
        """Nothing is open."""


class Bench:
    """One partition whose dumps the test sets free, and the steps that follow."""

    def __init__(self, folder: Path, *, workers: int = 2, snapshot_blocks: Sequence[int] = BLOCKS) -> None:
        self.folder = folder
        self._snapshot_blocks = snapshot_blocks
        self.store = EmbeddedCommitStore(folder / "commit.db")
        self.clock = ManualClock(1_700_000_000_000)
        self.rules: dict[str, DumpDetectorRule] = {DETECTOR: DumpDetectorRule(version="1")}
        self.decided: list[DumpDetectorFailed] = []
        self.shown: list[tuple[str, int]] = []
        self.fails: Callable[[Task], StepFailed | None] = lambda _: None
        self._workers = workers
        self.begin()

    def begin(self) -> None:
        """As after a restart: the partition is taken anew, and nothing is in memory."""
        self.lease = self.store.acquire(0)
        ground = Ground(
            steps=self.store.steps,
            commits=self.store,
            archives=Archives(lambda sha256: self.folder / f"{sha256}.zip"),
            decide=self._decide,
            rules=lambda _, __: self.rules,
            lease_epoch=lambda _: self.lease.epoch,
            published=lambda: None,
            clock=self.clock,
            chance=lambda: 0.0,
            snapshot_blocks=self._snapshot_blocks,
        )
        crew = Crew(self._made, self.clock, workers_max=self._workers)
        self.stepping = DumpStepping(ground, crew, self.clock, Meters())

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def dump(
        self, sequence: int, text: str = "", device: str = "press-3", *, tenant: str = "t", epoch: int = 0
    ) -> DumpReceived:
        """A dump whose log says `text`, on the disk; each is of one minute."""
        sha256 = f"{device}-{epoch}-{sequence}".encode().hex().rjust(64, "0")
        members: Mapping[str, bytes] = {"engine/engine.log": f"dump {sequence}\n{text}\n".encode()}
        (self.folder / f"{sha256}.zip").write_bytes(good_archive(members))
        started_ms = 1_700_000_000_000 + 60_000 * sequence
        return DumpReceived(
            tenant=tenant,
            device=device,
            epoch=epoch,
            sequence=sequence,
            sha256=sha256,
            size_bytes=0,
            outcome=DumpOutcome.ACCEPTED,
            application="presses",
            collected_from_ms=started_ms,
            collected_to_ms=started_ms + 60_000,
        )

    def free(self, *dumps: DumpReceived, kind: DumpKind = DumpKind.READY) -> None:
        """Have the partition's processor set these free."""
        self._commit([FreedDump(kind, dump) for dump in dumps], [])

    def release(self, device: str = "press-3", tenant: str = "t") -> None:
        """As an operator's record releases a device."""
        self._commit([], [(tenant, device)])

    def settle(self, rounds: int = 10_000) -> None:
        """Step until no dump is ready; rests are over at once."""
        for _ in range(rounds):
            if not self.store.steps.waiting():
                return
            self.stepping.round()
            self.clock.sleep(1.0)
        raise AssertionError("dumps still wait")

    def standing(self, device: str = "press-3", tenant: str = "t") -> Standing:
        """Where the detector stands."""
        return self.store.steps.standings(tenant, device)[DETECTOR]

    def judged(self, device: str = "press-3") -> list[int]:
        """The numbers of the dumps that were judged."""
        found = self.store.steps.judged("t", device, DETECTOR, BEFORE_ALL, limit=1_000)
        return [judged.sequence for judged in found]

    def episodes(self, device: str = "press-3") -> list[Episode]:
        """The newest revisions, as they began."""
        found = self.store.episodes("t", device=device, limit=1_000)
        return sorted(found, key=lambda episode: (episode.started_ms, episode.id))

    def digests(self) -> list[tuple[str, str, int]]:
        """Sums by device."""
        return self.store.steps.digests("t")

    def _commit(self, freed: list[FreedDump], released: list[tuple[str, str]]) -> None:
        position = self.store.positions()[0]
        self.store.commit(
            [Commit(0, self.lease.epoch, position, position + 1, self.lease.totals, (), freed, released)]
        )

    def _made(self) -> Stepper:
        return PlainStepper(self._failing)

    def _failing(self, task: Task) -> StepFailed | None:
        self.shown.append((task.device, task.dump.sequence))
        return self.fails(task)

    def _decide(self, partition: int, failed: DumpDetectorFailed) -> int:
        self.decided.append(failed)
        return len(self.decided)
