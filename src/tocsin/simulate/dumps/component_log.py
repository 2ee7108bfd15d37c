"""One component of one machine, which goes on writing from dump to dump."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from tocsin.simulate.dumps.faults import DumpFault, DumpFaultKind
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.formats import FORMATS
from tocsin.simulate.dumps.grammar import Grammar, Run, Steady, Template
from tocsin.simulate.dumps.schedule import HOUR_MS, offset_ms
from tocsin.simulate.dumps.work import work_at

_STEP_MS: Final = (80, 900)
"""How long a component takes from one word of its start-up to the next."""


@dataclass(slots=True)
class _Said:
    """A line before it is written; `order` tells lines of one millisecond apart."""

    ts_ms: int
    order: int
    template: Template
    values: list[str]


class ComponentLog:
    """Call `advance` or `timed` for one stretch of time after the other.

    Faults draw from random numbers of their own: whatever they do not touch is written as without them.
    """

    def __init__(self, fleet: DumpFleet, device: int, grammar: Grammar, faults: Sequence[DumpFault]) -> None:
        self._grammar: Final = grammar
        self.component: Final = grammar.component
        self._write: Final = FORMATS[grammar.component]
        self._scale: Final = fleet.scale
        self._zone: Final = fleet.zone(fleet.location(device))
        self._rng: Final = fleet.rng(f"lines {grammar.component}", device)
        self._fault_rng: Final = fleet.rng(f"faulty lines {grammar.component}", device)
        self._faults: Final = {
            kind: [fault for fault in faults if fault.kind is kind] for kind in DumpFaultKind
        }
        self._vanished: Final = self._faults[DumpFaultKind.VANISHED_TEMPLATE]
        self._shifted: Final = self._faults[DumpFaultKind.LEVEL_SHIFT]
        self._waiting: list[_Said] = []
        self._order = 0

    def advance(self, from_ms: int, to_ms: int, startups: Sequence[int]) -> list[str]:
        """The lines of [from, to) in order of time; the machine is started at the moments `startups`."""
        return [text for _, text in self.timed(from_ms, to_ms, startups)]

    def timed(self, from_ms: int, to_ms: int, startups: Sequence[int]) -> list[tuple[int, str]]:
        """`advance`, each line with its time in ms since 1970."""
        said = self._waiting
        for begin_ms, end_ms in self._pieces(from_ms, to_ms):
            work = work_at(begin_ms + offset_ms(self._zone, begin_ms))
            said.extend(line for line in self._usual(begin_ms, end_ms, work) if not self._dropped(line))
            said.extend(self._unusual(begin_ms, end_ms, work))
        for at_ms in startups:
            said.extend(self._startup(at_ms, self._rng))
        said.sort(key=attrgetter("ts_ms", "order"))
        due = bisect_left(said, to_ms, key=attrgetter("ts_ms"))
        self._waiting = said[due:]
        written = said[:due]
        for fault in self._faults[DumpFaultKind.COMPONENT_SILENT]:
            written = [line for line in written if not fault.holds(line.ts_ms)]
        return [(line.ts_ms, self._written(line)) for line in written]

    def _pieces(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
        """The stretch cut where a local hour ends, since the work changes there."""
        while from_ms < to_ms:
            local_ms = from_ms + offset_ms(self._zone, from_ms)
            end_ms = min(to_ms, from_ms + HOUR_MS - local_ms % HOUR_MS)
            yield from_ms, end_ms
            from_ms = end_ms

    def _usual(self, from_ms: int, to_ms: int, work: float) -> Iterator[_Said]:
        for steady in self._grammar.steady:
            for at_ms in _times(self._rng, self._rate(steady, work), from_ms, to_ms):
                yield self._said(steady.template, at_ms, self._rng)
        for run in self._grammar.runs:
            for at_ms in _times(self._rng, self._rate(run, work), from_ms, to_ms):
                yield from self._walked(run, at_ms, self._rng)

    def _unusual(self, from_ms: int, to_ms: int, work: float) -> Iterator[_Said]:
        """What faults add."""
        rng = self._fault_rng
        for fault, begin_ms, end_ms in self._overlaps(DumpFaultKind.NEW_TEMPLATE, from_ms, to_ms):
            for at_ms in _times(rng, fault.size * self._scale, begin_ms, end_ms):
                yield self._said(self._grammar.strange[fault.choice], at_ms, rng)
        for fault, begin_ms, end_ms in self._overlaps(DumpFaultKind.RATE_BURST, from_ms, to_ms):
            warning = next(
                each for each in self._grammar.steady if each.template is self._grammar.usual_warning
            )
            more = warning.per_hour * self._scale * (fault.size - 1)
            for at_ms in _times(rng, more, begin_ms, end_ms):
                yield self._said(warning.template, at_ms, rng)
        for fault, begin_ms, end_ms in self._overlaps(DumpFaultKind.LEVEL_SHIFT, from_ms, to_ms):
            yield from self._more(max(0.0, fault.size - 1), begin_ms, end_ms, work)
        for fault, begin_ms, end_ms in self._overlaps(DumpFaultKind.RESTART_LOOP, from_ms, to_ms):
            every_ms = round(fault.size * 60_000)
            first_ms = fault.from_ms + -(-(begin_ms - fault.from_ms) // every_ms) * every_ms
            for at_ms in range(first_ms, end_ms, every_ms):
                yield from self._startup(at_ms, rng)

    def _more(self, share: float, from_ms: int, to_ms: int, work: float) -> Iterator[_Said]:
        """The usual lines once more, `share` times."""
        rng = self._fault_rng
        for steady in self._grammar.steady:
            for at_ms in _times(rng, share * self._rate(steady, work), from_ms, to_ms):
                yield self._said(steady.template, at_ms, rng)
        for run in self._grammar.runs:
            for at_ms in _times(rng, share * self._rate(run, work), from_ms, to_ms):
                yield from self._walked(run, at_ms, rng)

    def _overlaps(
        self, kind: DumpFaultKind, from_ms: int, to_ms: int
    ) -> Iterator[tuple[DumpFault, int, int]]:
        for fault in self._faults[kind]:
            begin_ms, end_ms = max(from_ms, fault.from_ms), min(to_ms, fault.to_ms)
            if begin_ms < end_ms:
                yield fault, begin_ms, end_ms

    def _rate(self, each: Steady | Run, work: float) -> float:
        return each.per_hour * self._scale * (work if each.works else 1.0)

    def _walked(self, run: Run, at_ms: int, rng: random.Random) -> Iterator[_Said]:
        state: str | None = run.first
        while state is not None:
            step = run.steps[state]
            yield self._said(step.template, at_ms, rng)
            at_ms += rng.randint(*step.delay_ms)
            names = [name for name, _ in step.following]
            state = rng.choices(names, [weight for _, weight in step.following])[0] if names else None

    def _startup(self, at_ms: int, rng: random.Random) -> list[_Said]:
        mixed = any(fault.holds(at_ms) for fault in self._faults[DumpFaultKind.STARTUP_ORDER])
        words = []
        for template in self._grammar.startup:
            words.append(self._said(template, at_ms, rng))
            at_ms += rng.randint(*_STEP_MS)
        if mixed:  # afterwards, so that random numbers are used as ever
            first, second = words[1], words[2]
            first.ts_ms, second.ts_ms = second.ts_ms, first.ts_ms
        return words

    def _said(self, template: Template, ts_ms: int, rng: random.Random) -> _Said:
        self._order += 1
        measured, drifting = self._grammar.measured
        shift = self._shift(ts_ms) if template is measured else 0.0
        values = [
            parameter.draw(rng, ts_ms, shift if name == drifting else 0.0)
            for name, parameter in template.parameters
        ]
        return _Said(ts_ms, self._order, template, values)

    def _shift(self, ts_ms: int) -> float:
        """How many deviations a drift has moved the measured number by then."""
        return sum(
            fault.size * (ts_ms - fault.from_ms) / (fault.to_ms - fault.from_ms)
            for fault in self._faults[DumpFaultKind.PARAMETER_DRIFT]
            if fault.holds(ts_ms)
        )

    def _dropped(self, line: _Said) -> bool:
        """Whether a fault keeps a usual line from being written."""
        for fault in self._vanished:
            if fault.holds(line.ts_ms) and line.template is self._grammar.vanishing[fault.choice]:
                return True
        for fault in self._shifted:
            if fault.holds(line.ts_ms) and self._fault_rng.random() >= fault.size:
                return True
        return False

    def _written(self, line: _Said) -> str:
        return self._write(line.ts_ms, offset_ms(self._zone, line.ts_ms), line.template, line.values)


def _times(rng: random.Random, per_hour: float, from_ms: int, to_ms: int) -> Iterator[int]:
    """Moments at random, `per_hour` on average."""
    if per_hour <= 0:
        return
    at_ms = float(from_ms)
    while (at_ms := at_ms + rng.expovariate(per_hour) * HOUR_MS) < to_ms:
        yield int(at_ms)
