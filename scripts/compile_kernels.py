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
from typing import Final

from kernel_cache import SOURCES, begin_anew

from tocsin.processing.rehearsal import rehearse
from tocsin.testing import COMMAND, Server

SETTINGS: Final = {
    "TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1",
    "TOCSIN_WATCH__DUMP_DETECTORS": '{"logs": {}}',
}
A_WORKING_HOUR: Final = ("--devices", "1", "--hours", "1", "--start", "2026-01-05T08:00:00Z")
LINES: Final = (
    '{"device":"a","component":"door","time":"2026-01-05T08:00:00Z","level":"INFO","text":"closed"}\n'
    '{"device":"a","component":"door","time":"2026-01-05T08:00:01Z","text":"opened","floor":2}\n'
)
"""One as most are, and one with a field that only the careful reader takes."""
WAIT_S: Final = 600.0


def step(number: int, what: str) -> None:
    """Say what is being done."""
    print(f"  [{number}/5] {what}", flush=True)


def run(*arguments: str | Path) -> None:
    """A command, quietly; its own error if it fails."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"tocsin {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def wait_for_judged_lines(server: Server) -> None:
    """Until lines that were sent one by one have been cut into a dump, and a detector was shown it."""
    end_s = time.monotonic() + WAIT_S
    while not server.digest()["counts"].get("dumps_ready"):
        if time.monotonic() > end_s:
            sys.exit(f"no log lines were judged after {WAIT_S:.0f} s")
        time.sleep(0.2)


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
        step(3, "templates of logs")
        run("templates", file, "--dictionary")
        step(4, "findings in logs")
        run("simulate", "dumps", "--devices", "1", "--hours", "12", "--out", folder / "dumps")
        run("detector", "run", "logs", folder / "dumps", "--out", folder / "findings.ndjson")
        step(5, "ingest, log, lake")
        with Server(folder / "data", SETTINGS) as server:
            server.run("ingest", file, "--connections", "2")
            server.run("simulate", "logs", "--url", server.url, *A_WORKING_HOUR)
            lines = folder / "lines.ndjson"
            lines.write_text(LINES)
            server.run("ingest", lines, "--logs")
            wait_for_judged_lines(server)
    print(f"  compiled in {time.monotonic() - started_s:.0f} s")


if __name__ == "__main__":
    main()
