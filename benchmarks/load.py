"""A load generator: makes bodies beforehand, then sends them over a few connections.

Runs as a process of its own (`python -m benchmarks.load …`), so that it shares no interpreter with what it
measures. It prints `ready` once its bodies are made, waits for a line on stdin, sends, and prints a JSON
object: requests, seconds, refusals, and the longest answer. Sockets and ready-made bytes instead of an HTTP
client, because a client would take more of the two cores than the server.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

PARAMETERS = ("temperature", "humidity", "pressure")
_MEANS = np.array([20.0, 50.0, 1013.0])


@dataclass(frozen=True, slots=True)
class Workload:
    """Events of `devices`, one each per `step_s`, from `start_ms` on, in bodies of `body_events`."""

    devices: int
    body_events: int
    bodies: int
    start_ms: int
    step_s: int = 60
    seed: int = 1
    prefix: str = "device"

    def body(self, number: int) -> bytes:
        """Body `number` as NDJSON; the same number always gives the same bytes."""
        first = number * self.body_events
        rows = np.arange(first, first + self.body_events)
        random = np.random.default_rng((self.seed, number))
        values = np.round(_MEANS + random.normal(size=(self.body_events, len(PARAMETERS))), 2)
        stamps = self.start_ms + rows // self.devices * self.step_s * 1000
        texts = {int(ms): np.datetime_as_string(np.datetime64(int(ms), "ms")) for ms in np.unique(stamps)}
        return b"".join(
            f'{{"device":"{self.prefix}-{row % self.devices:06}","ts":"{texts[stamp]}Z",'
            f'"temperature":{a},"humidity":{b},"pressure":{c}}}\n'.encode()
            for row, stamp, (a, b, c) in zip(rows.tolist(), stamps.tolist(), values.tolist(), strict=True)
        )


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


def send_all(bodies: list[bytes], connections: list[Connection], bodies_per_s: float | None) -> Sent:
    """Send every body once, in order of their being taken; retry refusals (429, 503) after a moment.

    With a rate, body i is due at i / rate: latencies then count from when it was due, so that a stalled
    server is charged for what it kept waiting.
    """
    sent, numbers, start_s = Sent(), iter(range(len(bodies))), time.monotonic()
    lock = threading.Lock()

    def work(connection: Connection) -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            due_s = time.monotonic()
            if bodies_per_s:
                due_s = start_s + number / bodies_per_s
                time.sleep(max(0.0, due_s - time.monotonic()))
            while (status := connection.send(bodies[number])) in {429, 503}:
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


def main() -> int:
    """Make the bodies, say so, wait for the word, send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--bodies", type=int, default=200)
    parser.add_argument("--body-events", type=int, default=5_000)
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--step-s", type=int, default=60)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--bodies-per-s", type=float)
    parser.add_argument("--prefix", default="device")
    chosen = parser.parse_args()
    work = Workload(
        chosen.devices,
        chosen.body_events,
        chosen.bodies,
        chosen.start_ms,
        chosen.step_s,
        prefix=chosen.prefix,
    )
    bodies = [work.body(number) for number in range(work.bodies)]
    connections = [Connection(chosen.url, os.environ["TOCSIN_TOKEN"]) for _ in range(chosen.connections)]
    print("ready", flush=True)
    sys.stdin.readline()
    started_s = time.monotonic()
    sent = send_all(bodies, connections, chosen.bodies_per_s)
    print(json.dumps(summarise(sent, time.monotonic() - started_s)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
