"""Runs one thread at a time, decides by a seed which one is next, and keeps the time.

Time stands still while anything can run. When everybody waits it jumps to the first moment for which
somebody waits. So an hour of a system that is mostly idle takes as long as what it does in that hour.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Final

from greenlet import getcurrent, greenlet

from proof.simulation.trace import Trace

THROWS_MAX: Final = 100


class Crash(BaseException):
    """The process this thread belongs to is no more. Nothing but unwinding may follow."""


@contextmanager
def _unheard_crashes() -> Iterator[None]:
    """A generator that a dead thread leaves behind meets a Crash when it is closed, which nobody can hear."""
    told = sys.unraisablehook

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Crash):
            told(unraisable)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = told


class Stuck(Exception):  # noqa: N818 - a finding
    """Everybody waits and nothing will ever wake anybody."""


class Process:
    """Threads that live and die together; `dead` says of what they died."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.dead = ""
        self.tasks: list[Task] = []


class Task:
    """A simulated thread."""

    __slots__ = ("ended", "error", "joiners", "name", "parked", "process", "token", "woken", "work", "worker")

    def __init__(self, name: str, process: Process, work: Callable[[], None]) -> None:
        self.name = name
        self.process = process
        self.work = work
        self.token = 0  # of the wait it is in; a timer of an earlier wait is void
        self.parked = False
        self.woken = False
        self.ended = False
        self.error: BaseException | None = None
        self.joiners: list[Task] = []
        self.worker: greenlet | None = None


class Scheduler:
    """`switching` is the chance that a thread gives way where it need not wait. It begins at `now_s`."""

    def __init__(self, rng: random.Random, trace: Trace, *, switching: float, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.trace: Final = trace
        self._rng = rng
        self._switching = switching
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task, int]] = []
        self._timer_number = 0
        self._hub = getcurrent()
        self._doomed: list[Process] = []
        self.current: Task | None = None

    def spawn(self, name: str, process: Process, work: Callable[[], None]) -> Task:
        """A thread that will run; the one that made it goes on."""
        task = Task(name, process, work)
        process.tasks.append(task)
        self._ready.append(task)
        return task

    def here(self) -> Task:
        """The thread that runs now; Crash when its process is dead."""
        task = self.current
        if task is None:
            raise RuntimeError("nothing simulated runs here")
        if task.process.dead:
            raise Crash
        return task

    def point(self, what: str) -> None:
        """A place where another thread may go on in this one's stead."""
        task = self.here()
        self.trace.note(task.name, what)
        if self._ready and self._rng.random() < self._switching:
            self._ready.append(task)
            self._leave(task)

    def park(self, timeout_s: float | None = None) -> bool:
        """Wait to be woken; False when the time was over before."""
        task = self.here()
        task.token += 1
        task.parked, task.woken = True, False
        if timeout_s is not None:
            self._timer_number += 1
            heappush(self._timers, (self.now_s + max(timeout_s, 0.0), self._timer_number, task, task.token))
        self._leave(task)
        return task.woken

    def wake(self, task: Task) -> None:
        """Let a waiting thread go on; if its time is over just now, it was woken all the same."""
        task.woken = True
        if task.parked:
            task.parked = False
            self._ready.append(task)

    def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        self.park(seconds)

    def kill(self, process: Process, cause: str) -> None:
        """End a process here and now: none of its threads gets any further, this one included."""
        if not process.dead:
            process.dead = cause
            self.trace.note(process.name, f"died: {cause}")
            self._doomed.append(process)
        if self.current is not None and self.current.process is process:
            raise Crash

    def run(self, until: Callable[[], bool]) -> None:
        """Let threads run until `until` says so, asked whenever one gives way; Stuck if nobody can."""
        with _unheard_crashes():
            while not until():
                while self._doomed:
                    self._unwind(self._doomed.pop())
                if self._ready:
                    self._switch_to(self._pick())
                elif not self._pass_time():
                    raise Stuck("everybody waits for ever")

    def drop(self, process: Process) -> None:
        """Unwind what is left of a process, at the end of a simulation."""
        process.dead = process.dead or "end"
        with _unheard_crashes():
            self._unwind(process)

    def forget(self) -> None:
        """Let go of all threads; nothing runs any more."""
        self._timers.clear()
        self._ready.clear()
        self._doomed.clear()

    def time_s(self) -> float:
        """The second of the plan."""
        return self.now_s

    def _pick(self) -> Task:
        at = self._rng.randrange(len(self._ready))
        last = self._ready.pop()
        if at == len(self._ready):
            return last
        chosen, self._ready[at] = self._ready[at], last
        return chosen

    def _pass_time(self) -> bool:
        while self._timers:
            when_s, _, task, token = heappop(self._timers)
            if task.parked and token == task.token:
                self.now_s = max(self.now_s, when_s)
                task.parked = False
                self._ready.append(task)
                return True
        return False

    def _switch_to(self, task: Task) -> None:
        if task.ended:
            return
        self.current = task
        if task.worker is None:
            task.worker = greenlet(self._main, parent=self._hub)
            task.worker.switch(task)
        else:
            task.worker.switch()
        self.current = None

    def _leave(self, task: Task) -> None:
        self._hub.switch()
        if task.process.dead:
            raise Crash

    def _main(self, task: Task) -> None:
        try:
            task.work()
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by whoever joins or checks
            task.error = error
            if not task.process.dead:
                self.trace.note(task.name, f"failed: {type(error).__name__}")
        task.ended = True
        for joiner in task.joiners:
            self.wake(joiner)

    def _unwind(self, process: Process) -> None:
        for task in process.tasks:
            self.current = task
            for _ in range(THROWS_MAX):
                if task.ended or task.worker is None:
                    break
                task.worker.throw(Crash())
            task.ended, task.parked = True, False
        self.current = None
        self._ready = [task for task in self._ready if task.process is not process]
        process.tasks.clear()
