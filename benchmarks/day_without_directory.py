"""A day of detections with a directory, and the same day without one.

An application in this process, on a clock that only this module moves: a fleet's readings come in over HTTP,
ten minutes of them at a time, and after each step every technician's list is asked for over HTTP. The third
party answers over HTTP too, at first; while it is down, a third of the connections are cut, a third gets an
error, and a third hangs. Each two hours time is given to it, until every list is fresh or, while it is down,
long enough that it is asked. The clock is the same in both days whenever something is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from tocsin.bootstrap import Application
from tocsin.bootstrap.settings import pace_of
from tocsin.clock import ManualClock
from tocsin.config import Config
from tocsin.ndjson import CONTENT_TYPE, encode_ndjson
from tocsin.simulate.directory.faults import Trouble
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService
from tocsin.simulate.faults import FaultKind, plan_faults
from tocsin.simulate.fleet import Fleet
from tocsin.simulate.simulator import Simulator

START_MS: Final = 1_795_341_600_000
STEP_MS: Final = 600_000
SOFT_MS: Final = 900_000
PAUSE_MS: Final = 2 * 3_600_000
LOOKS_WITHOUT: Final = 30
LOOKS_MAX: Final = 500
WARM_STEPS: Final = 36
STEPS: Final = 144
BEGIN_MS: Final = START_MS + WARM_STEPS * STEP_MS
END_MS: Final = BEGIN_MS + STEPS * STEP_MS
FLEET: Final = Fleet(stations=200, seed=7)
TECHNICIANS: Final = 4
KINDS: Final = (FaultKind.LEVEL_SHIFT, FaultKind.DRIFT, FaultKind.STUCK, FaultKind.NOISE)
FAULTS_A_STATION_MONTH: Final = 60.0
PATIENCE_S: Final = 8.0
"""Less than an answer of the third party may take: what waits for one is not done by then.

Without a directory nobody looks at such a step, so that what it brought is seen a step later.
"""
WARM_PATIENCE_S: Final = 120.0
"""The first step may have to compile its kernels."""
_SETTINGS: Final = {
    "http": {"port": 0},
    "access": {"requests_per_s": 1e6, "requests_burst": 1e6, "bytes_per_s": 1e12, "bytes_burst": 1e12},
}


@dataclass(slots=True)
class Day:
    """`shown_ms`: how late in the day an episode was first on its technician's list; `refused`: of the lists.

    A list counts as refused also where it does not say how old the mapping is, or hides that it is stale.
    """

    shown_ms: dict[str, int] = field(default_factory=dict)
    lists: int = 0
    refused: int = 0


def run_day(data: Path, *, down: bool) -> Day:
    """Six hours to learn from, with a directory; then 24 hours with faults, with or without it."""
    clock = ManualClock(START_MS)
    mapping = SimulatedMapping([FLEET.device(station) for station in range(FLEET.stations)], TECHNICIANS)
    outage = ((BEGIN_MS + STEP_MS, END_MS + STEP_MS),) if down else ()
    service = SimulatedService(mapping, clock, trouble=Trouble(delay_s=0.0, down=outage))
    day, asked = Day(), 0
    with SimulatedDirectoryServer(service) as third_party, _running(data, clock, third_party.url) as found:
        application, client = found
        for number, body in enumerate(_bodies(), start=1):
            clock.advance_to(START_MS + number * STEP_MS)
            past_ms = clock.now_ms() - BEGIN_MS
            without = down and past_ms > 0
            patience_s = PATIENCE_S if past_ms > 0 else WARM_PATIENCE_S
            done = _taken_in(application, client, body, patience_s)
            if not (done or without):
                raise TimeoutError(f"a step with a directory was not done within {patience_s} s")
            if number == 1 or past_ms % PAUSE_MS == 0:
                _let_it_ask(client, mapping, clock, without=without)
            if past_ms > 0 and done:
                _look(client, mapping, past_ms, day, without=without)
            if past_ms == 0:
                asked = sum(service.asked.values())
        if sum(service.asked.values()) == asked:
            raise RuntimeError("the third party was not asked in this day")
    return day


@contextmanager
def _running(data: Path, clock: ManualClock, url: str) -> Iterator[tuple[Application, httpx.Client]]:
    """An application with the directory at `url`, and a client that may do everything.

    Nothing ticks: a tick by the machine's time would find devices silent between two steps.
    """
    config = Config.model_validate({"data": data, "directories": {"default": {"url": url}}} | _SETTINGS)
    application = Application(config, clock, pace=replace(pace_of(config), tick_s=1e9, idle_s=0.05))
    try:
        key = application.bootstrap_admin()
        application.start()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=application.server.url, headers=headers, timeout=60) as client:
            yield application, client
        if application.failure is not None:
            raise application.failure
    finally:
        application.stop()


def _bodies() -> Iterator[bytes]:
    """What the fleet sends in each step; the same in every day."""
    faults = plan_faults(FLEET, KINDS, BEGIN_MS, END_MS, per_station_month=FAULTS_A_STATION_MONTH)
    simulator = Simulator(FLEET, faults, START_MS)
    for until_ms in range(START_MS + STEP_MS, END_MS + 1, STEP_MS):
        yield encode_ndjson(simulator.advance(until_ms).batch)


def _taken_in(application: Application, client: httpx.Client, body: bytes, patience_s: float) -> bool:
    """Send; whether all was processed and folded before patience ended."""
    end_s = time.monotonic() + patience_s
    client.post("/v1/events", content=body, headers={"Content-Type": CONTENT_TYPE}).raise_for_status()
    while not application.runtime.caught_up() and time.monotonic() < end_s:
        if application.failure is not None:
            raise application.failure
        time.sleep(0.005)
    return time.monotonic() < end_s


def _let_it_ask(
    client: httpx.Client, mapping: SimulatedMapping, clock: ManualClock, *, without: bool
) -> None:
    """Return once every technician's list is fresh, with all her devices; after some rounds without.

    Simulated seconds pass meanwhile, since a question that the step's leap has made late waits for some.
    """
    wanted = [("fresh", sorted(mapping.devices_of(each) or ())) for each in mapping.technicians]
    for _ in range(LOOKS_WITHOUT if without else LOOKS_MAX):
        if not without and [_listed(client, each) for each in mapping.technicians] == wanted:
            return
        time.sleep(0.05)
        clock.sleep(1)
    if not without:
        raise TimeoutError("the directory's answers are not known")


def _listed(client: httpx.Client, technician: str) -> tuple[str, list[str]]:
    answer = client.get(f"/v1/technicians/{technician}/devices", params={"limit": 200}).raise_for_status()
    page = answer.json()
    return page["state"], [each["device"] for each in page["devices"]]


def _look(client: httpx.Client, mapping: SimulatedMapping, past_ms: int, day: Day, *, without: bool) -> None:
    """Ask for every technician's list, and note what is new on it."""
    wanted = {"state": "unresolved", "limit": "200"}
    known = {"stale"} if without and past_ms > SOFT_MS else {"stale", "fresh"}
    for technician in mapping.technicians:
        day.lists += 1
        answer = client.get(f"/v1/technicians/{technician}/anomalies", params=wanted)
        page = answer.json() if answer.status_code == httpx.codes.OK else {}
        if page.get("as_of") is None or page["mapping"] not in known:
            day.refused += 1
            continue
        if page["next"] is not None:
            raise RuntimeError("a list has more than one page: what is on the others would be missed")
        for anomaly in page["anomalies"]:
            for episode in anomaly["episodes"]:
                day.shown_ms.setdefault(episode, past_ms)
