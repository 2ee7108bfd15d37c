"""`python -m proof.compare FILE`: a backtest of a file beside the model; says where they differ."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from proof.compare.backtests import Way, compare_file
from tocsin.control import Settings
from tocsin.files import EventFile, Mapping, open_events


def main() -> int:
    """Exit status 0 when nothing differs, 1 when something does. The last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m proof.compare", description=__doc__)
    parser.add_argument("file", type=Path, help="Parquet, CSV or NDJSON, as for tocsin backtest")
    parser.add_argument("--device-column")
    parser.add_argument("--time-column")
    parser.add_argument("--arrival-column")
    parser.add_argument("--parameters", help="columns to read, with commas between")
    parser.add_argument("--timezone", default="UTC")
    parser.add_argument("--batch-rows", type=int, default=50_000)
    parser.add_argument("--partitions", type=int, default=1)
    asked = parser.parse_args()
    mapping = Mapping(
        device_column=asked.device_column,
        time_column=asked.time_column,
        arrival_column=asked.arrival_column,
        parameters=tuple(asked.parameters.split(",")) if asked.parameters else None,
    )

    def opening() -> EventFile:
        return open_events(asked.file, mapping)

    way = Way(batch_rows=asked.batch_rows, partitions=asked.partitions)
    found, model = compare_file(opening, Settings(timezone=asked.timezone), way)
    sys.stdout.writelines(f"{line}\n" for line in found)
    sizes = {"readings": len(model.readings), "verdicts": len(model.final), "episodes": len(model.episodes)}
    sys.stdout.write(json.dumps({"differences": len(found), **sizes, "digests": model.digests}) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
