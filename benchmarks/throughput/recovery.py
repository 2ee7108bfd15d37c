"""How long a server with 100,000 devices takes until it is ready again after `kill -9` under full load.

Killed at a random moment, with requests under way, so that log, checkpoints, commits and lake are caught
half-way. The percentile is by nearest rank: of ten kills (thirty with LONG=1) it is the slowest start.
`recovery_caught_up_s_max` also waits until everything acknowledged is judged.
"""

from __future__ import annotations

import json
import os
import random
import time

from benchmarks.serving import STEP_S, Load, serving, start_of, wait_until_done

DEVICES = 100_000
KILLS = 30 if os.environ.get("LONG") else 10
ROUNDS = 12  # more than a server takes before it is killed
KILL_AFTER_S = (1.0, 5.0)
SEED = 1


def main() -> None:
    """Warm up with all devices, then kill and start again and again."""
    rng = random.Random(SEED)
    begin_ms = start_of((KILLS + 1) * ROUNDS)
    ready_s, caught_up_s = [], []
    with serving() as server:
        for kill in range(KILLS + 1):
            start_ms = begin_ms + kill * ROUNDS * STEP_S * 1000
            with Load(server, lazy=True, start_ms=start_ms, rounds=ROUNDS, devices=DEVICES) as load:
                if kill == 0:
                    load.send_all()
                    wait_until_done(server, lake=False)
                    continue
                load.send()
                time.sleep(rng.uniform(*KILL_AFTER_S))
            server.kill()  # the requests of a moment ago are still under way
            ready_s.append(server.start())
            began_s = time.monotonic()
            wait_until_done(server, lake=False)
            caught_up_s.append(ready_s[-1] + time.monotonic() - began_s)
    figures = {
        "recovery_s_p99": round(max(ready_s), 2),
        "recovery_s_p50": round(sorted(ready_s)[len(ready_s) // 2], 2),
        "recovery_caught_up_s_max": round(max(caught_up_s), 2),
        "recovery_kills": KILLS,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
