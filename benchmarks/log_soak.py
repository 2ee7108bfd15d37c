"""Logs at a steady rate, as lines and as dumps: equal findings, and how much memory and processor it takes.

`python -m benchmarks.log_soak --mib-per-s 20 --seconds 600`. Simulated machines write some minutes, which
come again and again with their times moved on. One server takes the lines into `POST /v1/logs` for so many
seconds, then another one the same lines as dumps, cut where the first one cuts. The rate is that of the
lines themselves; a body of lines is some two times as large. Exit code 1 unless every line was accepted,
and both found the same, to the last digit and line.

`taken_mib_per_s` is what the server took until the last answer; below the rate that was asked for, it was
the most that it takes on this machine. `rss_mib_per_h` is the slope of the resident memory of server and
workers over the second half.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.sending_dumps import DumpSender
from benchmarks.serving import cpu_s, rss_bytes, serving
from tocsin.dumps.log_text import member_name
from tocsin.dumps.writing import write_archive
from tocsin.simulate.dumps.component_log import ComponentLog
from tocsin.simulate.dumps.components.controller import CONTROLLER
from tocsin.simulate.dumps.components.door import DOOR
from tocsin.simulate.dumps.components.vision import VISION
from tocsin.simulate.dumps.faults import DumpFault, DumpFaultKind
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.testing import Server

GRAMMARS: Final = (CONTROLLER, DOOR, VISION)
"""Those whose lines have UTC in them, so that their times can be moved on."""
DEVICES: Final = 4
START_MS: Final = 1_767_600_000_000  # Monday, 2026-01-05, 8 o'clock
MINUTE_MS: Final = 60_000
WINDOW_MIN: Final = 5
DISTINCT: Final = 5
SCALE: Final = 300.0
LEARN_SHARE, FAULT_FROM, FAULT_TO = 0.4, 0.6, 0.8
"""Of the time of the machines: what is learnt, and when the faults are."""
FAULTS: Final = (
    (DumpFaultKind.NEW_TEMPLATE, CONTROLLER, 30.0, 0),
    (DumpFaultKind.VANISHED_TEMPLATE, CONTROLLER, 1.0, 1),
    (DumpFaultKind.PARAMETER_DRIFT, VISION, 20.0, 0),
    (DumpFaultKind.RATE_BURST, DOOR, 40.0, 0),
)
"""Of each device one."""
SAMPLE_S: Final = 2.0
WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Minute:
    """What a machine writes in a minute whose own time is left open: as a body, and as parts of logs."""

    body: bytes
    texts: tuple[tuple[str, bytes], ...]
    lines: int
    size_bytes: int


def minute_of(device: int, number: int, fault: DumpFault | None) -> Minute:
    """The lines of the three components in the order of time."""
    begin_ms = START_MS + number * MINUTE_MS
    fleet = DumpFleet(devices=DEVICES, seed=7, scale=SCALE)
    rows: list[tuple[int, str, str]] = []
    for grammar in GRAMMARS:
        own = [fault] if fault is not None and fault.component == grammar.component else []
        written = ComponentLog(fleet, device, grammar, own).timed(begin_ms, begin_ms + MINUTE_MS, [])
        rows += [(ms, grammar.component, _opened(text, begin_ms)) for ms, text in written]
    rows.sort(key=lambda row: row[0])
    body = "".join(
        json.dumps(
            {
                "device": f"stream-{device}",
                "component": component,
                "time": f"{_DAY}T{_MINUTE}:{(ms - begin_ms) // 1000:02}.{ms % 1000:03}Z",
                "text": text,
                "application": "cells",
            },
            separators=(",", ":"),
        )
        + "\n"
        for ms, component, text in rows
    )
    texts = {
        grammar.component: "".join(f"{text}\n" for _, name, text in rows if name == grammar.component)
        for grammar in GRAMMARS
    }
    size_bytes = sum(map(len, texts.values()))
    return Minute(
        body.encode(), tuple((name, text.encode()) for name, text in texts.items()), len(rows), size_bytes
    )


_DAY, _MINUTE = "YYYY-MM-DD", "hh:mm"


def _opened(text: str, begin_ms: int) -> str:
    """The text with its day and minute left open."""
    day, minute = _words(begin_ms)
    for between in " T":
        text = text.replace(f"{day}{between}{minute}", f"{_DAY}{between}{_MINUTE}")
    return text


def _words(ms: int) -> tuple[str, str]:
    shown = str(np.datetime_as_string(np.datetime64(ms, "ms"), unit="m"))
    return shown[:10], shown[11:]


def filled(data: bytes, ms: int) -> bytes:
    """The data in the minute that begins at `ms`."""
    day, minute = _words(ms)
    for between in " T":
        data = data.replace(f"{_DAY}{between}{_MINUTE}".encode(), f"{day}{between}{minute}".encode())
    return data


@dataclass(slots=True)
class Machines:
    """`minutes` of each of the machines, of which those of the faults are apart."""

    minutes: int = 1
    usual: list[list[Minute]] = field(init=False)
    faulty: list[list[Minute]] = field(init=False)

    def __post_init__(self) -> None:
        self.usual = [[minute_of(n, k, None) for k in range(DISTINCT)] for n in range(DEVICES)]
        self.faulty = [[minute_of(n, k, _fault(n)) for k in range(DISTINCT)] for n in range(DEVICES)]

    def minute(self, device: int, number: int) -> Minute:
        bad = FAULT_FROM * self.minutes <= number < FAULT_TO * self.minutes
        return (self.faulty if bad else self.usual)[device][number % DISTINCT]


def _fault(device: int) -> DumpFault:
    kind, grammar, size, choice = FAULTS[device]
    length_ms = 10 * DISTINCT * MINUTE_MS  # a drift is near its end
    return DumpFault(
        kind=kind, device=device, component=grammar.component, size=size, choice=choice,
        from_ms=START_MS - length_ms, to_ms=START_MS + length_ms // 5,
    )  # fmt: skip


Send = Callable[[DumpSender, int, int], int]
"""Sends what a device has in a minute of its time; gives how many bytes of lines that were."""


def as_lines(machines: Machines) -> Send:
    """A body of lines each minute."""

    def send(sender: DumpSender, device: int, number: int) -> int:
        minute = machines.minute(device, number)
        body = filled(minute.body, START_MS + number * MINUTE_MS)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"{device} {number}"}
        while (answer := sender.http.post("/v1/logs", content=body, headers=headers)).status_code in {
            httpx.codes.TOO_MANY_REQUESTS,
            httpx.codes.SERVICE_UNAVAILABLE,
        }:
            time.sleep(0.05)
        if answer.raise_for_status().json()["accepted"] != minute.lines:
            raise RuntimeError(f"of {minute.lines} lines the server says {answer.text[:300]}")
        return minute.size_bytes

    return send


def as_dumps(machines: Machines) -> Send:
    """A dump each window."""

    def send(sender: DumpSender, device: int, number: int) -> int:
        if (number + 1) % WINDOW_MIN:
            return 0
        first = number + 1 - WINDOW_MIN
        texts: dict[str, list[bytes]] = {}
        size_bytes = 0
        for each in range(first, number + 1):
            minute = machines.minute(device, each)
            size_bytes += minute.size_bytes
            for component, text in minute.texts:
                texts.setdefault(component, []).append(filled(text, START_MS + each * MINUTE_MS))
        archive = write_archive(sorted((member_name(name), b"".join(text)) for name, text in texts.items()))
        begin_ms = START_MS + first * MINUTE_MS
        end_ms = begin_ms + WINDOW_MIN * MINUTE_MS
        sender.send(f"dump-{device}", number // WINDOW_MIN + 1, archive, begin_ms, end_ms)
        return size_bytes

    return send


@dataclass(frozen=True, slots=True)
class Sample:
    """Of a moment: memory and processor time of server and workers, and how much was taken."""

    at_s: float
    rss_mib: float
    cpu_s: float
    taken_mib: float


class Watch:
    """Takes samples of a server and its workers until it is left. `taken`: bytes, one place a device."""

    def __init__(self, pid: int) -> None:
        self.taken = [0] * DEVICES
        self.samples: list[Sample] = []
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        """Memory over the second half; processor time since a tenth was taken, when workers have begun."""
        half = self.samples[len(self.samples) // 2 :]
        slope = np.polyfit([each.at_s - half[0].at_s for each in half], [each.rss_mib for each in half], 1)[0]
        last = self.samples[-1]
        warm = next(each for each in self.samples if each.taken_mib >= 0.1 * last.taken_mib)
        used_s = last.cpu_s - warm.cpu_s
        return {
            "rss_mib_max": round(max(each.rss_mib for each in self.samples), 1),
            "rss_mib_half": round(half[0].rss_mib, 1),
            "rss_mib_end": round(last.rss_mib, 1),
            "rss_mib_per_h": round(float(slope) * 3600, 1),
            "cpu_ms_per_mib": round(1000 * used_s / (last.taken_mib - warm.taken_mib), 1),
            "mib_per_s_per_core": round((last.taken_mib - warm.taken_mib) / used_s, 2),
        }

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            try:
                rss_mib, used_s = rss_bytes(self._pid) / 2**20, family_cpu_s(self._pid)
            except FileNotFoundError:
                continue  # a worker has ended between being listed and being read
            self.samples.append(Sample(time.monotonic(), rss_mib, used_s, sum(self.taken) / 2**20))


def family_cpu_s(pid: int) -> float:
    """Of a process and all its descendants that live."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return cpu_s(pid) + sum(family_cpu_s(child) for child in sorted(children))


