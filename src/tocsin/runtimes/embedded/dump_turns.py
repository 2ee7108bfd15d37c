"""A device's turn: its first ready dump, shown to every detector in force, or what else its turn is for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from tocsin.commit.abstract import DumpKind, ReadyDump
from tocsin.commit.dump_steps import Standing
from tocsin.control import DumpDetectorRule
from tocsin.runtimes.embedded.dump_asking import Going
from tocsin.runtimes.embedded.dump_ground import Ground
from tocsin.runtimes.embedded.dump_watch import DumpWatch

_PAGE: Final = 64


def turn(ground: Ground, tenant: str, device: str) -> Going[None]:
    """Deal with what is first in the device's order; the next comes in its next turn.

    A dump that no detector in force is to see is dealt with at once.
    """
    ready = ground.steps.ready_of(tenant, device, limit=_PAGE)
    if not ready:
        return
    head = ready[0]
    kind = head.freed.kind
    rows = [head]
    if kind is DumpKind.AFTER_GAP:
        rows = list(takewhile(lambda row: row.freed.kind is DumpKind.AFTER_GAP, ready))
    standings = ground.steps.standings(tenant, device)
    rules = ground.rules(head.partition, tenant)
    concerned = [
        name
        for name in sorted(rules)
        if any(_concerns(rules[name], row, standings.get(name)) for row in rows)
    ]
    numbers = [row.number for row in rows]
    if not concerned:
        ground.steps.settle(head.partition, ground.lease_epoch(head.partition), numbers)
    for name in concerned:
        standing = standings.get(name) or Standing(tenant=tenant, device=device, detector=name)
        watch = DumpWatch(ground, head.partition, standing, rules[name])
        yield from _part(watch, rows, numbers if name == concerned[-1] else ())


def _concerns(rule: DumpDetectorRule, row: ReadyDump, standing: Standing | None) -> bool:
    kind, dump = row.freed.kind, row.freed.dump
    shown = kind is DumpKind.RESUME or rule.application in {"", dump.application}
    return shown and (kind is DumpKind.READY or standing is not None)


def _part(watch: DumpWatch, rows: Sequence[ReadyDump], done: Sequence[int]) -> Going[None]:
    """One detector's part in it."""
    match rows[0].freed.kind:
        case DumpKind.RESUME:
            yield from watch.resume(done)
        case DumpKind.AFTER_GAP:
            yield from watch.correct([row.freed.dump for row in rows], done)
        case DumpKind.READY:
            yield from watch.show(rows[0].freed.dump, done)
