"""How long after somebody acts on an anomaly another person's open page shows it, while readings come in.

Two people are signed in. One acts 200 times on an anomaly, at moments drawn by lot, over the API with the
session of a browser. The other one's page of it does what its script does in a browser: it listens to the
stream of changes and, after one of its anomaly, loads its part that people change, at once but not more often
than each 300 ms. The clock runs from sending the action until the part that tells of it has arrived.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final, Self

import httpx
import numpy as np

from benchmarks.serving import DEVICES, PARAMETERS, Load, serving, start_of
from tocsin.services.sessions import CSRF_HEADER
from tocsin.testing import Server

ACTIONS: Final = ("acknowledge", "comment", "resolve", "reopen", "comment")
TIMES: Final = 200
PAUSE_S_MAX: Final = 0.4
RELOAD_DELAY_S: Final = 0.3
"""As in tocsin.js."""
GIVE_UP_S: Final = 30.0
READINGS_PER_S: Final = 10_000
LOAD_S: Final = 400
BODY_EVENTS: Final = 500
PASSWORD: Final = "the bell rings at noon"  # noqa: S105 - of people who are gone with their server
DEVICE: Final = "kettle"
SETTINGS: Final = {
    "TOCSIN_WATCH__PARAMETERS": json.dumps({"boiler": {"lower": 0, "upper": 100}}),
    "TOCSIN_WATCH__POLICY": json.dumps({"open_after_s": 0, "open_readings": 1}),
}
_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_PART: Final = re.compile(r'data-live="([^"]+)" data-anomaly="([^"]+)"')


def signed_in(server: Server, name: str) -> httpx.Client:
    """The browser of a new operator, with the token that changes need."""
    admin = {"Authorization": f"Bearer {server.key}"}
    person = {"name": name, "display_name": name.capitalize(), "roles": ["operator"]}
    made = httpx.post(f"{server.url}/v1/people", json=person, headers=admin, timeout=60).raise_for_status()
    once = made.json()["one_time_password"]
    browser = httpx.Client(base_url=server.url, follow_redirects=True, timeout=60)
    first = browser.post("/login", data={"name": name, "password": once}).raise_for_status()
    change = {"csrf": csrf_of(first.text), "current": once, "new": PASSWORD, "again": PASSWORD}
    account = browser.post("/account/password", data=change).raise_for_status()
    browser.headers[CSRF_HEADER] = csrf_of(account.text)
    return browser


def csrf_of(page: str) -> str:
    """The token in a page's forms; RuntimeError where nobody is signed in."""
    found = _CSRF.search(page)
    if found is None:
        raise RuntimeError(f"this page has no form of somebody who is signed in: {page[:500]}")
    return found[1]


class OpenPage:
    """The page of an anomaly, kept young by two threads within a `with` block."""

    def __init__(self, browser: httpx.Client, anomaly: str) -> None:
        self._browser = browser
        found = _PART.search(browser.get(f"/anomalies/{anomaly}").raise_for_status().text)
        if found is None or found[2] != anomaly:
            raise RuntimeError("the page has no part that is kept young")
        self._address = found[1]
        self._anomaly = anomaly
        self._soon = threading.Event()
        self._left = threading.Event()
        self._listening = threading.Event()
        self._changed = threading.Condition()
        self._text = ""
        self._loaded_s = 0.0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._reload)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        if not self._listening.wait(GIVE_UP_S):
            raise TimeoutError("the stream did not open")
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._soon.set()
        for thread in self._threads:
            thread.join()

    def loaded_with(self, text: str) -> float:
        """When the part that has this text was there; blocks until it is."""
        with self._changed:
            if not self._changed.wait_for(lambda: text in self._text, GIVE_UP_S):
                raise TimeoutError(f"{text!r} was not on the page after {GIVE_UP_S} s")
            return self._loaded_s

    def _listen(self) -> None:
        last: dict[str, str] = {}
        while not self._left.is_set():
            with self._browser.stream("GET", "/v1/stream", headers=last) as stream:
                stream.raise_for_status()
                self._listening.set()
                self._soon.set()
                for line in stream.iter_lines():
                    if self._left.is_set():
                        return
                    name, _, value = line.partition(": ")
                    if name == "id":
                        last = {"Last-Event-ID": value}
                    if name == "data" and json.loads(value)["anomaly"]["id"] == self._anomaly:
                        self._soon.set()
            self._left.wait(2)  # as the stream tells a browser

    def _reload(self) -> None:
        asked_s = -RELOAD_DELAY_S
        while not self._left.is_set():
            self._soon.wait()
            time.sleep(max(0.0, asked_s + RELOAD_DELAY_S - time.monotonic()))
            self._soon.clear()
            asked_s = time.monotonic()
            text = self._browser.get(self._address).raise_for_status().text
            with self._changed:
                self._text, self._loaded_s = text, time.monotonic()
                self._changed.notify_all()


