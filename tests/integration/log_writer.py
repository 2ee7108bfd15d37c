"""Appends to a log until it is killed, and says on standard output what was acknowledged."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from tocsin.clock import SystemClock
from tocsin.log.abstract import Append, Appended, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog


def main() -> None:
    """`log_writer.py FOLDER RUN COUNT SEGMENT_BYTES`: COUNT appends, trimming on the way."""
    folder, run, count, segment_bytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    clock = SystemClock()
    log = EmbeddedLog(folder, 2, clock, segment_bytes_max=segment_bytes)
    printing = threading.Lock()
    room = threading.Semaphore(20)

    def acknowledge(sequence: str, future: Future[Appended]) -> None:
        room.release()
        with printing:
            sys.stdout.write(f"ack {sequence} {future.result().offsets[0]}\n")
            sys.stdout.flush()

    for number in range(count):
        room.acquire()
        sequence = f"{run}-{number}"
        payload = sequence.encode() * 100
        parts = [Part(0, RecordKind.EVENTS, 1, payload), Part(1, RecordKind.EVENTS, 1, payload)]
        append = Append("t", clock.now_ms(), parts, (), "p", sequence, b"f", sequence.encode())
        log.submit(append).add_done_callback(partial(acknowledge, sequence))
        if number % 50 == 49:
            log.trim({0: log.end(0) - 300, 1: log.end(1) - 300})
    log.close()


if __name__ == "__main__":
    main()
