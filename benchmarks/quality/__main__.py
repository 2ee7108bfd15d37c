"""How well seasonal, health and logs detect, with one default configuration; the last line is JSON.

    python -m benchmarks.quality [--data FOLDER]

Without a folder only simulated fleets are measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.quality import labelled, log_faults, logs, simulated
from benchmarks.quality.matching import Found


def main() -> None:
    """Measure, print tables in Markdown, then all figures."""
    parser = argparse.ArgumentParser(description="Detection on labelled data; last line is JSON.")
    parser.add_argument("--data", type=Path)
    folder: Path | None = parser.parse_args().data
    figures: dict[str, float] = _public(folder) if folder is not None else {}
    figures |= _simulated() | log_faults.log_faults()
    print(json.dumps(figures))


def _public(folder: Path) -> dict[str, float]:
    figures, windows = labelled.nab(folder)
    print(f"NAB: {figures}")
    figures |= _tell("nab", windows, None)
    for name in ("wsn_intel", "wsn_sensorscope"):
        found, months = labelled.sensor_network(folder / f"{name}.parquet")
        figures |= _tell(name, found, months)
    return figures | logs.grouping(folder / "loghub")


def _simulated() -> dict[str, float]:
    clean = {name: round(simulated.false_alarms_per_month(name), 3) for name in simulated.FLEETS}
    figures = {f"clean_{name}_false_alarms_per_device_month": rate for name, rate in clean.items()}
    print(f"\nClean fleets, false alarms per device and month: {clean}")
    months = simulated.FAULTY.stations * simulated.FAULTY_DAYS / simulated.MONTH_DAYS
    figures["clean_false_alarms_per_device_month"] = max(clean.values())
    return figures | _tell("simulated", simulated.with_faults(), months)


def _tell(name: str, found: Found, months: float | None) -> dict[str, float]:
    print(f"\n### {name}\n\n| fault | labelled | found |\n|---|---|---|")
    for kind, count in sorted(found.labelled.items()):
        print(f"| {kind} | {count} | {found.found[kind]} |")
    print(f"\nfalse alarms: {found.false_alarms}", f"in {months:.1f} months" if months else "")
    figures = {f"{name}_recall": round(found.recall, 4), f"{name}_false_alarms": found.false_alarms}
    if months:
        figures[f"{name}_false_alarms_per_month"] = round(found.false_alarms / months, 3)
    return figures


if __name__ == "__main__":
    main()
