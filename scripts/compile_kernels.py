"""Compiles Tocsin's kernels ahead of their first use, by using them: a small backtest and a small server.

Machine code is cached beside the source. Without this the first request of each kind would wait for the
compiler, minutes in all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kernel_cache import SOURCES, begin_anew

from tocsin.processing.rehearsal import rehearse
from tocsin.testing import COMMAND, Server


def step(number: int, what: str) -> None:
    """Say what is being done."""
    print(f"  [{number}/5] {what}", flush=True)


def run(*arguments: str | Path) -> None:
    """A command, quietly; its own error if it fails."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"tocsin {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Simulate, backtest, serve."""
    started_s = time.monotonic()
    begin_anew(SOURCES)
    with tempfile.TemporaryDirectory(prefix="tocsin-compile-") as name:
        folder = Path(name)
        file = folder / "fleet.ndjson"
        step(1, "the simulator")
        span = ["--stations", "3", "--days", "3", "--fault-free-days", "1", "--interval-s", "300"]
        run("simulate", *span, "--faults", "all", "--faults-per-month", "100", "--out", file)
        run("simulate", "dumps", "--simulated", "--devices", "3", "--days", "1")
        step(2, "detection")
        rehearse()
        run("backtest", file, "--out", folder / "out")
        step(3, "ingest, log, lake")
        with Server(folder / "data", {"TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1"}) as server:
            server.run("ingest", file, "--connections", "2")
            server.digest()
        step(4, "templates of logs")
        run("templates", file, "--dictionary")
        step(5, "findings in logs")
        run("simulate", "dumps", "--devices", "1", "--hours", "12", "--out", folder / "dumps")
        run("detector", "run", "logs", folder / "dumps", "--out", folder / "findings.ndjson")
    print(f"  compiled in {time.monotonic() - started_s:.0f} s")


if __name__ == "__main__":
    main()
