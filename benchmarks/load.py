"""A load generator: makes bodies beforehand, then sends them over a few connections.

Runs as a process of its own (`python -m benchmarks.load …`), so that it shares no interpreter with what it
measures. It prints `ready` once its bodies are made, waits for a line on stdin, sends, and prints a JSON
object: requests, seconds, refusals, and the longest answer. Sockets and ready-made bytes instead of an HTTP
client, because a client would take more of the two cores than the server.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

PARAMETERS = ("temperature", "humidity", "pressure")
_MEANS = np.array([20.0, 50.0, 1013.0])


_STAMP = b"YYYY-MM-DDThh:mm:ss.mmmZ"


@dataclass(frozen=True, slots=True)
class Workload:
    """Rounds of one event of each device, `step_s` apart from `start_ms` on, in bodies of `body_events`.

    Values repeat after `distinct` rounds, so that long runs need little memory; stamps never do.
    """

    devices: int
    body_events: int
    rounds: int
    start_ms: int
    step_s: int = 60
    distinct: int = 20
    prefix: str = "device"
    parameters: int = len(PARAMETERS)

    @property
    def parts(self) -> int:
        """Bodies in a round; the last one may be shorter."""
        return -(-self.devices // self.body_events)

    @property
    def bodies(self) -> int:
        return self.rounds * self.parts

    def templates(self) -> list[bytes]:
        """The bodies of the distinct rounds, their stamps left open."""
        return [
            self._template(round_, part)
            for round_ in range(min(self.distinct, self.rounds))
            for part in range(self.parts)
        ]

    def body(self, number: int, templates: list[bytes]) -> bytes:
        """Body `number` as NDJSON; the same number always gives the same bytes."""
        ms = self.start_ms + number // self.parts * self.step_s * 1000
        stamp = f"{np.datetime_as_string(np.datetime64(ms, 'ms'))}Z".encode()
        return templates[number % len(templates)].replace(_STAMP, stamp)

    def _template(self, round_: int, part: int) -> bytes:
        first = part * self.body_events
        devices = range(first, min(first + self.body_events, self.devices))
        names = [*PARAMETERS, *(f"parameter_{n}" for n in range(self.parameters))][: self.parameters]
        means = np.resize(_MEANS, self.parameters)
        noise = np.random.default_rng((round_, part)).normal(size=(len(devices), self.parameters))
        form = ",".join(f'"{name}":%.2f' for name in names)
        head, stamp = f'{{"device":"{self.prefix}', _STAMP.decode()
        return "".join(
            f'{head}-{device:06}","ts":"{stamp}",{form % tuple(row)}}}\n'
            for device, row in zip(devices, (means + noise).tolist(), strict=True)
        ).encode()


@dataclass(slots=True)
class Sent:
    """What came of sending; times in seconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, started_s: float) -> None:
        ended_s = time.monotonic()
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.latencies_s.append(ended_s - started_s)
            self.answered_s.append(ended_s)


class Connection:
    """One keep-alive connection that sends bodies to `POST /v1/events`."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "127.0.0.1", address.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /v1/events HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/x-ndjson\r\nContent-Length: "
        ).encode()

    def send(self, body: bytes) -> int:
        """Send one body, read the whole answer; the HTTP status."""
        self._socket.sendall(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(rest) < length:
            rest += self._receive()
        return int(head[9:12])

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def send_all(
    bodies: int,
    body: Callable[[int], bytes],
    connections: list[Connection],
    bodies_per_s: float | None = None,
    seconds_max: float = math.inf,
) -> Sent:
    """Send every body once, in order of their being taken; retry refusals (429, 503) after a moment.

    No body is begun after `seconds_max`: what a server could not take by then is left out.

    With a rate, body i is due at i / rate: latencies then count from when it was due, so that a stalled
    server is charged for what it kept waiting.
    """
    sent, numbers, lock, start_s = Sent(), iter(range(bodies)), threading.Lock(), time.monotonic()

    def work(connection: Connection) -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or time.monotonic() - start_s > seconds_max:
                return
            ready = body(number)
            due_s = time.monotonic()
            if bodies_per_s:
                due_s = start_s + number / bodies_per_s
                time.sleep(max(0.0, due_s - time.monotonic()))
            while (status := connection.send(ready)) in {429, 503}:
                sent.add(status, due_s)
                time.sleep(0.01)
            sent.add(status, due_s)

    threads = [threading.Thread(target=work, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def summarise(sent: Sent, seconds: float) -> dict[str, float | dict[int, int]]:
    """The figures of a run."""
    answered = np.sort(sent.answered_s)
    return {
        "seconds": seconds,
        "statuses": sent.statuses,
        "latency_ms_p50": float(np.percentile(sent.latencies_s, 50)) * 1000,
        "latency_ms_p99": float(np.percentile(sent.latencies_s, 99)) * 1000,
        "latency_ms_max": max(sent.latencies_s) * 1000,
        "pause_ms_max": float(np.diff(answered).max()) * 1000 if len(answered) > 1 else 0.0,
    }


def parse_arguments() -> argparse.Namespace:
    """What to send, and where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, required=True, help="events of each device")
    parser.add_argument("--distinct", type=int, default=20, help="rounds after which values repeat")
    parser.add_argument("--body-events", type=int, default=5_000)
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--step-s", type=int, default=60)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--bodies-per-s", type=float, help="offer so many; default: as fast as it goes")
    parser.add_argument("--seconds-max", type=float, default=math.inf, help="give up the rest after so long")
    parser.add_argument("--prefix", default="device")
    parser.add_argument("--parameters", type=int, default=len(PARAMETERS))
    parser.add_argument("--lazy", action="store_true", help="stamp bodies as they are sent, to save memory")
    return parser.parse_args()


def main() -> int:
    """Make the bodies, say so, wait for the word, send."""
    chosen = parse_arguments()
    work = Workload(
        devices=chosen.devices,
        body_events=chosen.body_events,
        rounds=chosen.rounds,
        start_ms=chosen.start_ms,
        step_s=chosen.step_s,
        distinct=chosen.distinct,
        prefix=chosen.prefix,
        parameters=chosen.parameters,
    )
    templates = work.templates()
    made = [] if chosen.lazy else [work.body(number, templates) for number in range(work.bodies)]
    print("ready", flush=True)
    sys.stdin.readline()
    # not before: a server closes connections that stay silent
    connections = [Connection(chosen.url, os.environ["TOCSIN_TOKEN"]) for _ in range(chosen.connections)]
    body = made.__getitem__ if made else lambda number: work.body(number, templates)
    started_s = time.monotonic()
    sent = send_all(work.bodies, body, connections, chosen.bodies_per_s, chosen.seconds_max)
    print(json.dumps(summarise(sent, time.monotonic() - started_s)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
