"""The simulated disk: files in memory for whoever reads, a medium that knows what is certain, and faults."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.simulation.medium import Medium
from proof.simulation.plan import DiskPlan
from proof.simulation.scheduler import Process, Scheduler

WRITING: Final = ("write", "truncate", "create", "rename", "mkdir")
"""What a full disk refuses."""


class Refused(Exception):  # noqa: N818 - each layer turns it into what a system would say
    """The disk refused an operation; `kind` is that of the fault."""

    def __init__(self, kind: str, operation: str) -> None:
        super().__init__(f"{kind} on {operation}")
        self.kind: Final = kind
        self.operation: Final = operation


@dataclass(slots=True)
class Countdown:
    """After so many operations that are `left` it does something, once; None: it does not count."""

    left: int | None = None
    then: Callable[[], None] = lambda: None

    def count(self) -> None:
        """One more operation."""
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left = None
            self.then()


class Disk:
    """One disk over the lives of all processes. `root` is the folder of the process that lives now.

    `crash` ends the process as the plan has it, `cut` is the power that goes while somebody acts.
    """

    def __init__(self, scheduler: Scheduler, rng: random.Random, place: Path) -> None:
        self.medium: Final = Medium()
        self.scheduler: Final = scheduler
        self.faults: list[DiskPlan] = []
        self.fired: Counter[int] = Counter()
        self.crash: Final = Countdown()
        self.cut: Final = Countdown()
        self.sync_s = 0.0
        self._rng = rng
        self._place = place
        self._lives = 0
        self.process: Process | None = None
        self.root = place

    def mount(self, process: Process) -> Path:
        """The folder for a new process, with what the disk holds."""
        before, self._lives = self.root, self._lives + 1
        self.root = self._place / str(self._lives)
        self.root.mkdir()
        self.process = process
        for name, file in self.medium.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
                continue
            content = bytearray(file.certain)
            for write in file.pending:
                write.apply(content)
            path.write_bytes(content)
        if before != self._place:
            shutil.rmtree(before)
        return self.root

    def name(self, path: str | Path) -> str:
        """The name on the medium of a path in the folder."""
        return Path(path).relative_to(self.root).as_posix()

    def holds(self, path: str | Path) -> bool:
        """Whether the path lies on this disk, and in the folder of the process that lives."""
        return Path(path).is_relative_to(self.root)

    def is_alive(self) -> bool:
        """False for whatever a dead process still does while it is unwound."""
        return self.process is not None and not self.process.dead

    def before(self, operation: str, name: str) -> None:
        """An operation is about to happen: others may run, it may be refused, the power may go."""
        self.scheduler.point(f"{operation} {name}")
        self.crash.count()
        self.cut.count()
        if self.sync_s and operation == "sync":
            self.scheduler.sleep(self.sync_s)
        for number, fault in enumerate(self.faults):
            self._let_loose(number, fault, operation, name)

    def _let_loose(self, number: int, fault: DiskPlan, operation: str, name: str) -> None:
        now_s = self.scheduler.now_s
        if not fault.from_s <= now_s < fault.to_s or operation not in fault.on:
            return
        if not name.startswith(fault.name) or self.fired[number] >= fault.times:
            return
        if self._rng.random() >= fault.chance:
            return
        self.fired[number] += 1
        self.scheduler.trace.fault(f"disk-{fault.kind}-{operation}", name)
        if fault.kind == "slow":
            self.scheduler.sleep(fault.delay_s)
        else:
            raise Refused(fault.kind, operation)
