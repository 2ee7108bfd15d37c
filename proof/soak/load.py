"""The load: large bodies of many devices, each sent until it has its answer, whatever happens in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

from benchmarks.load import Workload
from proof.laws import Heard
from proof.subject.client import Client
from proof.subject.traffic import Body

DEVICES = 2_000
BODY_EVENTS = 1_000


class Load:
    """Offers `events_per_s` over some connections; 0 = as much as the server takes. Counts what it hears."""

    def __init__(self, url: str, tokens: Sequence[str], events_per_s: float, seconds: float) -> None:
        self._work = Workload(
            devices=DEVICES, body_events=BODY_EVENTS, rounds=1 << 40, start_ms=1_500_000_000_000, step_s=1
        )
        self._templates = self._work.templates()
        self._step_s = BODY_EVENTS / events_per_s if events_per_s else 0.0
        self._seconds = seconds
        self._clients = [Client(url, lambda token=token: token, None) for token in tokens]  # type: ignore[misc]
        self._next = 0
        self._accepted = 0
        self._errors: list[Exception] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(each, number), daemon=True)
            for number, each in enumerate(self._clients)
        ]

    def start(self) -> None:
        """Begin to send; returns at once."""
        self._start_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def join(self) -> Heard:
        """Wait until the time is up and every body has its answer; raises what went wrong."""
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return Heard(self._accepted)

    def statuses(self) -> dict[str, int]:
        """Answers by status; 0 is none."""
        totals: dict[str, int] = {}
        for client in self._clients:
            for status, count in list(client.statuses.items()):
                totals[str(status)] = totals.get(str(status), 0) + count
        return totals

    def _run(self, client: Client, connection: int) -> None:
        try:
            # one connection sends a part of the devices, so that their records stay in order
            for number in range(1 << 40):
                at = number * len(self._clients) + connection
                due_s = self._start_s + at * self._step_s
                time.sleep(max(0.0, due_s - time.monotonic()))
                if time.monotonic() - self._start_s > self._seconds:
                    return
                payload = self._work.body(at, self._templates)
                answer = client.deliver(Body(f"load-{connection}", str(number), payload))
                with self._lock:
                    self._accepted += json.loads(answer)["accepted"]
        except Exception as error:  # noqa: BLE001 - raised by join
            self._errors.append(error)
        finally:
            client.close()
