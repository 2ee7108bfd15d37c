"""Dumps sent to a real server, and what became of them: when each was sent, how long judged, when committed.

Times are seconds since 1970. That a dump was committed is told by no answer, so the server's own spans are
read, which name no device: the n-th step that ended is the n-th that was committed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving import serving
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine
from tocsin.testing import Server

START_MS = 1_767_571_200_000
DAY_MS = 86_400_000
PIECE_BYTES = 1 << 16
OFF_MAX = 0.01
SAMPLE_S = 0.25
PACED = """
import json, time
from tocsin.dump_detectors.abstract import DumpDetector

class Paced(DumpDetector):
    \"\"\"Reads all of a dump, then waits until what a slow detector takes for so much is over.\"\"\"
    name = "paced"
    version = "1"

    def setup(self, config): self.config = config
    def start(self, device): self.device, self.total = device.device, 0
    def process(self, dump):
        begun_s, mib = time.time(), 0.0
        for member in dump.members():
            with member.open() as stream:
                while piece := stream.read(1 << 20):
                    mib += len(piece) / (1 << 20)
        self.total += 1
        pace_s = self.config["fixed_s"] + self.config["s_per_mib"] * mib
        time.sleep(max(0.0, begun_s + pace_s - time.time()))
        with open(self.config["log"], "a") as log:
            log.write(f"{self.device} {dump.sequence} {begun_s} {time.time()}\\n")
        return ()
    def save(self): return json.dumps(self.total).encode()
    def load(self, state, version): self.total = json.loads(state)
"""


class Paper:
    """Archives of wanted packed sizes, out of lines of a machine."""

    def __init__(self) -> None:
        dumps = islice(Machine(DumpFleet(devices=1, scale=20), 0).dumps(START_MS, START_MS + DAY_MS), 12)
        self._text = b"".join(
            piece
            for dump in dumps
            for member in Archive(BytesSource(dump.archive)).members
            for piece in member.plain()
        )
        self._ratio = len(self._text) / len(zipped([self._text]))
        self._number = 0

    @property
    def ratio(self) -> float:
        """How many times as large archives are unpacked."""
        return self._ratio

    def archive(self, size_mib: float) -> bytes:
        """One that no other equals, at most `OFF_MAX` larger or smaller, unless that is some bytes."""
        self._number += 1
        wanted = size_mib * (1 << 20)
        length, packed = int(wanted * self._ratio), b""
        for _ in range(4):
            packed = zipped(self._pieces(max(length, 1)))
            if abs(len(packed) / wanted - 1) <= OFF_MAX:
                break
            length = int(length * wanted / len(packed))
        return packed

    def _pieces(self, length: int) -> Iterator[bytes]:
        yield b"archive %d\n" % self._number
        at = self._number * 7919 % len(self._text)
        while length > 0:
            piece = self._text[at : at + min(length, 1 << 20)]
            yield piece
            length -= len(piece)
            at = (at + len(piece)) % len(self._text)


def zipped(pieces: Sequence[bytes] | Iterator[bytes]) -> bytes:
    """An archive with one member, packed fast."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cell/cell.log", "w", force_zip64=True) as member,
    ):
        for piece in pieces:
            member.write(piece)
    return buffer.getvalue()


@dataclass(frozen=True)
class Parcel:
    """A dump to be sent, and when."""

    device: str
    sequence: int
    path: Path
    at_s: float


@dataclass(frozen=True)
class Dealt:
    """What became of a dump. `run_s`: how long it held its worker."""

    parcel: Parcel
    last_byte_s: float
    committed_s: float
    run_s: float


@dataclass
class Ran:
    """Dumps in the order in which their steps ended: those sent at their times, and the others.

    `rounds` are those of the thread that hands out and commits the steps of the others.
    """

    dealt: list[Dealt]
    alone: list[Dealt]
    rounds: list[Span]
    workers: list[tuple[float, int]]
    blob_bytes: int

    @property
    def alive_s(self) -> float:
        """The lives of all workers, summed up."""
        times = np.array([at_s for at_s, _ in self.workers])
        counts = np.array([count for _, count in self.workers])
        return float((np.diff(times) * counts[:-1]).sum())


