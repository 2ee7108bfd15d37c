"""The rules by which steps are handed out to workers, as numbers, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.events import F64, I64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """At most `workers_max` steps at once, long ones half of that; the rest as in `Assumptions`.

    A device has one step at a time, its dumps in order. Whose turn it is goes round the tenants, and round
    the devices of each. A device gets the worker that its number names if that is free, else the one that
    has been free for longest, else a new one.
    """

    workers_max: int
    commit_s: float = 0.0
    worker_start_s: float = 0.0
    worker_idle_s: float = 60.0

    @property
    def long_max(self) -> int:
        """How many long steps there may be at once."""
        return max(1, self.workers_max // 2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """When each dump's findings were committed, and what that took.

    `peaks` is the greatest number of workers in each bin of time; `alive_s` sums up the lives of all.
    """

    done_s: F64
    peaks: I64
    alive_s: float
    starts: int
