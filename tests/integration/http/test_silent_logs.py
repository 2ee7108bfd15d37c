"""Lines of logs that stay away, from the requests of machines to what people read over a server's API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from proof.simulation.tally import NAME
from proof.subject.local import LOCAL
from tocsin.bootstrap import Application
from tocsin.bootstrap.settings import pace_of
from tocsin.cli.opened import config_of
from tocsin.clock import ManualClock
from tocsin.control import Tick, decode_control
from tocsin.log.abstract import RecordKind

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
TODAY_MS: Final = 1_795_305_600_000  # 2026-11-22T00:00:00Z
SILENT: Final = "press-1"
BESIDE: Final = "press-2"
PATIENCE_S: Final = 60.0
USUAL: Final = "time of the day it sends some at least every 30 minutes"


class Plant:
    """A server, its clock, which stands still unless told otherwise, and two machines that write logs."""

    def __init__(self, application: Application, clock: ManualClock, key: str) -> None:
        self._application: Final = application
        self._clock: Final = clock
        self._client: Final = httpx.Client(
            base_url=application.server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def pass_to(self, ms: int) -> None:
        """Let it be that time: returns once a tick has said so and all that follows is processed."""
        log = self._application.log
        partitions = range(log.partitions)
        ends = [log.end(partition) for partition in partitions]
        self._clock.advance_to(ms)
        deadline_s = time.monotonic() + PATIENCE_S
        while not all(self._ticked(partition, ends[partition], ms) for partition in partitions):
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        while not self._application.runtime.caught_up():
            assert self._application.runtime.failure is None
            assert time.monotonic() < deadline_s
            time.sleep(0.005)

    def write(self, *devices: str, at_ms: int) -> None:
        """Each sends a line of that time; two minutes later its window is over, and made a dump."""
        self._clock.advance_to(at_ms)
        lines = [{"device": device, "component": "door", "time": at_ms, "text": "shut"} for device in devices]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        answer = self._client.post("/v1/logs", content=body, headers={"Content-Type": "application/x-ndjson"})
        assert (answer.status_code, answer.json()["accepted"]) == (200, len(devices))
        self.pass_to(at_ms + 2 * MINUTE_MS)

    def get(self, path: str) -> Any:
        """What the server answers."""
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def anomalies(self) -> list[dict[str, Any]]:
        """All there are."""
        found: list[dict[str, Any]] = self.get("/v1/anomalies")["anomalies"]
        return found

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def _ticked(self, partition: int, offset: int, ms: int) -> bool:
        decided = [
            decode_control(record.payload)
            for record in self._application.log.read(partition, offset)
            if record.kind is RecordKind.CONTROL
        ]
        return any(isinstance(each, Tick) and each.now_ms >= ms for each in decided)


@contextmanager
def plant(folder: Path, clock: ManualClock) -> Iterator[Plant]:
    """A server over the folder, by that clock. All devices share a partition; dumps are of a minute."""
    config = config_of(
        None,
        folder / "data",
        http_port=0,
        logs_window_s=60,
        watch_dump_detectors={NAME: {}},
        log_partitions=1,
    )
    pace = replace(pace_of(config), tick_s=0.1, idle_s=0.02)
    application = Application(config, clock, pace=pace, detectors=LOCAL)
    key = application.bootstrap_admin() or (folder / "key").read_text()
    (folder / "key").write_text(key)
    with application:
        running = Plant(application, clock, key)
        try:
            yield running
        finally:
            running.close()


def known_for_a_week(running: Plant) -> None:
    """Both machines write once each evening for eight days, and every half hour on this day."""
    for day in range(8, 0, -1):
        running.write(SILENT, BESIDE, at_ms=TODAY_MS - day * 24 * HOUR_MS + 20 * HOUR_MS)
    for half in range(3):
        running.write(SILENT, BESIDE, at_ms=TODAY_MS + 10 * HOUR_MS + half * 30 * MINUTE_MS)


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_machine_whose_lines_stay_away_is_told_until_it_is_back(tmp_path: Path, restarted: bool) -> None:
    """Not before twice the usual half hour has passed; then with a sentence that grows, also over a restart,
    and in the end with the whole span. The machine beside it, which goes on, is never told.
    """
    clock = ManualClock(TODAY_MS - 8 * 24 * HOUR_MS)
    noon_ms = TODAY_MS + 12 * HOUR_MS
    with plant(tmp_path, clock) as running:
        known_for_a_week(running)
        for half in (1, 2):
            running.write(BESIDE, at_ms=noon_ms - HOUR_MS + half * 30 * MINUTE_MS)
        assert clock.now_ms() == noon_ms + 2 * MINUTE_MS  # an hour and the usual minute behind 11:01
        assert running.anomalies() == []

        running.pass_to(clock.now_ms() + 1)
        (told,) = running.anomalies()
        assert (told["device"], told["condition"], told["detectors"]) == (SILENT, "active", ["dumps"])
        assert told["started_at"] == "2026-11-22T12:01:00.000Z"
        assert told["explanation"] == f"no logs were received for 1 hour 1 minute; at this {USUAL}"
        if not restarted:
            come_back(running, noon_ms, told)
    if restarted:
        with plant(tmp_path, clock) as running:
            come_back(running, noon_ms, told)


def come_back(running: Plant, noon_ms: int, told: dict[str, Any]) -> None:
    """It goes on for another hour, then a line comes; the same anomaly is over, and its episode is proved."""
    running.write(BESIDE, at_ms=noon_ms + 30 * MINUTE_MS)
    running.pass_to(noon_ms + HOUR_MS)
    (lasting,) = running.anomalies()
    assert (lasting["id"], lasting["condition"]) == (told["id"], "active")
    assert lasting["explanation"] == f"no logs were received for 1 hour 59 minutes; at this {USUAL}"

    running.write(SILENT, BESIDE, at_ms=noon_ms + HOUR_MS + 10 * MINUTE_MS)
    (over,) = running.anomalies()
    assert (over["id"], over["condition"], over["recurrences"]) == (told["id"], "cleared", 0)
    assert over["explanation"] == f"it wrote no logs for 2 hours 10 minutes; at that {USUAL}"
    (episode,) = running.get("/v1/episodes")["episodes"]
    assert (episode["device"], episode["reason"]) == (SILENT, "logs_silent")
    assert (episode["started_at"], episode["ended_at"]) == (
        "2026-11-22T12:01:00.000Z",
        "2026-11-22T13:11:00.000Z",
    )
    assert running.get(f"/v1/episodes/{episode['id']}/proof")["matches"]
