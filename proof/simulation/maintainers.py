"""People who have machines in maintenance: they ask until they are answered, and remember what they heard."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from proof.model.revisions import Change
from proof.model.windows import Asked, Nights
from proof.simulation.clients import BACKOFF_S, TRY_AGAIN, Senders
from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request
from proof.simulation.plan import AT_THE_ANSWER, ChangePlan, WindowPlan

DONE: Final = frozenset({200, 201})
_ANSWERED: Final = frozenset({*DONE, 400, 404, 409, 412})
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIXED: Final = ("id", "device", "location", "application", "from_at", "weekly", "made_at", "made_by")
_JSON: Final = "application/json"
_EARLIEST_S: Final = 29 * 86_400.0
LOOKS_MAX: Final = 20


@dataclass(slots=True)
class ToldWindow:
    """One request, what was `asked` for with it or which `change` of a window, and the answer heard first."""

    key: str
    request: Request
    asked: Asked | None = None
    change: Change | None = None
    window: str = ""
    attempts: int = 0
    answer: Answer | None = None
    heard_ms: int = 0

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
    seen: list[dict[str, Any]] = field(default_factory=list)
    """Every window that anybody was shown, as it was shown."""

    def start(self) -> None:
        """Let everybody begin."""
        plans: list[WindowPlan | ChangePlan] = [*self.lives.plan.windows, *self.lives.plan.changes]
        for person in sorted({each.person for each in plans}):
            own = [each for each in plans if each.person == person]
            self.senders.spawn(f"maintainer-{person}", partial(self._live, own))

    def unserved(self) -> list[str]:
        """Keys of requests that were never answered."""
        return [told.key for told in self.told if told.answer is None]

    def ask_all_again(self) -> None:
        """Everything that was done, once more: there is no other window, and none lives again.

        But for windows of places and applications: their devices are gathered anew when somebody begins them
        once more, which would hide that nobody else does.
        """
        for told in self.told:
            if told.said is not None and (told.asked is None or told.said["device"] is not None):
                self._once_more(told)

    def changes_of(self, window: str) -> list[ToldWindow]:
        """What was asked for to be otherwise of a window, answered or not, and whatever the answer was."""
        return [told for told in self.told if told.change is not None and told.window == window]

    def _live(self, own: list[WindowPlan | ChangePlan]) -> None:
        for number, plan in enumerate(own):
            self.senders.wait_for(plan.at_s)
            told = self._asking(plan, f"{plan.person}-{number}")
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

    def _asking(self, plan: WindowPlan | ChangePlan, key: str) -> ToldWindow | None:
        """None where there is nothing to change or to end, as far as people have been told."""
        if isinstance(plan, WindowPlan) and not plan.ends:
            return self._begin(plan, key)
        lasting = self._lasting()
        if not lasting:
            return None
        window = lasting[plan.pick % len(lasting)]
        return self._end(window, key) if isinstance(plan, WindowPlan) else self._change(plan, window, key)

    def _lasting(self) -> list[str]:
        """The windows that somebody was told of, but for those that somebody was told to have ended."""
        ended = {told.window for told in self.told if told.said and told.change and told.change.ends}
        return sorted({told.window for told in self.told if told.said} - ended)

    def _begin(self, plan: WindowPlan, key: str) -> ToldWindow:
        begins_ms = self.lives.machine.now_ms() + round(1000 * max(plan.from_s, -_EARLIEST_S))
        until_ms = None if plan.lasts_s is None else begins_ms + round(1000 * plan.lasts_s)
        nights = Nights(plan.days, plan.from_minute, plan.until_minute, plan.zone) if plan.days else None
        body: dict[str, Any] = {plan.covers: plan.device, "from": str(begins_ms), "why": key}
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
        headers = self._authorized() | {"content-type": _JSON, "idempotency-key": key}
        request = Request("POST", "/v1/maintenance", headers=headers, body=json.dumps(body).encode())
        asked = Asked(begins_ms, until_ms, nights, plan.no_alert, plan.no_learn, key)
        return ToldWindow(key, request, asked=asked)

    def _end(self, window: str, key: str) -> ToldWindow:
        headers = self._authorized() | {"if-match": "*"}
        request = Request("POST", f"/v1/maintenance/{window}/end", headers=headers)
        return ToldWindow(key, request, change=Change(key, ends=True), window=window)

    def _change(self, plan: ChangePlan, window: str, key: str) -> ToldWindow | None:
        """None where the window can't be read, since the system is away for long."""
        read = self._read(window)
        if read is None:
            return None
        self.lives.scheduler.sleep(plan.read_s)
        until: tuple[int | None, ...] = ()
        if plan.moves and (plan.lasts_s is not None or read["weekly"] is not None):
            lasts_s = plan.lasts_s
            until = (None if lasts_s is None else self.lives.machine.now_ms() + round(1000 * lasts_s),)
        body: dict[str, Any] = {}
        if until:
            body["to"] = None if until[0] is None else str(until[0])
        why = key if plan.why else None
        said = {"why": why, "no_alert": plan.no_alert, "no_learn": plan.no_learn}
        body |= {name: value for name, value in said.items() if value is not None}
        change = Change(
            key,
            read=read["version"] if plan.names else None,
            until=until,
            why=why,
            no_alert=plan.no_alert,
            no_learn=plan.no_learn,
        )
        if_match = f'"{read["version"]}"' if plan.names else "*"
        headers = self._authorized() | {"content-type": _JSON, "if-match": if_match}
        request = Request(
            "PATCH", f"/v1/maintenance/{window}", headers=headers, body=json.dumps(body).encode()
        )
        return ToldWindow(key, request, change=change, window=window)

    def _read(self, window: str) -> dict[str, Any] | None:
        for _ in range(LOOKS_MAX):
            answer = self.lives.wire.ask(
                Request("GET", f"/v1/maintenance/{window}", headers=self._authorized())
            )
            if answer is not None and answer.status not in TRY_AGAIN:
                if answer.status != 200:
                    self.lives.findings.add("window not read", f"{window}: {answer}")
                    return None
                return self._shown(answer)
            self.lives.scheduler.sleep(5.0)
        return None

    def _shown(self, answer: Answer) -> dict[str, Any]:
        """The window of an answer, which is remembered."""
        view: dict[str, Any] = json.loads(answer.body)
        self.seen.append(view)
        if answer.headers.get("etag") != f'"{view["version"]}"':
            self.lives.findings.add("other etag", f"{answer}")
        return view

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
                told.answer, told.heard_ms = answer, self.lives.machine.now_ms()
                if answer.status in DONE:
                    told.window = self._shown(answer)["id"]
                self.lives.trace.note("maintained", f"{told.key} {told.request.path} {answer.status}")
            elif answer is not None and answer.status not in TRY_AGAIN:
                self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {told.request}")
                return
            else:
                self.lives.scheduler.sleep(BACKOFF_S[min(told.attempts, len(BACKOFF_S)) - 1])

    def _once_more(self, told: ToldWindow) -> None:
        """The same window is answered, also when its time is over; a change may come too late by then."""
        answer, said = self.lives.wire.ask(told.request), told.said
        if answer is None or said is None or answer.status in TRY_AGAIN:
            return
        if answer.status not in DONE:
            if told.change is None or told.change.ends or answer.status not in _ANSWERED:
                self.lives.findings.add("window not repeated", f"{answer} to {told.request}, first {said}")
            return
        again = self._shown(answer)
        if again["version"] < said["version"] or any(said[name] != again[name] for name in _FIXED):
            self.lives.findings.add("other window", f"{said}, then {again}")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
