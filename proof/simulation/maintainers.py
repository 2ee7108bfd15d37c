"""People who have devices in maintenance: they ask until they are answered, and remember what they heard."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from proof.model.windows import Asked, Nights
from proof.simulation.clients import BACKOFF_S, TRY_AGAIN, Senders
from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request
from proof.simulation.plan import AT_THE_ANSWER, WindowPlan

DONE: Final = frozenset({200, 201})
_ANSWERED: Final = frozenset({*DONE, 400, 404, 409, 412})
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EARLIEST_S: Final = 29 * 86_400.0


@dataclass(slots=True)
class ToldWindow:
    """One request with its key, what was `asked` for (None: an end), and the answer that was heard first."""

    key: str
    device: str
    request: Request
    asked: Asked | None
    attempts: int = 0
    answer: Answer | None = None

    @property
    def said(self) -> dict[str, Any] | None:
        """The window as it was answered, if it was."""
        answer = self.answer
        return json.loads(answer.body) if answer is not None and answer.status in DONE else None


@dataclass(slots=True)
class Maintainers:
    """One thread a person, each with windows in order."""

    lives: Lives
    senders: Senders
    told: list[ToldWindow] = field(default_factory=list)

    def start(self) -> None:
        """Let everybody begin."""
        windows = self.lives.plan.windows
        for person in sorted({each.person for each in windows}):
            own = [each for each in windows if each.person == person]
            self.senders.spawn(f"maintainer-{person}", partial(self._live, own))

    def unserved(self) -> list[str]:
        """Keys of requests that were never answered."""
        return [told.key for told in self.told if told.answer is None]

    def ask_all_again(self) -> None:
        """Everything that was done, once more: there is no other window, and none lives again."""
        for told in self.told:
            if told.said is not None:
                self._once_more(told)

    def _live(self, own: list[WindowPlan]) -> None:
        for number, plan in enumerate(own):
            self.senders.wait_for(plan.at_s)
            key = f"{plan.person}-{number}"
            told = self._end(plan, key) if plan.ends else self._begin(plan, key)
            if told is None:
                continue
            self.told.append(told)
            if plan.cut > 0:
                self.lives.disk.cut.left, self.lives.disk.cut.then = plan.cut, self._cut
            self._send(told)
            if plan.cut == AT_THE_ANSWER and told.said is not None:
                self._cut()
            if plan.again and told.said is not None:
                self.lives.scheduler.sleep(30.0)
                self._once_more(told)

    def _begin(self, plan: WindowPlan, key: str) -> ToldWindow:
        begins_ms = self.lives.machine.now_ms() + round(1000 * max(plan.from_s, -_EARLIEST_S))
        until_ms = None if plan.lasts_s is None else begins_ms + round(1000 * plan.lasts_s)
        nights = Nights(plan.days, plan.from_minute, plan.until_minute, plan.zone) if plan.days else None
        body: dict[str, Any] = {"device": plan.device, "from": str(begins_ms), "why": key}
        body |= {"no_alert": plan.no_alert, "no_learn": plan.no_learn}
        if until_ms is not None:
            body["to"] = str(until_ms)
        if nights is not None:
            body["weekly"] = {
                "days": [_DAYS[day] for day in nights.days],
                "from": _clock(nights.from_minute),
                "to": _clock(nights.until_minute),
                "timezone": nights.zone,
            }
        headers = self._authorized() | {"content-type": "application/json", "idempotency-key": key}
        request = Request("POST", "/v1/maintenance", headers=headers, body=json.dumps(body).encode())
        asked = Asked(begins_ms, until_ms, nights, plan.no_alert, plan.no_learn)
        return ToldWindow(key, plan.device, request, asked)

    def _end(self, plan: WindowPlan, key: str) -> ToldWindow | None:
        """None where there is nothing to end, as far as people have been told."""
        known = {told.said["id"]: told for told in self.told if told.said is not None}
        ended = {name for name, told in known.items() if told.asked is None}
        left = sorted(known.keys() - ended)
        if not left:
            return None
        name = left[plan.pick % len(left)]
        headers = self._authorized() | {"if-match": "*"}
        request = Request("POST", f"/v1/maintenance/{name}/end", headers=headers)
        return ToldWindow(key, known[name].device, request, None)

    def _authorized(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.senders.tokens['person']}"}

    def _cut(self) -> None:
        """Faults are over at the end, also for who is late."""
        if self.lives.scheduler.now_s < self.lives.plan.ends_s:
            self.lives.trace.fault("cut-while-maintaining")
            self.lives.die("power")

    def _send(self, told: ToldWindow) -> None:
        """Until it is answered for good."""
        while told.answer is None:
            told.attempts += 1
            answer = self.lives.wire.ask(told.request)
            if answer is not None and answer.status in _ANSWERED:
                told.answer = answer
                self.lives.trace.note("maintained", f"{told.key} {told.request.path} {answer.status}")
            elif answer is not None and answer.status not in TRY_AGAIN:
                self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {told.request}")
                return
            else:
                self.lives.scheduler.sleep(BACKOFF_S[min(told.attempts, len(BACKOFF_S)) - 1])

    def _once_more(self, told: ToldWindow) -> None:
        """The same window is answered, also when its time is over."""
        answer, said = self.lives.wire.ask(told.request), told.said
        if answer is None or said is None or answer.status in TRY_AGAIN:
            return
        if answer.status not in DONE:
            self.lives.findings.add("window not repeated", f"{answer} to {told.request}, first {said}")
        else:
            again = json.loads(answer.body)
            fixed = ["id", "device", "from_at", "to_at", "weekly", *["ended_at"] * (told.asked is None)]
            if any(said[name] != again[name] for name in fixed):
                self.lives.findings.add("other window", f"{said}, then {again}")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
