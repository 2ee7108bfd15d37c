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
_KINDS: Final = ("acknowledge", "resolve", "reopen", "snooze", "comment", "false_alarm", "withdrawn")
_FEEDBACK: Final = frozenset({"false_alarm", "withdrawn"})
_SNOOZE_MS: Final = 3_600_000
_LEFT: Final = frozenset({400, 404, 409, 412})


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does to the `pick`-th anomaly, if there is any."""

    key: str
    kind: str
    pick: int


def acts(person: str, seed: int) -> list[Act]:
    """Everything that one person does in a run."""
    rng = random.Random(f"{person}/{seed}/acts")
    return [Act(f"{person}-{number}", rng.choice(_KINDS), rng.randrange(100)) for number in range(COUNT)]


class Person:
    """As Client, for actions. What was answered is noted: the action, and for feedback that it is logged."""

    def __init__(self, url: str, key: Callable[[], str], notary: Notary) -> None:
        self._client = Client(url, key, None)
        self._notary = notary
        self.ended = self._client.ended

    def deliver(self, act: Act) -> str:
        """The answer; "" where there was nothing to act on."""
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

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _until_answered(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str]:
        patience = Patience()
        while patience.lasts() and not self.ended.is_set():
            status, said, answer = self._client.exchange(method, path, body, headers)
            if status == 200 or status in _LEFT:
                return status, answer
            if 0 < status < 500 and status not in {408, 429}:
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
