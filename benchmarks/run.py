"""Runs the throughput benchmarks, each as a process of its own, and prints their figures as one JSON object.

A benchmark is a module of benchmarks/throughput that prints its figures as a JSON object on its last line
and everything else before it or on stderr. Figures are also appended, with the commit, to
benchmarks/history.ndjson, so that a loss of speed can be traced to the change that caused it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
TIMEOUT_S = 300
LONG_TIMEOUT_S = 1800


def names() -> list[str]:
    """Every benchmark, in alphabetical order."""
    return sorted(path.stem for path in (FOLDER / "throughput").glob("[a-z]*.py"))


def run_one(name: str, *, long: bool) -> dict[str, float] | None:
    """Run one benchmark; its figures, or None if it failed or took too long."""
    environment = os.environ | {"LONG": "1" if long else ""}
    command = [sys.executable, "-m", f"benchmarks.throughput.{name}"]
    timeout_s = LONG_TIMEOUT_S if long else TIMEOUT_S
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{name}: failed: {error}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


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
    chosen = [arguments.only] if arguments.only else names()
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
    record(figures)
    print(json.dumps(figures))
    if failed:
        print("failed: " + ", ".join(failed), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
