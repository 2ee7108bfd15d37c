"""Threads that tenants share fairly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from tocsin import threads
from tocsin.access.principal import Principal
from tocsin.fairness import TenantQueue

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Job(Generic[Result]):
    work: Callable[[], Result]
    future: threads.Future[Result]


class FairPool:
    """At most `size` threads work for one tenant, and one thread more is there for the others.

    Work that waits is taken in turns: tenants by cost, and so for each tenant its holders. A job that
    runs is never interrupted, so without the spare thread everybody would wait for the longest job of
    whoever has most. The caller bounds how much waits.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size: Final = size
        self._pool = threads.pool(size + 1, name)
        self._waiting = TenantQueue[_Job[Any]]()
        self._working = Counter[str]()
        self._lock = threads.lock()

    def submit(self, principal: Principal, cost: float, work: Callable[[], Result]) -> threads.Future[Result]:
        """Have the work done; the future can't be taken back. RuntimeError once the pool has ended."""
        job = _Job(work, threads.future())
        job.future.set_running_or_notify_cancel()
        with self._lock:
            self._waiting.put(principal.tenant, principal.holder, cost, job)
        self._pool.submit(self._work)
        return job.future

    def shutdown(self) -> None:
        """Finish what was submitted, then end; idempotent."""
        self._pool.shutdown()

    def _work(self) -> None:
        """Do what is next, until there is nothing or only work of tenants who have all they may.

        Their own threads look again when they are done, so that nothing is left behind.
        """
        while (found := self._next()) is not None:
            tenant, job = found
            try:
                _run(job)
            finally:
                with self._lock:
                    self._working[tenant] -= 1
                    if not self._working[tenant]:
                        del self._working[tenant]

    def _next(self) -> tuple[str, _Job[Any]] | None:
        with self._lock:
            found = self._waiting.take(lambda tenant: self._working[tenant] < self._size)
            if found is not None:
                self._working[found[0]] += 1
            return found


def _run(job: _Job[Any]) -> None:
    try:
        result = job.work()
    except Exception as error:  # noqa: BLE001 - it is the answer to whoever waits for the work
        job.future.set_exception(error)
    else:
        job.future.set_result(result)
