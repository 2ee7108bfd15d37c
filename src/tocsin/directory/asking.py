"""A round of questions to the third party: which are due, who asks them, and what becomes of the answers."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tocsin import threads
from tocsin.clock import Clock
from tocsin.directory.abstract import DirectoryApi, DirectoryError, Entry
from tocsin.directory.allowance import Allowance
from tocsin.directory.breaker import Breaker
from tocsin.directory.cache import DirectoryCache, Due
from tocsin.directory.limits import DirectoryLimits
from tocsin.directory.telling import Silence, Telling
from tocsin.directory.timing import Timing
from tocsin.errors import BackpressureError
from tocsin.observability.logging import get_logger

_log: Final = get_logger("directory")

QUESTIONS_A_ROUND: Final = 256
_WANTED_MAX: Final = 1_000
_SEE_S: Final = 10.0

Known = Callable[[], Sequence[str]]
"""The names of all devices that have sent something; the same number means that they are the same."""


class _Answer(msgspec.Struct, frozen=True):
    """What came of a question that was sent at `asked_ms`; `said` is None where there is no such thing."""

    said: Sequence[Entry] | Entry | None
    error: DirectoryError | None
    asked_ms: int
    took_s: float


class Asking:
    """One round at a time, in whatever thread calls; `want` and `failing` are for all threads."""

    def __init__(
        self,
        api: DirectoryApi,
        cache: DirectoryCache,
        clock: Clock,
        limits: DirectoryLimits,
        *,
        known: Known = tuple,
        rng: random.Random | None = None,
        telling: Telling | None = None,
    ) -> None:
        rng = rng or random.Random()
        self._api = api
        self._cache = cache
        self._clock = clock
        self._limits = limits
        self._known = known
        self._telling = telling or Silence()
        self._timing = Timing(limits, rng)
        self._breaker = Breaker(rng)
        self._allowance = Allowance(
            limits.requests_per_device_day, limits.requests_per_day_min, clock.monotonic_s()
        )
        self._pool = threads.pool(limits.at_once, "directory")
        self._lock = threads.lock()
        self._wanted: dict[tuple[str, str], None] = {}
        self._seen = 0
        self._look_s = clock.monotonic_s()
        self._ending = threads.event()

    @property
    def failing(self) -> bool:
        """Whether the third party has failed so often that it is left alone for a while."""
        return self._breaker.is_open

    def want_list(self, technician: str) -> None:
        """Bring the technician's list forward; forgotten where a thousand wishes wait."""
        self._want("list", technician)

    def want_device(self, device: str) -> None:
        """Bring a device that is known forward."""
        self._want("device", device)

    def round(self) -> None:
        """Ask what is due, at most 256 questions, and keep the answers; blocks until none is on its way."""
        self._take_wishes()
        self._see()
        asked: deque[tuple[Due, threads.Future[_Answer]]] = deque()
        left = QUESTIONS_A_ROUND
        while True:
            for due in self._next(min(left, self._places() - len(asked)), [due for due, _ in asked]):
                asked.append((due, self._pool.submit(self._ask, due)))
                left -= 1
            if not asked:
                return
            due, answer = asked.popleft()
            self._keep(due, answer.result())

    def end(self) -> None:
        """Send no further question; a round that runs ends with the answers that are on their way."""
        self._ending.set()

    def close(self) -> None:
        """End, and return when nothing is on its way any more."""
        self.end()
        self._pool.shutdown(wait=True)
        self._api.close()

    def _want(self, kind: str, name: str) -> None:
        with self._lock:
            if len(self._wanted) < _WANTED_MAX:
                self._wanted[kind, name] = None

    def _take_wishes(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        if wanted:
            lists, devices = (
                [name for kind, name in wanted if kind == wished] for wished in ("list", "device")
            )
            self._cache.want(lists, devices, self._clock.now_ms(), wanted_max=self._limits.wanted_max)

    def _see(self) -> None:
        """Take in new devices, at the first round and then each ten seconds."""
        if self._clock.monotonic_s() < self._look_s:
            return
        self._look_s = self._clock.monotonic_s() + _SEE_S
        try:
            names = self._known()
        except BackpressureError:
            return  # the processor is busy: new devices are known a little later
        if len(names) != self._seen:
            self._cache.see(names, self._clock.now_ms())
            self._seen = len(names)

    def _next(self, places: int, asked: Sequence[Due]) -> list[Due]:
        """What to ask now, looked up again after each answer: a list answers for devices that waited."""
        if places <= 0:
            return []
        under_way = {(due.list, due.id) for due in asked}
        self._allowance.fill(self._seen, self._clock.monotonic_s())
        found = self._cache.due(self._clock.now_ms(), places + len(asked))
        waiting = [due for due in found if (due.list, due.id) not in under_way][:places]
        return [due for due in waiting if self._allowance.take()]

    def _places(self) -> int:
        if self._ending.is_set():
            return 0
        return self._breaker.places(self._clock.monotonic_s(), self._limits.at_once)

    def _ask(self, due: Due) -> _Answer:
        asked_ms, began_s = self._clock.now_ms(), self._clock.monotonic_s()
        said: Sequence[Entry] | Entry | None = None
        error: DirectoryError | None = None
        try:
            said = self._api.devices_of(due.id) if due.list else self._api.device(due.id)
        except DirectoryError as failure:
            error = failure
        return _Answer(said, error, asked_ms, self._clock.monotonic_s() - began_s)

    def _keep(self, due: Due, answer: _Answer) -> None:
        outcome = "answered" if answer.said is not None else "missing"
        endpoint = "technician" if due.list else "device"
        if answer.error is not None:
            self._telling.request(endpoint, answer.error.failure, answer.took_s)
            self._fail(due, answer.error)
            return
        self._telling.request(endpoint, outcome, answer.took_s)
        self._succeed()
        if due.list:
            self._keep_list(due, answer)
        elif isinstance(answer.said, Entry):
            self._cache.keep_device(answer.said, answer.asked_ms, self._after(self._timing.device_s()))
        else:
            self._cache.forget_device(due.id, answer.asked_ms, self._after(self._timing.device_s()))

    def _keep_list(self, due: Due, answer: _Answer) -> None:
        now_ms = self._clock.now_ms()
        if answer.said is None:
            self._cache.forget_technician(due.id, answer.asked_ms, now_ms)
            return
        entries = [] if isinstance(answer.said, Entry) else answer.said
        fetched_ms = self._cache.fetched_ms(due.id)
        settled = fetched_ms is not None and now_ms - fetched_ms < 2_000 * self._limits.soft_s
        again_s = self._timing.list_s(settled=settled, empty=not entries)
        self._cache.keep_list(
            due.id,
            entries,
            answer.asked_ms,
            answer.asked_ms + round(again_s * 1000),
            self._after(self._timing.device_s()),
        )

    def _succeed(self) -> None:
        self._timing.answered()
        if self._breaker.is_open:
            _log.info("directory_answers_again")
        self._breaker.succeed()

    def _fail(self, due: Due, error: DirectoryError) -> None:
        was_open = self._breaker.is_open
        self._breaker.fail(self._clock.monotonic_s(), error.retry_after_s)
        self._cache.put_off(due, self._after(self._timing.retry_s(due.failures)))
        if self._breaker.is_open and not was_open:
            _log.warning("directory_fails", failure=error.failure, reason=error.detail)

    def _after(self, seconds: float) -> int:
        return self._clock.now_ms() + round(seconds * 1000)