def run(machines: Machines, kind: str, send: Send, mib_per_s: float) -> tuple[dict[str, Any], list[Any]]:
    """One way on a server of its own; figures, and what was found at each device."""
    settings = {
        "TOCSIN_WATCH__DUMP_DETECTORS": json.dumps(
            {"logs": {"config": {"learn_h": round(LEARN_SHARE * machines.minutes / 60, 3)}}}
        ),
        "TOCSIN_DUMPS__WORKERS": "2",
        "TOCSIN_DUMPS__WORKERS_MIN": "2",
        "TOCSIN_LOGS__WINDOW_S": str(WINDOW_MIN * 60),
        "TOCSIN_LOGS__QUIET_S": "86400",
        "TOCSIN_LAKE__FLUSH_S": "10",
    }
    with serving(settings) as server:
        time.sleep(3)
        began_s = time.monotonic()
        with Watch(server.pid) as watch:
            _send_all(server, machines, send, mib_per_s, watch)
            sent_s = time.monotonic() - began_s
            _wait(server, machines)
            server.digest()  # what was judged last is in the inbox
            done_s = time.monotonic() - began_s
        sender = DumpSender(server)
        found = [sender.found(f"{kind}-{device}") for device in range(DEVICES)]
        size_mib = sum(watch.taken) / 2**20
        figures: dict[str, Any] = {
            "mib": round(size_mib, 1),
            "seconds": round(sent_s, 1),
            "taken_mib_per_s": round(size_mib / sent_s, 2),
            "done_s": round(done_s, 1),
            "dumps": int(server.metric("tocsin_dumps_steps_total")),
            "episodes": sum(map(len, found)),
            "codes": sorted({each["reason"] for own in found for each in own}),
        }
        return figures | watch.figures(), found


