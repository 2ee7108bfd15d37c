"""Calls of dependencies as spans: which objects, which methods, and what hands work on to whom.

When spans go nowhere no object is touched, so that a call costs what it costs without this file. Otherwise
the methods of the object are replaced, on this object alone. A span is made only inside that of a request
or of a job that is recorded, and not for what a dependency calls of itself. A round of a job is linked to
the calls that handed on what it took up, so a body's append to the rounds that read it from the log.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, wraps
from inspect import isfunction
from itertools import islice
from typing import Any, Final, TypeVar

from opentelemetry import trace as api
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode

from tocsin import threads
from tocsin.blobs.abstract import Upload
from tocsin.commit.abstract import Commit, OutboxRow, ReadyDump
from tocsin.commit.dump_steps import StepCommit
from tocsin.control import DumpReceived
from tocsin.log.abstract import Append, Appended, Record, StoredDeadLetter
from tocsin.model import Episode
from tocsin.observability.dependency import Dependency
from tocsin.observability.tracing import DEPENDENCY, Tracing
from tocsin.scores.abstract import Findings, StoredScores

Watched = TypeVar("Watched")
Method = Callable[..., Any]
Key = tuple[object, ...]

_taken: ContextVar[dict[Key, None] | None] = ContextVar("taken", default=None)
"""What the round of a job has taken up so far, in order."""

HANDED_ON_MAX: Final = 10_000
LINKS_MAX: Final = 64
LATE_S: Final = 0.02
"""How long a round that is over waits for calls that do not know yet that what it took up is durable."""
_SERVED_MAX: Final = 128
_UNWATCHED: Final = frozenset({"close", "projected"})  # the latter only tells a number
_OF_UPLOADS: Final = frozenset({"finish", "sync", "revert"})
"""The pieces of an upload are not told one by one: a dump may have a thousand."""


@dataclass(frozen=True, slots=True)
class _Passing:
    """What a method hands on, from its arguments and result, and what it takes up, from its result."""

    gives: Callable[[tuple[Any, ...], Any], Iterable[Key]] = lambda _given, _result: ()
    takes: Callable[[Any], Iterable[Key]] = lambda _result: ()


class _HandedOn:
    """Which call handed what on; the newest `HANDED_ON_MAX`. Thread-safe."""

    def __init__(self) -> None:
        self._calls: OrderedDict[Key, SpanContext] = OrderedDict()
        self._lock = threads.lock()

    def give(self, keys: Iterable[Key], call: SpanContext) -> None:
        with self._lock:
            for key in keys:
                self._calls[key] = call
                self._calls.move_to_end(key)
            while len(self._calls) > HANDED_ON_MAX:
                self._calls.popitem(last=False)

    def knows(self, keys: Iterable[Key]) -> bool:
        """Whether all were handed on; never what was before the start, or by nobody's call."""
        with self._lock:
            return all(key in self._calls for key in keys)

    def calls(self, keys: Iterable[Key]) -> list[SpanContext]:
        """The calls, each once; they stay known, since several jobs may take up the same."""
        with self._lock:
            found = {call.span_id: call for key in keys if (call := self._calls.get(key))}
        return list(found.values())[:LINKS_MAX]


@dataclass
class CallTracing:
    """Watches the dependencies of one application."""

    tracing: Tracing
    _handed_on: _HandedOn = field(default_factory=_HandedOn)
    _served: deque[SpanContext] = field(default_factory=lambda: deque(maxlen=_SERVED_MAX))

    def watch(self, target: Watched, dependency: Dependency, port: type | None = None) -> Watched:
        """The same object, whose public methods, or those of `port`, are calls of the dependency now."""
        return self._watch(target, dependency, _methods_of(port or type(target)))

    def _watch(self, target: Watched, dependency: Dependency, methods: Iterable[str]) -> Watched:
        if self.tracing.active:
            for name in methods:
                passing = _PASSING.get((dependency, name), _Passing())
                setattr(target, name, self.watched(getattr(target, name), dependency, name, passing))
        return target

    def job(self, name: str, work: Callable[[], None]) -> Callable[[], None]:
        """The work with a trace of its own each time; the work as it is when spans go nowhere."""
        if not self.tracing.active:
            return work

        def traced() -> None:
            with self.tracing.job(name) as span:
                taken: dict[Key, None] = {}
                token = _taken.set(taken)
                try:
                    work()
                finally:
                    _taken.reset(token)
                    self._wait_for_calls(taken)
                    for call in self._handed_on.calls(taken):
                        span.add_link(call)

        return traced

    def _wait_for_calls(self, taken: Iterable[Key]) -> None:
        """A record may be read a moment before its call knows that it is durable."""
        end_s = time.monotonic() + LATE_S
        while not self._handed_on.knows(taken) and time.monotonic() < end_s:
            time.sleep(LATE_S / 10)

    def maker(self, make: Callable[[], Watched], dependency: Dependency) -> Callable[[], Watched]:
        """Makes the same objects, watched."""
        return lambda: self.watch(make(), dependency)

    def watched(
        self, method: Method, dependency: Dependency, name: str, passing: _Passing | None = None
    ) -> Method:
        """The method, or what does the same with a span around it: until its future or iterator is done."""
        if not self.tracing.active:
            return method
        settle = partial(self._settle, passing=passing or _Passing())

        @wraps(method)
        def call(*given: Any, **named: Any) -> Any:
            if not _is_to_be_told(dependency):
                return method(*given, **named)
            span = self.tracing.call(dependency, name)
            try:
                with api.use_span(span, record_exception=False):
                    result = method(*given, **named)
            except BaseException:
                span.end()
                raise
            if isinstance(result, Upload):
                self._watch(result, dependency, _OF_UPLOADS.intersection(_methods_of(type(result))))
            if isinstance(result, threads.Future):
                result.add_done_callback(lambda done: self._done(span, done, given, settle))
                return result
            settle(span, given, result)
            if isinstance(result, Iterator):
                return _until_exhausted(span, result)
            span.end()
            return result

        return call

    def group_written(self, on_group: Callable[[int, float], None]) -> Callable[[int, float], None]:
        """What the log calls after each group, in the thread that wrote it and has answered its appends."""
        if not self.tracing.active:
            return on_group

        def told(appends: int, took_s: float) -> None:
            served = [self._served.popleft() for _ in range(len(self._served))]
            self.tracing.job_over("log-writer", took_s, served)
            on_group(appends, took_s)

        return told

    def _done(
        self,
        span: api.Span,
        done: threads.Future[Any],
        given: tuple[Any, ...],
        settle: Callable[[api.Span, tuple[Any, ...], Any], None],
    ) -> None:
        """The end of a call whose result comes later; runs in the thread that sets it, and raises nothing."""
        if done.cancelled() or done.exception() is not None:
            span.set_status(Status(StatusCode.ERROR))
        else:
            result = done.result()
            settle(span, given, result)
            if isinstance(result, Appended):
                self._served.append(span.get_span_context())
        span.end()

    def _settle(self, span: api.Span, given: tuple[Any, ...], result: Any, *, passing: _Passing) -> None:
        self._handed_on.give(passing.gives(given, result), span.get_span_context())
        taken = _taken.get()
        if taken is not None:
            taken.update(dict.fromkeys(islice(passing.takes(result), HANDED_ON_MAX)))


