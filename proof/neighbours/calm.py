"""The calm group: devices that send a little at a fixed pace, whatever the server does, and note answers."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proof.laws import Heard
from proof.neighbours.phases import Answered
from proof.subject.client import Client, GivenUpError
from proof.subject.traffic import Body
from tocsin.testing import COMMAND

STATIONS: Final = 40
GATEWAYS: Final = 8
BODY_EVENTS: Final = 4
_INTERVAL_S: Final = 1_800
_START: Final = "2016-01-01T00:00:00Z"  # long ago, so that no stamp of a long run lies ahead
_SAMPLES_KEPT: Final = 2_000_000


def make_bodies(folder: Path, count: int, seed: int) -> list[list[Body]]:
    """At least `count` bodies of a fleet with late, repeated and faulty data, by gateway and in its order."""
    file = folder / "fleet.ndjson"
    days = math.ceil(count * BODY_EVENTS * _INTERVAL_S / STATIONS / 86_400) + 8
    fleet = [
        "--stations",
        str(STATIONS),
        "--interval-s",
        str(_INTERVAL_S),
        "--days",
        str(days),
        "--start",
        _START,
    ]
    command = [str(COMMAND), "simulate", *fleet, "--faults", "all", "--seed", str(seed), "--out", str(file)]
    command += ["--fault-free-days", "1", "--faults-per-month", "30"]  # soon and many: runs may be short
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    by_device: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        by_device.setdefault(json.loads(line)["device"], []).append(line)
    devices = sorted(by_device)
    return [_interleaved(devices[number::GATEWAYS], by_device) for number in range(GATEWAYS)]


def _interleaved(devices: Sequence[str], lines: dict[str, list[str]]) -> list[Body]:
    """A body of each device in turn."""
    bodies = []
    for first in range(0, max(len(lines[device]) for device in devices), BODY_EVENTS):
        parts = {device: lines[device][first : first + BODY_EVENTS] for device in devices}
        bodies += [
            Body(device, str(first), ("\n".join(part) + "\n").encode())
            for device, part in parts.items()
            if part
        ]
    return bodies


@dataclass(slots=True)
class _Gateway:
    """One connection, its bodies, and what came of them."""

    client: Client
    bodies: list[Body]
    sent: int = 0
    accepted: int = 0
    answered: list[Answered] = field(default_factory=list)

    def send(self) -> None:
        """The next body, tried until it has its answer; GivenUpError if there is none left."""
        if self.sent == len(self.bodies):
            raise GivenUpError("the calm group has nothing left to send")
        answer = self.client.deliver(self.bodies[self.sent])
        self.sent += 1
        self.accepted += json.loads(answer)["accepted"]


class CalmGroup:
    """Sends `bodies_per_s` in all, until told to stop; what is late is sent at once and charged its wait.

    Only body n of a device follows its body n − 1, so the order of its records is that of its bodies.
    """

    def __init__(
        self, url: str, tokens: Sequence[str], bodies: Sequence[list[Body]], bodies_per_s: float
    ) -> None:
        self._gateways = [
            _Gateway(Client(url, lambda token=token: token, None), own)  # type: ignore[misc]
            for token, own in zip(tokens, bodies, strict=True)
        ]
        self._step_s = len(self._gateways) / bodies_per_s
        self._stop = threading.Event()
        self._errors: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._run, args=(each, number), daemon=True)
            for number, each in enumerate(self._gateways)
        ]

    def start(self) -> None:
        """Begin to send; returns when every gateway has an answer, which takes long on a cold server."""
        for thread in self._threads:
            thread.start()
        while not all(gateway.sent for gateway in self._gateways):
            self.check()
            time.sleep(0.05)

    def stop(self) -> None:
        """Send no more, wait for answers; raises what went wrong in any of them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def check(self) -> None:
        """Raise what has gone wrong so far."""
        if self._errors:
            raise self._errors[0]

    def answered(self) -> list[Answered]:
        """Every request so far, gateway by gateway."""
        return [request for gateway in self._gateways for request in list(gateway.answered)]

    def statuses(self) -> dict[str, int]:
        """Answers by status; 0 is none."""
        totals: dict[str, int] = {}
        for gateway in self._gateways:
            for status, count in list(gateway.client.statuses.items()):
                totals[str(status)] = totals.get(str(status), 0) + count
        return totals

    def heard(self) -> Heard:
        """What the group was told."""
        return Heard(sum(gateway.accepted for gateway in self._gateways))

    def write_sent(self, file: Path) -> None:
        """What was sent, as a file for a backtest."""
        with file.open("wb") as out:
            for gateway in self._gateways:
                for body in gateway.bodies[: gateway.sent]:
                    out.write(body.payload)

    def _run(self, gateway: _Gateway, number: int) -> None:
        try:
            gateway.send()
            start_s = time.monotonic() + number * self._step_s / len(self._gateways)
            while True:
                due_s = start_s + gateway.sent * self._step_s
                if self._stop.wait(max(0.0, due_s - time.monotonic())):
                    return
                gateway.send()
                if len(gateway.answered) < _SAMPLES_KEPT:
                    gateway.answered.append(Answered(due_s, time.monotonic() - due_s))
        except Exception as error:  # noqa: BLE001 - raised by stop
            self._errors.append(error)
        finally:
            gateway.client.close()
