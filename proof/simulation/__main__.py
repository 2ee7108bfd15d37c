"""Simulates the whole system by a seed, twice, and says what came of it; or many seeds; or a plan."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from proof.simulation.campaign import campaign
from proof.simulation.generating import plan_of
from proof.simulation.plan import Plan
from proof.simulation.run import run_plan
from proof.simulation.shrinking import shrink


def main() -> int:
    """Exit status 0 when nothing was found wrong, 1 when something was."""
    parser = argparse.ArgumentParser(prog="tocsin-sim", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="replay this seed twice")
    parser.add_argument("--seeds", metavar="FIRST:END", help="run many seeds; the last line is JSON")
    parser.add_argument("--seconds", type=float, help="stop a campaign after so many seconds")
    parser.add_argument("--first", action="store_true", help="stop at the first seed that fails")
    parser.add_argument("--history", metavar="FILE", help="add a line about the campaign to this file")
    parser.add_argument("--shrink", metavar="FILE", help="write the smallest plan that fails like SEED's")
    parser.add_argument("--plan", metavar="FILE", help="replay a plan that was written down")
    arguments = parser.parse_args()
    if arguments.plan:
        return _twice(msgspec.json.decode(Path(arguments.plan).read_bytes(), type=Plan))
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
    plan = plan_of(arguments.seed)
    return _shrink(plan, Path(arguments.shrink)) if arguments.shrink else _twice(plan)


def _shrink(plan: Plan, path: Path) -> int:
    smaller = shrink(plan)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(smaller)) + b"\n")
    return _twice(smaller)


def _twice(plan: Plan) -> int:
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
