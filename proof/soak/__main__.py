"""`python -m proof.soak --seconds N`: load with faults for as long as asked; the last line is JSON.

A large load, and beside it a small group that sends late, repeated and faulty data. Meanwhile the server is
killed and its disk filled up (as root, who may mount a small one). Memory, open files, threads, disk, lag and
latency are watched. Slopes are per hour within the life of a process. The exit code is 1 unless conservation
is exact, the group's digests are those of a backtest, and the server ended only when it was killed.
"""

from __future__ import annotations

import argparse
import json
import sys

from proof.soak.run import Plan, soak


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--load", type=float, default=10_000, help="events per second; 0 = what it takes")
    parser.add_argument("--fault-every-s", type=float, default=60, help="0 = no faults")
    parser.add_argument("--disk-gib", type=float, default=4, help="of the disk that can be filled")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    plan = Plan(
        seconds=given.seconds,
        events_per_s=given.load,
        fault_every_s=given.fault_every_s,
        disk_bytes=round(given.disk_gib * (1 << 30)),
        seed=given.seed,
    )
    found = soak(plan)
    print(json.dumps(found))
    exact = found["verdicts_same"] and found["conservation_error"] == 0
    return 0 if exact and not found["unplanned_ends"] else 1


if __name__ == "__main__":
    sys.exit(main())
