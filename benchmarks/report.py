"""The page of measured speed, from the history: `python -m benchmarks.report > docs/reference/speed.md`.

Each figure is the newest one measured, with its commit, so that a page can be made from partial runs.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HISTORY: Final = Path(__file__).parent / "history.ndjson"

_HEAD: Final = """# Speed and memory

Measured by `make bench`, which anyone can repeat: {cores} cores, Python {python}, everything on one machine,
the load generator included. Goals that are not reached are listed all the same.

| figure | what it says | goal | measured | | commit |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """`at_least` False: the figure must not be above `value`. A name as `value` is another figure."""

    figure: str
    meaning: str
    value: float | str
    at_least: bool


GOALS: Final = (
    Goal(
        "ingest_events_per_s",
        "HTTP → validated → synced → scored → lake → episodes; 10,000 devices × 3 parameters",
        "polars_parse_events_per_s",
        at_least=True,
    ),
    Goal(
        "ingest_over_river",
        "readings/s of that path over river's on one core, without I/O",
        30,
        at_least=True,
    ),
    Goal("detector_readings_per_s_per_core", "seasonal alone, in memory, warm", 50_000_000, at_least=True),
    Goal(
        "detector_readings_per_s_per_core_random_order",
        "the same in random order over a million series",
        10_000_000,
        at_least=True,
    ),
    Goal(
        "visible_p99_ms", "request accepted → episode in the API, at 100,000 readings/s", 250, at_least=False
    ),
    Goal("rss_gib_1m_series", "memory with a million series, cells warm", 4, at_least=False),
    Goal("restart_s_1m_series", "killed, started, ready, with a million series", 30, at_least=False),
    Goal(
        "recovery_s_p99",
        "killed under full load with 100,000 devices, started, ready; the slowest of ten",
        30,
        at_least=False,
    ),
    Goal("cold_start_s", "`tocsin serve` on an empty folder until ready", 5, at_least=False),
    Goal(
        "checkpoint_stall_ms_max",
        "longest pause of acknowledgements at 600,000 readings/s offered",
        100,
        at_least=False,
    ),
    Goal("rss_slope_mib_per_hour", "growth of memory in the same run, after warm-up", 5, at_least=False),
    Goal("archive_mib_per_s_per_core", "ZIP (deflate) → lines, unpacked size", 200, at_least=True),
    Goal("templates_mib_per_s_per_core", "log lines → heads, shapes, templates", 150, at_least=True),
    Goal("templates_over_drain3", "the same over drain3 on the same lines", 10, at_least=True),
    Goal(
        "dump_mib_per_s_per_core",
        "ZIP, unpacked size → committed findings of `logs`, server and worker together",
        50,
        at_least=True,
    ),
    Goal(
        "upload_over_dd",
        "a dump of 128 MiB over loopback, hashed, proved and synced, against `dd` with fsync and `sha256sum`",
        0.5,
        at_least=True,
    ),
    Goal(
        "custom_overhead_us",
        "a task to a worker and its result back, around another team's detector that does nothing",
        1000,
        at_least=False,
    ),
    Goal(
        "dump_to_finding_s_p99",
        "first byte of a dump of 1 MiB → its finding in the API, at half load",
        10,
        at_least=False,
    ),
    Goal(
        "big_dump_delay_ms_p99",
        "delay of other devices' findings while a dump of 1 GiB unpacked is in its step",
        1000,
        at_least=False,
    ),
    Goal(
        "technician_list_p99_ms",
        "a technician's unresolved anomalies; 100,000 devices, 2,000 technicians, 10,000,000 anomalies, "
        "open loop at 200 requests/s, directory down",
        10,
        at_least=False,
    ),
    Goal("rss_mib", "memory above idle meanwhile, workers included", 512, at_least=False),
    Goal(
        "directory_requests_per_device_day",
        "requests to the directory; 50 devices a technician, 3 % of them move each day, simulated time",
        2,
        at_least=False,
    ),
    Goal(
        "directory_move_visible_s_max", "a device has moved → Tocsin says so, meanwhile", 900, at_least=False
    ),
    Goal(
        "directory_down_detections_delayed",
        "episodes that come to their technician's list later, or not at all, on a day without the directory",
        0,
        at_least=False,
    ),
    Goal(
        "directory_down_lists_refused",
        "lists refused or without the age of the mapping on such a day",
        0,
        at_least=False,
    ),
    Goal(
        "action_visible_s_p99",
        "somebody acts on an anomaly → another person's open page of it shows that, at 10,000 readings/s",
        1,
        at_least=False,
    ),
)


GOAL_FIGURES: Final = tuple(
    dict.fromkeys(name for goal in GOALS for name in (goal.figure, goal.value) if isinstance(name, str))
)
"""Every figure that a whole run must give."""


def newest(lines: list[dict[str, object]]) -> dict[str, tuple[float, str]]:
    """The last value of each figure and the commit it was measured at."""
    found: dict[str, tuple[float, str]] = {}
    for line in lines:
        figures = line["figures"]
        assert isinstance(figures, dict)
        found |= {name: (float(value), str(line["commit"])) for name, value in figures.items()}
    return found


def row(goal: Goal, found: dict[str, tuple[float, str]]) -> str:
    """One row of the table."""
    sign = "≥" if goal.at_least else "≤"
    limit = found[goal.value][0] if isinstance(goal.value, str) and goal.value in found else goal.value
    aim = f"{sign} {_number(limit)}"
    if isinstance(goal.value, str):
        aim += f" (`{goal.value}`)"
    if goal.figure not in found or isinstance(limit, str):
        return f"| `{goal.figure}` | {goal.meaning} | {aim} | not measured | | |"
    value, commit = found[goal.figure]
    met = value >= limit if goal.at_least else value <= limit
    state = "reached" if met else "**not reached**"
    return f"| `{goal.figure}` | {goal.meaning} | {aim} | {_number(value)} | {state} | `{commit}` |"


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return ""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:g}"


def main() -> None:
    """Print the page."""
    lines = [json.loads(line) for line in HISTORY.read_text().splitlines()]
    found = newest(lines)
    head = _HEAD.format(cores=lines[-1]["cores"], python=lines[-1]["python"])
    sys.stdout.write(head + "\n".join(row(goal, found) for goal in GOALS) + "\n")


if __name__ == "__main__":
    main()
