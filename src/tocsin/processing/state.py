"""The processor's state: per tenant, tables of devices and series and what detectors learnt of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.commit.abstract import Totals
from tocsin.control import LIMIT_FACTORS, Settings
from tocsin.detectors.abstract import Rows, SeriesDetector, SeriesState
from tocsin.detectors.registry import detector, detectors
from tocsin.detectors.usable import usable
from tocsin.events import I32, I64, EventBatch, Strings
from tocsin.interning import Interner
from tocsin.model import SeriesKey
from tocsin.processing.dictionaries import Dictionaries
from tocsin.processing.dump_orders import DumpOrders
from tocsin.processing.feedback import HOLDS, FeedbackRows
from tocsin.processing.hashing import join, names_hash, split
from tocsin.processing.maintenance import Maintenance
from tocsin.processing.rows import DEVICE, IDLE, PARAMETER_KEY, POLICY, SERIES, start_devices
from tocsin.processing.tables import PairIndex, Table, grow
from tocsin.processing.timeline import Timeline
from tocsin.sharding import SHARDS, shard_of

_MASK_32: Final = np.uint64(0xFFFFFFFF)
_SHIFT_32: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Known:
    """An episode that was published, as far as a correction must know it.

    `digest` is the row of its last published state; for a wrong clock, the sum of the rows that are in the
    digest.
    """

    id: str
    application: str
    detector: str
    series: int  # -1 = the device as a whole
    reason: str
    started_ms: int
    end_ms: int | None
    revision: int
    digest: int


class Slot:
    """One detector at work for a tenant: its rows, and the policy's, one per series."""

    def __init__(self, kind: SeriesDetector, number: int) -> None:
        self.detector: Final = kind
        self.bit: Final = np.uint32(1 << number)
        self.label: Final = np.uint64(names_hash(kind.info.name)[0] & ~0xFF)
        self.policy = Table(POLICY)
        self.feedback = FeedbackRows()
        self.usual: Rows = np.zeros(0, kind.settings_dtype)
        self.settings: Rows = self.usual  # the usual rows, and those with raised limits where there are any
        self._with_pauses: Rows | None = None
        self.enabled: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.watched: dict[int, Rows] = {}  # hot rows from just before the runs that go on
        self.state = SeriesState(
            hot=np.zeros(1, kind.hot_dtype),
            cells=np.zeros((1, kind.cell_count), kind.cell_dtype),
        )

    def reserve(self, rows: int) -> None:
        """Make room for `rows` series in all."""
        self.state.hot = grow(self.state.hot, rows)
        self.state.cells = grow(self.state.cells, rows)
        self.policy.reserve(rows - self.policy.count)

    def start(self, added: int) -> None:
        """Take `added` new series into use."""
        first = self.state.count
        self.state.count += added
        self.detector.initialise(
            self.state.hot[first : first + added], self.state.cells[first : first + added]
        )
        self.policy.extend(added)

    def before_run(self, series: int, started_ms: int) -> Rows:
        """The hot state from just before the run that started at `started_ms` came under watch."""
        for starts in reversed(self.state.starts):
            rows = np.flatnonzero((starts["series"] == series) & (starts["ts"] == started_ms))
            if len(rows):
                return np.array(starts["before"][rows[0]])
        return self.watched[series]

    def await_feedback(self, application: str, parameter: str, rows: Rows) -> None:
        """Take these rows over, once the series is there that they are about."""
        if len(rows):
            self.feedback.awaited[application, parameter] = rows
            self.place_settings(self.usual)

    def place_settings(self, usual: Rows) -> None:
        """Judge by these rows; row i with limits raised by k of K steps is row i + k · len(usual).

        Held as HOLDS[h] says it is row i + (k + h · K) · len(usual).
        """
        self.usual = self.settings = usual
        self._with_pauses = None
        if self.feedback.used:
            raised = [usual, *(self.detector.raised(usual, factor) for factor in LIMIT_FACTORS[1:])]
            every = (
                self.detector.held(rows, least, most) if least is not None and most is not None else rows
                for least, most in HOLDS
                for rows in raised
            )
            self.settings = np.concatenate(list(every))

    @property
    def with_pauses(self) -> Rows:
        """All settings twice: row i + len(settings) judges as row i does, and nothing is learnt."""
        if self._with_pauses is None:
            self._with_pauses = np.concatenate([self.settings, self.detector.paused(self.settings)])
        return self._with_pauses

    def copy_series(self, number: int, other: Slot, derived: int) -> None:
        """Take over the rows of one series from another state of the same detector."""
        self.state.hot[number] = other.state.hot[derived]
        self.watched.pop(number, None)
        if derived in other.watched:
            self.watched[number] = other.watched[derived]
        self.state.cells[number] = other.state.cells[derived]
        self.policy.rows[number] = other.policy.rows[derived]
        self.feedback.take_met(number, other.feedback, derived)

    def move_captures(self, other: Slot, numbers: dict[int, int]) -> None:
        """Take over the captures of the series in `numbers` (theirs → ours)."""
        replaced = set(numbers.values())
        kept = [capture for capture in self.state.captures if capture.series not in replaced]
        moved = [replace(capture, series=numbers[capture.series]) for capture in other.state.captures]
        self.state.captures = kept + moved

    def settle(self) -> None:
        """After a batch: keep what the runs that go on will need as evidence, forget everything else."""
        phase, started_ms = self.policy.rows["phase"], self.policy.rows["started_ms"]
        for starts in self.state.starts:
            series = starts["series"]
            going_on = (phase[series] != IDLE) & (started_ms[series] == starts["ts"])
            for row in np.flatnonzero(going_on):
                self.watched[int(series[row])] = np.array(starts["before"][row])
        self.state.starts.clear()
        self.watched = {number: row for number, row in self.watched.items() if phase[number] != IDLE}
        self.state.captures = [
            capture
            for capture in self.state.captures
            if capture.series in self.watched and started_ms[capture.series] <= capture.ts
        ]


