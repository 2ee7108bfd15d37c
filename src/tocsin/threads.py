"""Makes threads, locks and whatever else a thread may wait for; nothing else in Tocsin does.

In a running Tocsin these are the standard library's own. A simulation puts a maker of its own in their
place before it opens a system, runs one thread at a time, and decides by a seed which one is next, so that
an order of events that loses something can be found, and then replayed (see ADR 0027).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

Result = TypeVar("Result")
_SWITCH_S: Final = 0.002
Future = futures.Future
"""As the standard library knows it; `future` makes one."""


class Lock(Protocol):
    """As threading.Lock, RLock, Semaphore and BoundedSemaphore."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; False if it can't be had."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Event(Protocol):
    """As threading.Event."""

    def is_set(self) -> bool:
        """Whether `set` was called after the last `clear`."""
        ...

    def set(self) -> None:
        """Let all who wait go on."""
        ...

    def clear(self) -> None:
        """Let those who come from now on wait."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set; False after `timeout` seconds."""
        ...


class Condition(Protocol):
    """As threading.Condition; all but entering is for whoever holds it."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let go, block until notified, hold it again; False after `timeout` seconds."""
        ...

    def wait_for(self, predicate: Callable[[], Result], timeout: float | None = None) -> Result:
        """Wait until the predicate is true or `timeout` seconds are over; its last value."""
        ...

    def notify(self, n: int = 1) -> None:
        """Wake `n` of those who wait."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait."""
        ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Running(Protocol):
    """A thread that was started."""

    def join(self) -> None:
        """Block until it has ended."""
        ...

    def is_current(self) -> bool:
        """Whether it is the one that asks."""
        ...


class Maker(Protocol):
    """Makes all of these."""

    def start(self, name: str, work: Callable[[], None]) -> Running: ...

    def lock(self) -> Lock: ...

    def recursive_lock(self) -> Lock: ...

    def semaphore(self, places: int) -> Lock: ...

    def condition(self) -> Condition: ...

    def event(self) -> Event: ...

    def future(self) -> Future[Any]: ...

    def pool(self, size: int, name: str) -> Executor: ...


class _Thread(threading.Thread):
    def is_current(self) -> bool:
        return self is threading.current_thread()


class _System:
    """The standard library's."""

    def start(self, name: str, work: Callable[[], None]) -> Running:
        thread = _Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def lock(self) -> Lock:
        return threading.Lock()

    def recursive_lock(self) -> Lock:
        return threading.RLock()

    def semaphore(self, places: int) -> Lock:
        return threading.BoundedSemaphore(places)

    def condition(self) -> Condition:
        return threading.Condition()

    def event(self) -> Event:
        return threading.Event()

    def future(self) -> Future[Any]:
        return Future()

    def pool(self, size: int, name: str) -> Executor:
        return ThreadPoolExecutor(size, thread_name_prefix=name)


_maker: Maker = _System()


@contextmanager
def made_by(maker: Maker) -> Iterator[None]:
    """Within the block everything is made by `maker`; what was made before stays as it is."""
    global _maker  # noqa: PLW0603 - passing it through every constructor would touch all of them
    before, _maker = _maker, maker
    try:
        yield
    finally:
        _maker = before


def take_short_turns() -> None:
    """Let threads that wait for the interpreter wait for 2 ms instead of the usual 5; for a whole process.

    An answer passes through some five threads, and each of these changes waits as long as another thread
    cares to compute in Python. Changes cost time too, and caches: with 0.5 ms answers of a loaded server
    came later than with 2 (ADR 0035).
    """
    sys.setswitchinterval(_SWITCH_S)


def start(name: str, work: Callable[[], None]) -> Running:
    """Run `work` in a thread that does not keep the process alive."""
    return _maker.start(name, work)


def lock() -> Lock:
    """A lock for one thread, not recursive."""
    return _maker.lock()


def brief_lock() -> Lock:
    """As `lock`, around a few statements that never wait: a simulation has nothing to decide there."""
    return threading.Lock()


def recursive_lock() -> Lock:
    """A lock that its holder may take again."""
    return _maker.recursive_lock()


def semaphore(places: int) -> Lock:
    """A lock for `places` threads; giving back more than was taken is an error."""
    return _maker.semaphore(places)


def condition() -> Condition:
    """A condition with a lock of its own."""
    return _maker.condition()


def event() -> Event:
    """An event, not set."""
    return _maker.event()


def future() -> Future[Any]:
    """A result that is yet to come."""
    return _maker.future()


def pool(size: int, name: str) -> Executor:
    """At most `size` threads that work through what is submitted, in order."""
    return _maker.pool(size, name)
