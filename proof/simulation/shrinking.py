"""Makes a failing plan smaller while it still fails in the same way: delta debugging over its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from proof.simulation.plan import Network, Plan, Steps
from proof.simulation.run import run_plan

PARTS: Final = (
    *("disk", "crashes", "bodies", "past", "dumps", "acts", "changes", "windows", "quarantines", "asks"),
)
"""In this order: what goes wrong is tried first, since without it most of the rest says nothing."""

Fails = Callable[[Plan], bool]


def shrink(plan: Plan, *, runs: int = 1000) -> Plan:
    """The smallest plan found in so many runs that breaks the same law first; else the plan itself."""
    wanted = run_plan(plan).kinds[:1]
    left = iter(range(runs))

    def fails(smaller: Plan) -> bool:
        return next(left, None) is not None and run_plan(smaller).kinds[:1] == wanted

    before = None
    while wanted and before != plan:
        before = plan
        plan = _simpler(plan, fails)
        for part in PARTS:
            plan = _fewer(plan, part, fails)
        plan = _fewer_lines(plan, fails)
    return plan


def _simpler(plan: Plan, fails: Fails) -> Plan:
    """Without what a plan can do without as a whole."""
    for change in (
        {"network": Network()},
        {"steps": Steps()},
        {"silence": None, "past": ()},
        {"partitions": 1},
        {"segment_bytes": 1_000_000},
        {"switching": 0.0},
    ):
        smaller = msgspec.structs.replace(plan, **change)
        if smaller != plan and fails(smaller):
            plan = smaller
    return plan


def _fewer(plan: Plan, part: str, fails: Fails) -> Plan:
    """Without pieces of one part: halves, quarters and so on, down to single ones."""

    def with_part(items: Sequence[Any]) -> Plan:
        return msgspec.structs.replace(plan, **{part: tuple(items)})

    return with_part(minimal(getattr(plan, part), lambda items: fails(with_part(items))))


def _fewer_lines(plan: Plan, fails: Fails) -> Plan:
    """Bodies with fewer lines, the longest first."""
    for number in sorted(range(len(plan.bodies)), key=lambda at: -len(plan.bodies[at].text)):
        plan = _shorter(plan, number, fails)
    return plan


def _shorter(plan: Plan, number: int, fails: Fails) -> Plan:
    """With fewer lines in one body."""

    def with_lines(lines: Sequence[str]) -> Plan:
        body = msgspec.structs.replace(plan.bodies[number], text="".join(lines))
        return msgspec.structs.replace(plan, bodies=(*plan.bodies[:number], body, *plan.bodies[number + 1 :]))

    lines = plan.bodies[number].text.splitlines(keepends=True)
    return with_lines(minimal(lines, lambda kept: bool(kept) and fails(with_lines(kept))))


def minimal(items: Sequence[Any], fails: Callable[[Sequence[Any]], bool]) -> Sequence[Any]:
    """A part of `items`, which fails as a whole, of which no single piece can be left out (ddmin).

    >>> minimal(range(100), lambda kept: {7, 42} <= set(kept))
    [7, 42]
    """
    kept = list(items)
    size = len(kept)
    while size >= 1:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if fails(fewer):
                kept = fewer
            else:
                at += size
        size //= 2
    return kept