class TenantState:
    """Everything the processor knows of one tenant's devices in one partition."""

    def __init__(self, tenant: str, timeline: Timeline | None = None) -> None:
        self.tenant: Final = tenant
        self.names = Interner()
        self.devices = Table(DEVICE)
        self.timeline = timeline or Timeline()
        self.streams: list[tuple[str, str]] = []
        self._stream_numbers: dict[tuple[str, str], int] = {}
        self.parameters: list[tuple[str, str]] = []
        self._parameter_codes: dict[tuple[str, str], int] = {}
        self.parameter_keys = Table(PARAMETER_KEY)
        self.pairs = PairIndex()
        self.series = Table(SERIES)
        self.slots: dict[str, Slot] = {}
        self.maintenance = Maintenance()
        self.setting_of: I32 = np.zeros((0, 0), np.int32)  # settings row by version and parameter
        self.known: dict[int, list[Known]] = {}
        self.retracted: dict[int, dict[str, int]] = {}  # last revisions of episodes by id, newest last
        self.quarantines: dict[int, list[tuple[int, int | None]]] = {}  # spans of offsets, both apart
        self.counts: Counter[str] = Counter()
        self._by_shard: tuple[I32, I64] = np.zeros(0, np.int32), np.zeros(SHARDS + 1, np.int64)
        self.raw_total: npt.NDArray[np.uint64] = np.zeros(2, np.uint64)
        self.scored_total: npt.NDArray[np.uint64] = np.zeros(2, np.uint64)
        self.delta_total: npt.NDArray[np.uint64] = np.zeros(2, np.uint64)
        self.settings_changed()

    def settings_changed(self) -> None:
        """Bring detectors and their settings rows in line with the timeline."""
        known = detectors()
        self.add_slots(
            name for settings in self.timeline.settings for name in settings.detectors if name in known
        )
        self._place_all_settings(0)

    def add_slots(self, names: Iterable[str]) -> None:
        """Have rows for these detectors, whether any settings run them or not."""
        for name in names:
            if name not in self.slots:
                self.slots[name] = slot = Slot(detector(name), len(self.slots))
                slot.reserve(self.series.count)
                slot.start(self.series.count)
                self._place_settings(slot, 0)

    def add_devices(self, strings: Strings) -> I32:
        """The numbers of these devices; new ones get rows."""
        before = len(self.names)
        numbers = self.names.intern(strings)
        if len(self.names) > before:
            fresh = [self.names.name(number) for number in range(before, len(self.names))]
            self._start_devices(fresh)
        return numbers

    def devices_by_shard(self) -> tuple[I32, I64]:
        """The devices in the order of their shards, and where in it each shard starts.

        Sorted anew only when devices have come.
        """
        order, starts = self._by_shard
        if len(order) != self.devices.count:
            shard = self.devices.used["shard"]
            order = np.argsort(shard, kind="stable").astype(np.int32)
            starts = np.searchsorted(shard[order], np.arange(SHARDS + 1))
            self._by_shard = order, starts
        return order, starts

    def device_number(self, name: str) -> int | None:
        """The number of a device, None if it is unknown here."""
        number = int(self.names.find(Strings.of([name]))[0])
        return None if number < 0 else number

    def stream_numbers(self, batch: EventBatch) -> I32:
        """The number of each of the batch's streams."""
        return np.array(self.number_streams(batch.streams), np.int32)

    def number_streams(self, streams: Iterable[tuple[str, str]]) -> list[int]:
        """The numbers of pairs of application and version; new ones are added."""
        numbers = []
        for stream in streams:
            if stream not in self._stream_numbers:
                self._stream_numbers[stream] = len(self.streams)
                self.streams.append(stream)
            numbers.append(self._stream_numbers[stream])
        return numbers

    def mark_runs(self, first: int, last: int) -> None:
        """Say in the rows of series first … last - 1 which policies are in a run."""
        running = self.series.rows["running"]
        running[first:last] = 0
        for slot in self.slots.values():
            running[first:last] |= np.where(
                slot.policy.rows["phase"][first:last] != IDLE, slot.bit, 0
            ).astype(np.uint32)

    def sum_totals(self) -> None:
        """Compute the totals anew from the rows; for a state that was just restored."""
        series, devices = self.series.used, self.devices.used
        self.raw_total[:] = split(_sum(series, "raw"))
        self.scored_total[:] = split(_sum(series, "scored") + _sum(devices, "scored"))
        self.delta_total[:] = split(_sum(series, "delta") + _sum(devices, "delta"))

    def parameter_codes(self, batch: EventBatch) -> I32:
        """`codes[stream, name]` of the batch's own streams and names; new parameters are added."""
        codes = np.zeros((len(batch.streams), len(batch.names)), np.int32)
        before = len(self.parameters)
        for row, (application, _) in enumerate(batch.streams):
            for column, name in enumerate(batch.names):
                codes[row, column] = self._parameter_code((application, name))
        if len(self.parameters) > before:
            self._place_all_settings(before)
        return codes

    def parameter_code(self, application: str, parameter: str) -> int:
        """The code of a parameter; new ones are added."""
        before = len(self.parameters)
        code = self._parameter_code((application, parameter))
        if len(self.parameters) > before:
            self._place_all_settings(before)
        return code

    def reserve_series(self, extra: int) -> None:
        """Make room for `extra` new series everywhere."""
        self.series.reserve(extra)
        self.pairs.count = self.series.count
        self.pairs.reserve(extra)
        for slot in self.slots.values():
            slot.reserve(self.series.count + extra)

    def start_series(self, added: int) -> None:
        """Take `added` series, whose rows the caller has filled, into use."""
        self.series.count += added
        self.pairs.count = self.series.count
        for slot in self.slots.values():
            slot.start(added)

    def series_key(self, series: int) -> SeriesKey:
        """The names of a series."""
        row = self.series.rows[series]
        application, parameter = self.parameters[row["parameter"]]
        return SeriesKey(self.tenant, application, self.names.name(int(row["device"])), parameter)

    def device_series(self, device: int) -> list[int]:
        """The series of a device, newest first."""
        found = []
        series = int(self.devices.rows[device]["first_series"])
        while series >= 0:
            found.append(series)
            series = int(self.series.rows[series]["next"])
        return found

    def series_number(self, device: int, application: str, parameter: str) -> int | None:
        """The number of a device's series, None if it never sent it."""
        code = self._parameter_codes.get((application, parameter))
        for number in self.device_series(device) if code is not None else ():
            if self.series.rows["parameter"][number] == code:
                return number
        return None

    @property
    def pending_corrections(self) -> int:
        """Devices with late readings that no correction has taken in."""
        return int(self.devices.used["dirty"].sum())

    def dirty_devices(self) -> list[str]:
        """Devices with late readings that no correction has taken in."""
        return [self.names.name(int(d)) for d in np.flatnonzero(self.devices.used["dirty"])]

    def _start_devices(self, names: list[str]) -> None:
        first = self.devices.extend(len(names))
        rows = self.devices.rows[first : first + len(names)]
        start_devices(rows)
        for row, name in enumerate(names):
            rows["key_low"][row], rows["key_high"][row] = names_hash(self.tenant, name)
            rows["shard"][row] = shard_of(self.tenant, name)
        self.timeline.add_devices(names, first)

    def _parameter_code(self, key: tuple[str, str]) -> int:
        code = self._parameter_codes.get(key)
        if code is None:
            code = self._parameter_codes[key] = len(self.parameters)
            self.parameters.append(key)
            row = self.parameter_keys.extend(1)
            self.parameter_keys.rows[row] = names_hash(*key)
        return code

    def _place_all_settings(self, first: int) -> None:
        count, versions = len(self.parameters), len(self.timeline)
        numbers = np.arange(count * versions, dtype=np.int32).reshape(count, versions)
        self.setting_of = np.ascontiguousarray(numbers.T)
        for slot in self.slots.values():
            self._place_settings(slot, first)

    def _place_settings(self, slot: Slot, first: int) -> None:
        """Settings rows of parameters from `first` on, for every version; `first` 0 = all anew."""
        kind = slot.detector
        versions = [usable(kind, settings) for settings in self.timeline.settings]
        rows = [
            kind.settings_row(settings, name) for _, name in self.parameters[first:] for settings in versions
        ]
        kept = slot.usual[: first * len(versions)]
        slot.place_settings(np.concatenate([kept, *rows]) if rows else kept)
        slot.enabled = np.array([kind.info.name in settings.detectors for settings in versions])


