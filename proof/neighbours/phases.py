"""Calm and hostile spans of one run, and what latencies in them say. Times are of one monotonic clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SAMPLES_MIN: Final = 20


@dataclass(frozen=True, slots=True)
class Span:
    """From `start_s` up to `end_s`, calm or not."""

    start_s: float
    end_s: float
    hostile: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was due at `due_s` and had its answer `latency_s` later."""

    due_s: float
    latency_s: float


@dataclass(frozen=True, slots=True)
class Compared:
    """How one neighbour was felt."""

    calm_ms_p99: float
    hostile_ms_p99: float
    calm_ms_p50: float
    hostile_ms_p50: float
    requests: int

    @property
    def ratio(self) -> float:
        """Of the p99 under the neighbour to that without."""
        return self.hostile_ms_p99 / self.calm_ms_p99


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.99)
    (2, 4)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def compare(requests: Iterable[Answered], spans: Sequence[Span]) -> Compared:
    """Latencies by what was so when they were due: who waits beyond a span's end is charged to that span.

    ValueError if either kind of span saw too few requests to speak of.
    """
    found: dict[bool, list[float]] = {False: [], True: []}
    for request in requests:
        for span in spans:
            if span.start_s <= request.due_s < span.end_s:
                found[span.hostile].append(request.latency_s * 1000)
    calm, hostile = found[False], found[True]
    if min(len(calm), len(hostile)) < SAMPLES_MIN:
        raise ValueError(f"too few requests to compare: {len(calm)} calm, {len(hostile)} hostile")
    return Compared(
        calm_ms_p99=percentile(calm, 0.99),
        hostile_ms_p99=percentile(hostile, 0.99),
        calm_ms_p50=percentile(calm, 0.5),
        hostile_ms_p50=percentile(hostile, 0.5),
        requests=len(calm) + len(hostile),
    )
