"""Somebody who looks at the inbox and acts on what it shows, until it is told what became of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from proof.subject.client import Client, GivenUpError
from proof.subject.patience import Patience
from proof.subject.promise import Notary, Promise

COUNT: Final = 40
_KINDS: Final = (
    *("acknowledge", "resolve", "reopen", "snooze", "comment", "false_alarm", "withdrawn"),
    *("once", "weekly", "end"),
)
_FEEDBACK: Final = frozenset({"false_alarm", "withdrawn"})
_WINDOWS: Final = frozenset({"once", "weekly"})
_NIGHTS: Final = {"days": ["sunday"], "from": "22:00", "to": "02:00", "timezone": "Europe/Berlin"}
_SNOOZE_MS: Final = 3_600_000
_WINDOW_MS: Final = 86_400_000
_DONE: Final = frozenset({200, 201})
_LEFT: Final = frozenset({400, 404, 409, 412})
_LEFT_OF_KNOWN: Final = _LEFT - {404}
"""Of a device that will have sent something soon."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does to the `pick`-th anomaly, or maintenance of a device, if there is any."""

    key: str
    kind: str
    pick: int
    device: str


def acts(person: str, seed: int) -> list[Act]:
    """Everything that one person does in a run."""
    rng = random.Random(f"{person}/{seed}/acts")
    device = f"{person}-pump-0"
    return [
        Act(f"{person}-{number}", rng.choice(_KINDS), rng.randrange(100), device) for number in range(COUNT)
    ]


class Person:
    """As Client, for actions and maintenance.

    What was answered is noted: the action, and for feedback and windows that they are logged.
    """

    def __init__(self, url: str, key: Callable[[], str], notary: Notary) -> None:
        self._client = Client(url, key, None)
        self._notary = notary
        self.ended = self._client.ended

    def deliver(self, act: Act) -> str:
        """The answer; "" where there was nothing to act on."""
        if act.kind in _WINDOWS:
            return self._begin(act)
        if act.kind == "end":
            return self._end(act)
        seen = json.loads(self._until_answered("GET", "/v1/anomalies", b"", {})[1])["anomalies"]
        if not seen:
            return ""
        one = seen[act.pick % len(seen)]
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": act.key,
            "If-Match": f'"{one["version"]}"',
        }
        said = act.kind in _FEEDBACK
        path = f"/v1/anomalies/{one['id']}/{'feedback' if said else act.kind}"
        status, answer = self._until_answered("POST", path, json.dumps(_body(act)).encode(), headers)
        if status == 200:
            number = str(json.loads(answer)["action"])
            self._notary.note(Promise(kind="action", sequence=number, answer=act.key))
            if said:
                self._notary.note(Promise(kind="feedback", sequence=number))
        return answer

    def _begin(self, act: Act) -> str:
        """Have the device in maintenance, once or each week."""
        now_ms = int(time.time() * 1000)
        wanted: dict[str, Any] = {"device": act.device, "from": str(now_ms), "why": act.key}
        if act.kind == "weekly":
            wanted["weekly"] = _NIGHTS
        else:
            wanted["to"] = str(now_ms + _WINDOW_MS)
        headers = {"Content-Type": "application/json", "Idempotency-Key": act.key}
        return self._kept(
            "/v1/maintenance", json.dumps(wanted).encode(), headers, revision=1, left=_LEFT_OF_KNOWN
        )

    def _end(self, act: Act) -> str:
        """End one of the windows that were given."""
        seen = json.loads(self._until_answered("GET", "/v1/maintenance?limit=200", b"", {})[1])["windows"]
        left = [each["id"] for each in seen if each["ended_at"] is None]
        if not left:
            return ""
        path = f"/v1/maintenance/{left[act.pick % len(left)]}/end"
        return self._kept(path, b"", {"If-Match": "*"}, revision=2, left=_LEFT)

    def _kept(
        self, path: str, body: bytes, headers: dict[str, str], *, revision: int, left: frozenset[int]
    ) -> str:
        """Ask for it until answered, and note that this revision is kept and logged."""
        status, answer = self._until_answered("POST", path, body, headers, left)
        if status in _DONE:
            name = json.loads(answer)["id"]
            self._notary.note(Promise(kind="window", name=name, sequence=str(revision)))
        return answer

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _until_answered(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        left: frozenset[int] = _LEFT,
    ) -> tuple[int, str]:
        patience = Patience()
        while patience.lasts() and not self.ended.is_set():
            status, said, answer = self._client.exchange(method, path, body, headers)
            if status in _DONE or status in left:
                return status, answer
            if 0 < status < 500 and status not in {408, 429} | (_LEFT - left):
                raise GivenUpError(f"{path}: {status} {answer[:500]}")
            patience.wait(status, said, answer)
        raise GivenUpError(f"{path}: no answer, {patience}")


def _body(act: Act) -> dict[str, Any]:
    body: dict[str, Any] = {"note": act.key}
    if act.kind == "snooze":
        body["until"] = str(int(time.time() * 1000) + _SNOOZE_MS)
    elif act.kind in _FEEDBACK:
        body["kind"] = act.kind
    return body