def _is_to_be_told(dependency: Dependency) -> bool:
    """Inside a span that is recorded, but not inside a call of the same dependency."""
    outer = api.get_current_span()
    if not outer.is_recording():
        return False
    told = outer.attributes or {} if isinstance(outer, ReadableSpan) else {}
    return told.get(DEPENDENCY) != dependency


def _until_exhausted(span: api.Span, rows: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from rows
    finally:
        span.end()


def _methods_of(kind: type) -> list[str]:
    """Its public methods, inherited ones too."""
    return [
        name
        for name in dir(kind)
        if not name.startswith("_") and name not in _UNWATCHED and isfunction(getattr(kind, name))
    ]


def _appended(given: tuple[Any, ...], result: Appended) -> Iterator[Key]:
    append: Append = given[0]
    for part, offset in zip(append.parts, result.offsets, strict=False):  # a repeated one has no offsets
        yield "record", part.partition, offset
    for letter in append.dead_letters:
        yield "letter", letter.tenant, letter.arrival_ms, letter.line


def _read(records: Iterable[Record]) -> Iterator[Key]:
    return (("record", record.partition, record.offset) for record in records)


def _letters(stored: Iterable[StoredDeadLetter]) -> Iterator[Key]:
    return (("letter", each.letter.tenant, each.letter.arrival_ms, each.letter.line) for each in stored)


def _committed(given: tuple[Any, ...], _: None) -> Iterator[Key]:
    commits: Iterable[Commit] = given[0]
    for commit in commits:
        yield from map(_episode, commit.episodes)
        yield from (_dump(freed.dump) for freed in commit.dumps)


def _stepped(given: tuple[Any, ...], _: None) -> Iterator[Key]:
    commit: StepCommit = given[0]
    return map(_episode, commit.episodes)


def _found(given: tuple[Any, ...], _: None) -> Iterator[Key]:
    findings: Iterable[Findings] = given[0]
    return (("scores", each.tenant) for found in findings for each in found.scored)


def _scored(stored: Iterable[StoredScores]) -> Iterator[Key]:
    return (("scores", each.tenant) for each in stored)


def _outbox(rows: Iterable[OutboxRow]) -> Iterator[Key]:
    return (_episode(row.episode) for row in rows)


def _ready(dumps: Iterable[ReadyDump]) -> Iterator[Key]:
    return (_dump(each.freed.dump) for each in dumps)


def _episode(episode: Episode) -> Key:
    return "episode", episode.tenant, episode.id


def _dump(dump: DumpReceived) -> Key:
    return "dump", dump.tenant, dump.device, dump.epoch, dump.sequence


_PASSING: Final[dict[tuple[Dependency, str], _Passing]] = {
    (Dependency.LOG, "submit"): _Passing(gives=_appended),
    (Dependency.LOG, "read"): _Passing(takes=_read),
    (Dependency.LOG, "dead_letters"): _Passing(takes=_letters),
    (Dependency.COMMIT, "commit"): _Passing(gives=_committed),
    (Dependency.COMMIT, "outbox"): _Passing(takes=_outbox),
    (Dependency.STEPS, "commit_step"): _Passing(gives=_stepped),
    (Dependency.STEPS, "ready_of"): _Passing(takes=_ready),
    (Dependency.SCORES, "append"): _Passing(gives=_found),
    (Dependency.SCORES, "scored"): _Passing(takes=_scored),
}
