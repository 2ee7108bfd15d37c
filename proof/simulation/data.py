"""What a simulated fleet sends: mostly well; sometimes late, twice, in conflict, misdated or broken."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from proof.simulation.plan import START_MS

HISTORY_S: Final = 4800
_BROKEN: Final = (
    '{"device":"pump-0","ts":"yesterday","temperature":1}',
    '{"device":"pump-0","ts":1767225600000,"temperature":NaN}',
    '{"device":"pump-0","ts":1767225600000,"temperature":9007199254740993}',
    '{"device":"pump-0","ts":1767225600000,"temperature":1,"temperature":2}',
    '{"ts":1767225600000,"temperature":1}',
    "no json",
)


class Fleet:
    """A few devices with up to three parameters; levels shift for a while, devices fall silent."""

    def __init__(self, rng: random.Random, *, devices: int, span_s: float) -> None:
        self._rng = rng
        self._span_s = span_s
        self.devices: Final = tuple(f"pump-{number}" for number in range(devices))
        self._parameters = ("temperature", "humidity", "level")[: rng.randint(1, 3)]
        self._step_s = rng.choice((60, 60, 120, 300))
        self._shift = {device: rng.uniform(-HISTORY_S / 2, span_s) for device in self.devices}
        self._silent = {device: rng.uniform(0, 2 * span_s) for device in self.devices}
        self._odd = rng.choice((0.0, 0.02, 0.1))
        self._sent: list[dict[str, Any]] = []

    def bodies(self) -> Iterator[tuple[float, int, str]]:
        """(when, by which client, NDJSON), in order of time: the history first, then live."""
        yield from self._history()
        held: list[tuple[float, int, str]] = []
        at_s = float(self._step_s)
        while at_s < self._span_s:
            for client, device in enumerate(self.devices):
                lines = [self._line(device, at_s)] if not self._is_silent(device, at_s) else []
                lines += self._oddities(device, at_s)
                if not lines:
                    continue
                sent_s = at_s + self._rng.uniform(0, 5)
                if self._rng.random() < self._odd:
                    sent_s += self._rng.uniform(60, 1200)  # held up: what came after it comes before
                held.append((sent_s, client, "".join(lines)))
            at_s += self._step_s
        yield from sorted(held)

    def _history(self) -> Iterator[tuple[float, int, str]]:
        for client, device in enumerate(self.devices):
            steps = range(-HISTORY_S, 0, self._step_s)
            lines = [self._line(device, float(step)) for step in steps if self._rng.random() > 0.02]
            cut = self._rng.randrange(1, len(lines))
            yield 0.5 * client, client, "".join(lines[:cut])
            yield 0.5 * client + 0.2, client, "".join(lines[cut:])

    def _is_silent(self, device: str, at_s: float) -> bool:
        return self._silent[device] <= at_s < self._silent[device] + 1500

    def _line(self, device: str, at_s: float) -> str:
        shifted = 40.0 if self._shift[device] <= at_s < self._shift[device] + 900 else 0.0
        event: dict[str, Any] = {"device": device, "ts": START_MS + round(at_s * 1000)}
        for parameter in self._parameters:
            if self._rng.random() < 0.95:
                event[parameter] = round(20 + shifted + self._rng.gauss(0, 1), 3)
        if self._rng.random() < 0.05:
            event["state"] = self._rng.choice(("on", "off"))
        self._sent.append(event)
        return _ndjson(event)

    def _oddities(self, device: str, at_s: float) -> list[str]:
        if self._rng.random() >= self._odd:
            return []
        own = [event for event in self._sent if event["device"] == device]
        event = dict(self._rng.choice(own or self._sent))
        others: tuple[dict[str, Any], ...] = (
            {},  # a duplicate
            {self._parameters[0]: round(self._rng.gauss(20, 1), 3)},  # a conflict
            {"ts": event["ts"] - self._rng.randrange(1, 50_000)},  # late
            {"ts": START_MS + round(at_s * 1000) + 2 * 86_400_000},  # by a wrong clock
            {"device": f"new-{self._rng.randrange(3)}"},  # one more than may be, now and then
        )
        if self._rng.random() < 0.2:
            return [self._rng.choice(_BROKEN) + "\n"]
        return [_ndjson(event | self._rng.choice(others))]


def _ndjson(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"
