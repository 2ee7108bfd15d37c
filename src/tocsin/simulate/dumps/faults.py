"""Faults of machines, each with its label: what went wrong, where, when, and who could see it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.components import GRAMMARS
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.grammar import Grammar
from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS, offset_ms
from tocsin.simulate.dumps.work import SHIFT_HOURS, work_at

_MINUTE_MS: Final = 60_000
_APART_MS: Final = 2 * HOUR_MS
_WORKING: Final = 0.3


class DumpFaultKind(StrEnum):
    """What can go wrong with one component of one machine."""

    NEW_TEMPLATE = "new_template"
    VANISHED_TEMPLATE = "vanished_template"
    RATE_BURST = "rate_burst"
    STARTUP_ORDER = "startup_order"
    PARAMETER_DRIFT = "parameter_drift"
    COMPONENT_SILENT = "component_silent"
    LEVEL_SHIFT = "level_shift"
    RESTART_LOOP = "restart_loop"
    UNLOGGED = "unlogged"


class Sight(StrEnum):
    """What a detector has to look at to see a fault."""

    SHAPES = "shapes"
    """How often lines of each shape come."""
    NUMBERS = "numbers"
    """The numbers within lines of one shape."""
    ORDER = "order"
    """Which line follows which."""


SIGHTS: Final = {
    DumpFaultKind.NEW_TEMPLATE: (Sight.SHAPES,),
    DumpFaultKind.VANISHED_TEMPLATE: (Sight.SHAPES,),
    DumpFaultKind.RATE_BURST: (Sight.SHAPES,),
    DumpFaultKind.STARTUP_ORDER: (Sight.ORDER,),
    DumpFaultKind.PARAMETER_DRIFT: (Sight.NUMBERS,),
    DumpFaultKind.COMPONENT_SILENT: (Sight.SHAPES,),
    DumpFaultKind.LEVEL_SHIFT: (Sight.SHAPES,),
    DumpFaultKind.RESTART_LOOP: (Sight.SHAPES, Sight.ORDER),
    DumpFaultKind.UNLOGGED: (),
}


class DumpFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of one component from `from_ms` to before `to_ms`.

    What `size` means depends on the kind: new_template: lines an hour · rate_burst, level_shift: times the
    usual number · parameter_drift: deviations reached at the end, signed · restart_loop: minutes from start
    to start · otherwise nothing. `choice` picks among what the grammar offers.
    """

    kind: DumpFaultKind
    device: int
    component: str
    from_ms: int
    to_ms: int
    size: float = 1.0
    choice: int = 0

    def holds(self, ts_ms: int) -> bool:
        """Whether a line of that time is affected."""
        return self.from_ms <= ts_ms < self.to_ms


class DumpLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault should be found as. `seen_by` is empty where no log can show it."""

    device: str
    component: str
    kind: str
    from_ms: int
    to_ms: int
    seen_by: tuple[str, ...]
    text: str


def parse_dump_kinds(text: str) -> tuple[DumpFaultKind, ...]:
    """The kinds named in a list with commas; `all` is every one, `none` and an empty text none.

    >>> parse_dump_kinds("rate_burst, unlogged")
    (<DumpFaultKind.RATE_BURST: 'rate_burst'>, <DumpFaultKind.UNLOGGED: 'unlogged'>)
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(DumpFaultKind)
    if names in ([], ["none"]):
        return ()
    known = [kind.value for kind in DumpFaultKind]
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError(
            f"unknown fault {unknown[0]!r}; known are {', '.join(sorted(known))}, all and none",
            field="faults",
        )
    return tuple(DumpFaultKind(name) for name in names)


def plan_dump_faults(
    fleet: DumpFleet, kinds: Sequence[DumpFaultKind], from_ms: int, to_ms: int, *, per_device: float = 0.5
) -> list[DumpFault]:
    """Faults of the given kinds within the span, on average `per_device` a machine.

    Each kind gets an equal share and at least one fault where the span has room. They lie in hours in which
    the machine works, so that what they change is a change; faults of one machine lie two hours apart.
    """
    if not kinds or to_ms <= from_ms:
        return []
    rng = fleet.rng("faults")
    taken: dict[int, list[tuple[int, int]]] = {}
    order = rng.sample(range(fleet.devices), fleet.devices)
    count = max(1, round(fleet.devices * per_device / len(kinds))) * len(kinds)
    placed = [
        _place(fleet, kinds[number % len(kinds)], order[number % len(order) :], from_ms, to_ms, rng, taken)
        for number in range(count)
    ]
    return sorted(
        (fault for fault in placed if fault is not None), key=lambda each: (each.from_ms, each.device)
    )


