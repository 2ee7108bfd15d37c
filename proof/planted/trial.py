"""One bug before the checks: which of them finds it, or that none does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proof.planted.bug import Bug
from proof.planted.checks import CHECKS, Check, caught, effort, tests
from proof.planted.workshop import Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`caught_by` is empty when every check let it pass; `ran`: the changed code did run in some check."""

    name: str
    harm: str
    caught_by: str = ""
    effort: str = ""
    seconds: float = 0.0
    ran: bool = False
    output: str = ""

    @property
    def passed(self) -> bool:
        """Whether the harness did its work: the bug was there, and was found."""
        return bool(self.caught_by) and self.ran


def try_bug(bug: Bug, workshop: Workshop) -> Verdict:
    """Plant the bug and ask check after check until one finds it while the changed code ran."""
    began_s = time.monotonic()
    ran = False
    with workshop.planted(bug):
        for check in _in_order(bug):
            run = workshop.run(check.command, check.limit_s)
            ran |= run.ran
            if caught(run) and run.ran:
                return Verdict(
                    name=bug.name,
                    harm=bug.harm,
                    caught_by=check.name,
                    effort=effort(check, run),
                    seconds=time.monotonic() - began_s,
                    ran=True,
                    output=run.output[-2000:],
                )
    return Verdict(name=bug.name, harm=bug.harm, seconds=time.monotonic() - began_s, ran=ran)


def try_tree(workshop: Workshop, checks: Iterable[Check] = tuple(CHECKS.values())) -> Verdict:
    """The tree as it stands, before these checks: the first that finds anything, if any does."""
    began_s = time.monotonic()
    for check in checks:
        run = workshop.run(check.command, check.limit_s)
        if caught(run):
            return Verdict(
                name="this tree",
                harm="whatever was changed",
                caught_by=check.name,
                effort=effort(check, run),
                seconds=time.monotonic() - began_s,
                output=run.output[-2000:],
            )
    return Verdict(name="this tree", harm="whatever was changed", seconds=time.monotonic() - began_s)


def _in_order(bug: Bug) -> Iterator[Check]:
    if bug.tests:
        yield tests(bug.tests)
    yield from (CHECKS[name] for name in bug.checks)
    yield from (check for name, check in CHECKS.items() if name not in bug.checks)
