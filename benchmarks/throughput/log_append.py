"""How fast the embedded log makes bodies durable, against appending the same bytes to a plain file.

Bodies of 5,000 events weigh 200 kB in four partitions; 64 of them wait at a time. Then the pauses of
acknowledgements at a steady 600,000 readings/s while checkpoints of the processor's state are written to
the same disk, and single events, each a request with a producer's sequence.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from tocsin.clock import SystemClock
from tocsin.commit.abstract import Chunk
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.log.abstract import Append, Appended, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog

PARTITIONS = 4
BODY_EVENTS = 5_000
BODY_BYTES = 200_000
GROUP_BYTES = 8 << 20
READINGS_PER_EVENT = 3
OFFERED_READINGS_PER_S = 600_000


def body(number: int, noise: bytes) -> Append:
    """A request of 5,000 events; payloads differ, and can't be compressed."""
    size = BODY_BYTES // PARTITIONS
    payloads = (noise[(number * 97 + part) % size :][:size] for part in range(PARTITIONS))
    parts = [
        Part(number, RecordKind.EVENTS, BODY_EVENTS // PARTITIONS, each)
        for number, each in enumerate(payloads)
    ]
    return Append(
        "acme", time.time_ns() // 1_000_000, parts, (), "bench", str(number), b"fingerprint", b"answer"
    )


@contextmanager
def a_log(folder: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(folder, PARTITIONS, SystemClock())
    try:
        yield log
    finally:
        log.close()


def log_events_per_s(folder: Path, bodies: int, noise: bytes) -> float:
    """Bodies from memory to acknowledged, 64 waiting."""
    with a_log(folder) as log:
        waiting: deque[Future[Appended]] = deque()
        start = time.perf_counter()
        for number in range(bodies):
            waiting.append(log.submit(body(number, noise)))
            if len(waiting) == 64:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()
        return bodies * BODY_EVENTS / (time.perf_counter() - start)


def plain_events_per_s(path: Path, bodies: int, noise: bytes) -> float:
    """The same bytes appended to a file, synced as often as the log's largest groups are."""
    start = time.perf_counter()
    unsynced = 0
    with path.open("wb", buffering=0) as file:
        for number in range(bodies):
            for part in body(number, noise).parts:
                unsynced += file.write(part.payload)
            if unsynced >= GROUP_BYTES:
                os.fdatasync(file.fileno())
                unsynced = 0
        os.fdatasync(file.fileno())
    return bodies * BODY_EVENTS / (time.perf_counter() - start)


def pauses_ms(folder: Path, seconds: float, noise: bytes) -> list[float]:
    """Time from request to acknowledgement at the offered rate, checkpoints being written meanwhile."""
    pauses: list[float] = []

    def note(sent: float, _: Future[Appended]) -> None:
        pauses.append(time.perf_counter() - sent)

    stop = threading.Event()
    with a_log(folder / "log") as log:
        checkpoints = threading.Thread(target=write_checkpoints, args=(folder / "state.db", stop))
        checkpoints.start()
        every_s = BODY_EVENTS * READINGS_PER_EVENT / OFFERED_READINGS_PER_S
        start = time.perf_counter()
        for number in range(int(seconds / every_s)):
            time.sleep(max(0.0, start + number * every_s - time.perf_counter()))
            sent = time.perf_counter()
            future = log.submit(body(number, noise))
            future.add_done_callback(partial(note, sent))
        future.result()
        stop.set()
        checkpoints.join()
    return sorted(pause * 1000 for pause in pauses)


def write_checkpoints(path: Path, stop: threading.Event) -> None:
    """16 MB/s of state, 256 kB a shard, 4 shards a transaction."""
    store = EmbeddedCheckpointStore(path)
    position = 0
    while not stop.wait(0.0625):
        shards = [(position + step) % 512 for step in range(4)]
        store.write([Chunk(shard, position, os.urandom(256_000)) for shard in shards])
        position += 4
    store.close()


def single_events_per_s(folder: Path, count: int) -> float:
    """Requests of one event each, 256 waiting."""
    with a_log(folder) as log:
        waiting: deque[Future[Appended]] = deque()
        start = time.perf_counter()
        for number in range(count):
            part = Part(number % PARTITIONS, RecordKind.EVENTS, 1, b"one event, about so long" * 4)
            append = Append("acme", 1, [part], (), "bench", str(number), b"fingerprint", b"answer")
            waiting.append(log.submit(append))
            if len(waiting) == 256:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()
        return count / (time.perf_counter() - start)


def main() -> None:
    bodies = 4_000 if os.environ.get("LONG") else 800
    noise = os.urandom(BODY_BYTES)
    plain: list[float] = []
    log: list[float] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        for turn in range(3):
            plain.append(plain_events_per_s(folder / f"plain-{turn}", bodies, noise))
            log.append(log_events_per_s(folder / f"log-{turn}", bodies, noise))
            print(f"plain {plain[-1]:,.0f} log {log[-1]:,.0f} events/s", file=sys.stderr)
        pauses = pauses_ms(folder / "paced", 60 if os.environ.get("LONG") else 8, noise)
        single = single_events_per_s(folder / "single", 20_000)
    figures = {
        "log_append_events_per_s": median(log),
        "log_append_over_plain_file": median(log) / median(plain),
        "log_ack_p50_ms": pauses[len(pauses) // 2],
        "log_ack_p99_ms": pauses[len(pauses) * 99 // 100],
        "log_ack_max_ms": pauses[-1],
        "log_single_event_appends_per_s": single,
    }
    print(json.dumps({key: round(value, 3) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
