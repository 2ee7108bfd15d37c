"""Runs the throughput benchmarks, each as a process of its own, and prints their figures as one JSON object.

A benchmark is a module of benchmarks/throughput that prints its figures as a JSON object on its last line
and everything else before it or on stderr. Figures are also appended, with the commit, to
benchmarks/history.ndjson, so that a loss of speed can be traced to the change that caused it. A benchmark
that fails, takes too long or gives no number has no figures; then, and when a figure that has a goal is
missing, the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.ingesting import READINGS_PER_EVENT
from benchmarks.report import GOAL_FIGURES

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
TIMEOUT_S = 480
LONG_TIMEOUT_S = 1800
COMPANIONS = {"ingest": ("ingest", "river"), "logs": ("logs", "log_detector")}
"""What runs with a benchmark: one of its figures compares the two in one run, or both are about logs."""


def names() -> list[str]:
    """Every benchmark, in alphabetical order."""
    return sorted(path.stem for path in (FOLDER / "throughput").glob("[a-z]*.py"))


def run_one(name: str, *, long: bool) -> dict[str, float] | None:
    """Run one benchmark; its figures, or None if it failed or took too long."""
    environment = os.environ | {"LONG": "1" if long else ""}
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.throughput.{name}"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=LONG_TIMEOUT_S if long else TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        print(f"{name}: failed: {error}", file=sys.stderr)
        return None
    finally:
        end_group(process)
    if process.returncode:
        print(f"{name}: failed: it ended with {process.returncode}", file=sys.stderr)
        return None
    try:
        return numbers(json.loads(out.strip().splitlines()[-1]))
    except (ValueError, IndexError) as error:
        print(f"{name}: failed: its last line is no object of numbers: {error}", file=sys.stderr)
        return None


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill what a benchmark has started and left behind: a server would take from the next one's figures."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def numbers(found: object) -> dict[str, float]:
    """The figures a benchmark printed; ValueError unless all are finite numbers."""
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{found!r}")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}")
    return found


def compared(figures: dict[str, float]) -> dict[str, float]:
    """Figures that compare two benchmarks of this run."""
    if not {"ingest_events_per_s", "river_readings_per_s"} <= figures.keys():
        return {}
    ratio = figures["ingest_events_per_s"] * READINGS_PER_EVENT / figures["river_readings_per_s"]
    return {"ingest_over_river": round(ratio, 1)}


def commit() -> str:
    """The commit measured, with a plus sign if the tree has changes beside the history of figures."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", ":!benchmarks/history.ndjson")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def record(figures: dict[str, float]) -> None:
    """Append the figures to the history."""
    line = {
        "commit": commit(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "figures": figures,
    }
    with (FOLDER / "history.ndjson").open("a") as history:
        history.write(json.dumps(line) + "\n")


def main() -> int:
    """Run what was asked for; 1 if any benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=names(), help="run this one alone")
    parser.add_argument("--long", action="store_true", help="longer runs, for figures about hours")
    arguments = parser.parse_args()
    chosen = COMPANIONS.get(arguments.only, (arguments.only,)) if arguments.only else names()
    figures: dict[str, float] = {}
    failed = []
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name}", file=sys.stderr, flush=True)
        started_s = time.monotonic()
        found = run_one(name, long=arguments.long)
        if found is None:
            failed.append(name)
            continue
        figures |= found
        print(f"    {time.monotonic() - started_s:.0f} s: {json.dumps(found)}", file=sys.stderr, flush=True)
    figures |= compared(figures)
    if figures:
        record(figures)
    missing = [] if arguments.only else [name for name in GOAL_FIGURES if name not in figures]
    for word, which in (("failed", failed), ("missing", missing)):
        if which:
            print(f"{word}: {', '.join(which)}", file=sys.stderr)
    print(json.dumps(figures))
    return bool(failed or missing)


if __name__ == "__main__":
    sys.exit(main())
