"""Sends dumps to a server: each device's in order, devices side by side, again after failures."""

from __future__ import annotations

import hashlib
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

import httpx

from tocsin.client.connection import Fate
from tocsin.client.destination import Backoff, Destination
from tocsin.client.dump_delivery import Delivery
from tocsin.client.dump_facts import told_of
from tocsin.client.dump_folder import DumpFile
from tocsin.client.dump_journal import DumpJournal
from tocsin.client.dump_request import DumpRequest
from tocsin.client.retrying import Patience
from tocsin.clock import Clock, SystemClock
from tocsin.errors import InvalidInputError

_PIECE_BYTES: Final = 1 << 20
_ANSWER_S: Final = 600.0
"""How long a server may take to prove an archive before it answers."""
OUTCOMES: Final = ("accepted", "duplicate", "conflict", "quarantined", "skipped")


class DumpSender:
    """`connections` threads, each with one device at a time; a dump is read from the disk while it is sent.

    What the server has decided about a dump, a conflict or a bad archive too, is final, counted and told to
    `on_decided` with the outcome and, if it is not good, the reason. `on_retry` gets the reason of each try
    that failed and will be repeated. Both are called from any thread.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        connections: int = 4,
        application: str = "",
        version: str = "",
        backoff: Backoff | None = None,
        journal: DumpJournal | None = None,
        on_decided: Callable[[DumpFile, str, str], None] = lambda *_: None,
        on_retry: Callable[[str], None] = lambda _: None,
        rng: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not 1 <= connections <= 256:
            raise InvalidInputError("connections must be 1 to 256", field="connections")
        self._destination = destination
        self._connections = connections
        self._application = application
        self._version = version
        self._backoff = backoff or Backoff()
        self._journal = journal
        self._on_decided = on_decided
        self._on_retry = on_retry
        self._rng = rng or random.Random()
        self._clock = clock or SystemClock()
        self._fate = Fate()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def send(self, dumps: Sequence[DumpFile]) -> dict[str, int]:
        """Send all; how many had which outcome, which add up to `dumps`, and `bytes` and `retries`.

        Raises UnavailableError or RefusedError as soon as one dump can't be brought to an answer.
        """
        counted = self.deliver([Delivery(dump) for dump in sorted(dumps)])
        return {name: count for name, count in counted.items() if name != "cuts"}

    def deliver(self, plan: Sequence[Delivery]) -> dict[str, int]:
        """The same in the order given, within each device, and with the cuts of the plan, which are counted.

        `dumps` counts a dump as often as it was sent.
        """
        devices: queue.SimpleQueue[list[Delivery]] = queue.SimpleQueue()
        for _, own in groupby(sorted(plan, key=_device), key=_device):
            devices.put(list(own))
        with self._client() as http:
            threads = [
                threading.Thread(target=self._run, args=(http, devices), name=f"dumps-{number}", daemon=True)
                for number in range(self._connections)
            ]
            for thread in threads:
                thread.start()
            try:
                for thread in threads:
                    thread.join()
            finally:  # Ctrl-C: what is under way ends at its next piece
                self._fate.stop.set()
        self._fate.check()
        counted = {name: self._counts[name] for name in (*OUTCOMES, "bytes", "retries", "cuts")}
        return {"dumps": sum(counted[name] for name in OUTCOMES)} | counted

    def _run(self, http: httpx.Client, devices: queue.SimpleQueue[list[Delivery]]) -> None:
        try:
            while not self._fate.stop.is_set():
                for delivery in devices.get_nowait():
                    if self._fate.stop.is_set():
                        return
                    self._deliver(http, delivery.dump, delivery.cuts)
        except queue.Empty:
            return
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._fate.fail(error)

    def _deliver(self, http: httpx.Client, dump: DumpFile, cuts: Sequence[float]) -> None:
        facts = told_of(dump.path, self._application, self._version)
        breaks = iter(cuts)
        patience = Patience(self._destination.url, self._backoff, self._rng, self._clock)
        reached = 0
        content = _Content(dump.path)
        while not self._fate.stop.is_set():
            digest, size = content.now()
            sent = (self._destination.url, dump.device, dump.sequence, digest.hex(), dump.epoch)
            if self._journal is not None and self._journal.has(sent):
                return self._count(dump, "skipped", "", 0)
            share = next(breaks, None)
            cut_at = None if share is None else round(share * size)
            request = DumpRequest(dump, digest, size, facts, partial(self._moved, patience), cut_at)
            patience.move()
            answer = request.send(http)
            if request.was_cut:
                with self._lock:
                    self._counts["cuts"] += 1
                continue
            if request.altered:
                content.forget()
            if answer.outcome:
                if self._journal is not None:
                    self._journal.add(sent)
                return self._count(dump, answer.outcome, answer.reason, size)
            if request.offset > reached:
                patience.advance()
                reached = request.offset
            pause_s = patience.pause_s(answer.reason, answer.wait_s)
            with self._lock:
                self._counts["retries"] += 1
            self._on_retry(answer.reason)
            self._fate.stop.wait(pause_s)
        return None

    def _moved(self, patience: Patience) -> None:
        if self._fate.stop.is_set():
            raise httpx.WriteError("stopped")
        patience.move()

    def _count(self, dump: DumpFile, outcome: str, reason: str, size: int) -> None:
        with self._lock:
            self._counts[outcome] += 1
            self._counts["bytes"] += size
        self._on_decided(dump, outcome, reason)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._destination.url,
            headers={"Authorization": f"Bearer {self._destination.token}"},
            timeout=httpx.Timeout(self._destination.timeout_s, read=_ANSWER_S),
            limits=httpx.Limits(max_connections=self._connections),
            verify=self._destination.tls_context(),
        )


def _device(delivery: Delivery) -> str:
    return delivery.dump.device


class _Content:
    """SHA-256 and length of a file, taken again when it has changed: a gigabyte may need many tries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._known = (b"", 0)

    def now(self) -> tuple[bytes, int]:
        """As the file is now."""
        stamp = self._stamped()
        if stamp != self._stamp:
            self._known = _hash(self._path)
            self._stamp = stamp  # from before: a change meanwhile is seen the next time
        return self._known

    def forget(self) -> None:
        """Whatever its stamp says, take the hash again."""
        self._stamp = None

    def _stamped(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _hash(path: Path) -> tuple[bytes, int]:
    """SHA-256 and length of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.digest(), size
