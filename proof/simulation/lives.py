"""The machine with the system on it: boots it, ends it, and does things inside of it."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from proof.simulation.clock import Machine
from proof.simulation.disk import Disk
from proof.simulation.findings import Findings, may_fail
from proof.simulation.making import SimulatedThreads
from proof.simulation.network import Wire
from proof.simulation.node import Node
from proof.simulation.plan import START_MS, Network, Plan
from proof.simulation.scheduler import Process, Scheduler, Task
from proof.simulation.settings import config_of, pace_of, version_of
from proof.simulation.third_party import ThirdParty
from proof.simulation.trace import Trace
from proof.simulation.workshop import Workshop
from tocsin.model import Episode

BOOTS_MAX: Final = 90
LIVES_MAX: Final = 100
COLLECT_EVERY: Final = 6


class HopelessError(Exception):
    """The system does not start or stay, and no fault explains it; that is noted already."""


class Lives:
    """Everything that outlives a process of the system, and the process that lives now, `node`.

    `settings` is the number of those that the next one starts with. `folded` are the rows of the outbox that
    the inbox was ever given, by sequence; `arrivals` when each record came, by partition and offset.
    """

    def __init__(self, plan: Plan, place: Path) -> None:
        self.plan: Final = plan
        self.rng: Final = random.Random(plan.seed ^ 0x5EED)
        self.trace: Final = Trace()
        self.scheduler: Final = Scheduler(self.rng, self.trace, switching=plan.switching, now_s=plan.begins_s)
        self.trace.now_s = self.scheduler.time_s
        self.machine: Final = Machine(self.scheduler, START_MS)
        self.disk: Final = Disk(self.scheduler, self.rng, place)
        self.findings: Final = Findings()
        self.outside: Final = Process("outside")
        self.wire: Final = Wire(self.scheduler, self.rng, Network(), self.outside)
        self.workshop: Final = Workshop(self.scheduler, self.rng, plan.steps)
        self.maker: Final = SimulatedThreads(self.scheduler, self._living)
        said = plan.directory
        self.third_party: Final = None if said is None else ThirdParty(plan, said, self.scheduler)
        self.folded: Final[dict[int, Episode]] = {}
        self.arrivals: Final[dict[tuple[int, int], int]] = {}
        self.node: Node | None = None
        self.settings = 0
        self.watchers: list[Task] = []
        self._count = 0

    def die(self, kind: str) -> None:
        """End the process that lives now."""
        node = self.node
        if node is None or node.process.dead:
            return
        self.trace.fault(f"crash-{kind}")
        self.look_at_threads()
        node.server = None
        for task in (*node.waiting, *self.watchers):
            self.scheduler.wake(task)
        self.scheduler.kill(node.process, kind)

    def exit(self, reason: str) -> None:
        """The product ends itself: what it could not sync may be lost."""
        self.trace.note("exit", reason)
        self.die("exit")

    def is_alive(self) -> bool:
        """Whether a process lives, if only to recover."""
        return self.node is not None and not self.node.process.dead

    def in_node(self, name: str, work: Callable[[Node], None]) -> bool:
        """Do something in a thread of the process and wait for it; False when that died before."""
        node = self.node
        if node is None or node.server is None or node.process.dead:
            return False
        done: list[bool] = []

        def run() -> None:
            work(node)
            done.append(True)

        task = self.scheduler.spawn(name, node.process, run)
        here = self.scheduler.here()
        task.joiners.append(here)
        node.waiting.append(here)
        while not task.ended and not node.process.dead:
            self.scheduler.park()
        node.waiting.remove(here)
        return bool(done)

    def boot(self) -> None:
        """Start a process; again and again while the disk or a crash keeps it from that.

        The ten of an eventful hour are all that faults explain; one that dies again and again is a finding.
        """
        if self._count > LIVES_MAX:
            self.findings.add("boot", f"started {self._count} times, and died each time")
            raise HopelessError
        for _ in range(BOOTS_MAX):
            if self._boot_once():
                return
            self.scheduler.sleep(20.0)
        self.findings.add("boot", f"did not start in {BOOTS_MAX} attempts")

    def look_at_threads(self) -> None:
        """Threads of the process that have ended with an error."""
        for task in self.node.process.tasks if self.node is not None else ():
            if task.error is not None and not may_fail(task.error, self.trace):
                self.findings.add_error(f"thread {task.name}", task.error)

    def close(self) -> None:
        """Unwind everything, and let go of it: SQLite's open files keep the disk, which must keep nothing."""
        if self.node is not None:
            self.look_at_threads()
            self.scheduler.drop(self.node.process)
            self.node.forget()
        self.scheduler.drop(self.outside)
        self.scheduler.forget()
        self.disk.crash.then = self.disk.cut.then = _nothing

    def _boot_once(self) -> bool:
        self.scheduler.sleep(0.1)  # until the one before is unwound
        cut = self.node is not None and self.node.process.dead in {"power", "exit"}
        if cut and self.disk.medium.cut_power(self.rng):
            self.trace.fault("unsynced-lost")
        if self.node is not None:
            self.node.forget()
        self._count += 1
        if self._count % COLLECT_EVERY == 0:
            gc.collect()  # connections of the dead still hold files; here it is the same in every run
        node = Node(self.scheduler, self.machine, self._count, self.maker)
        self.node = self.wire.node = node
        config = config_of(self.plan, self.disk.mount(node.process), self.settings)
        host = self.workshop.host(version_of(self.settings))
        task = self.scheduler.spawn(
            "main",
            node.process,
            lambda: node.start(config, pace_of(self.plan), host, self._failed, self.folded, self.arrivals),
        )
        task.joiners.append(self.scheduler.here())
        node.waiting.append(self.scheduler.here())
        while not task.ended and not node.process.dead:
            self.scheduler.park()
        node.waiting.remove(self.scheduler.here())
        if not node.process.dead and node.failure is not None:
            if not may_fail(node.failure, self.trace):
                self.findings.add_error("boot", node.failure)
                raise HopelessError
            self.die("no-start")
        return not node.process.dead

    def _failed(self) -> None:
        """The runtime has stopped by itself; a real process ends then."""
        node = self.node
        if node is None or node.process.dead:
            return
        failure = node.application.runtime.failure if node.application is not None else None
        if failure is not None and not may_fail(failure, self.trace):
            self.findings.add_error("runtime", failure)
        self.die("failed")

    def _living(self) -> Process:
        return self.outside if self.node is None else self.node.process


def _nothing() -> None:
    pass
