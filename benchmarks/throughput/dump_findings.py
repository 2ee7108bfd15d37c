"""From a dump to what a detector finds, with a real server: how soon, and what a large dump does to others.

`dump_to_finding_s` runs from the first byte of an upload until the finding's episode can be read, for dumps
of 1 MiB that come at half the rate at which the server gets through them. `big_dump_delay_ms_p99` is how much
later than the calm median the findings of small dumps come while another device's dump, of 1 GiB unpacked, is
in its step. `rss_mib` is the most that server and workers take then, above the server before any worker
began; what processes share is counted in each. The detector reads every byte, as a stream.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import numpy as np

from benchmarks.serving import rss_bytes, serving
from benchmarks.throughput.dumps import installed
from tocsin.testing import Server

DETECTOR = """
from tocsin.dump_detectors.abstract import DumpDetector, Finding
from tocsin.model import Severity

class Detector(DumpDetector):
    name = "bytes"
    version = "1"

    def setup(self, config): ...
    def start(self, device): self.dumps = 0

    def process(self, dump):
        total = 0
        for member in dump.members():
            with member.open() as stream:
                while piece := stream.read(1 << 18):
                    total += piece.count(10)
        self.dumps += 1
        yield Finding(component="", code="lines", severity=Severity.INFO, score=1.0, key=str(dump.sequence),
            from_ms=1_700_000_000_000 + dump.sequence, to_ms=1_700_000_000_000 + dump.sequence,
            reason=f"{total} lines")

    def save(self): return str(self.dumps).encode()
    def load(self, state, version): self.dumps = int(state)
