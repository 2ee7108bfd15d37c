"""`python -m proof.planted`: plants every bug of the catalogue and demands that it is caught.

Every check that caught something must let the healthy tree pass, or being caught would mean nothing. The last
line is a JSON object; the exit code is 0 only if every bug ran and was caught.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

from proof.figures import remember
from proof.planted.bug import Bug, catalogue
from proof.planted.checks import CHECKS, Check, tests
from proof.planted.trial import Verdict, try_bug, try_tree
from proof.planted.workshop import Workshop, workshop


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of bugs, with commas; default: all")
    parser.add_argument("--tree", action="store_true", help="judge the tree as it stands, nothing planted")
    parser.add_argument("--list", action="store_true", help="print the catalogue and end")
    parser.add_argument("--history", action="store_true", help="add a line to proof/history.ndjson")
    parser.add_argument("--jobs", type=int, default=1, help="bugs tried at the same time")
    arguments = parser.parse_args()
    bugs = _chosen(arguments.only)
    if arguments.list:
        print("\n".join(f"{bug.name}: {bug.harm}" for bug in bugs))
        return 0
    if arguments.tree:
        with workshop() as tree:
            return _tell_of_tree(try_tree(tree))
    verdicts, healthy = _try_all(bugs, max(1, arguments.jobs))
    if healthy.caught_by:
        print("nothing is planted, and yet:")
        return _tell_of_tree(healthy)
    return _tell(verdicts, history=arguments.history)


def _chosen(names: str) -> list[Bug]:
    bugs = catalogue()
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {bug.name for bug in bugs}
    if unknown:
        raise SystemExit(f"no such bug: {', '.join(sorted(unknown))}; --list names them")
    return [bug for bug in bugs if not wanted or bug.name in wanted]


def _try_all(bugs: Sequence[Bug], jobs: int) -> tuple[list[Verdict], Verdict]:
    """Each bug in one of `jobs` workshops, and what the checks that caught them say without a bug."""
    free: SimpleQueue[Workshop] = SimpleQueue()

    def at_work(work: Callable[[Workshop], Verdict], row: Callable[[Verdict], str] = _row) -> Verdict:
        place = free.get()
        try:
            verdict = work(place)
        finally:
            free.put(place)
        print(row(verdict), file=sys.stderr, flush=True)
        return verdict

    def unplanted(checks: Sequence[Check]) -> Verdict:
        return at_work(lambda place: try_tree(place, checks), _row_of_none)

    with ExitStack() as opened:
        for _ in range(jobs):
            free.put(opened.enter_context(workshop()))
        with ThreadPoolExecutor(jobs) as pool:
            healthy = pool.submit(unplanted, _named(bugs))
            verdicts = list(pool.map(lambda bug: at_work(partial(try_bug, bug)), bugs))
        if healthy.result().caught_by:
            return verdicts, healthy.result()
        used = {verdict.caught_by for verdict in verdicts} & CHECKS.keys()
        return verdicts, unplanted([CHECKS[name] for name in sorted(used)])


def _named(bugs: Sequence[Bug]) -> list[Check]:
    """All tests that bugs name, in one run."""
    named = sorted({test for bug in bugs for test in bug.tests})
    return [replace(tests(named), name="tests of bugs", limit_s=1200)] if named else []


def _tell_of_tree(verdict: Verdict) -> int:
    if verdict.caught_by:
        print(verdict.output)
        print(f"{verdict.name} is caught by: {verdict.caught_by} ({verdict.effort or 'at once'})")
    else:
        print("every check lets this tree pass")
    print(json.dumps({"caught_by": verdict.caught_by, "seconds": round(verdict.seconds, 1)}))
    return int(bool(verdict.caught_by))


def _tell(verdicts: Sequence[Verdict], *, history: bool) -> int:
    print("\n| bug | harm | caught by | after | seconds |\n|---|---|---|---|---|")
    for verdict in verdicts:
        print(_row(verdict))
    escaped = [verdict.name for verdict in verdicts if not verdict.passed]
    counts = {"planted": len(verdicts), "caught": len(verdicts) - len(escaped)}
    if history:
        remember("selftest", counts | {"escaped": len(escaped)})
    print(json.dumps(counts | {"escaped": escaped}))
    return int(bool(escaped))


def _row(verdict: Verdict) -> str:
    what = verdict.caught_by or ("NOT CAUGHT" if verdict.ran else "DID NOT RUN")
    return f"| {verdict.name} | {verdict.harm} | {what} | {verdict.effort} | {verdict.seconds:.0f} |"


def _row_of_none(verdict: Verdict) -> str:
    return f"| (nothing planted) | | {verdict.caught_by or 'passes'} | | {verdict.seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
