"""How long a technician waits for the list of what is unresolved, while the directory is down.

A store of 10,000,000 anomalies at 100,000 devices of 2,000 technicians: each device has a hundred, of which
the newest ten are unresolved, and of one device in a thousand all are. Requests come at a fixed rate whether
answers come or not (an open loop), each for another technician; a request's time runs from the moment it was
to be sent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from benchmarks.serving import serving
from tocsin.directory.abstract import Entry
from tocsin.directory.cache import DirectoryCache
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.storage.database import Tuning, open_database
from tocsin.testing import Server

DEVICES: Final = 100_000
TECHNICIANS: Final = 2_000
ANOMALIES: Final = 10_000_000
REQUESTS_PER_S: Final = 200
CONNECTIONS: Final = 32
WARM_S: Final = 3
SECONDS: Final = 120 if os.environ.get("LONG") else 40
PAGE: Final = 50
NOWHERE: Final = "http://127.0.0.1:9"
_FILL: Final = Path(__file__).with_suffix(".sql")
_BUILT_LATER: Final = """
SELECT type, name, sql FROM sqlite_schema
WHERE tbl_name = 'anomaly' AND sql IS NOT NULL AND type IN ('index', 'trigger')
"""
_LAST_CHANGE: Final = """
INSERT INTO change (sequence, anomaly_id, tenant, at_ms, actor, kind, detail)
SELECT updated_sequence, id, tenant, started_ms, 'tocsin', 'opened', explanation FROM anomaly WHERE id = ?
"""


def technician(number: int) -> str:
    """The GUID of one of them."""
    return str(uuid.UUID(int=number, version=4))


def fill_inbox(path: Path, now_ms: int) -> None:
    """Write all anomalies in one statement, without indexes and triggers, which are made again afterwards."""
    EmbeddedInbox(path).close()
    inbox = open_database(path, Tuning(cache_kib=1 << 20))
    inbox.pragma("journal_mode", "off")
    inbox.pragma("synchronous", "OFF")
    later = list(inbox.execute(_BUILT_LATER))
    for kind, name, _ in later:
        inbox.execute(f"DROP {kind} {name}")
    inbox.execute(_FILL.read_text(), {"anomalies": ANOMALIES, "devices": DEVICES, "now_ms": now_ms})
    for _, _, sql in later:
        inbox.execute(sql)
    inbox.execute(_LAST_CHANGE, (f"an_{ANOMALIES:010x}",))
    inbox.pragma("journal_mode", "wal")
    inbox.close()


def fill_directory(path: Path, now_ms: int) -> None:
    """Every technician has fifty devices in a row, as was said an hour ago."""
    cache = DirectoryCache(path, rows_max=2 * DEVICES)
    each = DEVICES // TECHNICIANS
    asked_ms = now_ms - 3_600_000
    for number in range(TECHNICIANS):
        names = (f"device-{device:06}" for device in range(number * each, (number + 1) * each))
        entries = [Entry(name, technician(number), f"site-{number:04}") for name in names]
        cache.keep_list(technician(number), entries, asked_ms, now_ms, now_ms)
    cache.close()


def prepare(data: Path) -> None:
    """Both stores, before a server opens them."""
    now_ms = time.time_ns() // 1_000_000
    data.mkdir(parents=True, mode=0o700)
    began_s = time.monotonic()
    fill_directory(data / "directories" / "default.db", now_ms)
    fill_inbox(data / "inbox.db", now_ms)
    print(f"stores were filled in {time.monotonic() - began_s:.0f} s", file=sys.stderr)


class OpenLoop:
    """Sends a request each 1/`REQUESTS_PER_S` s over whichever connection is free, and times it."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._server = server
        self._requests = int(seconds * REQUESTS_PER_S)
        self._turns: Iterator[int] = count()
        self._times_s: list[float] = []
        self._wrong: list[str] = []
        self._lock = threading.Lock()

    def run(self) -> list[float]:
        """The times of all requests, in seconds; RuntimeError if an answer is not what it must be."""
        self._begin_s = time.monotonic() + 0.5
        senders = [threading.Thread(target=self._send) for _ in range(CONNECTIONS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if self._wrong:
            raise RuntimeError(f"{len(self._wrong)} answers are wrong: {self._wrong[0][:300]}")
        return self._times_s

    def _send(self) -> None:
        address = urlsplit(self._server.url)
        connection = HTTPConnection(str(address.hostname), address.port, timeout=60)
        headers = {"Authorization": f"Bearer {self._server.key}"}
        while True:
            with self._lock:
                turn = next(self._turns)
            if turn >= self._requests:
                connection.close()
                return
            due_s = self._begin_s + turn / REQUESTS_PER_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            whose = technician(turn * 7 % TECHNICIANS)
            connection.request("GET", f"/v1/technicians/{whose}/anomalies?state=unresolved", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            took_s = time.monotonic() - due_s
            good = answer.status == 200 and b'"mapping":"stale"' in body and body.count(b'"an_') == PAGE
            with self._lock:
                self._times_s.append(took_s)
                if not good:
                    self._wrong.append(body.decode(errors="replace"))


def main() -> None:
    """Fill the stores, ask, print percentiles in ms."""
    settings = {"TOCSIN_DIRECTORIES": json.dumps({"default": {"url": NOWHERE}})}
    with serving(settings, prepare) as server:
        OpenLoop(server, WARM_S).run()
        times_ms = np.array(OpenLoop(server, SECONDS).run()) * 1000
    figures = {
        "technician_list_p50_ms": round(float(np.percentile(times_ms, 50)), 2),
        "technician_list_p99_ms": round(float(np.percentile(times_ms, 99)), 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