"""
DUMP_BYTES = 1 << 20
BIG_BYTES = 1 << 30
BURST = 60
PACED = 120
CALM = 60
BIG_DUMPS = 4
PAUSE_S = 0.1
LOOK_S = 0.01
SETTINGS = {
    "TOCSIN_WATCH__DUMP_DETECTORS": '{"bytes": {}}',
    "TOCSIN_DUMPS__RATIO_MAX": "100000",
    "TOCSIN_DUMPS__STEP_S": "600",
    "TOCSIN_DUMPS__WORKERS": "2",
}


def packed(members: dict[str, bytes], level: int = 6) -> bytes:
    """An archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def dumps_of(size_bytes: int, count: int) -> list[bytes]:
    """Archives of about this size, of lines that pack to a quarter; each is another."""
    rng = random.Random(1)
    line = b"2026-11-22T10:00:00.000Z INFO engine cycle done, all values within their limits "
    rows = [line + rng.randbytes(12).hex().encode() for _ in range(size_bytes // 16)]
    whole = b"\n".join(rows)
    share = len(packed({"a.log": whole})) / len(whole)
    body = whole[: int(size_bytes / share)]
    return [packed({"engine.log": b"%d\n" % number + body}) for number in range(count)]


def big_dump(number: int) -> bytes:
    """An archive that unpacks to 1 GiB, quickly made: 64 members of lines that repeat themselves."""
    line = b"2026-11-22T10:00:00.000Z INFO engine cycle done, all values within their limits\n"
    member = b"%d\n" % number + line * (BIG_BYTES // 64 // len(line))
    return packed({f"engine/{part}.log": member for part in range(64)}, level=zlib.Z_BEST_SPEED)


@dataclass
class Watched:
    """Sends dumps and sees when their episodes come, each by its device's name."""

    server: Server
    sent_s: dict[str, float] = field(default_factory=dict)
    found_s: dict[str, float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def send(self, http: httpx.Client, device: str, body: bytes, sequence: int = 1) -> None:
        """One dump; returns with its answer."""
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        self.sent_s[f"{device}/{sequence}"] = time.monotonic()
        http.put(
            f"{self.server.url}/v1/devices/{device}/dumps/{sequence}",
            content=body,
            headers={"Authorization": f"Bearer {self.server.key}", "Content-Digest": digest},
        ).raise_for_status()

    def look(self) -> None:
        """Ask for new episodes until told to stop."""
        headers = {"Authorization": f"Bearer {self.server.key}"}
        with httpx.Client(headers=headers, timeout=60) as http:
            while not self.stopping.wait(LOOK_S):
                for device in {name.partition("/")[0] for name in self.sent_s.keys() - self.found_s.keys()}:
                    url = f"{self.server.url}/v1/episodes?device={device}&limit=200"
                    answer = http.get(url).raise_for_status().json()
                    for episode in answer["episodes"]:
                        sequence = episode["explanation"].partition("(dump ")[2].rstrip(")")
                        self.found_s.setdefault(f"{device}/{sequence}", time.monotonic())

    def wait(self, timeout_s: float = 120) -> None:
        """Until everything sent was found."""
        end_s = time.monotonic() + timeout_s
        while self.sent_s.keys() - self.found_s.keys():
            if time.monotonic() > end_s:
                raise TimeoutError(f"not found: {sorted(self.sent_s.keys() - self.found_s.keys())[:5]}")
            time.sleep(LOOK_S)

    def took_s(self, prefix: str) -> list[float]:
        """Of the devices whose names begin so."""
        return [self.found_s[name] - sent for name, sent in self.sent_s.items() if name.startswith(prefix)]


def burst_per_s(watched: Watched, http: httpx.Client, bodies: list[bytes]) -> float:
    """How many dumps of 1 MiB the server gets through in a second, from upload to finding."""
    began_s = time.monotonic()
    for number, body in enumerate(bodies):
        watched.send(http, f"burst-{number % 8}", body, number // 8 + 1)
    watched.wait()
    return len(bodies) / (time.monotonic() - began_s)


def paced_s(watched: Watched, http: httpx.Client, bodies: list[bytes], per_s: float) -> list[float]:
    """How long each of many dumps takes when they come at this rate."""
    began_s = time.monotonic()
    for number in range(PACED):
        time.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
        watched.send(http, f"paced-{number % 16}", bodies[number % len(bodies)], number // 16 + 1)
    watched.wait()
    return watched.took_s("paced-")


def small_ones(watched: Watched, http: httpx.Client, prefix: str, until: Iterator[bool]) -> None:
    """Small dumps of devices of their own, ten a second, as long as `until` says."""
    body = packed({"engine.log": b"a line\n" * 100})
    for number, going_on in enumerate(until):
        if not going_on:
            return
        watched.send(http, f"{prefix}-{number}", body)
        time.sleep(PAUSE_S)


def beside_big_ones(watched: Watched, http: httpx.Client) -> float:
    """Send small dumps while large ones are in their steps; the most resident memory seen, in bytes."""
    most = 0
    for number in range(1, BIG_DUMPS + 1):
        name = f"big/{number}"
        watched.send(http, "big", big_dump(number), number)

        def stepping(name: str = name) -> Iterator[bool]:
            nonlocal most
            while name not in watched.found_s:
                most = max(most, rss_bytes(watched.server.pid))
                yield True
            yield False

        small_ones(watched, http, f"beside{number}", stepping())
    watched.wait()
    return most


def main() -> None:
    """Print the figures."""
    bodies = dumps_of(DUMP_BYTES, BURST)
    with (
        installed(DETECTOR, "bytes", "Detector"),
        serving(SETTINGS) as server,
        httpx.Client(timeout=300) as http,
    ):
        time.sleep(5)
        idle_bytes = rss_bytes(server.pid)
        watched = Watched(server)
        looking = threading.Thread(target=watched.look)
        looking.start()
        try:
            per_s = burst_per_s(watched, http, bodies)
            paced = paced_s(watched, http, bodies, per_s / 2)
            small_ones(watched, http, "calm", iter([True] * CALM))
            watched.wait()
            most_bytes = beside_big_ones(watched, http)
        finally:
            watched.stopping.set()
            looking.join()
    calm_s = float(np.median(watched.took_s("calm")))
    beside = np.array(watched.took_s("beside")) - calm_s
    figures = {
        "dump_to_finding_s_p99": round(float(np.percentile(paced, 99)), 3),
        "dumps_1_mib_per_s": round(per_s, 1),
        "calm_finding_ms_p50": round(calm_s * 1000, 1),
        "big_dump_delay_ms_p99": round(float(np.percentile(beside, 99)) * 1000, 1),
        "big_dump_others": len(beside),
        "rss_mib": round((most_bytes - idle_bytes) / (1 << 20), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
