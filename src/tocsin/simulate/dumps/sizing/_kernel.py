"""The rules compiled: tens of millions of dumps in seconds. `plain.py` says the same in plain Python.

Lists are arrays of links: `after[x]` follows x, -1 ends. Workers that are free form a list in the order in
which they became so. A heap holds the steps under way by (end, dump).
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.events import F64, I32, I64
from tocsin.simulate.dumps.sizing.demand import Demand
from tocsin.simulate.dumps.sizing.rules import Outcome, Rules

Flags = npt.NDArray[np.bool_]
_BUSY, _LONG, _ALIVE, _STARTS, _BIN, _TURN = range(6)


class _Columns(NamedTuple):
    """What is given and what is to be found: a row a dump; of `tenant` a row a device, of `peaks` a bin."""

    arrived_s: F64
    device: I32
    work_s: F64
    long: Flags
    tenant: I32
    done_s: F64
    peaks: I64


class _Limits(NamedTuple):
    workers_max: int
    long_max: int
    commit_s: float
    start_s: float
    idle_s: float
    bin_s: float


class _Crew(NamedTuple):
    """Workers, the steps under way (a heap), and counters by the numbers above.

    The list of free workers has its two ends in the last place of `before` and `after`.
    """

    before: I64
    after: I64
    lent: Flags
    free_s: F64
    started_s: F64
    ends_s: F64
    dumps: I64
    by: I64
    counts: I64
    alive_s: F64


class _Queues(NamedTuple):
    """Devices whose turn it will be: the list of each tenant, and behind those the long ones.

    `head` is the dump that a device is at, -1 if it has none.
    """

    first: I64
    last: I64
    after: I64
    head: I64


def _crew(workers: int) -> _Crew:
    before, after = np.full(workers + 1, -1, np.int64), np.full(workers + 1, -1, np.int64)
    before[workers] = after[workers] = workers
    return _Crew(
        before=before,
        after=after,
        lent=np.zeros(workers, np.bool_),
        free_s=np.zeros(workers),
        started_s=np.zeros(workers),
        ends_s=np.zeros(workers),
        dumps=np.zeros(workers, np.int64),
        by=np.zeros(workers, np.int64),
        counts=np.zeros(6, np.int64),
        alive_s=np.zeros(1),
    )


def _queues(devices: int, tenants: int) -> _Queues:
    ends = [np.full(tenants + 1, -1, np.int64) for _ in range(2)]
    return _Queues(*ends, *(np.full(devices, -1, np.int64) for _ in range(2)))


def simulate(demand: Demand, rules: Rules, bin_s: float, bins: int) -> Outcome:
    """As `simulate_plainly`, which says what is given."""
    tenants = int(demand.tenant.max(initial=0)) + 1
    done_s = np.zeros(len(demand))
    peaks = np.zeros(bins, np.int64)
    crew = _crew(rules.workers_max)
    queue = _queues(len(demand.tenant), tenants)
    limits = _Limits(
        rules.workers_max, rules.long_max, rules.commit_s, rules.worker_start_s, rules.worker_idle_s, bin_s
    )
    columns = _Columns(
        demand.arrived_s, demand.device, demand.work_s, demand.long, demand.tenant, done_s, peaks
    )
    _simulate(columns, limits, crew, queue)
    return Outcome(done_s, peaks, float(crew.alive_s[0]), int(crew.counts[_STARTS]))


@nb.njit(cache=True, nogil=True)
def _push(ends: F64, dumps: I64, workers: I64, size: int, end: float, dump: int, worker: int) -> None:
    """Put a step into the heap of `size`."""
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if ends[above] < end or (ends[above] == end and dumps[above] < dump):
            break
        ends[at], dumps[at], workers[at] = ends[above], dumps[above], workers[above]
        at = above
    ends[at], dumps[at], workers[at] = end, dump, worker


@nb.njit(cache=True, nogil=True)
def _pop(ends: F64, dumps: I64, workers: I64, size: int) -> None:
    """Take the first out of the heap of `size`; the caller has read it."""
    last = size - 1
    end, dump, worker = ends[last], dumps[last], workers[last]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= last:
            break
        right = below + 1
        if right < last and (
            ends[right] < ends[below] or (ends[right] == ends[below] and dumps[right] < dumps[below])
        ):
            below = right
        if end < ends[below] or (end == ends[below] and dump < dumps[below]):
            break
        ends[at], dumps[at], workers[at] = ends[below], dumps[below], workers[below]
        at = below
    ends[at], dumps[at], workers[at] = end, dump, worker


@nb.njit(cache=True, nogil=True)
def _followers(device: I32, devices: int) -> I64:
    """The next dump of the same device, -1 for its last."""
    following = np.empty(len(device), np.int64)
    last = np.full(devices, -1, np.int64)
    for dump in range(len(device) - 1, -1, -1):
        following[dump] = last[device[dump]]
        last[device[dump]] = dump
    return following


@nb.njit(cache=True, nogil=True)
def _unlink(crew: _Crew, worker: int) -> None:
    """Take a worker out of the free ones."""
    crew.before[crew.after[worker]] = crew.before[worker]
    crew.after[crew.before[worker]] = crew.after[worker]
    crew.after[worker] = -1


@nb.njit(cache=True, nogil=True)
def _set_free(crew: _Crew, worker: int, now_s: float) -> None:
    """Put it behind those that became free before."""
    ends = len(crew.after) - 1
    last = crew.before[ends]
    crew.after[last], crew.before[worker] = worker, last
    crew.after[worker], crew.before[ends] = ends, worker
    crew.lent[worker], crew.free_s[worker] = False, now_s


@nb.njit(cache=True, nogil=True)
def _end_idle(crew: _Crew, idle_s: float, now_s: float) -> None:
    """End the workers that have been free for `idle_s`, at the time at which that was so."""
    ends = len(crew.after) - 1
    worker = crew.after[ends]
    while worker != ends and crew.free_s[worker] + idle_s <= now_s:
        _unlink(crew, worker)
        crew.alive_s[0] += crew.free_s[worker] + idle_s - crew.started_s[worker]
        crew.counts[_ALIVE] -= 1
        worker = crew.after[ends]


@nb.njit(cache=True, nogil=True)
def _note(crew: _Crew, peaks: I64, bin_s: float, now_s: float) -> None:
    """Have the peaks of the bins up to now know how many workers there are."""
    count, last = crew.counts, min(int(now_s / bin_s), len(peaks) - 1)
    while count[_BIN] < last:
        count[_BIN] += 1
        peaks[count[_BIN]] = count[_ALIVE]
    peaks[count[_BIN]] = max(peaks[count[_BIN]], count[_ALIVE])


@nb.njit(cache=True, nogil=True)
def _begin(columns: _Columns, limits: _Limits, crew: _Crew, device: int, dump: int, now_s: float) -> None:
    """Give the step a worker: the wanted one, another free one, or a new one."""
    ends, worker, start_s = len(crew.after) - 1, device % limits.workers_max, 0.0
    if crew.after[worker] >= 0:
        _unlink(crew, worker)
    elif crew.after[ends] != ends:
        worker = crew.after[ends]
        _unlink(crew, worker)
    else:
        if crew.lent[worker]:
            worker = int(np.argmin(crew.lent))
        crew.started_s[worker], start_s = now_s, limits.start_s
        crew.counts[_STARTS] += 1
        crew.counts[_ALIVE] += 1
    crew.lent[worker] = True
    _note(crew, columns.peaks, limits.bin_s, now_s)
    end_s = now_s + start_s + columns.work_s[dump]
    _push(crew.ends_s, crew.dumps, crew.by, crew.counts[_BUSY], end_s, dump, worker)
    crew.counts[_BUSY] += 1


@nb.njit(cache=True, nogil=True)
def _put(queue: _Queues, which: int, device: int) -> None:
    """Behind all others of that list."""
    queue.after[device] = -1
    if queue.first[which] < 0:
        queue.first[which] = device
    else:
        queue.after[queue.last[which]] = device
    queue.last[which] = device


@nb.njit(cache=True, nogil=True)
def _take(queue: _Queues, which: int) -> int:
    """The first of a list that has one."""
    device = queue.first[which]
    queue.first[which] = queue.after[device]
    return int(device)


@nb.njit(cache=True, nogil=True)
def _turn(queue: _Queues, count: I64) -> int:
    """The device whose turn it is, round the tenants; -1 if none waits."""
    tenants = len(queue.first) - 1
    for offset in range(tenants):
        tenant = (count[_TURN] + offset) % tenants
        if queue.first[tenant] >= 0:
            count[_TURN] = (tenant + 1) % tenants
            return _take(queue, tenant)
    return -1


@nb.njit(cache=True, nogil=True)
def _hand_out(columns: _Columns, limits: _Limits, crew: _Crew, queue: _Queues, now_s: float) -> None:
    """Begin steps while there are workers: long ones first, as far as they may."""
    count, longs = crew.counts, len(queue.first) - 1
    while count[_BUSY] < limits.workers_max:
        if queue.first[longs] >= 0 and count[_LONG] < limits.long_max:
            device = _take(queue, longs)
            count[_LONG] += 1
        else:
            device = _turn(queue, count)
            if device < 0:
                return
            if columns.long[queue.head[device]]:
                _put(queue, longs, device)
                continue
        _begin(columns, limits, crew, device, queue.head[device], now_s)


@nb.njit(cache=True, nogil=True)
def _finish(columns: _Columns, crew: _Crew, now_s: float) -> int:
    """The first of the steps under way is over and committed; its dump."""
    dump, worker = crew.dumps[0], crew.by[0]
    _pop(crew.ends_s, crew.dumps, crew.by, crew.counts[_BUSY])
    crew.counts[_BUSY] -= 1
    crew.counts[_LONG] -= columns.long[dump]
    columns.done_s[dump] = now_s
    _set_free(crew, worker, now_s)
    return int(dump)


@nb.njit(cache=True, nogil=True)
def _simulate(columns: _Columns, limits: _Limits, crew: _Crew, queue: _Queues) -> None:
    arrived_s, device = columns.arrived_s, columns.device
    following = _followers(device, len(columns.tenant))
    arrival, coordinator_s = 0, 0.0
    while arrival < len(arrived_s) or crew.counts[_BUSY] > 0:
        if crew.counts[_BUSY] == 0 or (arrival < len(arrived_s) and arrived_s[arrival] <= crew.ends_s[0]):
            now_s, one, head = arrived_s[arrival], device[arrival], arrival
            waits = queue.head[one] >= 0
            arrival += 1
        else:
            now_s = coordinator_s = max(crew.ends_s[0], coordinator_s) + limits.commit_s
            dump = _finish(columns, crew, now_s)
            one, head, waits = device[dump], following[dump], False
            queue.head[one] = -1
            if head >= arrival:
                head = -1
        if head >= 0 and not waits:
            queue.head[one] = head
            _put(queue, columns.tenant[one], one)
        now_s = max(now_s, coordinator_s)
        _end_idle(crew, limits.idle_s, now_s)
        _note(crew, columns.peaks, limits.bin_s, now_s)
        _hand_out(columns, limits, crew, queue, now_s)
    _end_idle(crew, limits.idle_s, np.inf)
