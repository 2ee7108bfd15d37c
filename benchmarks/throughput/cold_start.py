"""Seconds from `tocsin serve` on an empty folder until it is ready, with compiled kernels cached."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from tocsin.testing import Server

RUNS = 5


def main() -> None:
    """Start on new folders; the first start may compile and does not count."""
    took_s = []
    for _ in range(RUNS + 1):
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            server = Server(Path(folder) / "data")
            took_s.append(server.start())
            server.stop()
    figures = {
        "cold_start_s": round(statistics.median(took_s[1:]), 2),
        "cold_start_s_max": round(max(took_s[1:]), 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