class PartitionState:
    """The state of one partition: its tenants, and the offset of the next record to apply."""

    def __init__(self, partition: int, position: int = 0) -> None:
        self.partition: Final = partition
        self.position = position
        self.tenants: dict[str, TenantState] = {}
        self.dumps = DumpOrders()
        self.dictionaries = Dictionaries()
        self.touched: npt.NDArray[np.bool_] = np.zeros(SHARDS, np.bool_)  # since they were last snapshot

    def tenant(self, name: str) -> TenantState:
        """The state of a tenant, new when it is not known."""
        if name not in self.tenants:
            self.tenants[name] = TenantState(name)
        return self.tenants[name]

    def settings(self) -> dict[str, Settings]:
        """The newest settings of each tenant, whatever the time from which they act on readings."""
        return {name: state.timeline.settings[-1] for name, state in self.tenants.items()}

    def settings_of(self, tenant: str) -> Settings:
        """The tenant's; the defaults where none were logged."""
        state = self.tenants.get(tenant)
        return Settings() if state is None else state.timeline.settings[-1]

    def totals(self) -> Totals:
        """Sums over all tenants since the beginning."""
        raw = scored = delta = 0
        for state in self.tenants.values():
            raw += join(*state.raw_total)
            scored += join(*state.scored_total)
            delta += join(*state.delta_total)
        return Totals(
            raw=_hex(raw),
            scored=_hex(scored),
            final=_hex(scored + delta),
            counts={name: dict(sorted(state.counts.items())) for name, state in sorted(self.tenants.items())},
        )

    @property
    def pending_corrections(self) -> int:
        """As of all tenants."""
        return sum(state.pending_corrections for state in self.tenants.values())


