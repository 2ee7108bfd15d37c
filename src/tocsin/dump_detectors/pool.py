"""Workers side by side: each device has one, a dead one is replaced."""

from __future__ import annotations

from collections import deque
from typing import Final

from tocsin import threads
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Stepper, Task
from tocsin.dump_detectors.worker import Worker
from tocsin.observability.logging import get_logger
from tocsin.sharding import partition_of, shard_of
from tocsin.threads import Future

_USED_UP: Final = frozenset({FailureKind.CRASH, FailureKind.HANG, FailureKind.MEMORY})
_CLOSED: Final = StepFailed(kind=FailureKind.CRASH, detail="the workers were ended before the step was done")
_logger = get_logger("workers")


class WorkerPool(Stepper):
    """`workers` processes; a device's steps go to the one that its shard names, where its state is kept."""

    def __init__(self, workers: int, limits: StepLimits | None = None) -> None:
        bounds = limits or StepLimits()
        self._lanes: Final = [_Lane(number, bounds) for number in range(workers)]

    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        lane = self._lanes[partition_of(shard_of(task.tenant, task.device), len(self._lanes))]
        return lane.put(task)

    def close(self) -> None:
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join()


class _Lane:
    """A thread that gives one worker its tasks, one after another."""

    def __init__(self, number: int, limits: StepLimits) -> None:
        self._limits = limits
        self._waiting: deque[tuple[Task, Future[StepDone | StepFailed]]] = deque()
        self._changed = threads.condition()
        self._closed = False
        self._worker: Worker | None = None
        self._thread = threads.start(f"worker-{number}", self._serve)

    def put(self, task: Task) -> Future[StepDone | StepFailed]:
        future: Future[StepDone | StepFailed] = threads.future()
        with self._changed:
            if self._closed:
                future.set_result(_CLOSED)
            else:
                self._waiting.append((task, future))
                self._changed.notify()
        return future

    def stop(self) -> None:
        """Kill the worker and let the thread end; what waits fails."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            if self._worker is not None:
                self._worker.kill()

    def join(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        while True:
            self._start_worker()
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    break
                task, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(self._stepped(task))
        self._finish()

    def _start_worker(self) -> str:
        """Have a worker ready ahead of its first task; what keeps it from starting, if anything does."""
        with self._changed:
            if self._closed or self._worker is not None:
                return ""
            try:
                self._worker = Worker(self._limits)
            except OSError as error:
                return f"no worker can be started: {error}"
            return ""

    def _stepped(self, task: Task) -> StepDone | StepFailed:
        why = self._start_worker()
        worker = self._worker
        if worker is None:
            return StepFailed(kind=FailureKind.CRASH, detail=why or _CLOSED.detail)
        result = worker.step(task)
        if isinstance(result, StepFailed):
            if result.kind is FailureKind.CRASH and self._is_stopped():
                return _CLOSED  # that was us
            if result.kind in _USED_UP:
                worker.end()
                with self._changed:
                    self._worker = None
        elif not worker.offline:
            _say_once()
        return result

    def _is_stopped(self) -> bool:
        with self._changed:
            return self._closed

    def _finish(self) -> None:
        with self._changed:
            left, self._worker = self._worker, None
            waiting = [future for _, future in self._waiting]
            self._waiting.clear()
        if left is not None:
            left.end()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(_CLOSED)


_said: list[bool] = []


def _say_once() -> None:
    """At worst two threads that are the first both say it."""
    if not _said:
        _said.append(True)
        _logger.warning("workers can reach the network: this system offers no way to keep them from it")
