"""`python -m proof.neighbours --seconds N`: what hostile neighbours cost a calm group; the last line is JSON.

`neighbour_p99_ratio` is the worst of five neighbours: the p99 of the calm group's latency with them over that
without, measured in turns. It is a figure. Checked are the calm group's verdicts, which must be those of a
backtest of its records alone, and conservation: the exit code is 1 unless both are exact.
"""

from __future__ import annotations

import argparse
import json
import sys

from proof.neighbours.hostile import NEIGHBOURS
from proof.neighbours.run import measure


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="for the phases of all together")
    parser.add_argument("--only", help=f"one of {', '.join(NEIGHBOURS)}")
    parser.add_argument("--devices", type=int, default=10_000, help="of the restart")
    parser.add_argument("--bodies-per-s", type=float, default=50, help="of the calm group")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not 1 <= given.seconds <= 10_000:
        parser.error("--seconds: 1 … 10000")
    if given.only and given.only not in NEIGHBOURS:
        parser.error(f"--only: one of {', '.join(NEIGHBOURS)}")
    names = [given.only] if given.only else list(NEIGHBOURS)
    found = measure(
        names, seconds=given.seconds, devices=given.devices, bodies_per_s=given.bodies_per_s, seed=given.seed
    )
    print(json.dumps(found))
    return 0 if found["verdicts_same"] and found["conservation_error"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
