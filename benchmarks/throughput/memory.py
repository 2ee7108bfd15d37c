"""Memory and restart with a million series whose hour-of-week cells are in memory.

The cells of a series lie together in less than a page, so a day of visits touches as much memory as a week,
and checkpoints hold every cell, visited or not. LONG=1 visits all 168.
"""

from __future__ import annotations

import json
import os
import time

from benchmarks.serving import Load, rss_bytes, serving, start_of, wait_until_done

SERIES = 1_000_000
PARAMETERS = 10
DEVICES = SERIES // PARAMETERS
HOURS = (24 * 7 if os.environ.get("LONG") else 24) + 1  # the first reading of another hour closes a cell
HOUR_S = 3600
SETTLE_S = 15  # for the last round of checkpoints


def main() -> None:
    """One reading an hour of each series; then kill, start, wait."""
    options = {"rounds": HOURS, "devices": DEVICES, "parameters": PARAMETERS, "step_s": HOUR_S, "distinct": 5}
    with serving() as server:
        with Load(server, lazy=True, start_ms=start_of(HOURS, HOUR_S), **options) as load:
            sent = load.send_all()
        wait_until_done(server, timeout_s=600)
        time.sleep(SETTLE_S)
        before = rss_bytes(server.pid)
        server.kill()
        restart_s = server.start()
        after = rss_bytes(server.pid)
    figures = {
        "rss_gib_1m_series": round(max(before, after) / 2**30, 2),
        "rss_gib_1m_series_restarted": round(after / 2**30, 2),
        "restart_s_1m_series": round(restart_s, 1),
        "fill_readings_per_s": round(HOURS * SERIES / sent["seconds"]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
