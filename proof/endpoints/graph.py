"""The call graph that spans show: which dependencies a request or job calls, and which jobs it sets going."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from tocsin.observability.tracing import DEPENDENCY, JOB, SpanName

_METHOD: Final = "http.request.method"
_ROUTE: Final = "http.route"
_STATUS: Final = "http.response.status_code"


@dataclass(frozen=True, slots=True)
class Trace:
    """One request or round of a job: what was called on its way, and the jobs that took up what it did."""

    calls: frozenset[str]
    sets_going: frozenset[str]


@dataclass(frozen=True, slots=True)
class Graph:
    """All traces of each operation, such as `GET /v1/devices`, that were answered well, and of each job."""

    operations: dict[str, list[Trace]]
    jobs: dict[str, list[Trace]]


@dataclass(slots=True)
class _Root:
    span: ReadableSpan
    calls: set[str] = field(default_factory=set)
    sets_going: set[str] = field(default_factory=set)


def graph_of(spans: Iterable[ReadableSpan]) -> Graph:
    """The graph of everything that has ended; a trace whose outermost span has not is left out."""
    by_id = {span.context.span_id: span for span in spans if span.context}
    roots: dict[int, _Root] = {}

    def root_of(span_id: int) -> _Root | None:
        span = by_id.get(span_id)
        while span is not None and span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
        if span is None or span.context is None or not _is_outermost(span):
            return None
        return roots.setdefault(span.context.span_id, _Root(span))

    for span_id, span in by_id.items():
        root = root_of(span_id)
        called = (span.attributes or {}).get(DEPENDENCY)
        if root is not None and called is not None:
            root.calls.add(str(called))
        for link in span.links:
            cause = root_of(link.context.span_id)
            if cause is not None and cause is not root:
                cause.sets_going.add(str((span.attributes or {})[JOB]))
    return _named(roots.values())


def _is_outermost(span: ReadableSpan) -> bool:
    return span.name == SpanName.REQUEST or JOB in (span.attributes or {})


def _named(roots: Iterable[_Root]) -> Graph:
    operations: dict[str, list[Trace]] = defaultdict(list)
    jobs: dict[str, list[Trace]] = defaultdict(list)
    for root in roots:
        told = root.span.attributes or {}
        trace = Trace(frozenset(root.calls), frozenset(root.sets_going))
        if JOB in told:
            jobs[str(told[JOB])].append(trace)
        elif int(str(told.get(_STATUS, 500))) < 400:
            operations[" ".join((str(told[_METHOD]), str(told[_ROUTE])))].append(trace)
    return Graph(dict(operations), dict(jobs))
