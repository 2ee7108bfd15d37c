"""Puts planned faults into measured blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.events import F64, I64
from tocsin.simulate.faults import Fault, FaultKind
from tocsin.simulate.fleet import Fleet

_COPY_DELAY_MS_MAX: Final = 60_000


@dataclass(slots=True)
class Block:
    """Some steps of all stations: arrays (station, step), values and noise (station, step, quantity).

    `measured_ms` is the true time, `ts` what the device says. `chance` is uniform and drawn per event.
    An event is sent unless `sent` is False, and again at `copy_ms` where that is above 0.
    """

    measured_ms: I64
    ts: I64
    arrival_ms: I64
    value: F64
    noise: F64
    chance: F64
    sent: npt.NDArray[np.bool_] = field(init=False)
    copy_ms: I64 = field(init=False)

    def __post_init__(self) -> None:
        self.sent = np.ones(self.ts.shape, np.bool_)
        self.copy_ms = np.zeros(self.ts.shape, np.int64)


class Injector:
    """Applies faults in the order given; remembers only what stuck parameters are stuck at."""

    def __init__(self, fleet: Fleet, faults: Sequence[Fault]) -> None:
        self._deviation = np.array([quantity.deviation for quantity in fleet.quantities])
        self._faults = list(faults)
        self._stuck_at: dict[Fault, F64] = {}
        self._apply: dict[FaultKind, Callable[[Block, Fault, slice], None]] = {
            FaultKind.SPIKE: self._shift,
            FaultKind.LEVEL_SHIFT: self._shift,
            FaultKind.DRIFT: self._drift,
            FaultKind.STUCK: self._stick,
            FaultKind.NOISE: self._amplify,
            FaultKind.SILENCE: _silence,
            FaultKind.WRONG_CLOCK: _set_clock,
            FaultKind.LATE: _hold_back,
            FaultKind.DUPLICATE: _send_twice,
            FaultKind.REORDERED: _shuffle,
        }

    def add(self, faults: Sequence[Fault]) -> None:
        """Faults for blocks to come."""
        self._faults.extend(faults)

    def apply(self, block: Block) -> None:
        """Change the block in place; faults that are over by its end are forgotten."""
        last = int(block.measured_ms[:, -1].min())
        for fault in self._faults:
            row = block.measured_ms[fault.station]
            begin, end = np.searchsorted(row, (fault.from_ms, fault.to_ms))
            if begin < end:
                self._apply[fault.kind](block, fault, slice(int(begin), int(end)))
        self._faults = [fault for fault in self._faults if fault.to_ms > last]

    def _shift(self, block: Block, fault: Fault, steps: slice) -> None:
        at = _quantities(fault)
        block.value[fault.station, steps, at] += fault.size * self._deviation[at]

    def _drift(self, block: Block, fault: Fault, steps: slice) -> None:
        at = _quantities(fault)
        passed = block.measured_ms[fault.station, steps] - fault.from_ms
        share = passed / (fault.to_ms - fault.from_ms)
        block.value[fault.station, steps, at] += share[:, None] * fault.size * self._deviation[at]

    def _amplify(self, block: Block, fault: Fault, steps: slice) -> None:
        at = _quantities(fault)
        block.value[fault.station, steps, at] += (fault.size - 1) * block.noise[fault.station, steps, at]

    def _stick(self, block: Block, fault: Fault, steps: slice) -> None:
        at = _quantities(fault)
        value = self._stuck_at.setdefault(fault, block.value[fault.station, steps.start, at].copy())
        block.value[fault.station, steps, at] = value
        if fault.to_ms <= block.measured_ms[fault.station, -1]:
            del self._stuck_at[fault]


def _quantities(fault: Fault) -> slice:
    return slice(None) if fault.quantity < 0 else slice(fault.quantity, fault.quantity + 1)


def _silence(block: Block, fault: Fault, steps: slice) -> None:
    block.sent[fault.station, steps] = False


def _set_clock(block: Block, fault: Fault, steps: slice) -> None:
    block.ts[fault.station, steps] += round(fault.size * 1000)


def _hold_back(block: Block, fault: Fault, steps: slice) -> None:
    """A share of the events waits until the fault is over; each keeps its own delay from then on."""
    delay = block.arrival_ms[fault.station, steps] - block.measured_ms[fault.station, steps]
    held = block.chance[fault.station, steps] < fault.size
    block.arrival_ms[fault.station, steps][held] = fault.to_ms + delay[held]


def _send_twice(block: Block, fault: Fault, steps: slice) -> None:
    """A share of the events arrives once more within a minute, as after an answer that was lost."""
    chance = block.chance[fault.station, steps]
    again = chance < fault.size
    delay = np.rint(1 + chance / fault.size * _COPY_DELAY_MS_MAX).astype(np.int64)
    block.copy_ms[fault.station, steps][again] = (block.arrival_ms[fault.station, steps] + delay)[again]


def _shuffle(block: Block, fault: Fault, steps: slice) -> None:
    delay = np.rint(block.chance[fault.station, steps] * fault.size * 1000).astype(np.int64)
    block.arrival_ms[fault.station, steps] += delay
