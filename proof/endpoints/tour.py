"""Asks a running server for everything that its description has, each at least once and with success."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import httpx

from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.templates.dictionary import dictionary_of

_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PATIENCE_S: Final = 90.0
_WINDOW_MS: Final = 300_000  # `logs.window_s`, unless it is set
HOT: Final = 500.0  # far above what the configuration of the tour allows
PUMP: Final = "pump-1"
PRESS: Final = "press-1"
POISONED: Final = "press-2"
TAUGHT: Final = "press-3"
TECHNICIAN: Final = SimulatedMapping((), 2).technicians[0]
_OF_TECHNICIAN: Final = f"/v1/technicians/{TECHNICIAN}"
_LISTS: Final = ("devices", "changes")
STREAMER: Final = "press-3"
SITE: Final = "site-001"
NEWCOMERS: Final = tuple(f"pump-{number}" for number in range(10, 70))
"""Devices that stand at the site and send their first event in a round of the tour, one each."""


class Tour:
    """One client with the key of an admin; `now_ms` is the server's time at the beginning.

    `signed_in(name, password)` are the headers of a browser in which somebody is signed in.
    """

    def __init__(
        self, url: str, key: str, now_ms: int, signed_in: Callable[[str, str], dict[str, str]]
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.client: Final = httpx.Client(base_url=url, headers=headers, timeout=60)
        self._now_ms: Final = now_ms
        self._signed_in: Final = signed_in
        self._next_dump = 8
        self._newcomers = iter(NEWCOMERS)
        self._streamed_back_ms = 2_400_000

    def close(self) -> None:
        self.client.close()

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The answer, which must be a good one."""
        answer = self.client.request(method, path, **given)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def get(self, path: str) -> Any:
        """The JSON of a GET."""
        return self.ask("GET", path).json()

    def events(self, *events: Mapping[str, Any], raw: bytes = b"") -> Any:
        """Send events; `raw` are lines behind them. What became of them."""
        body = b"".join(json.dumps(event).encode() + b"\n" for event in events) + raw
        return self.ask(
            "POST", "/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"}
        ).json()

    def event(self, device: str, second: int, temperature: float = 20.0) -> dict[str, Any]:
        """One event, some seconds from the beginning."""
        return {"device": device, "ts": self._now_ms + second * 1000, "temperature": temperature}

    def refused_line(self, device: str) -> int:
        """Send an event of a device too many; the id of its dead letter."""
        self.events(self.event(device, -5), self.event(PUMP, -60))
        found: int = self.get("/v1/dead-letters")["dead_letters"][0]["id"]
        return found

    def prepare(self) -> dict[str, str]:
        """Make devices, dumps, anomalies and a dead letter known, a credential and a person; their ids."""
        self._send_readings()
        self._send_dumps()
        self._wait_until_judged()
        wanted = {"kind": "device", "name": "to be ended", "devices": ["pump-9"]}
        made = self.ask("POST", "/v1/credentials", json=wanted).json()
        person = {"name": "tom", "display_name": "Tom", "roles": ["viewer"]}
        invited = self.ask("POST", "/v1/people", json=person).json()
        return {
            "key_id": made["credential"]["key_id"],
            "person_id": invited["person"]["id"],
            "window_id": self._begin_maintenance(device=PUMP),
            "ended_id": self._begin_maintenance(device=PUMP),
        }

    def everything(self, letter: int) -> None:
        """All operations; `letter` is a dead letter that would be accepted now."""
        self._send_readings()
        self._send_dumps()
        self._send_logs()
        self._send_in_pieces()
        self._wait_until_judged()
        self._read_anomalies()
        self._read_devices()
        self._read_mapping()
        self._begin_maintenance(location=SITE)
        self._teach()
        self._keep_apart()
        self._read_dead_letters(letter)
        self._manage_access()
        self._manage_people()
        self.ask("POST", "/v1/query", json={"sql": "SELECT count(*) AS n FROM readings"})
        for path in ("/healthz", "/readyz", "/metrics", "/v1/audit"):
            self.ask("GET", path)

    def again(self) -> None:
        """What depends on how far the lake is, with something new in the log.

        A round may be over before the call whose record it took up knows that it is durable; then no link
        shows it, and the call has to be made once more.
        """
        second = round(time.time() - self._now_ms / 1000)
        self.events(*(self.event(device, second) for device in (PUMP, *islice(self._newcomers, 1))))
        self._dump(PRESS, self._new_dump(), "")
        self._upload_more()
        self._stream_on()
        self._keep_apart()
        time.sleep(0.15)
        self._read_devices()
        self._read_anomalies()
        for path in ("/readyz", "/metrics"):
            assert httpx.get(f"{self.client.base_url}{path}", timeout=60).is_success
        self.get(f"{_OF_TECHNICIAN}/anomalies?state=all")

    def _send_readings(self) -> None:
        """Some good ones, some far too high, one that is late, one line that is none."""
        calm = [self.event(PUMP, second) for second in range(-40, -20)]
        hot = [self.event(PUMP, second, HOT) for second in range(-20, -10)]
        self.events(*calm, *hot, raw=b"nonsense\n")
        wait_until(lambda: self.get("/v1/devices")["devices"])
        self.events(self.event(PUMP, -50))

    def _send_logs(self) -> None:
        """Lines of an hour ago, of two windows, and one that is none; a dump comes of the first window."""
        self._stream(3_600_000, self._streamed_back_ms, raw=b"nonsense\n")
        wait_until(lambda: self.client.get(f"/v1/devices/{STREAMER}/dumps").is_success)

    def _stream_on(self) -> None:
        """A line that ends the window before it, as long as there are windows up to now."""
        if self._streamed_back_ms > _WINDOW_MS:
            self._streamed_back_ms -= _WINDOW_MS
            self._stream(self._streamed_back_ms)

    def _stream(self, *backs_ms: int, raw: bytes = b"") -> None:
        lines = [
            {"device": STREAMER, "component": "engine", "time": self._now_ms - back_ms, "text": "turns"}
            for back_ms in backs_ms
        ]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + raw
        self.ask("POST", "/v1/logs", content=body, headers={"Content-Type": "application/x-ndjson"})

    def _send_dumps(self) -> None:
        for sequence, text in enumerate(["", "fault bearing", "fault bearing", ""], start=1):
            self._dump(PRESS, sequence, text)
        self._dump(POISONED, 1, "raise")
        self._dump(TAUGHT, 1, "new fuse is blown")

    def _dump(self, device: str, sequence: int, text: str) -> None:
        body = archive(sequence, text)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/zip"}
        minute = f"{10 + sequence // 60}:{sequence % 60:02}"
        times = {
            "collected_from": f"2026-11-22T{minute}:00Z",
            "collected_to": f"2026-11-22T{minute}:59Z",
        }
        self.ask("PUT", f"/v1/devices/{device}/dumps/{sequence}", content=body, headers=headers, params=times)

    def _send_in_pieces(self) -> None:
        self.ask("OPTIONS", "/v1/dumps")
        body = archive(5, "")
        self.ask("DELETE", self._announce(6, archive(6, "")), headers=_TUS)
        self._announce(7, archive(7, ""), whole=True)
        self._announce(1000, archive(1000, ""))  # of which no more comes
        upload = self._announce(5, body)
        self._piece(upload, 0, body[:10])
        assert self.ask("HEAD", upload, headers=_TUS).headers["Upload-Offset"] == "10"
        self._piece(upload, 10, body[10:])

    def _upload_more(self) -> None:
        """One with its announcement, and one behind it."""
        sequence = self._new_dump()
        self._announce(sequence, archive(sequence, ""), whole=True)
        wait_until(self._sent_in_a_piece)

    def _sent_in_a_piece(self) -> bool:
        """False where the upload expired under the piece: in this server they do at once."""
        sequence = self._new_dump()
        body = archive(sequence, "")
        headers = _TUS | _piece_at(0)
        answer = self.client.patch(self._announce(sequence, body), headers=headers, content=body)
        return answer.is_success

    def _new_dump(self) -> int:
        self._next_dump += 1
        return self._next_dump - 1

    def _announce(self, sequence: int, body: bytes, *, whole: bool = False) -> str:
        told = {"device": PRESS, "sequence": str(sequence), "sha256": hashlib.sha256(body).hexdigest()}
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items()
        )
        headers = _TUS | {"Upload-Length": str(len(body)), "Upload-Metadata": metadata}
        if whole:
            headers["Content-Type"] = "application/offset+octet-stream"
        answer = self.ask("POST", "/v1/dumps", headers=headers, content=body if whole else b"")
        return str(answer.headers["Location"])

    def _piece(self, upload: str, offset: int, piece: bytes) -> None:
        self.ask("PATCH", upload, headers=_TUS | _piece_at(offset), content=piece)

    def _wait_until_judged(self) -> None:
        """Readings and dumps have their anomalies, and what a detector failed at has its own."""
        for device in (PUMP, PRESS, POISONED, TAUGHT):
            wait_until(partial(self._anomalies, device))
        wait_until(lambda: self.get("/v1/digest")["pending"] == 0)

    def _anomalies(self, device: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/v1/anomalies?device={device}")["anomalies"]
        return found

    def _read_anomalies(self) -> None:
        for device in (PUMP, PRESS, POISONED):
            anomaly = self._anomalies(device)[0]
            self.get(f"/v1/anomalies/{anomaly['id']}")
            self.get(f"/v1/anomalies/{anomaly['id']}/history")
            for episode in anomaly["episodes"]:
                self.get(f"/v1/episodes/{episode}")
                self.get(f"/v1/episodes/{episode}/revisions")
                assert self.get(f"/v1/episodes/{episode}/proof")["matches"], device
        self._act(anomaly["id"])
        self.get("/v1/episodes")
        self.get("/api/latest_anomalies")
        self.get("/api/outliers_count?time_range=1h")
        with self.client.stream("GET", "/v1/stream", headers={"Last-Event-ID": "0"}) as stream:
            next(line for line in stream.iter_lines() if line.startswith("data:"))

    def _act(self, anomaly: str) -> None:
        """On an anomaly, and hear of it."""
        for action, body in {"seen": {}, "acknowledge": {}, "comment": {"note": "is looked at"}}.items():
            self.ask("POST", f"/v1/anomalies/{anomaly}/{action}", json=body, headers={"If-Match": "*"})
        path = f"/v1/anomalies/{self._anomalies(PUMP)[0]['id']}/feedback/preview"
        assert self.ask("POST", path, json={"kind": "false_alarm"}).json()["episodes_without"]
        for kind in ("false_alarm", "confirmed"):
            headers = {"If-Match": "*", "Idempotency-Key": f"tour {kind}"}
            path = f"/v1/anomalies/{self._anomalies(PUMP)[0]['id']}/feedback"
            self.ask("POST", path, json={"kind": kind}, headers=headers)
        many = {"action": "resolve", "anomalies": [{"id": anomaly}]}
        done = self.ask("POST", "/v1/anomalies/actions", json=many).json()
        self.ask("POST", f"/v1/actions/{done['action']}/undo")
        assert self.get("/v1/anomalies/changes")["changes"]

    def _read_devices(self) -> None:
        self.get(f"/v1/devices/{PUMP}")
        self.get(f"/v1/devices/{PUMP}/series")
        self.get(f"/v1/devices/{PUMP}/series/temperature")
        self.get(f"/v1/devices/{PRESS}/dumps")
        self.get(f"/v1/devices/{PRESS}/dumps/1")
        self.ask("GET", f"/v1/devices/{PRESS}/dumps/1/archive")

    def _read_mapping(self) -> None:
        """Whether the directory was asked already or not."""
        self.get("/v1/locations")
        for path in (f"/v1/locations/{SITE}/devices", *(f"{_OF_TECHNICIAN}/{each}" for each in _LISTS)):
            self.get(path)
        wait_until(lambda: self.get(f"{_OF_TECHNICIAN}/anomalies")["anomalies"])
        whose = {"technician": TECHNICIAN}
        with self.client.stream("GET", "/v1/stream", params=whose, headers={"Last-Event-ID": "0"}) as stream:
            next(line for line in stream.iter_lines() if line.startswith("data:"))

    def _teach(self) -> None:
        known = dictionary_of([("fan <*> stopped", 3)]).to_json()
        self.ask("PUT", "/v1/dictionary?application=presses", content=known)
        self.ask("POST", f"/v1/anomalies/{self._anomalies(TAUGHT)[0]['id']}/expected")
        for application, template in (("presses", "fan <*> stopped"), ("", "fuse is blown")):
            found = self.get(f"/v1/dictionary?application={application}")["templates"]
            assert [each["template"] for each in found] == [template]

    def _keep_apart(self) -> None:
        self.ask("POST", f"/v1/devices/{PUMP}/quarantine", json={"reason": "is repaired"})
        self.ask("DELETE", f"/v1/devices/{PUMP}/quarantine")

        self._maintain()

    def _maintain(self) -> None:
        window = self._begin_maintenance(device=PUMP)
        self.get("/v1/maintenance")
        self.get(f"/v1/maintenance/{window}")
        changes = {"why": "is oiled and run in", "no_learn": True}
        self.ask("PATCH", f"/v1/maintenance/{window}", json=changes, headers={"If-Match": "*"})
        self.ask("POST", f"/v1/maintenance/{window}/end", headers={"If-Match": "*"})

    def _begin_maintenance(self, **covers: str) -> str:
        now_ms = time.time_ns() // 1_000_000
        span = {"from": str(now_ms), "to": str(now_ms + 600_000)}
        made = self.ask("POST", "/v1/maintenance", json={**covers, **span, "why": "is oiled"})
        return str(made.json()["id"])

    def _read_dead_letters(self, letter: int) -> None:
        self.get("/v1/dead-letters")
        self.get(f"/v1/dead-letters/{letter}")
        self.ask("GET", f"/v1/dead-letters/{letter}/body")
        self.ask("POST", f"/v1/dead-letters/{letter}/replay")

    def _manage_access(self) -> None:
        wanted = {"kind": "device", "name": "of the tour", "devices": ["pump-9"]}
        made = self.ask("POST", "/v1/credentials", json=wanted).json()
        self.get("/v1/credentials")
        self.ask("DELETE", f"/v1/credentials/{made['credential']['key_id']}")
        self.ask("POST", "/v1/tenants", json={"name": "north"})
        self.get("/v1/tenants")

    def _manage_people(self) -> None:
        wanted = {"name": "maria", "display_name": "Maria", "roles": ["technician"]}
        person = f"/v1/people/{self.ask('POST', '/v1/people', json=wanted).json()['person']['id']}"
        self.get("/v1/people")
        self.get(person)
        self.ask("PATCH", person, json={"display_name": "Maria R."}, headers={"If-Match": "*"})
        invited = self.ask("POST", f"{person}/one-time-password").json()
        keys = self._sign_in("maria", invited["one_time_password"])
        self.get(f"{person}/keys")
        self.ask("DELETE", f"{person}/keys/{keys[1]}")

    def _sign_in(self, name: str, password: str) -> list[str]:
        """In a browser, choose another password, and end a session that was begun elsewhere."""
        here = self._signed_in(name, password)
        chosen = {"current": password, "new": "the bell rings at noon"}
        with httpx.Client(base_url=self.client.base_url, headers=here, timeout=60) as browser:
            assert browser.get("/v1/me").is_success
            changed = browser.post("/v1/me/password", json=chosen)
            assert changed.is_success, changed.text
            self._signed_in(name, chosen["new"])
            sessions = browser.get("/v1/me/sessions").json()["sessions"]
            ended = next(each["id"] for each in sessions if not each["current"])
            assert browser.delete(f"/v1/me/sessions/{ended}").is_success
            wanted = {"name": "phone", "scopes": ["read"]}
            made = [browser.post("/v1/me/keys", json=wanted).json()["key"]["id"] for _ in range(2)]
            assert browser.get("/v1/me/keys").is_success
            assert browser.delete(f"/v1/me/keys/{made[0]}").is_success
            return made


def _piece_at(offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}


def archive(sequence: int, text: str) -> bytes:
    """A dump whose engine log says `text`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("engine/engine.log", f"dump {sequence}\n{text}\n")
    return buffer.getvalue()


def wait_until(done: Callable[[], Any], timeout_s: float = _PATIENCE_S) -> None:
    """Look again and again; an assertion if it never comes."""
    end_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.1)
