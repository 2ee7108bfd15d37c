"""The rules in plain Python: what the compiled kernel must equal bit for bit."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque

import numpy as np

from tocsin.simulate.dumps.sizing.demand import Demand
from tocsin.simulate.dumps.sizing.rules import Outcome, Rules


class _Crew:
    """Workers by number: those at work, those that are free (longest first), and when each was started."""

    def __init__(self, rules: Rules, bin_s: float, bins: int) -> None:
        self.rules = rules
        self.free: OrderedDict[int, float] = OrderedDict()
        self.lent: set[int] = set()
        self.started_s: dict[int, float] = {}
        self.alive_s = 0.0
        self.starts = 0
        self._bin_s = bin_s
        self.peaks = [0] * bins
        self._bin = 0

    def note(self, now_s: float) -> None:
        """Have the peaks of the bins up to now know how many there are."""
        last = min(int(now_s / self._bin_s), len(self.peaks) - 1)
        while self._bin < last:
            self._bin += 1
            self.peaks[self._bin] = len(self.started_s)
        self.peaks[self._bin] = max(self.peaks[self._bin], len(self.started_s))

    def end_idle(self, now_s: float) -> None:
        while self.free:
            worker, since_s = next(iter(self.free.items()))
            if since_s + self.rules.worker_idle_s > now_s:
                return
            self._end(worker, since_s + self.rules.worker_idle_s)

    def _end(self, worker: int, at_s: float) -> None:
        del self.free[worker]
        self.alive_s += at_s - self.started_s.pop(worker)

    def lend(self, wanted: int, now_s: float) -> tuple[int, float]:
        """A worker, and how long its start takes."""
        start_s = 0.0
        if wanted in self.free:
            worker = wanted
            del self.free[worker]
        elif self.free:
            worker, _ = self.free.popitem(last=False)
        else:
            numbers = range(self.rules.workers_max)
            worker = wanted if wanted not in self.lent else next(n for n in numbers if n not in self.lent)
            self.started_s[worker] = now_s
            self.starts += 1
            start_s = self.rules.worker_start_s
        self.lent.add(worker)
        self.note(now_s)
        return worker, start_s


class _Queue:
    """Devices whose turn it will be, by tenant, and long ones that wait for room."""

    def __init__(self, tenants: int) -> None:
        self.short: list[deque[int]] = [deque() for _ in range(tenants)]
        self.long: deque[int] = deque()
        self._reached = 0

    def next(self) -> int | None:
        for offset in range(len(self.short)):
            tenant = (self._reached + offset) % len(self.short)
            if self.short[tenant]:
                self._reached = (tenant + 1) % len(self.short)
                return self.short[tenant].popleft()
        return None


class _Plant:
    """Dumps, devices and workers at a moment."""

    def __init__(self, demand: Demand, rules: Rules, crew: _Crew) -> None:
        self.demand = demand
        self.rules = rules
        self.crew = crew
        self.queue = _Queue(int(demand.tenant.max(initial=0)) + 1)
        self.following: dict[int, deque[int]] = {}
        self.head: dict[int, int] = {}
        self.running: list[tuple[float, int, int]] = []
        self.long_running = 0
        self.coordinator_s = 0.0
        self.done_s = np.zeros(len(demand))

    def arrive(self, dump: int) -> float:
        device = int(self.demand.device[dump])
        if device in self.head:
            self.following.setdefault(device, deque()).append(dump)
        else:
            self._its_turn(device, dump)
        return float(self.demand.arrived_s[dump])

    def finish(self) -> float:
        over_s, dump, worker = heapq.heappop(self.running)
        self.coordinator_s = now_s = max(over_s, self.coordinator_s) + self.rules.commit_s
        self.done_s[dump] = now_s
        self.long_running -= bool(self.demand.long[dump])
        self.crew.lent.remove(worker)
        self.crew.free[worker] = now_s
        device = int(self.demand.device[dump])
        del self.head[device]
        if self.following.get(device):
            self._its_turn(device, self.following[device].popleft())
        return now_s

    def _its_turn(self, device: int, dump: int) -> None:
        self.head[device] = dump
        self.queue.short[self.demand.tenant[device]].append(device)

    def hand_out(self, now_s: float) -> None:
        while len(self.crew.lent) < self.rules.workers_max:
            if self.queue.long and self.long_running < self.rules.long_max:
                device = self.queue.long.popleft()
                self.long_running += 1
            else:
                found = self.queue.next()
                if found is None:
                    return
                device = found
                if self.demand.long[self.head[device]]:
                    self.queue.long.append(device)
                    continue
            dump = self.head[device]
            worker, start_s = self.crew.lend(device % self.rules.workers_max, now_s)
            heapq.heappush(self.running, (now_s + start_s + float(self.demand.work_s[dump]), dump, worker))


def simulate_plainly(demand: Demand, rules: Rules, bin_s: float, bins: int) -> Outcome:
    """All dumps, event by event; an arrival comes before the end of a step at the same moment.

    Peaks are counted in `bins` stretches of `bin_s` from 0 on, the last of which never ends.
    """
    crew = _Crew(rules, bin_s, bins)
    plant = _Plant(demand, rules, crew)
    arrival = 0
    while arrival < len(demand) or plant.running:
        arrives_s = demand.arrived_s[arrival] if arrival < len(demand) else np.inf
        if not plant.running or arrives_s <= plant.running[0][0]:
            now_s = plant.arrive(arrival)
            arrival += 1
        else:
            now_s = plant.finish()
        now_s = max(now_s, plant.coordinator_s)
        crew.end_idle(now_s)
        crew.note(now_s)
        plant.hand_out(now_s)
    crew.end_idle(np.inf)
    return Outcome(plant.done_s, np.array(crew.peaks, np.int64), crew.alive_s, crew.starts)
