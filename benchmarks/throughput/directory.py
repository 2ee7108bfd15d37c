"""What the third party is asked, how soon a move shows, and what a day without it costs; in simulated time.

First two days with 50 devices a technician that move at moments drawn by lot: the real cache and asking, over
a third party without a socket, by the limits that are the default but for one question at a time, so that a
run depends on its seed alone. A move counts from when the third party knows it until Tocsin says it. Then a
day in which the third party answers nothing, with every list asked for each quarter of an hour. These are
10,000 devices, 100,000 with LONG. At last a day of detections with a directory and the same without, each in
an application of its own; see benchmarks/day_without_directory.py. An episode that is on its technician's
list in a later step without a directory than with one, or in none, is delayed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.day_without_directory import run_day
from tests.directory_kit import ONE_BY_ONE, SOFT_S, SimulatedWorld, simulated
from tocsin.directory.abstract import Freshness
from tocsin.simulate.directory.faults import outages

DEVICES: Final = 100_000 if os.environ.get("LONG") else 10_000
DEVICES_EACH: Final = 50
DAYS: Final = 2
DAY_S: Final = 86_400
MOVES_PER_DAY: Final = DEVICES * 0.03
GIVE_UP_S: Final = 4 * SOFT_S
DOWN_STEP_S: Final = 30.0


class Moves:
    """Those that Tocsin does not say yet, and how long the others took."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._noted = 0
        self._since_ms: dict[str, int] = {}
        self.took_ms: list[int] = []

    def note(self) -> None:
        """Take in those that have happened; of a device that moves again, the last one counts."""
        mapping = self._world.mapping
        mapping.advance(self._world.clock.now_ms())
        self._since_ms |= {device: at_ms for at_ms, device, _ in mapping.moves[self._noted :]}
        self._noted = len(mapping.moves)

    def look(self) -> bool:
        """Whether one is left."""
        now_ms, mapping = self._world.clock.now_ms(), self._world.mapping
        for device, at_ms in list(self._since_ms.items()):
            if self._world.directory.ownership(device).technician == mapping.owner(device):
                self.took_ms.append(now_ms - at_ms)
                del self._since_ms[device]
        return bool(self._since_ms)


def two_days(world: SimulatedWorld) -> dict[str, float]:
    """Requests of the day that had more, and the move that took longest."""
    moves, requests = Moves(world), []
    for _ in range(DAYS):
        before = world.requests
        for _ in world.steps(DAY_S):
            moves.note()
            moves.look()
        requests.append(world.requests - before)
    for _ in world.steps(GIVE_UP_S):
        if not moves.look():
            break
    else:
        raise TimeoutError(f"a move was not visible after {GIVE_UP_S} s")
    if not moves.took_ms:
        raise RuntimeError("no device has moved")
    print(f"{requests} requests a day, {len(moves.took_ms)} moves", file=sys.stderr)
    return {
        "directory_requests_per_device_day": round(max(requests) / DEVICES, 3),
        "directory_move_visible_s_max": round(max(moves.took_ms) / 1000, 1),
    }


def lists_refused(world: SimulatedWorld) -> int:
    """How many lists were empty, or did not say that they are stale and how old, in a day without answers."""
    begin_ms = world.clock.now_ms()
    world.service.trouble = outages([(begin_ms, begin_ms + 2 * DAY_S * 1000)])
    refused, asked, next_ms = 0, 0, begin_ms
    for _ in world.steps(DAY_S, DOWN_STEP_S):
        now_ms = world.clock.now_ms()
        if now_ms < next_ms:
            continue
        next_ms += round(SOFT_S * 1000)
        known = (
            (Freshness.STALE,) if now_ms - begin_ms > SOFT_S * 1000 else (Freshness.STALE, Freshness.FRESH)
        )
        for technician in world.mapping.technicians:
            found = world.directory.devices_of(technician)
            refused += not found.devices or found.freshness not in known or found.as_of_ms is None
            asked += 1
    if not (asked and world.directory.failing):
        raise RuntimeError("the third party was not down, or no list was asked for")
    print(f"{asked} lists of the cache while it was down", file=sys.stderr)
    return refused


def days_compared(folder: Path) -> dict[str, float]:
    """Episodes that came later without a directory, or not at all; lists that its absence refused."""
    up, down = (run_day(folder / f"down-{down}", down=down) for down in (False, True))
    if not (up.shown_ms and up.lists and down.lists):
        raise RuntimeError("nothing was compared")
    if up.refused:
        raise RuntimeError(f"{up.refused} lists were refused while the directory answered")
    delayed = [name for name, at_ms in up.shown_ms.items() if not down.shown_ms.get(name, at_ms + 1) <= at_ms]
    return {
        "directory_down_detections_compared": len(up.shown_ms),
        "directory_down_detections_delayed": len(delayed),
        "directory_down_lists_asked": down.lists,
        "directory_down_lists_refused": down.refused,
    }


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        technicians = DEVICES // DEVICES_EACH
        with simulated(
            folder, devices=DEVICES, technicians=technicians, moves_per_day=MOVES_PER_DAY, limits=ONE_BY_ONE
        ) as world:
            figures = two_days(world)
            refused = lists_refused(world)
        figures |= days_compared(folder)
    figures["directory_down_lists_refused"] += refused
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
