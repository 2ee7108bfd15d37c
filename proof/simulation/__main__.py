"""`tocsin-sim SEED`: simulate one seed twice and say what came of it."""

from __future__ import annotations

import argparse
import sys

from proof.simulation.campaign import campaign
from proof.simulation.generating import plan_of
from proof.simulation.run import run_plan


def main() -> int:
    """Exit status 0 when nothing was found wrong, 1 when something was."""
    parser = argparse.ArgumentParser(prog="tocsin-sim", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="replay this seed twice")
    parser.add_argument("--seeds", metavar="FIRST:END", help="run many seeds; the last line is JSON")
    parser.add_argument("--seconds", type=float, help="stop a campaign after so many seconds")
    parser.add_argument("--first", action="store_true", help="stop at the first seed that fails")
    parser.add_argument("--history", metavar="FILE", help="add a line about the campaign to this file")
    arguments = parser.parse_args()
    if arguments.seeds:
        first, end = (int(number) for number in arguments.seeds.split(":"))
        return campaign(
            range(first, end),
            seconds=arguments.seconds,
            history=arguments.history,
            to_the_end=not arguments.first,
        )
    if arguments.seed is None:
        parser.error("name a seed, or --seeds FIRST:END")
    return _twice(arguments.seed)


def _twice(seed: int) -> int:
    plan = plan_of(seed)
    first, second = run_plan(plan), run_plan(plan)
    for outcome in (first, second):
        sys.stdout.write(f"trace {outcome.trace_hash}\n")
    sys.stdout.write(f"{first.verdict()}\n")
    for kind, detail in first.findings:
        sys.stdout.write(f"\n{kind}\n{detail}\n")
    if first.trace_hash != second.trace_hash:
        sys.stdout.write("the two runs differ: something is not simulated\n")
        return 1
    return 1 if first.findings else 0


if __name__ == "__main__":
    sys.exit(main())
