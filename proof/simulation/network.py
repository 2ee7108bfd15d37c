"""What lies between a sender and the system: it loses, holds up, repeats and cuts messages."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from proof.simulation.loop import Answer, Request
from proof.simulation.node import Node
from proof.simulation.plan import Network
from proof.simulation.scheduler import Process, Scheduler, Task

TIMEOUT_S: Final = 10.0


class Wire:
    """Carries requests to whichever process lives now. `node` is None while none does."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, chances: Network, outside: Process) -> None:
        self.node: Node | None = None
        self.chances = chances
        self.echoes = 0  # repeated messages that are still on their way
        self._scheduler: Final = scheduler
        self._rng: Final = rng
        self._outside: Final = outside

    def ask(self, request: Request) -> Answer | None:
        """The answer; None when none came, whatever became of the request. Blocks the one who asks."""
        chances, scheduler = self.chances, self._scheduler
        scheduler.sleep(self._rng.expovariate(1 / chances.latency_s))
        if self._happens("hold", chances.delay):
            scheduler.sleep(self._rng.uniform(1, 60))
        if self._happens("lose-request", chances.lose_request):
            scheduler.sleep(TIMEOUT_S)
            return None
        if self._happens("cut", chances.cut if request.body else 0.0):
            request = replace(request, cut_at=self._rng.randrange(len(request.body)))
        elif self._happens("trickle", chances.cut):
            request = replace(request, pause_s=self._rng.uniform(0, 3))
        if self._happens("repeat", chances.repeat if request.cut_at is None else 0.0):
            self.echoes += 1
            self._scheduler.spawn("echo", self._outside, lambda: self._echo(request))
        answer = self._deliver(request)
        return None if self._happens("lose-reply", chances.lose_reply) else answer

    def _happens(self, what: str, chance: float) -> bool:
        if not chance or self._rng.random() >= chance:
            return False
        self._scheduler.trace.fault(f"network-{what}")
        return True

    def _echo(self, request: Request) -> None:
        self._scheduler.sleep(self._rng.uniform(0, 30))
        self._deliver(request)
        self.echoes -= 1

    def _deliver(self, request: Request) -> Answer | None:
        """Hand it over and wait; None when nobody listens, the process dies, or it takes too long."""
        node = self.node
        if node is None or node.server is None or node.process.dead:
            return None
        answers: list[Answer] = []
        task = self._scheduler.here()

        def answered(answer: Answer) -> None:
            answers.append(answer)
            self._wake(task)

        node.waiting.append(task)
        node.server.submit(request, answered)
        if not answers:
            self._scheduler.park(TIMEOUT_S)
        node.waiting.remove(task)
        return answers[0] if answers else None

    def _wake(self, task: Task) -> None:
        self._scheduler.wake(task)
