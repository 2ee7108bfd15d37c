"""A fleet at work: its events in the order in which they would reach a server, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.events import F64, I32, I64, EventBatch, Strings, empty_text
from tocsin.simulate.faults import Fault
from tocsin.simulate.fleet import Fleet
from tocsin.simulate.injection import Block, Injector
from tocsin.simulate.signals import Signals

_BLOCK_EVENTS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Events in order of arrival; `arrival_ms[i]` is when event i reaches the server."""

    batch: EventBatch
    arrival_ms: I64

    def __len__(self) -> int:
        return len(self.batch)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Events not yet in a batch. `order` ascends with generation within a station; copies come after."""

    arrival_ms: I64
    ts: I64
    station: I32
    order: I64
    value: F64

    def take(self, rows: I64) -> _Rows:
        return _Rows(
            self.arrival_ms[rows], self.ts[rows], self.station[rows], self.order[rows], self.value[rows]
        )


class Simulator:
    """Gives a fleet's events from `start_ms` on, piece by piece, for ever if asked.

    Where the pieces are cut changes nothing: joined together they are always the same events in the same
    order. Memory is bounded by a block of events plus what late faults hold back.
    """

    def __init__(self, fleet: Fleet, faults: Sequence[Fault], start_ms: int) -> None:
        self.fleet = fleet
        self._start_ms = start_ms
        self._signals = Signals(fleet)
        self._injector = Injector(fleet, faults)
        self._steps = 0
        self._decimals = np.array([quantity.decimals for quantity in fleet.quantities])
        self._devices = Strings.of([fleet.device(station) for station in range(fleet.stations)])
        none = np.zeros(0, np.int64)
        self._waiting = _Rows(none, none, none.astype(np.int32), none, np.zeros((0, len(fleet.quantities))))

    def add_faults(self, faults: Sequence[Fault]) -> None:
        """Inject more faults; only in the part of time that has not been fetched yet."""
        self._injector.add(faults)

    def advance(self, until_ms: int) -> Arrivals:
        """All events that arrive before `until_ms` and were not given before.

        Everything measured up to then is held in memory at once: use `chunks` for long spans.
        """
        interval = self.fleet.interval_ms
        steps = -(-(until_ms - self._start_ms) // interval) - self._steps
        if steps > 0:
            self._waiting = _join(self._waiting, self._measure(steps))
        arrived = self._waiting.arrival_ms < until_ms
        ready = self._waiting.take(np.flatnonzero(arrived))
        self._waiting = self._waiting.take(np.flatnonzero(~arrived))
        return self._batch(ready.take(_by_arrival(ready)))

    def chunks(self, until_ms: int, *, events: int = _BLOCK_EVENTS) -> Iterator[Arrivals]:
        """The events that arrive before `until_ms` in pieces of about `events`; empty pieces are left out."""
        stride = max(1, events // self.fleet.stations) * self.fleet.interval_ms
        first = self._start_ms + self._steps * self.fleet.interval_ms + stride
        for position in (*range(first, until_ms, stride), until_ms):
            if len(piece := self.advance(position)):
                yield piece

    def _measure(self, steps: int) -> _Rows:
        """The next steps of all stations, faults injected, not yet in order of arrival."""
        fleet, interval = self.fleet, self.fleet.interval_ms
        step = self._steps + np.arange(steps, dtype=np.int64)
        chance = self._signals.timing(steps)
        grid = self._start_ms + step * interval + self._signals.phase_ms[:, None]
        measured = grid + np.rint(chance[:, :, 0] * fleet.jitter_s * 1000).astype(np.int64)
        delay = fleet.latency_s + chance[:, :, 1] * fleet.latency_spread_s
        value, noise = self._signals.measure(measured)
        block = Block(
            measured_ms=measured,
            ts=measured.copy(),
            arrival_ms=measured + np.rint(delay * 1000).astype(np.int64),
            value=value,
            noise=noise,
            chance=chance[:, :, 2],
        )
        self._injector.apply(block)
        self._steps += steps
        return self._rows(block, step)

    def _rows(self, block: Block, step: I64) -> _Rows:
        """The block's events that are sent, once or twice, as rows."""
        scale = 10.0**self._decimals
        value = np.rint(block.value * scale) / scale + 0.0  # + 0.0 turns -0.0 into 0.0
        station, column = np.nonzero(block.sent)
        again, again_column = np.nonzero(block.copy_ms > 0)
        stations = np.concatenate([station, again])
        columns = np.concatenate([column, again_column])
        return _Rows(
            arrival_ms=np.concatenate([block.arrival_ms[block.sent], block.copy_ms[block.copy_ms > 0]]),
            ts=block.ts[stations, columns],
            station=stations.astype(np.int32),
            order=np.concatenate([step[column] * 2, step[again_column] * 2 + 1]),
            value=value[stations, columns],
        )

    def _batch(self, rows: _Rows) -> Arrivals:
        count, width = rows.value.shape
        batch = EventBatch(
            device=self._devices.take(rows.station.astype(np.int64)),
            ts=rows.ts,
            flags=np.zeros(count, np.uint8),
            stream=np.zeros(count, np.int32),
            reading_offsets=np.arange(0, count * width + 1, width, dtype=np.int32),
            parameter=np.tile(np.arange(width, dtype=np.int32), count),
            value=rows.value.reshape(-1),
            text=empty_text(count),
            text_count=np.zeros(count, np.int32),
            event_id=empty_text(count),
            names=self.fleet.names,
            streams=((self.fleet.application, self.fleet.version),),
        )
        return Arrivals(batch, rows.arrival_ms)


def _join(first: _Rows, second: _Rows) -> _Rows:
    return _Rows(
        np.concatenate([first.arrival_ms, second.arrival_ms]),
        np.concatenate([first.ts, second.ts]),
        np.concatenate([first.station, second.station]),
        np.concatenate([first.order, second.order]),
        np.concatenate([first.value, second.value]),
    )


def _by_arrival(rows: _Rows) -> I64:
    """Order by arrival and generation, so that ties too are the same however pieces are cut.

    Rows that tie in both belong to one step: they were made together and keep their order, by station.
    """
    return np.lexsort((rows.order, rows.arrival_ms))
