"""Threads, locks and the rest as `tocsin.threads` has them, under the simulation's scheduler."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any, TypeVar

from proof.simulation.scheduler import Process, Scheduler, Task
from tocsin import threads

Result = TypeVar("Result")
_Kind = type[BaseException] | None


class SimulatedThread:
    """A task as the product sees it."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    def join(self) -> None:
        scheduler, task = self._scheduler, self._task
        scheduler.point("join")
        while not task.ended:
            task.joiners.append(scheduler.here())
            scheduler.park()

    def is_current(self) -> bool:
        return self._scheduler.current is self._task


class SimulatedLock:
    """`places` may hold it at once; `recursive`: its one holder may take it again."""

    def __init__(self, scheduler: Scheduler, *, places: int = 1, recursive: bool = False) -> None:
        self._scheduler = scheduler
        self._places = places
        self._free = places
        self._recursive = recursive
        self._holder: Task | None = None
        self._depth = 0
        self._waiting: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        scheduler = self._scheduler
        task = scheduler.here()
        if self._recursive and self._holder is task:
            self._depth += 1
            return True
        scheduler.point("acquire")
        until_s = scheduler.now_s + timeout
        while not self._free:
            if not blocking or (timeout >= 0 and scheduler.now_s >= until_s):
                return False
            self._waiting.append(task)
            if not scheduler.park(None if timeout < 0 else until_s - scheduler.now_s):
                self._waiting.remove(task)
        self._free -= 1
        self._holder, self._depth = task, 1
        return True

    def release(self) -> None:
        task = self._scheduler.current
        if task is None or task.process.dead:
            return  # whoever waited is as dead
        if self._recursive and self._depth > 1:
            self._depth -= 1
            return
        if self._free >= self._places:
            raise RuntimeError("released a lock that nobody holds")
        self._free += 1
        self._holder = None
        if self._waiting:
            self._scheduler.wake(self._waiting.pop(0))

    def let_go(self) -> int:
        """Release it however often it was taken; how often."""
        depth, self._depth = self._depth, 1
        self.release()
        return depth

    def take_back(self, depth: int) -> None:
        """Take it again as often."""
        self.acquire()
        self._depth = depth

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, kind: _Kind, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self.release()


class SimulatedCondition:
    """As threading.Condition with a recursive lock of its own."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = SimulatedLock(scheduler, recursive=True)
        self._waiting: list[Task] = []

    def wait(self, timeout: float | None = None) -> bool:
        task = self._scheduler.here()
        self._waiting.append(task)
        depth = self._lock.let_go()
        woken = self._scheduler.park(timeout)
        if not woken:
            self._waiting.remove(task)
        self._lock.take_back(depth)
        return woken

    def wait_for(self, predicate: Callable[[], Result], timeout: float | None = None) -> Result:
        until_s = None if timeout is None else self._scheduler.now_s + timeout
        result = predicate()
        while not result:
            left_s = None if until_s is None else until_s - self._scheduler.now_s
            if left_s is not None and left_s <= 0:
                break
            self.wait(left_s)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        task = self._scheduler.current
        if task is None or task.process.dead:
            return
        woken, self._waiting = self._waiting[:n], self._waiting[n:]
        for each in woken:
            self._scheduler.wake(each)

    def notify_all(self) -> None:
        self.notify(len(self._waiting))

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, kind: _Kind, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self._lock.release()


class SimulatedEvent:
    """As threading.Event."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        task = self._scheduler.current
        if task is not None and task.process.dead:
            return
        woken, self._waiting = self._waiting, []
        for each in woken:
            self._scheduler.wake(each)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        self._scheduler.point("wait")
        if self._set:
            return True
        task = self._scheduler.here()
        self._waiting.append(task)
        if not self._scheduler.park(timeout):
            self._waiting.remove(task)
        return self._set


class SimulatedFuture(Future[Any]):
    """A future whose waiting is simulated."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._condition: Any = SimulatedCondition(scheduler)


class SimulatedPool(Executor):
    """Threads are started as they are needed, like those of ThreadPoolExecutor."""

    def __init__(self, maker: SimulatedThreads, size: int, name: str) -> None:
        self._maker = maker
        self._size = size
        self._name = name
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = maker.condition()
        self._idle = 0
        self._threads: list[threads.Running] = []
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self._maker.future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.append((future, lambda: fn(*args, **kwargs)))
            self._changed.notify()
        if self._idle < len(self._jobs) and len(self._threads) < self._size:
            self._threads.append(self._maker.start(f"{self._name}-{len(self._threads)}", self._work))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._jobs or self._closed)
                self._idle -= 1
                if not self._jobs:
                    return
                future, job = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                _finish(future, job)


def _finish(future: Future[Any], job: Callable[[], Any]) -> None:
    try:
        result = job()
    except Exception as error:  # noqa: BLE001 - as ThreadPoolExecutor: whoever asks for the result gets it
        future.set_exception(error)
    else:
        future.set_result(result)


class SimulatedThreads:
    """A maker for `tocsin.threads.made_by`; threads belong to the process that lives."""

    def __init__(self, scheduler: Scheduler, living: Callable[[], Process]) -> None:
        self._scheduler = scheduler
        self._living = living

    def start(self, name: str, work: Callable[[], None]) -> SimulatedThread:
        task = self._scheduler.spawn(name, self._living(), work)
        self._scheduler.point("start")
        return SimulatedThread(self._scheduler, task)

    def lock(self) -> SimulatedLock:
        return SimulatedLock(self._scheduler)

    def recursive_lock(self) -> SimulatedLock:
        return SimulatedLock(self._scheduler, recursive=True)

    def semaphore(self, places: int) -> SimulatedLock:
        return SimulatedLock(self._scheduler, places=places)

    def condition(self) -> SimulatedCondition:
        return SimulatedCondition(self._scheduler)

    def event(self) -> SimulatedEvent:
        return SimulatedEvent(self._scheduler)

    def future(self) -> SimulatedFuture:
        return SimulatedFuture(self._scheduler)

    def pool(self, size: int, name: str) -> SimulatedPool:
        return SimulatedPool(self, size, name)