def open_anomaly(server: Server) -> str:
    """The id of an anomaly that one reading has opened, and that stays."""
    event = {"device": DEVICE, "ts": int(time.time() * 1000), "boiler": 500.0}
    headers = {"Authorization": f"Bearer {server.key}"}
    httpx.post(f"{server.url}/v1/events", json=[event], headers=headers, timeout=60).raise_for_status()
    end_s = time.monotonic() + GIVE_UP_S
    while not (found := server.get("/v1/anomalies", device=DEVICE)["anomalies"]):
        if time.monotonic() > end_s:
            raise TimeoutError(f"no anomaly after {GIVE_UP_S} s")
        time.sleep(0.05)
    return str(found[0]["id"])


def seconds_until_shown(actor: httpx.Client, page: OpenPage, anomaly: str) -> list[float]:
    """The time of each action, from sending it."""
    rng, took_s = random.Random(1), []
    for number in range(TIMES):
        time.sleep(rng.uniform(0, PAUSE_S_MAX))
        note = f"look number {number:06} at it"
        address = f"/v1/anomalies/{anomaly}/{ACTIONS[number % len(ACTIONS)]}"
        sent_s = time.monotonic()
        actor.post(address, json={"note": note}, headers={"If-Match": "*"}).raise_for_status()
        took_s.append(page.loaded_with(note) - sent_s)
    return took_s


@contextmanager
def readings_coming(server: Server) -> Iterator[None]:
    """Load for as long as the block lasts; RuntimeError if less than half of it was taken."""
    rate = READINGS_PER_S / PARAMETERS / BODY_EVENTS
    rounds = round(LOAD_S * rate * BODY_EVENTS / DEVICES)
    options = {"rounds": rounds, "start_ms": start_of(rounds), "bodies_per_s": rate}
    with Load(server, lazy=True, body_events=BODY_EVENTS, **options) as load:
        load.send()
        time.sleep(2)
        before, began_s = server.metric("tocsin_processor_readings_total"), time.monotonic()
        yield
        taken = server.metric("tocsin_processor_readings_total") - before
        if taken / (time.monotonic() - began_s) < READINGS_PER_S / 2:
            raise RuntimeError(f"only {taken} readings came in meanwhile")


def measure(server: Server) -> list[float]:
    """The times of all actions."""
    anomaly = open_anomaly(server)
    with (
        closing(signed_in(server, "anna")) as actor,
        closing(signed_in(server, "ben")) as other,
        readings_coming(server),
        OpenPage(other, anomaly) as page,
    ):
        return seconds_until_shown(actor, page, anomaly)


def main() -> None:
    """Measure, print percentiles in s."""
    with serving(SETTINGS) as server:
        took_s = np.array(measure(server))
    figures = {
        "action_visible_s_p50": round(float(np.percentile(took_s, 50)), 3),
        "action_visible_s_p99": round(float(np.percentile(took_s, 99)), 3),
        "action_visible_s_max": round(float(took_s.max()), 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
