"""Maintenance in a simulation: what a seed has people ask for, who asks until answered, what must hold."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from proof.simulation.clients import BACKOFF_S, TRY_AGAIN, Senders
from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request
from proof.simulation.plan import START_MS, MaintainPlan
from tocsin.control import MaintenanceSet, decode_control
from tocsin.log.abstract import Record, RecordKind

ANSWERED: Final = frozenset({200, 201, 400, 404, 409})
_WINDOW_RUN: Final = 0x1_1F58
_SHARE: Final = 0.3
_KEEPS: Final = ((True, False), (True, True), (True, True), (False, True))


def windows_of(seed: int, devices: Sequence[str], span_s: float) -> tuple[MaintainPlan, ...]:
    """Drawn apart from the rest of a plan, which stays what it was; in most seeds nothing is worked on."""
    rng = random.Random(seed ^ _WINDOW_RUN)
    if rng.random() >= _SHARE:
        return ()
    found = []
    for _ in range(rng.randint(1, 5)):
        at_s, (no_alert, no_learn) = rng.uniform(0, span_s), rng.choice(_KEEPS)
        begins_s = at_s + rng.choice((-3000.0, -300.0, 0.0, 120.0))
        found.append(
            MaintainPlan(
                at_s=at_s,
                device=rng.choice(devices),
                from_s=begins_s,
                to_s=max(begins_s, at_s) + rng.choice((61.0, 300.0, 900.0)),
                ends_s=at_s + rng.uniform(30, 600) if rng.random() < 0.4 else None,
                no_alert=no_alert,
                no_learn=no_learn,
            )
        )
    return tuple(sorted(found, key=lambda each: each.at_s))


@dataclass(slots=True)
class ToldWindow:
    """A request for a window, and the answer that was heard first."""

    plan: MaintainPlan
    request: Request
    answer: Answer | None = None

    @property
    def id(self) -> str:
        """Empty if there is none."""
        made = self.answer is not None and self.answer.status == 201
        return str(json.loads(self.answer.body)["id"]) if made and self.answer is not None else ""


@dataclass(slots=True)
class Maintainers:
    """One thread a window: asks for it, and ends it early where that is planned."""

    lives: Lives
    senders: Senders
    told: list[ToldWindow] = field(default_factory=list)

    def start(self) -> None:
        """Let everybody begin."""
        for number, plan in enumerate(self.lives.plan.windows):
            told = ToldWindow(plan, self._request(number, plan))
            self.told.append(told)
            self.senders.spawn(f"maintainer-{number}", partial(self._live, told))

    def check(self, records: Sequence[Record]) -> int:
        """Whether what was answered is in the log as it was asked for; how many windows were."""
        logged = [found for record in records if (found := _window(record)) is not None]
        for told in self.told:
            own = [each for each in logged if each.window == told.id]
            asked = told.plan.no_alert, told.plan.no_learn
            if told.id and {(each.no_alert, each.no_learn) for each in own} != {asked}:
                self.lives.findings.add("maintenance lost", f"{told.plan} was told, the log has {own}")
        return sum(bool(told.id) for told in self.told)

    def _request(self, number: int, plan: MaintainPlan) -> Request:
        wanted = {
            "device": plan.device,
            "from": str(START_MS + round(plan.from_s * 1000)),
            "to": str(START_MS + round(plan.to_s * 1000)),
            "no_alert": plan.no_alert,
            "no_learn": plan.no_learn,
        }
        headers = self._headers() | {"idempotency-key": f"window-{number}"}
        return Request("POST", "/v1/maintenance", headers=headers, body=json.dumps(wanted).encode())

    def _headers(self) -> dict[str, str]:
        token = self.senders.tokens["person"]
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def _live(self, told: ToldWindow) -> None:
        self.senders.wait_for(told.plan.at_s)
        told.answer = self._until_answered(told.request)
        if told.id and told.plan.ends_s is not None:
            self.senders.wait_for(told.plan.ends_s)
            path = f"/v1/maintenance/{told.id}/end"
            self._until_answered(Request("POST", path, headers=self._headers() | {"if-match": "*"}))

    def _until_answered(self, request: Request) -> Answer | None:
        """The answer; None for one that nobody expects, which is noted."""
        for attempt in range(1000):
            answer = self.lives.wire.ask(request)
            if answer is not None and answer.status in ANSWERED:
                self.lives.trace.note("maintenance", f"{request.body!r} {answer.status}")
                return answer
            if answer is not None and answer.status not in TRY_AGAIN:
                self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {request}")
                return None
            self.lives.scheduler.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
        self.lives.findings.add("maintenance not answered", f"{request}")
        return None


def _window(record: Record) -> MaintenanceSet | None:
    control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
    return control if isinstance(control, MaintenanceSet) else None