@dataclass
class Plant:
    """A server with a paced detector, and what is known of what it did."""

    folder: Path
    workers: int
    fixed_s: float
    s_per_mib: float
    last_byte_s: dict[tuple[str, int], float] = field(default_factory=dict)
    seen: list[tuple[float, int]] = field(default_factory=list)
    began_s: float = 0.0
    """When the times of parcels began to count."""

    @property
    def log(self) -> Path:
        """Where the detector says what it did."""
        return self.folder / "steps.log"

    def run(self, first: Sequence[Parcel], parcels: Sequence[Parcel], last: Sequence[Parcel]) -> Ran:
        """Send `parcels`, each at its time; before and after those others, one by one from each device.

        Each of the three finds no worker alive.
        """
        spans = self.folder / "spans.ndjson"
        config = {"log": str(self.log), "fixed_s": self.fixed_s, "s_per_mib": self.s_per_mib}
        settings = {
            "TOCSIN_WATCH__DUMP_DETECTORS": json.dumps({"paced": {"config": config}}),
            "TOCSIN_DUMPS__WORKERS": str(self.workers),
            "TOCSIN_DUMPS__UPLOADS_MAX": "256",
            "TOCSIN_OBSERVABILITY__TRACE_FILE": str(spans),
            "TOCSIN_OBSERVABILITY__TRACE_RATIO": "1",
            "TOCSIN_OBSERVABILITY__TRACE_FILE_BYTES": str(1 << 32),
        }
        self.log.touch()
        with serving(settings) as server:
            self._by_device(server, first, self._one_by_one)
            before = stored_bytes(server.data)
            while server.metric("tocsin_dumps_workers"):
                time.sleep(0.5)
            self._at_their_times(server, parcels)
            stored = stored_bytes(server.data) - before
            self._by_device(server, last, self._one_by_one)
        return self._read(spans, [*first, *last], parcels, stored)

    def _by_device(
        self, server: Server, parcels: Sequence[Parcel], send: Callable[[Server, list[Parcel]], None]
    ) -> None:
        """Have each device's parcels sent by a thread of its own; returns when all are."""
        own: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            own.setdefault(parcel.device, []).append(parcel)
        threads = [threading.Thread(target=send, args=(server, each)) for each in own.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one_by_one(self, server: Server, parcels: Sequence[Parcel]) -> None:
        with client(server) as http:
            for parcel in parcels:
                self._send(http, parcel)
                judged = f"{parcel.device} {parcel.sequence} ".encode()
                while judged not in self.log.read_bytes():
                    time.sleep(0.01)

    def _at_their_times(self, server: Server, parcels: Sequence[Parcel]) -> None:
        judged = self._judged()
        self.began_s = time.time() + 1
        over = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(server, over))
        sampler.start()
        self._by_device(server, parcels, self._send_all)
        while self._judged() < judged + len(parcels) or self.seen[-1][1]:
            time.sleep(0.5)
        over.set()
        sampler.join()

    def _judged(self) -> int:
        return self.log.read_bytes().count(b"\n")

    def _sample(self, server: Server, over: threading.Event) -> None:
        while not over.is_set():
            self.seen.append((time.time(), int(server.metric("tocsin_dumps_workers"))))
            over.wait(SAMPLE_S)

    def _send_all(self, server: Server, parcels: Sequence[Parcel]) -> None:
        with client(server) as http:
            for parcel in parcels:
                time.sleep(max(0.0, self.began_s + parcel.at_s - time.time()))
                self._send(http, parcel)

    def _send(self, http: httpx.Client, parcel: Parcel) -> None:
        body = parcel.path.read_bytes()
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Length": str(len(body))}
        key = parcel.device, parcel.sequence

        def pieces() -> Iterator[bytes]:
            for at in range(0, len(body), PIECE_BYTES):
                yield body[at : at + PIECE_BYTES]
            self.last_byte_s[key] = time.time()

        url = f"/v1/devices/{parcel.device}/dumps/{parcel.sequence}"
        answer = http.put(url, content=pieces(), headers=headers)
        if answer.status_code != httpx.codes.CREATED:
            raise AssertionError(answer.text)

    def _read(self, spans: Path, alone: Sequence[Parcel], parcels: Sequence[Parcel], blob_bytes: int) -> Ran:
        rows = [line.split() for line in self.log.read_text().splitlines()]
        rows.sort(key=lambda row: float(row[3]))
        told = [Span.of(line) for line in spans.read_text().splitlines()]
        runs = sorted((span for span in told if span.name == "workers.run"), key=lambda span: span.end_s)
        commits = sorted(span.end_s for span in told if span.name == "steps.commit_step")
        by_key = {(parcel.device, parcel.sequence): parcel for parcel in [*alone, *parcels]}
        if not len(rows) == len(runs) == len(commits) == len(by_key):
            raise AssertionError(f"{len(rows)} steps, {len(runs)} runs, {len(commits)} commits")
        dealt = [
            Dealt(by_key[row[0], int(row[1])], self.last_byte_s[row[0], int(row[1])], committed_s, run.took_s)
            for row, run, committed_s in zip(rows, runs, commits, strict=True)
        ]
        apart = {parcel.path for parcel in alone}
        at_work = {span.trace for span in told if span.name in {"workers.run", "steps.commit_step"}}
        return Ran(
            [dump for dump in dealt if dump.parcel.path not in apart],
            [dump for dump in dealt if dump.parcel.path in apart],
            [span for span in told if span.outermost and span.trace in at_work and self._is_apart(span)],
            self.seen,
            blob_bytes,
        )

    def _is_apart(self, span: Span) -> bool:
        return not self.began_s <= span.begin_s <= self.seen[-1][0]


@dataclass(frozen=True)
class Span:
    """What is needed of one."""

    name: str
    trace: str
    outermost: bool
    begin_s: float
    end_s: float

    @classmethod
    def of(cls, line: str) -> Span:
        """From a line of the server's file."""
        told = json.loads(line)
        times = [datetime.fromisoformat(told[name]).timestamp() for name in ("start_time", "end_time")]
        return cls(told["name"], told["context"]["trace_id"], told["parent_id"] is None, *times)

    @property
    def took_s(self) -> float:
        """How long it was."""
        return self.end_s - self.begin_s


def stored_bytes(data: Path) -> int:
    """What the blobs of a server have."""
    return sum(path.stat().st_size for path in (data / "blobs").rglob("*") if path.is_file())


def client(server: Server) -> httpx.Client:
    """A connection for one thread."""
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.Client(headers=headers, timeout=300, base_url=server.url)
