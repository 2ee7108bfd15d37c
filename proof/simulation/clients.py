"""Senders and people: they send until they hear that it was taken, and remember what they were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request
from proof.simulation.node import Node
from proof.simulation.plan import TENANT, Ask, Body, Quarantining
from tocsin.control import Quarantine, encode_control
from tocsin.errors import TocsinError
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.sharding import partition_of, shard_of

TRY_AGAIN: Final = frozenset({408, 429, 503, 507})
ANSWERED: Final = frozenset({200, 400})
FRESH_MS: Final = 12 * 3_600_000
BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True)
class Told:
    """What became of one body: how often it was sent, and the answer that was heard first."""

    body: Body
    attempts: int = 0
    answer: Answer | None = None
    at_ms: int = 0


@dataclass(slots=True)
class Senders:
    """One thread a client, bodies in order; further ones for those who ask or send again."""

    lives: Lives
    tokens: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    running: int = 0

    def start(self) -> None:
        """Let everybody begin."""
        plan = self.lives.plan
        for client in sorted({body.client for body in plan.bodies}):
            own = [Told(body) for body in plan.bodies if body.client == client]
            self.told += own
            self.spawn(f"client-{client}", partial(self._send_all, own))
        for ask in plan.asks:
            self.spawn("person", partial(self._ask, ask))
        for number, step in enumerate(plan.quarantines):
            self.spawn(f"quarantine-{number}", partial(self.quarantine, step))

    def send_now(self, body: Body) -> None:
        """Send one body; returns once it is answered."""
        told = Told(body)
        self.told.append(told)
        self._send(told)

    def finished(self) -> bool:
        """Whether everybody has come to an end."""
        return self.running == 0

    def authorized(self, **headers: str) -> dict[str, str]:
        """Headers of a request by the gateway."""
        return {"authorization": f"Bearer {self.tokens['gateway']}"} | headers

    def unserved(self) -> int:
        """Bodies without an answer."""
        return sum(told.answer is None for told in self.told)

    def request(self, body: Body) -> Request:
        """The request for a body."""
        headers = {
            "authorization": f"Bearer {self.tokens['gateway']}",
            "content-type": "application/x-ndjson",
        }
        if body.sequence:
            headers |= {"tocsin-producer": f"client-{body.client}", "tocsin-sequence": body.sequence}
        path = "/v1/logs" if body.logs else "/v1/events"
        return Request("POST", path, headers=headers, body=body.text.encode())

    def spawn(self, name: str, work: Callable[[], None]) -> None:
        """A thread of somebody outside; everybody has come to an end when all of them have."""
        self.running += 1

        def run() -> None:
            try:
                work()
            finally:
                self.running -= 1

        self.lives.scheduler.spawn(name, self.lives.outside, run)

    def _send_all(self, own: list[Told]) -> None:
        for told in own:
            self.wait_for(told.body.at_s)
            self._send(told)
            if told.body.twice:
                self.spawn("again", partial(self._again, told))

    def wait_for(self, at_s: float) -> None:
        """Until that second of the simulation."""
        scheduler = self.lives.scheduler
        if at_s > scheduler.now_s:
            scheduler.sleep(at_s - scheduler.now_s)

    def _send(self, told: Told) -> None:
        """Until it is answered for good."""
        while told.answer is None:
            told.attempts += 1
            answer = self.lives.wire.ask(self.request(told.body))
            if answer is not None and answer.status in ANSWERED:
                told.answer, told.at_ms = answer, self.lives.machine.now_ms()
                self.lives.trace.note("told", f"{told.body.client} {told.body.sequence} {answer.status}")
                return
            if answer is not None and answer.status not in TRY_AGAIN:
                self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {told.body}")
                return
            self.lives.scheduler.sleep(BACKOFF_S[min(told.attempts, len(BACKOFF_S)) - 1])

    def ask_all_again(self) -> None:
        """Send once more what is idempotent and not too old: nothing changes, the answers are the same."""
        for told in self.told:
            fresh = self.lives.machine.now_ms() - told.at_ms < FRESH_MS
            if not told.body.sequence or told.answer is None or not fresh:
                continue
            answer = self.lives.wire.ask(self.request(told.body))
            if answer is None or answer.headers.get("tocsin-repeated") != "true":
                self.lives.findings.add("not repeated", f"{answer} to {told.body}")
            else:
                self._check_same(told, answer)

    def _again(self, told: Told) -> None:
        """The same once more: it must get the same answer."""
        self.lives.scheduler.sleep(self.lives.rng.uniform(0, 600))
        answer = self.lives.wire.ask(self.request(told.body))
        if answer is not None and answer.status in ANSWERED:
            self._check_same(told, answer)

    def _check_same(self, told: Told, answer: Answer) -> None:
        first = told.answer
        if first is not None and (answer.status, answer.body) != (first.status, first.body):
            what = f"{first.body!r}, then {answer.body!r} to {told.body}"
            self.lives.findings.add("other answer", what)

    def _ask(self, ask: Ask) -> None:
        self.wait_for(ask.at_s)
        headers = {"authorization": f"Bearer {self.tokens['person']}"}
        answer = self.lives.wire.ask(Request(ask.method, ask.path, ask.query, headers))
        expected = {200, 404} if ask.path.endswith("/dumps") else {200}  # it may have sent none yet
        if answer is not None and answer.status not in expected | TRY_AGAIN:
            self.lives.findings.add(f"answer {answer.status}", f"{answer.body!r} to {ask}")

    def quarantine(self, step: Quarantining) -> None:
        """Do it at its time, and again until the log has it."""
        self.wait_for(step.at_s)
        done: list[bool] = []
        while not done:
            self.lives.in_node("quarantine", lambda node: _quarantine(node, step, done))
            if not done:
                self.lives.scheduler.sleep(5.0)


def _quarantine(node: Node, step: Quarantining, done: list[bool]) -> None:
    """Log the decision; when the log refuses, it is tried again later."""
    application = node.running()
    partition = partition_of(shard_of(TENANT, step.device), application.log.partitions)
    decision = Quarantine(tenant=TENANT, devices=(step.device,), reason="simulated", released=step.released)
    part = Part(partition, RecordKind.CONTROL, 1, encode_control(decision))
    try:
        application.log.submit(Append(TENANT, application.clock.now_ms(), (part,))).result()
    except TocsinError:
        return
    done.append(True)
