"""Injected faults, each with its label: what went wrong, where, and from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from tocsin.errors import InvalidInputError
from tocsin.simulate.fleet import DAY_MS, Fleet

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000


class FaultKind(StrEnum):
    """The first five change values of one parameter, the others the stamps or the delivery of a device."""

    SPIKE = "spike"
    LEVEL_SHIFT = "level_shift"
    DRIFT = "drift"
    STUCK = "stuck"
    NOISE = "noise"
    SILENCE = "silence"
    WRONG_CLOCK = "wrong_clock"
    LATE = "late"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"


VALUE_KINDS: Final = frozenset(
    {FaultKind.SPIKE, FaultKind.LEVEL_SHIFT, FaultKind.DRIFT, FaultKind.STUCK, FaultKind.NOISE}
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of one station from `from_ms` to before `to_ms`, by the time of measurement.

    `quantity` is an index into the fleet's quantities, -1 for all. What `size` means depends on the kind:
    spike, level_shift: added deviations · drift: deviations reached at the end · noise: times the usual
    noise · wrong_clock: seconds added to the stamps · late: share of the events held back until the end ·
    duplicate: share of the events sent twice · reordered: seconds over which deliveries are shuffled ·
    stuck (the value of its first sample) and silence: nothing.
    """

    kind: FaultKind
    station: int
    from_ms: int
    to_ms: int
    quantity: int = -1
    size: float = 1.0


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault should be found as; `parameter` is empty where it is a fault of the whole device."""

    device: str
    parameter: str
    kind: str
    from_ms: int
    to_ms: int


class _Shape(msgspec.Struct, frozen=True):
    """Ranges from which the plan draws a fault's length and size; the sign of the size is drawn too."""

    length_ms: tuple[int, int]
    size: tuple[float, float] = (1.0, 1.0)
    signed: bool = False


_SHAPES: Final = {
    FaultKind.SPIKE: _Shape((1, 5 * _MINUTE_MS), (8, 15), signed=True),
    FaultKind.LEVEL_SHIFT: _Shape((2 * _HOUR_MS, 12 * _HOUR_MS), (6, 12), signed=True),
    FaultKind.DRIFT: _Shape((12 * _HOUR_MS, 36 * _HOUR_MS), (10, 20), signed=True),
    FaultKind.STUCK: _Shape((3 * _HOUR_MS, 12 * _HOUR_MS)),
    FaultKind.NOISE: _Shape((2 * _HOUR_MS, 8 * _HOUR_MS), (6, 10)),
    FaultKind.SILENCE: _Shape((1 * _HOUR_MS, 6 * _HOUR_MS)),
    FaultKind.WRONG_CLOCK: _Shape((30 * _MINUTE_MS, 4 * _HOUR_MS), (2 * 86_400, 400 * 86_400), signed=True),
    FaultKind.LATE: _Shape((30 * _MINUTE_MS, 3 * _HOUR_MS), (0.3, 0.7)),
    FaultKind.DUPLICATE: _Shape((30 * _MINUTE_MS, 3 * _HOUR_MS), (0.3, 0.9)),
    FaultKind.REORDERED: _Shape((30 * _MINUTE_MS, 3 * _HOUR_MS), (180, 900)),
}


def parse_kinds(text: str) -> tuple[FaultKind, ...]:
    """The kinds named in a list with commas; `all` is every one, an empty text none.

    >>> parse_kinds("spike,stuck")
    (<FaultKind.SPIKE: 'spike'>, <FaultKind.STUCK: 'stuck'>)
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(FaultKind)
    known = {kind.value for kind in FaultKind}
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError(
            f"unknown fault {unknown[0]!r}; known are {', '.join(sorted(known))} and all", field="faults"
        )
    return tuple(FaultKind(name) for name in names)


def plan_faults(
    fleet: Fleet,
    kinds: Sequence[FaultKind],
    from_ms: int,
    to_ms: int,
    *,
    per_station_month: float = 2.0,
    key: int = 0,
) -> list[Fault]:
    """Faults of the given kinds within the span, on average `per_station_month` a station and 30 days.

    Each kind gets an equal share and at least one fault where the span has room for it. Faults of one
    station never overlap and lie at least two hours apart, so that every label stands for itself. The
    draw depends on the fleet's seed and `key` alone.
    """
    if not kinds or to_ms <= from_ms:
        return []
    rng = np.random.default_rng([fleet.seed, 0xFA017, key])
    wanted = fleet.stations * per_station_month * (to_ms - from_ms) / (30 * DAY_MS)
    per_kind = max(1, round(wanted / len(kinds)))
    taken: dict[int, list[tuple[int, int]]] = {}
    faults = [
        fault
        for _ in range(per_kind)
        for kind in kinds
        if (fault := _place(fleet, kind, from_ms, to_ms, rng, taken)) is not None
    ]
    return sorted(faults, key=lambda fault: (fault.from_ms, fault.station))


def labels(fleet: Fleet, faults: Sequence[Fault]) -> list[Label]:
    """The faults as people and benchmarks read them, in the order given."""
    return [
        Label(
            device=fleet.device(fault.station),
            parameter=fleet.names[fault.quantity] if fault.quantity >= 0 else "",
            kind=fault.kind.value,
            from_ms=fault.from_ms,
            to_ms=fault.to_ms,
        )
        for fault in faults
    ]


def _place(
    fleet: Fleet,
    kind: FaultKind,
    from_ms: int,
    to_ms: int,
    rng: np.random.Generator,
    taken: dict[int, list[tuple[int, int]]],
    tries: int = 20,
) -> Fault | None:
    """One fault where its station is still free, or None when the span is too short or too full."""
    shape = _SHAPES[kind]
    for _ in range(tries):
        shortest = max(shape.length_ms[0], fleet.interval_ms)
        length = int(rng.integers(shortest, max(shape.length_ms[1], shortest) + 1))
        station = int(rng.integers(fleet.stations))
        start = int(rng.integers(from_ms, max(to_ms - length, from_ms + 1)))
        quantity = int(rng.integers(len(fleet.quantities))) if kind in VALUE_KINDS else -1
        size = float(rng.uniform(*shape.size)) * (-1 if shape.signed and rng.random() < 0.5 else 1)
        spans = taken.setdefault(station, [])
        free = all(
            start >= end + 2 * _HOUR_MS or start + length + 2 * _HOUR_MS <= begin for begin, end in spans
        )
        if free and start + length <= to_ms:
            spans.append((start, start + length))
            return Fault(
                kind=kind, station=station, from_ms=start, to_ms=start + length, quantity=quantity, size=size
            )
    return None
