"""People: they look at the inbox, think, act on what they have read, and ask again until answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from proof.simulation.clients import BACKOFF_S, TRY_AGAIN, Senders
from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request
from proof.simulation.people_data import FEEDBACK
from proof.simulation.plan import AT_THE_ANSWER, ActPlan

ANSWERED: Final = frozenset({200, 404, 409, 412})
LOOKS_MAX: Final = 20


@dataclass(slots=True)
class ToldAct:
    """One request that somebody made, with its key, and the answer that was heard first."""

    key: str
    request: Request
    attempts: int = 0
    answer: Answer | None = None

    @property
    def said(self) -> dict[str, Any] | None:
        """What was done, if it was."""
        answer = self.answer
        return json.loads(answer.body) if answer is not None and answer.status == 200 else None


@dataclass(slots=True)
class People:
    """One thread a person, each with acts in order."""

    lives: Lives
    senders: Senders
    told: list[ToldAct] = field(default_factory=list)

    def start(self) -> None:
        """Let everybody begin."""
        acts = self.lives.plan.acts
        for person in sorted({act.person for act in acts}):
            own = [act for act in acts if act.person == person]
            self.senders.spawn(f"person-{person}", partial(self._live, own))

    def unserved(self) -> list[str]:
        """Keys of requests that were never answered."""
        return [told.key for told in self.told if told.answer is None]

    def ask_all_again(self) -> None:
        """Everything that was done, once more: nothing changes, the answers are the same."""
        for told in self.told:
            if told.said is None or told.said["action"] is None:
                continue
            answer = self.lives.wire.ask(told.request)
            first = told.answer
            if answer is None or first is None or answer.headers.get("tocsin-repeated") != "true":
                self.lives.findings.add("action not repeated", f"{answer} to {told.request}")
            elif (answer.status, answer.body) != (first.status, first.body):
                self.lives.findings.add("other answer", f"{first.body!r}, then {answer.body!r}")

    def _live(self, own: list[ActPlan]) -> None:
        last: ToldAct | None = None
        for number, act in enumerate(own):
            self.senders.wait_for(act.at_s)
            seen = self._look()
            if not seen:
                continue
            self.lives.scheduler.sleep(act.read_s)
            key = f"{act.person}-{number}"
            request = self._request(act, key, seen, last)
            if request is not None:
                last = ToldAct(key, request)
                self.told.append(last)
                self._arm(act)
                self._send(last)
                if act.cut == AT_THE_ANSWER and last.said is not None:
                    self._cut()

    def _look(self) -> list[dict[str, Any]]:
        """The list as it is; nothing when the system is away for long."""
        headers = self._authorized()
        for _ in range(LOOKS_MAX):
            answer = self.lives.wire.ask(Request("GET", "/v1/anomalies", "limit=200", headers))
            if answer is not None and answer.status == 200:
                found: list[dict[str, Any]] = json.loads(answer.body)["anomalies"]
                return sorted(found, key=lambda each: str(each["id"]))
            self.lives.scheduler.sleep(5.0)
        return []

    def _authorized(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.senders.tokens['person']}"}

    def _request(
        self, act: ActPlan, key: str, seen: list[dict[str, Any]], last: ToldAct | None
    ) -> Request | None:
        """None where what is planned has no object now."""
        one = seen[act.pick % len(seen)]
        alike = [each for each in seen if each["device"] == one["device"] and each is not one]
        body: dict[str, Any] = {"note": key}
        path = f"/v1/anomalies/{one['id']}/{'feedback' if act.kind in FEEDBACK else act.kind}"
        match act.kind:
            case kind if kind in FEEDBACK:
                body["kind"] = kind
            case "snooze":
                body["until"] = str(self.lives.machine.now_ms() + act.snooze_s * 1000)
            case "assign":
                body["assignee"] = f"person {act.person}"
            case "many":
                path = "/v1/anomalies/actions"
                named = [{"id": each["id"], "version": each["version"]} for each in seen[:3]]
                body |= {"action": "resolve", "anomalies": named}
            case "undo":
                if last is None or last.said is None or last.said["action"] is None:
                    return None
                path = f"/v1/actions/{last.said['action']}/undo"
            case "merge":
                if not alike:
                    return None
                body["anomalies"] = [{"id": alike[0]["id"], "version": alike[0]["version"]}]
            case "split":
                if len(one["episodes"]) < 2:
                    return None
                body["episodes"] = one["episodes"][:1]
        headers = self._authorized() | {"content-type": "application/json"}
        headers |= {"idempotency-key": key, "if-match": f'"{one["version"]}"'}
        return Request("POST", path, headers=headers, body=json.dumps(body).encode())

    def _arm(self, act: ActPlan) -> None:
        """Let the power go while it is done, if that is planned."""
        if act.cut > 0:
            self.lives.disk.cut.left, self.lives.disk.cut.then = act.cut, self._cut

    def _cut(self) -> None:
        """Faults are over at the end, also for who is late."""
        if self.lives.scheduler.now_s < self.lives.plan.ends_s:
            self.lives.trace.fault("cut-while-acting")
            self.lives.die("power")

    def _send(self, told: ToldAct) -> None:
        """Until it is answered for good."""
        while told.answer is None:
            told.attempts += 1
            answer = self.lives.wire.ask(told.request)
            if answer is not None and (answer.status in ANSWERED or _is_over(answer)):
                told.answer = answer
                self.lives.trace.note("acted", f"{told.key} {told.request.path} {answer.status}")
            elif answer is not None and answer.status not in TRY_AGAIN:
                self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {told.request}")
                return
            else:
                self.lives.scheduler.sleep(BACKOFF_S[min(told.attempts, len(BACKOFF_S)) - 1])


def _is_over(answer: Answer) -> bool:
    """Whether feedback was refused because it could change nothing, or a snooze because its time is over."""
    return answer.status == 400 and json.loads(answer.body).get("field") in {"anomaly", "kind", "until"}
