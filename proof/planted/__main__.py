"""`python -m proof.planted`: plants every bug of the catalogue and demands that it is caught.

First the checks must let the healthy tree pass, or being caught would mean nothing. The last line is a JSON
object; the exit code is 0 only if every bug ran and was caught.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from proof.planted.bug import Bug, catalogue
from proof.planted.trial import Verdict, try_bug, try_tree
from proof.planted.workshop import Workshop, workshop


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of bugs, with commas; default: all")
    parser.add_argument("--tree", action="store_true", help="judge the tree as it stands, nothing planted")
    parser.add_argument("--list", action="store_true", help="print the catalogue and end")
    parser.add_argument("--jobs", type=int, default=1, help="bugs tried at the same time")
    arguments = parser.parse_args()
    bugs = _chosen(arguments.only)
    if arguments.list:
        print("\n".join(f"{bug.name}: {bug.harm}" for bug in bugs))
        return 0
    with workshop() as healthy:
        verdict = try_tree(healthy)
    if arguments.tree or verdict.caught_by:
        return _tell_of_tree(verdict)
    return _tell(list(_try_all(bugs, max(1, arguments.jobs))))


def _chosen(names: str) -> list[Bug]:
    bugs = catalogue()
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {bug.name for bug in bugs}
    if unknown:
        raise SystemExit(f"no such bug: {', '.join(sorted(unknown))}; --list names them")
    return [bug for bug in bugs if not wanted or bug.name in wanted]


def _try_all(bugs: Sequence[Bug], jobs: int) -> Sequence[Verdict]:
    """Each bug in one of `jobs` workshops, which are used again so that kernels are compiled once."""
    free: SimpleQueue[Workshop] = SimpleQueue()

    def judge(bug: Bug) -> Verdict:
        place = free.get()
        try:
            verdict = try_bug(bug, place)
        finally:
            free.put(place)
        print(_row(verdict), file=sys.stderr, flush=True)
        return verdict

    with ExitStack() as opened:
        for _ in range(jobs):
            free.put(opened.enter_context(workshop()))
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(judge, bugs))


def _tell_of_tree(verdict: Verdict) -> int:
    if verdict.caught_by:
        print(verdict.output)
        print(f"{verdict.name} is caught by: {verdict.caught_by} ({verdict.effort or 'at once'})")
    else:
        print("every check lets this tree pass")
    print(json.dumps({"caught_by": verdict.caught_by, "seconds": round(verdict.seconds, 1)}))
    return int(bool(verdict.caught_by))


def _tell(verdicts: Sequence[Verdict]) -> int:
    print("\n| bug | harm | caught by | after | seconds |\n|---|---|---|---|---|")
    for verdict in verdicts:
        print(_row(verdict))
    escaped = [verdict.name for verdict in verdicts if not verdict.passed]
    print(json.dumps({"planted": len(verdicts), "caught": len(verdicts) - len(escaped), "escaped": escaped}))
    return int(bool(escaped))


def _row(verdict: Verdict) -> str:
    what = verdict.caught_by or ("NOT CAUGHT" if verdict.ran else "DID NOT RUN")
    return f"| {verdict.name} | {verdict.harm} | {what} | {verdict.effort} | {verdict.seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