def _sum(rows: npt.NDArray[Any], name: str) -> int:
    """The sum of a 128-bit column; halves of halves are summed exactly in 64 bits (rows < 2^32)."""
    low, high = rows[f"{name}_low"], rows[f"{name}_high"]
    parts = (low & _MASK_32, low >> _SHIFT_32, high & _MASK_32, high >> _SHIFT_32)
    return sum(int(part.sum(dtype=np.uint64)) << 32 * place for place, part in enumerate(parts))


def _hex(total: int) -> str:
    return f"{total % (1 << 128):032x}"


def digest_sums(state: TenantState) -> dict[str, list[tuple[SeriesKey, int]]]:
    """The sums behind the digests `raw`, `scored` and `final`, by series; O(series) Python objects."""
    sums: dict[str, list[tuple[SeriesKey, int]]] = {"raw": [], "scored": [], "final": []}
    for number in range(state.series.count):
        row = state.series.rows[number]
        key = state.series_key(number)
        scored = join(row["scored_low"], row["scored_high"])
        delta = join(row["delta_low"], row["delta_high"])
        sums["raw"].append((key, join(row["raw_low"], row["raw_high"])))
        sums["scored"].append((key, scored))
        sums["final"].append((key, (scored + delta) % (1 << 128)))
    for number in range(state.devices.count):
        row = state.devices.rows[number]
        key = SeriesKey(state.tenant, "", state.names.name(number), "")
        scored = join(row["scored_low"], row["scored_high"])
        final = (scored + join(row["delta_low"], row["delta_high"])) % (1 << 128)
        if scored:
            sums["scored"].append((key, scored))
        if final:
            sums["final"].append((key, final))
    return sums
