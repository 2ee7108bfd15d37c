"""An event loop that waits in simulated time, and a server that calls the application without sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from proof.simulation.scheduler import Scheduler, Task

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
_Work = Coroutine[Any, Any, Any] | Generator[Any, None, Any]


class _Selector:
    """What the loop waits with: nothing but the time and other threads can wake it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: Task | None = None
        self._woken = False

    def select(self, timeout: float | None) -> list[Any]:
        self._scheduler.point("select")
        if not self._woken and (timeout is None or timeout > 0):
            self._waiting = self._scheduler.here()
            self._scheduler.park(timeout)
            self._waiting = None
        self._woken = False
        return []

    def wake(self) -> None:
        self._woken = True
        if self._waiting is not None:
            self._scheduler.wake(self._waiting)

    def close(self) -> None:
        pass


class NumberedTask(asyncio.Task[Any]):
    """Sets of tasks, of which libraries cancel one after another, go by numbers and not by addresses."""

    def __init__(self, work: _Work, number: int, **options: Any) -> None:
        self.number: Final = number  # a set of all tasks asks for it while the task is made
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio's own loop; only waiting, time and threads are simulated."""

    def __init__(self, scheduler: Scheduler, executor: Executor) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._default_executor: Executor | None = executor
        self._selector = _Selector(scheduler)
        self._clock_resolution = 1e-6
        self._numbers = itertools.count()
        self.set_task_factory(self._numbered)

    def time(self) -> float:
        return self._scheduler.now_s

    def forget(self) -> None:
        """End without a word to what is left: its process is dead."""
        for task in sorted(asyncio.all_tasks(self), key=hash):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(BaseException):  # whatever a dead process still says while it is unwound
                task.get_coro().close()
        self._default_executor = None
        self.set_task_factory(None)  # it holds the loop
        self.close()

    def __del__(self, *_: object) -> None:
        """Nothing to close: the process of one that never ran died before, and its threads are nobody's."""

    def _numbered(self, _loop: asyncio.AbstractEventLoop, work: _Work, /, **options: Any) -> NumberedTask:
        return NumberedTask(work, next(self._numbers), loop=self, **options)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._selector.wake()


@dataclass(slots=True)
class Answer:
    """What came back of a request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Request:
    """`cut_at`: after that many bytes of the body the connection is gone. `pause_s` passes in the middle.

    `stalls_at`: after that many nothing comes any more, and nobody hangs up.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_at: int | None = None
    pause_s: float = 0.0
    stalls_at: int | None = None


class Server:
    """One thread with a loop; requests come from outside, their answers are handed to `answered`."""

    def __init__(self, scheduler: Scheduler, application: Application, executor: Executor) -> None:
        self._application: Final = application
        self._loop: Final = SimulatedLoop(scheduler, executor)

    def serve(self) -> None:
        """The thread's work; ends with the process alone."""
        try:
            self._loop.run_forever()
        finally:
            self._loop.forget()

    def submit(self, request: Request, answered: Callable[[Answer], None]) -> None:
        """Let the request come in."""
        self._loop.call_soon_threadsafe(self._begin, request, answered)

    def stop(self) -> None:
        """Take no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _begin(self, request: Request, answered: Callable[[Answer], None]) -> None:
        self._loop.create_task(self._handle(request, answered))

    async def _handle(self, request: Request, answered: Callable[[Answer], None]) -> None:
        answer = Answer()
        await self._application(_scope(request), _Body(request).receive, _collector(answer))
        answered(answer)


class _Body:
    """The body in two pieces, as a slow or broken connection brings it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._half = len(request.body) // 2 if request.pause_s else len(request.body)
        self._given = 0
        self._done = False

    async def receive(self) -> dict[str, Any]:
        request = self._request
        if request.cut_at is not None and self._given >= request.cut_at:
            return {"type": "http.disconnect"}
        if self._done or (request.stalls_at is not None and self._given >= request.stalls_at):
            await asyncio.Event().wait()  # a client that waits for its answer says nothing more
        if self._given and request.pause_s:
            await asyncio.sleep(request.pause_s)
        end = self._half if not self._given else len(request.body)
        for bound in (request.cut_at, request.stalls_at):
            end = end if bound is None else min(end, bound)
        piece = request.body[self._given : end]
        self._given += len(piece)
        self._done = self._given == len(request.body)
        return {"type": "http.request", "body": piece, "more_body": not self._done}


def _collector(answer: Answer) -> Callable[[dict[str, Any]], Awaitable[None]]:
    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message.get("headers", ())}
        else:
            answer.body += message.get("body", b"")

    return send


def _scope(request: Request) -> dict[str, Any]:
    headers = {"content-length": str(len(request.body)), "host": "tocsin"} | request.headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode(),
        "query_string": request.query.encode(),
        "root_path": "",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("10.0.0.1", 50_000),
        "server": ("tocsin", 80),
        "state": {},
    }
