"""Many seeds in one process, and what came of them all."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from proof.simulation.generating import plan_of
from proof.simulation.run import Outcome, run_plan


@dataclass(slots=True)
class Tally:
    """Sums over seeds."""

    seeds: int = 0
    failures: list[int] = field(default_factory=list)
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    seeds_with: Counter[str] = field(default_factory=Counter)
    episodes: int = 0
    silences: int = 0
    readings: int = 0
    dumps: int = 0
    actions: int = 0
    limits_moved: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.faults.update(outcome.faults)
        self.seeds_with.update(outcome.faults.keys())
        self.episodes += outcome.seen.episodes
        self.silences += outcome.seen.silences
        self.readings += outcome.seen.readings
        self.dumps += outcome.seen.dumps
        self.actions += outcome.seen.actions
        self.limits_moved += outcome.seen.limits_moved
        if outcome.findings:
            self.failures.append(outcome.seed)

    def report(self) -> dict[str, Any]:
        """The figures of the campaign."""
        return {
            "seeds": self.seeds,
            "seed_failures": len(self.failures),
            "first_failing_seed": self.failures[0] if self.failures else None,
            "simulated_hours_per_s": round(self.simulated_s / 3600 / max(self.cpu_s, 1e-9), 2),
            "cpu_s_per_seed": round(self.cpu_s / max(self.seeds, 1), 3),
            "simulated_hours": round(self.simulated_s / 3600, 1),
            "readings": self.readings,
            "episodes": self.episodes,
            "log_silences": self.silences,
            "dumps_judged": self.dumps,
            "actions": self.actions,
            "limits_moved": self.limits_moved,
            "faults": dict(sorted(self.faults.items())),
            "conservation_error": 0 if not self.failures else None,
        }


def campaign(
    seeds: Iterable[int], *, seconds: float | None, history: str | None, to_the_end: bool = True
) -> int:
    """Run them; a line for each failure, how often each fault fired, and JSON as the last line.

    `to_the_end` False stops at the first failure.
    """
    tally = Tally()
    run_plan(plan_of(0))  # compiles and imports what is still missing; not counted
    started_s, cpu_s = time.monotonic(), time.process_time()
    for seed in seeds:
        if seconds is not None and time.monotonic() - started_s > seconds:
            break
        outcome = run_plan(plan_of(seed))
        tally.add(outcome)
        tally.cpu_s = time.process_time() - cpu_s
        if outcome.findings:
            sys.stdout.write(f"{outcome.verdict()}\n")
            sys.stdout.flush()
            if not to_the_end:
                break
    for kind, count in sorted(tally.faults.items()):
        sys.stdout.write(f"{kind:32} {count:8} times, in {tally.seeds_with[kind]} of {tally.seeds} seeds\n")
    report = tally.report()
    if history is not None:
        _remember(Path(history), report)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 1 if tally.failures else 0


def _remember(path: Path, report: dict[str, Any]) -> None:
    commit = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    )
    line = {
        "what": "simulation",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
    }
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line | report) + b"\n")
