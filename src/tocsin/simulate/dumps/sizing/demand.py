"""Which dumps a fleet sends when, how large they are, and how much work they make: columns, by arrival."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.events import F64, I32
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.sizing.assumptions import Assumptions

F32 = npt.NDArray[np.float32]
_TAG: Final = 0xD0D0
_KIB_PER_MIB: Final = 1024.0
_MBIT_PER_MIB: Final = 8.388608


@dataclass(frozen=True, slots=True)
class Demand:
    """One row a dump, in the order in which they were kept; times in seconds since the start.

    Within a device that is the order of its sequence, since a device waits for the answer to one dump before
    it sends the next.
    """

    arrived_s: F64
    """When it is kept and has its place in the order."""
    device: I32
    size_mib: F32
    work_s: F64
    long: npt.NDArray[np.bool_]
    tenant: I32
    """Of each device."""

    def __len__(self) -> int:
        return len(self.arrived_s)


def demand(fleet: DumpFleet, assumed: Assumptions, from_ms: int, to_ms: int) -> Demand:
    """All dumps that are sent within [from, to). Holds some 60 bytes a dump while it works."""
    parts = [
        _of_zone(fleet, assumed, zone, devices, from_ms, to_ms)
        for zone, devices in sorted(_devices_by_zone(fleet).items())
    ]
    arrived_s, device, size_mib = (np.concatenate([part[column] for part in parts]) for column in range(3))
    order = np.argsort(arrived_s, kind="stable")
    arrived_s, device, size_mib = arrived_s[order], device[order], size_mib[order]
    rng = np.random.default_rng([fleet.seed, _TAG, 1])
    noise = np.exp(rng.standard_normal(len(order)) * assumed.step_sigma)
    work_s = (assumed.step_fixed_s + assumed.step_s_per_mib * size_mib.astype(np.float64)) * noise
    tenant = rng.integers(assumed.tenants, size=fleet.devices).astype(np.int32)
    return Demand(arrived_s, device, size_mib, work_s, size_mib >= assumed.long_mib, tenant)


def _devices_by_zone(fleet: DumpFleet) -> dict[str, I32]:
    numbers = np.arange(fleet.devices, dtype=np.int64)
    location = numbers * fleet.locations // fleet.devices
    found: dict[str, list[I32]] = defaultdict(list)
    places, first = np.unique(location, return_index=True)
    for place, devices in zip(places, np.split(numbers, first[1:]), strict=True):
        found[fleet.zone(int(place))].append(devices.astype(np.int32))
    return {zone: np.concatenate(devices) for zone, devices in found.items()}


def _of_zone(
    fleet: DumpFleet, assumed: Assumptions, zone: str, devices: I32, from_ms: int, to_ms: int
) -> tuple[F64, I32, F32]:
    """Arrival, device and size. Rows are devices, columns are slots; flattened without those outside."""
    rng = np.random.default_rng([fleet.seed, _TAG, 2, int(devices[0])])
    schedule = fleet.schedule
    slots_ms = schedule.slots_ms(zone, from_ms - schedule.day_every_s * 1000, to_ms)
    shape = len(devices), len(slots_ms)
    own_s = rng.uniform(0, schedule.spread_s, (len(devices), 1))
    sent_s = (np.array(slots_ms, np.float64) - from_ms) / 1000 + own_s
    sent_s += rng.uniform(0, schedule.jitter_s, shape)
    drawn = np.exp(rng.standard_normal(shape, np.float32) * np.float32(assumed.size_sigma))
    size_mib = np.clip(drawn * assumed.size_median_kib, assumed.size_min_kib, assumed.size_max_kib)
    size_mib = (size_mib / _KIB_PER_MIB).astype(np.float32)
    inside = (sent_s > 0) & (sent_s < (to_ms - from_ms) / 1000)
    sent_s /= assumed.speed
    rate = assumed.line_median_mbit * np.exp(rng.standard_normal((len(devices), 1)) * assumed.line_sigma)
    lasts_s = size_mib * _MBIT_PER_MIB / rate + receiving_s(assumed, size_mib)
    lasts_s = np.where(inside, lasts_s, 0.0)
    arrived_s = one_after_another(sent_s, lasts_s)
    return arrived_s[inside], np.broadcast_to(devices[:, None], shape)[inside], size_mib[inside]


def receiving_s(assumed: Assumptions, size_mib: F32) -> F64:
    """How long a dump takes from its last byte until it is kept and has its place in the order."""
    return assumed.ready_fixed_s + assumed.ready_s_per_mib * size_mib.astype(np.float64)


def one_after_another(sent_s: F64, lasts_s: F64) -> F64:
    """When each upload ends, if one begins when it is sent and the one before it (to its left) has ended.

    >>> one_after_another(np.array([[0.0, 10.0, 11.0]]), np.array([[2.0, 5.0, 1.0]]))
    array([[ 2., 15., 16.]])
    """
    ends_s: F64 = np.cumsum(lasts_s, axis=1)
    waits_s: F64 = np.maximum.accumulate(sent_s - (ends_s - lasts_s), axis=1)
    return ends_s + waits_s
