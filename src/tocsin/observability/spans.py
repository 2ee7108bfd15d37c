"""Spans read back from JSON lines, and the traces that they make."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.observability.tracing import JOB

ROUTE: Final = "http.route"
METHOD: Final = "http.request.method"
STATUS: Final = "http.response.status_code"
_TRACES_MAX: Final = 100_000
_BEGINNING: Final = '{"name": '


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work; times in microseconds since 1970. `links` names the spans whose work it took up."""

    name: str
    trace: str
    id: str
    parent: str | None
    start_us: int
    end_us: int
    attributes: dict[str, Any]
    failed: bool
    links: tuple[str, ...]
    line: str

    @property
    def took_us(self) -> int:
        return self.end_us - self.start_us


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A span in its trace: `number` from 1 in order of time, how deep it lies, and what of it is its own."""

    number: int
    span: Span
    depth: int
    own_us: int


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one request or round of a job, the whole of it first."""

    steps: tuple[Step, ...]

    @property
    def root(self) -> Span:
        return self.steps[0].span

    @property
    def title(self) -> str:
        """Method and route of a request, or the name of a job."""
        told = self.root.attributes
        if ROUTE in told:
            return f"{told.get(METHOD, '')} {told[ROUTE]}".strip()
        return str(told.get(JOB, self.root.name))

    def start_us(self, step: Step) -> int:
        """Since the beginning of the trace."""
        return step.span.start_us - self.root.start_us


def read_spans(lines: Iterable[str], torn: list[int] | None = None) -> Iterator[Span]:
    """InvalidInputError, with its number, at a line that is no span.

    The number of a line of which only the beginning was written, as on a full disk, goes into `torn` instead.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _span(line)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
            if torn is not None and line.startswith(_BEGINNING) and isinstance(error, msgspec.DecodeError):
                torn.append(number)
                continue
            raise InvalidInputError(f"line {number} is no span of OpenTelemetry", field="file") from error


def traces_of(spans: Iterable[Span]) -> list[Trace]:
    """The traces whose outermost span is there, oldest first; the newest 100,000."""
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace, []).append(span)
        if len(by_trace) > _TRACES_MAX:
            del by_trace[next(iter(by_trace))]
    found = [trace for trace in map(_trace, by_trace.values()) if trace is not None]
    return sorted(found, key=lambda trace: trace.root.start_us)


def taken_up(trace: Trace, traces: Iterable[Trace]) -> list[Trace]:
    """The rounds of jobs that went on with what this trace has handed on."""
    own = {step.span.id for step in trace.steps}
    return [each for each in traces if own.intersection(each.root.links)]


def _span(line: str) -> Span:
    told = msgspec.json.decode(line)
    parent = told["parent_id"]
    return Span(
        name=str(told["name"]),
        trace=str(told["context"]["trace_id"]),
        id=str(told["context"]["span_id"]),
        parent=None if parent is None else str(parent),
        start_us=_us(told["start_time"]),
        end_us=_us(told["end_time"]),
        attributes=dict(told["attributes"] or {}),
        failed=told["status"]["status_code"] == "ERROR",
        links=tuple(str(link["context"]["span_id"]) for link in told["links"]),
        line=line.strip(),
    )


def _us(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def _trace(spans: Sequence[Span]) -> Trace | None:
    ids = {span.id for span in spans}
    outermost = [span for span in spans if span.parent not in ids]
    if len(outermost) != 1:
        return None  # a part of it has not been written yet, or no longer is
    inside: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda each: (each.start_us, -each.end_us)):
        inside.setdefault(span.parent, []).append(span)
    found: list[Step] = []
    waiting = [(outermost[0], 0)]
    while waiting:
        span, depth = waiting.pop()
        within = inside.get(span.id, [])
        found.append(Step(number=len(found) + 1, span=span, depth=depth, own_us=_own_us(span, within)))
        waiting += [(each, depth + 1) for each in reversed(within)]
    return Trace(steps=tuple(found))


def _own_us(span: Span, within: Sequence[Span]) -> int:
    """The time of a span in which none of those inside it ran; they may overlap."""
    covered, until_us = 0, span.start_us
    for each in within:
        start_us, end_us = max(each.start_us, until_us), min(each.end_us, span.end_us)
        if end_us > start_us:
            covered += end_us - start_us
            until_us = end_us
    return span.took_us - covered