def _send_all(server: Server, machines: Machines, send: Send, mib_per_s: float, watch: Watch) -> None:
    """Every device in a thread of its own; minutes of all are due at one time, however much is in each."""
    whole_bytes = sum(
        machines.minute(n, k).size_bytes for n in range(DEVICES) for k in range(machines.minutes)
    )
    minute_s, began_s = whole_bytes / machines.minutes / (mib_per_s * 2**20), time.monotonic()

    def work(device: int) -> None:
        sender = DumpSender(server)
        for number in range(machines.minutes):
            watch.taken[device] += send(sender, device, number)
            time.sleep(max(0.0, began_s + (number + 1) * minute_s - time.monotonic()))

    with ThreadPoolExecutor(DEVICES) as pool:
        list(pool.map(work, range(DEVICES)))


def _wait(server: Server, machines: Machines) -> None:
    """Until each device's whole windows are judged; the minute behind them ends the last, and is in none."""
    windows = machines.minutes // WINDOW_MIN
    end_s = time.monotonic() + WAIT_S
    while (done := server.metric("tocsin_dumps_steps_total")) < windows * DEVICES:
        if time.monotonic() > end_s:
            raise TimeoutError(f"{done:.0f} of {windows * DEVICES} dumps are judged")
        time.sleep(0.5)


def main() -> int:
    """Run from the command line; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib-per-s", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=600.0, help="of each of the two ways")
    given = parser.parse_args()
    machines = Machines()
    per_minute = sum(machines.minute(device, 0).size_bytes for device in range(DEVICES))
    minutes = round(given.mib_per_s * 2**20 * given.seconds / per_minute)
    machines.minutes = minutes // WINDOW_MIN * WINDOW_MIN + 1
    print(f"{machines.minutes} minutes of {DEVICES} machines", file=sys.stderr, flush=True)
    lines, by_lines = run(machines, "stream", as_lines(machines), given.mib_per_s)
    print(f"lines: {lines}", file=sys.stderr, flush=True)
    dumps, by_dumps = run(machines, "dump", as_dumps(machines), given.mib_per_s)
    print(f"dumps: {dumps}", file=sys.stderr, flush=True)
    equal = by_lines == by_dumps
    for one, other in zip(chain(*by_lines), chain(*by_dumps), strict=False):
        if one != other:
            print(f"differs:\n{json.dumps(one)}\n{json.dumps(other)}", file=sys.stderr)
    print(json.dumps({"findings_equal": equal, "lines": lines, "dumps": dumps}))
    return 0 if equal and lines["episodes"] else 1


if __name__ == "__main__":
    sys.exit(main())
