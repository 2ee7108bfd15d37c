"""Log dumps: ZIP to lines on one core, and an upload against `dd` with fsync followed by `sha256sum`.

The archive is read in this thread, so its own seconds count. The upload and `dd` take turns on the same disk;
each ratio compares neighbours in time, and the median of the ratios is given. The upload's seconds hold what
the server adds on its own: proving every member and syncing name, claim and record. What a worker adds around
another team's detector is the time from a task to its result, for a detector that does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving import serving
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import DumpFacts, StepFailed, Task
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource
from tocsin.testing import Server

LINES = 400_000
UPLOAD_BYTES = 128 << 20
PIECE_BYTES = 1 << 20
ROUNDS = 5
STEPS = 2_000
IDLE = """
from tocsin.dump_detectors.abstract import DumpDetector

class Idle(DumpDetector):
    name = "idle"
    version = "1"

    def setup(self, config): ...
    def start(self, device): ...
    def process(self, dump): return ()
    def save(self): return bytes(4096)
    def load(self, state, version): ...
"""


def log_lines() -> bytes:
    """What a chatty component writes: about 90 bytes a line."""
    rng = random.Random(1)
    words = [f"{rng.getrandbits(20):x}" for _ in range(500)]
    rows = (
        f"2026-11-22T10:{n // 60 % 60:02}:{n % 60:02}.{rng.randrange(1000):03}Z INFO component-{n % 9} "
        f"{' '.join(rng.choices(words, k=3))} value={rng.randrange(10_000)} took {rng.random() * 100:.2f} ms"
        for n in range(LINES)
    )
    return "\n".join(rows).encode()


def zipped(data: bytes, method: int) -> bytes:
    """An archive with one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("component.log", data)
    return buffer.getvalue()


def read_s(archive: bytes) -> float:
    """Seconds of this thread to open an archive and walk over all its lines."""
    began_s = time.thread_time()
    lines = sum(1 for member in Archive(BytesSource(archive)).members for _ in member.lines())
    if lines != LINES:
        raise AssertionError(f"{lines} lines were read, not {LINES}")
    return time.thread_time() - began_s


def pieces(path: Path) -> Iterator[bytes]:
    """The file as a client reads it."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def upload_s(http: httpx.Client, server: Server, sequence: int, path: Path, digest: str) -> float:
    """Seconds from the first byte of a dump to its answer."""
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Digest": digest,
        "Content-Length": str(path.stat().st_size),
    }
    url = f"{server.url}/v1/devices/bench/dumps/{sequence}"
    began_s = time.perf_counter()
    response = http.put(url, content=pieces(path), headers=headers)
    spent_s = time.perf_counter() - began_s
    if response.status_code != httpx.codes.CREATED:
        raise AssertionError(f"{response.status_code} {response.text}")
    return spent_s


def dd_s(path: Path, target: Path) -> float:
    """Seconds of copying a file with fsync and hashing the copy."""
    began_s = time.perf_counter()
    copy = ["dd", f"if={path}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]
    subprocess.run(copy, check=True)
    subprocess.run(["sha256sum", str(target)], check=True, capture_output=True)
    spent_s = time.perf_counter() - began_s
    target.unlink()
    return spent_s


def upload_over_dd() -> float:
    """How fast an upload is, `dd` and `sha256sum` being 1."""
    ratios = []
    with serving() as server, httpx.Client(timeout=120) as http, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump.zip"
        for number in range(ROUNDS + 1):  # other bytes each time: a blob that is there is not kept twice
            data = zipped(random.Random(number).randbytes(UPLOAD_BYTES), zipfile.ZIP_STORED)
            path.write_bytes(data)
            os.sync()  # else whoever syncs first pays for the file that is read
            digest = f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
            reference_s = dd_s(path, server.data.parent / "copy")
            os.sync()
            ratios.append(reference_s / upload_s(http, server, number + 1, path, digest))
    return float(np.median(ratios[1:]))  # the first one loads code


@contextmanager
def installed(code: str = IDLE, name: str = "idle", kind: str = "Idle") -> Iterator[None]:
    """A detector, the class `kind` of the code, found as an installed one is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench_detector.py").write_text(code)
        about = Path(folder, "bench_detector-1.dist-info")
        about.mkdir()
        about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: bench-detector\nVersion: 1\n")
        announced = f"[tocsin.dump_detectors]\n{name} = bench_detector:{kind}\n"
        about.joinpath("entry_points.txt").write_text(announced)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = folder if before is None else f"{folder}{os.pathsep}{before}"
        try:
            yield
        finally:
            del os.environ["PYTHONPATH"]
            if before is not None:
                os.environ["PYTHONPATH"] = before


def custom_overhead_us() -> float:
    """From a task to its result, median: an archive opened, a state of 4 KiB there and back."""
    spent_s = []
    with installed(), tempfile.TemporaryDirectory() as folder, WorkerPool(1) as pool:
        path = Path(folder) / "dump.zip"
        path.write_bytes(zipped(b"a line\n", zipfile.ZIP_DEFLATED))
        state: bytes | None = None
        for number in range(STEPS):
            task = Task(
                tenant="bench", device="bench", detector="idle", archive=path, state=state,
                state_version="1", dump=DumpFacts(sequence=number + 1, sha256=""),
            )  # fmt: skip
            began_s = time.perf_counter()
            result = pool.run(task).result()
            spent_s.append(time.perf_counter() - began_s)
            if isinstance(result, StepFailed):
                raise AssertionError(result.detail)
            state = result.state
    return float(np.median(spent_s[STEPS // 10 :])) * 1e6


def main() -> None:
    """Print the figures."""
    data = log_lines()
    archive = zipped(data, zipfile.ZIP_DEFLATED)
    spent_s = float(np.median([read_s(archive) for _ in range(ROUNDS)]))
    figures = {
        "archive_mib_per_s_per_core": round(len(data) / (1 << 20) / spent_s, 1),
        "custom_overhead_us": round(custom_overhead_us(), 1),
        "upload_over_dd": round(upload_over_dd(), 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
