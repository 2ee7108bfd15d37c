"""What a device whose dumps are no logs costs the others, with a real server and the detector `logs`.

The same calm devices send the same dumps at a fixed pace in every phase of one run, under other names: in
turns with nobody beside them, and beside a device that sends random bytes, a million lines of different
templates, or one line of 10 MiB, each as soon as the one before is judged. There are figures only
if what is found at the calm devices is the same in all phases, to the last digit and line, and the noisy
device has an episode that says what it sends.

`noisy_finding_ratio_p50` and `_p99` are those of the worst of the three over those of the phases before and
after it, beside nobody: from a dump's first byte until its findings are committed.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.sending_dumps import DumpSender
from benchmarks.serving import rss_bytes, serving
from benchmarks.throughput.dump_findings import packed
from tocsin.simulate.dumps.faults import DumpFaultKind, plan_dump_faults
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine, MadeDump
from tocsin.testing import Server

FLEET: Final = DumpFleet(devices=3, seed=7, scale=4.0)
START_MS: Final = 1_767_592_800_000  # Monday, 2026-01-05, 6 o'clock
HOUR_MS: Final = 3_600_000
LEARN_H: Final = 20
HOURS: Final = 30
DUMPS_PER_S: Final = 4.0
LOOK_S: Final = 0.02
WAIT_S: Final = 120.0
LINES: Final = 1_000_000
SETTINGS: Final = {
    "TOCSIN_WATCH__DUMP_DETECTORS": json.dumps({"logs": {"config": {"learn_h": LEARN_H}}}),
    "TOCSIN_DUMPS__WORKERS": "2",
}


def random_bytes() -> bytes:
    """4 MiB of them."""
    return packed({"core.bin": random.Random(1).randbytes(4 << 20)})


def different_templates() -> bytes:
    """A million lines, no two of which have a word in common but the level."""
    letters = np.frombuffer(b"abcdefghijklmnop", np.uint8)
    numbers = np.arange(LINES)[:, None]
    words = letters[(numbers >> np.arange(0, 20, 4)) & 15]
    heads = np.tile(np.frombuffer(b"2026-01-05T06:00:01Z INFO ", np.uint8), (LINES, 1))
    ends = np.tile(np.frombuffer(b" is what came now, and nothing else\n", np.uint8), (LINES, 1))
    return packed({"made/made.log": np.hstack([heads, words, ends]).tobytes()}, level=1)


def one_line() -> bytes:
    """10 MiB of hexadecimal digits without an end."""
    return packed({"trace.log": random.Random(2).randbytes(5 << 20).hex().encode()}, level=1)


NOISES: Final[Mapping[str, tuple[Callable[[], bytes], str]]] = {
    "random_bytes": (random_bytes, "no_log"),
    "different_templates": (different_templates, "no_log"),
    "one_line": (one_line, "long_line"),
}
"""What is sent, and the code of the episode that tells it apart."""


class Noisy:
    """A device that sends the same noise while it is entered, each time when the last is judged."""

    def __init__(self, server: Server, name: str, body: bytes) -> None:
        self.name, self.dumps = name, 0
        self._sender, self._body = DumpSender(server), body
        self._stop = threading.Event()
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Noisy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._errors:
            raise self._errors[0]

    def codes(self) -> set[str]:
        """Of its episodes."""
        return {each["reason"] for each in self._sender.found(self.name)}

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                begin_ms = START_MS + self.dumps * HOUR_MS
                self._sender.send(self.name, self.dumps + 1, self._body, begin_ms, begin_ms + HOUR_MS)
                self.dumps += 1
                end_s = time.monotonic() + WAIT_S
                while self._sender.judged(self.name) < self.dumps and time.monotonic() < end_s:
                    time.sleep(LOOK_S)
        except Exception as error:  # noqa: BLE001 - raised where the noise ends
            self._errors.append(error)


def calm_dumps() -> list[MadeDump]:
    """What the calm devices send, in the order of time, with faults behind the hours that are learnt."""
    begin, end = START_MS + LEARN_H * HOUR_MS, START_MS + HOURS * HOUR_MS
    faults = plan_dump_faults(FLEET, tuple(DumpFaultKind), begin, end, per_device=4.0)
    dumps = [made for n in range(FLEET.devices) for made in Machine(FLEET, n, faults).dumps(START_MS, end)]
    return sorted(dumps, key=lambda made: (made.to_ms, made.device))


@dataclass(slots=True)
class Phase:
    """Seconds from first byte to committed findings, by dump; what was found; noise that was judged."""

    took_s: list[float]
    found: list[list[dict[str, Any]]]
    noise: int = 0

    def ms(self, percent: float) -> float:
        return float(np.percentile(self.took_s, percent)) * 1000


def phase(server: Server, name: str, dumps: list[MadeDump]) -> Phase:
    """Send all calm dumps as devices of this phase, at the pace; wait for the last."""
    sender = DumpSender(server)
    sent_s: dict[tuple[str, int], float] = {}
    took_s: dict[tuple[str, int], float] = {}
    began_s = time.monotonic()
    devices = [f"{name}-{FLEET.device(n)}" for n in range(FLEET.devices)]
    waiting = iter(enumerate(dumps))
    following = next(waiting, None)
    while following is not None or len(took_s) < len(dumps):
        if following is not None and time.monotonic() >= began_s + following[0] / DUMPS_PER_S:
            made = following[1]
            sent_s[f"{name}-{made.device}", made.sequence] = time.monotonic()
            sender.send(f"{name}-{made.device}", made.sequence, made.archive, made.from_ms, made.to_ms)
            following = next(waiting, None)
        for device in devices:
            if any(key[0] == device and key not in took_s for key in sent_s):
                upto, now_s = sender.judged(device), time.monotonic()
                for key in sent_s.keys() - took_s.keys():
                    if key[0] == device and key[1] <= upto:
                        took_s[key] = now_s - sent_s[key]
        if time.monotonic() > began_s + len(dumps) / DUMPS_PER_S + WAIT_S:
            raise TimeoutError(f"{len(dumps) - len(took_s)} dumps of {name} are not judged")
        time.sleep(LOOK_S)
    return Phase(list(took_s.values()), [sender.found(device) for device in devices])


def phases(server: Server, dumps: list[MadeDump]) -> Iterator[Phase]:
    """Nobody before, between and after the noises; raises where findings differ, or one is not told apart."""
    first = phase(server, "nobody-0", dumps)
    yield first
    for number, (name, (make, code)) in enumerate(NOISES.items(), 1):
        with Noisy(server, f"noisy-{name}", make()) as noisy:
            beside = phase(server, name, dumps)
        if beside.found != first.found:
            raise RuntimeError(f"beside {name} other findings came of the calm devices")
        if code not in noisy.codes():
            raise RuntimeError(f"the device with {name} has episodes {noisy.codes()}, not {code}")
        beside.noise = noisy.dumps
        yield beside
        again = phase(server, f"nobody-{number}", dumps)
        if again.found != first.found:
            raise RuntimeError("the same dumps gave other findings later on")
        yield again


def main() -> None:
    """Print the figures."""
    dumps = calm_dumps()
    measured: list[Phase] = []
    with serving(SETTINGS) as server:
        phase(server, "warm", dumps[:12])
        for each in phases(server, dumps):
            measured.append(each)
            told = f"p50 {each.ms(50):.0f} ms, p99 {each.ms(99):.0f} ms, {each.noise} noisy dumps"
            print(told, file=sys.stderr, flush=True)
        rss_mib = rss_bytes(server.pid) / 2**20
    alone = Phase([spent_s for each in measured[::2] for spent_s in each.took_s], [])
    figures = {
        "noisy_calm_ms_p50": round(alone.ms(50), 1),
        "noisy_calm_ms_p99": round(alone.ms(99), 1),
        "noisy_calm_episodes": sum(map(len, measured[0].found)),
        "noisy_calm_dumps": len(dumps),
        "noisy_rss_mib": round(rss_mib, 1),
    }
    ratios: dict[int, list[float]] = {50: [], 99: []}
    for name, before, beside, after in zip(
        NOISES, measured[::2], measured[1::2], measured[2::2], strict=False
    ):
        around = Phase([*before.took_s, *after.took_s], [])
        for percent, found in ratios.items():
            found.append(beside.ms(percent) / around.ms(percent))
            figures[f"noisy_{name}_ms_p{percent}"] = round(beside.ms(percent), 1)
            figures[f"noisy_{name}_ratio_p{percent}"] = round(found[-1], 2)
        figures[f"noisy_{name}_dumps"] = beside.noise
    for percent, found in ratios.items():
        figures[f"noisy_finding_ratio_p{percent}"] = round(max(found), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