def startups_ms(fleet: DumpFleet, device: int, from_ms: int, to_ms: int) -> list[int]:
    """When a machine is started within [from, to): a few minutes into each shift in which it works."""
    zone = fleet.zone(fleet.location(device))
    offset = offset_ms(zone, from_ms)
    found = []
    for day in range((from_ms + offset) // DAY_MS - 1, (to_ms + offset) // DAY_MS + 2):
        for hour in SHIFT_HOURS:
            local_ms = day * DAY_MS + hour * HOUR_MS
            late_ms = fleet.rng("startup", device, day, hour).randrange(3 * _MINUTE_MS)
            at_ms = local_ms - offset_ms(zone, local_ms - offset) + late_ms
            if work_at(local_ms) >= _WORKING and from_ms <= at_ms < to_ms:
                found.append(at_ms)
    return found


def dump_labels(fleet: DumpFleet, faults: Sequence[DumpFault]) -> list[DumpLabel]:
    """The faults as people and benchmarks read them, in the order given."""
    return [
        DumpLabel(
            device=fleet.device(fault.device),
            component=fault.component,
            kind=fault.kind.value,
            from_ms=fault.from_ms,
            to_ms=fault.to_ms,
            seen_by=tuple(sight.value for sight in SIGHTS[fault.kind]),
            text=_text(fault, next(each for each in GRAMMARS if each.component == fault.component)),
        )
        for fault in faults
    ]


def _place(
    fleet: DumpFleet,
    kind: DumpFaultKind,
    devices: Sequence[int],
    from_ms: int,
    to_ms: int,
    rng: random.Random,
    taken: dict[int, list[tuple[int, int]]],
    tries: int = 200,
) -> DumpFault | None:
    """One fault where its machine works and is still free, or None when the span is too short or full."""
    for number in range(tries):
        device = devices[number // 20 % len(devices)]
        length = rng.randrange(2 * HOUR_MS, 6 * HOUR_MS)
        start = rng.randrange(from_ms, max(to_ms - length, from_ms + 1))
        end = start + length
        spans = taken.setdefault(device, [])
        free = all(start >= over + _APART_MS or end + _APART_MS <= begin for begin, over in spans)
        if free and end <= to_ms and _shows(fleet, kind, device, start, end):
            spans.append((start, end))
            grammar = GRAMMARS[rng.randrange(len(GRAMMARS))]
            size, choice = _size(kind, rng), rng.randrange(len(grammar.strange))
            if kind is DumpFaultKind.VANISHED_TEMPLATE:
                choice = 0  # of others than the first only whoever asks for them, as the demo does
            return DumpFault(
                kind=kind, device=device, component=grammar.component, from_ms=start, to_ms=end,
                size=size, choice=choice,
            )  # fmt: skip
    return None


def _shows(fleet: DumpFleet, kind: DumpFaultKind, device: int, from_ms: int, to_ms: int) -> bool:
    offset = offset_ms(fleet.zone(fleet.location(device)), from_ms)
    works = min(work_at(at + offset) for at in range(from_ms, to_ms, HOUR_MS)) >= _WORKING
    if kind is DumpFaultKind.STARTUP_ORDER:
        return works and bool(startups_ms(fleet, device, from_ms, to_ms - _MINUTE_MS))
    return works


def _size(kind: DumpFaultKind, rng: random.Random) -> float:
    match kind:
        case DumpFaultKind.NEW_TEMPLATE:
            return rng.uniform(10, 40)
        case DumpFaultKind.RATE_BURST:
            return rng.uniform(30, 80)
        case DumpFaultKind.LEVEL_SHIFT:
            return rng.choice([rng.uniform(0.1, 0.25), rng.uniform(2.5, 4.0)])
        case DumpFaultKind.PARAMETER_DRIFT:
            return rng.choice([-1, 1]) * rng.uniform(10, 20)
        case DumpFaultKind.RESTART_LOOP:
            return rng.uniform(3, 8)
        case _:
            return 1.0


def _text(fault: DumpFault, grammar: Grammar) -> str:
    before, after = grammar.startup[1], grammar.startup[2]
    measured, name = grammar.measured
    gone = grammar.vanishing[fault.choice] if fault.kind is DumpFaultKind.VANISHED_TEMPLATE else before
    return {
        DumpFaultKind.NEW_TEMPLATE: f"a line that never came before, {fault.size:.0f} times an hour: "
        f"{grammar.strange[fault.choice].shown}",
        DumpFaultKind.VANISHED_TEMPLATE: f"this line no longer comes: {gone.shown}",
        DumpFaultKind.RATE_BURST: f"{fault.size:.0f} times as often as usual: {grammar.usual_warning.shown}",
        DumpFaultKind.STARTUP_ORDER: f"at start-up '{after.shown}' comes before '{before.shown}'",
        DumpFaultKind.PARAMETER_DRIFT: f"{name} drifts by {fault.size:+.1f} deviations in: {measured.shown}",
        DumpFaultKind.COMPONENT_SILENT: "the component writes nothing",
        DumpFaultKind.LEVEL_SHIFT: f"all lines come {fault.size:.2f} times as often as usual",
        DumpFaultKind.RESTART_LOOP: f"the component starts anew every {fault.size:.0f} minutes",
        DumpFaultKind.UNLOGGED: "a bearing wears out, which no component notices or logs",
    }[fault.kind]
