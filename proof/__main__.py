"""`python -m proof --seconds N`: a share of every proof; the last line is one JSON object.

Runs the simulation, power cuts, fuzzers, neighbours and the torture test one after another, each in a
process of its own, for its share of the time. Each adds a line to proof/history.ndjson with `--history`.
The exit code is 0 only if none of them found anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proof.figures import remember


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A command that takes `share` of the time where it says `{seconds}`, and figures of its last line."""

    what: str
    share: float
    command: Sequence[str]
    figures: Sequence[str]


PARTS: Final = (
    Part(
        what="simulation",
        share=0.3,
        command=("-m", "proof.simulation", "--seeds", "{first}:{end}", "--seconds", "{seconds}"),
        figures=("seeds", "seed_failures", "first_failing_seed", "simulated_hours_per_s"),
    ),
    Part(
        what="power",
        share=0.25,
        command=("-m", "proof.power", "--seconds", "{seconds}"),
        figures=("power_loss_states", "power_loss_lost", "power_loss_duplicated", "power_loss_corrupt"),
    ),
    Part(
        what="kills",
        share=0.15,
        command=("-m", "proof.kills", "--seconds", "{seconds}"),
        figures=("kill_points", "kill_failures", "disk_faults"),
    ),
    Part(
        what="corruption",
        share=0.05,
        command=("-m", "proof.corruption", "--seconds", "{seconds}"),
        figures=("corruption_flips", "corruption_failures"),
    ),
    Part(
        what="fuzz",
        share=0.15,
        command=("-m", "proof.fuzz", "--seconds", "{seconds}", "--coverage"),
        figures=("fuzz_executions", "fuzz_failures", "parser_branch_coverage"),
    ),
    Part(
        what="api",
        share=0.1,
        command=("-m", "tests.fuzz.api", "--seconds", "{seconds}"),
        figures=("alive",),
    ),
    Part(
        what="neighbours",
        share=0.1,
        command=("-m", "proof.neighbours", "--seconds", "{seconds}", "--devices", "1000"),
        figures=("neighbour_p99_ratio", "noise_p99_ratio", "verdicts_same", "conservation_error"),
    ),
    Part(
        what="torture",
        share=0.0,
        command=("scripts/torture.py", "--kills", "20"),
        figures=("kills", "same_digest_raw", "same_digest_final", "conserved"),
    ),
)
SEEDS_MAX: Final = 1_000_000


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all together, torture apart")
    parser.add_argument("--first-seed", type=int, default=0, help="where the simulation begins")
    parser.add_argument("--history", action="store_true", help="add lines to proof/history.ndjson")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    failed = []
    for part in PARTS:
        code, found = _run(part, given.seconds, given.first_seed)
        chosen = {name: found[name] for name in part.figures if name in found}
        figures |= chosen
        if code:
            failed.append(part.what)
        if given.history:
            remember(part.what, chosen)
    print(json.dumps(figures | {"failed": failed}))
    return int(bool(failed))


def _run(part: Part, seconds: int, first_seed: int) -> tuple[int, dict[str, Any]]:
    """The exit code of a part and its last line; what it prints meanwhile goes to standard error."""
    share_s = max(1, round(seconds * part.share))
    words = {"seconds": share_s, "first": first_seed, "end": first_seed + SEEDS_MAX}
    command = [sys.executable, *(word.format(**words) for word in part.command)]
    print(f"== {part.what}: {' '.join(command[1:])}", file=sys.stderr, flush=True)
    began_s = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout or ():
            print(line, end="", file=sys.stderr, flush=True)
            last = line if line.startswith("{") else last
    took_s = time.monotonic() - began_s
    print(f"== {part.what}: exit {process.returncode} after {took_s:.0f} s", file=sys.stderr, flush=True)
    found: dict[str, Any] = json.loads(last) if last else {}
    return process.returncode, found


if __name__ == "__main__":
    sys.exit(main())
