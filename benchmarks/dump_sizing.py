"""Does `tocsin simulate dumps --simulated` tell the truth? Two small fleets, processed and simulated.

A day of a fleet is run in a minute or so: real archives, the real worker pool, a detector that counts lines.
Makespan and lag of the run are compared with those of the simulation, which gets the same arrivals and what
the steps were measured to cost: `python -m benchmarks.dump_sizing`, last line is JSON. Workers are handed out
here by the rules that the simulation follows, with `--server` by a real server that is sent the dumps. A
machine that does other work meanwhile is fast and slow by turns, which no distribution of costs tells: then
`steps` still agrees, and `model` does so less.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import tempfile
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from queue import Empty, SimpleQueue

import httpx
import numpy as np

from benchmarks.serving import serving
from benchmarks.throughput.dumps import installed
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import DumpFacts, StepDone, StepFailed, Task
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource
from tocsin.simulate.dumps.archive import Style, pack
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine
from tocsin.simulate.dumps.sizing._kernel import simulate
from tocsin.simulate.dumps.sizing.assumptions import Assumptions
from tocsin.simulate.dumps.sizing.demand import Demand, demand
from tocsin.simulate.dumps.sizing.rules import Rules
from tocsin.testing import Server

START_MS = 1_767_571_200_000
DAY_MS = 86_400_000
LOAD = 0.7
SERVER_LOAD = 0.4  # the server has to receive them too
SAMPLES = 60
ASSUMED = Assumptions(
    tenants=3, size_median_kib=60, size_min_kib=10, size_max_kib=2048, size_sigma=1.0, long_mib=1
)
COUNTING = """
import json, os, time
from tocsin.dump_detectors.abstract import DumpDetector

class Counting(DumpDetector):
    name = "counting"
    version = "1"

    def setup(self, config): self.log = config.get("log")
    def start(self, device): self.device, self.counts = device.device, {}
    def process(self, dump):
        begun_s = time.time()
        self.count(dump)
        if self.log:
            with open(self.log, "a") as log:
                log.write(f"{self.device} {dump.sequence} {begun_s} {time.time()} {os.getpid()}\\n")
        return ()
    def count(self, dump):
        for member in dump.members():
            for line in member.lines():
                shape = "".join("0" if letter.isdigit() else letter for letter in line.text[:80])
                self.counts[shape] = self.counts.get(shape, 0) + 1
        self.counts = dict(sorted(self.counts.items(), key=lambda each: (-each[1], each[0]))[:500])
    def save(self): return json.dumps(self.counts).encode()
    def load(self, state, version): self.counts = json.loads(state)
"""


@dataclass
class Ran:
    """A run: when each dump was done, seconds since the start, what its step took and its overhead."""

    done_s: np.ndarray
    wall_s: np.ndarray
    overhead_s: np.ndarray


def archives(wanted: Demand, folder: Path) -> list[Path]:
    """An archive of about the wanted size for each dump, out of lines of a machine."""
    dumps = islice(Machine(DumpFleet(devices=1, scale=20), 0).dumps(START_MS, START_MS + DAY_MS), 12)
    text = b"".join(
        piece
        for dump in dumps
        for member in Archive(BytesSource(dump.archive)).members
        for piece in member.plain()
    )
    ratio = len(text) / len(pack([("a", text)], Style.DEFLATE))
    rng = np.random.default_rng(1)
    paths = []
    for number, size_mib in enumerate(wanted.size_mib.tolist()):
        length = min(int(size_mib * ratio * (1 << 20)), len(text))
        begin = int(rng.integers(len(text) - length + 1))
        paths.append(folder / f"{number}.zip")
        paths[-1].write_bytes(pack([("cell/cell.log", text[begin : begin + length])], Style.DEFLATE))
    return paths


class Crew:
    """Workers as the simulation has them: the wanted one if free, else the one free for longest."""

    def __init__(self, workers: int) -> None:
        self.pools = [WorkerPool(1) for _ in range(workers)]
        self.free: OrderedDict[int, None] = OrderedDict.fromkeys(range(workers))

    def lend(self, wanted: int) -> int:
        if wanted in self.free:
            del self.free[wanted]
            return wanted
        return self.free.popitem(last=False)[0]

    def close(self) -> None:
        for pool in self.pools:
            pool.close()


class Plant:
    """The rules of the simulation, with real workers. Times are seconds since the start."""

    def __init__(self, wanted: Demand, paths: list[Path], rules: Rules) -> None:
        self.wanted, self.paths, self.rules = wanted, paths, rules
        self.crew = Crew(rules.workers_max)
        self.over: SimpleQueue = SimpleQueue()
        self.states: dict[int, StepDone] = {}
        self.head: dict[int, int] = {}
        self.following: dict[int, deque[int]] = {}
        self.short = [deque() for _ in range(int(wanted.tenant.max()) + 1)]
        self.long: deque[int] = deque()
        self.tenant = self.longs = 0
        count = len(wanted)
        self.ran = Ran(np.zeros(count), np.zeros(count), np.zeros(count))

    def run(self) -> Ran:
        """Give each dump at its time; returns when all are done."""
        for pool in self.crew.pools:  # so that none is started within the run
            pool.run(self.task(0)).result()
        began_s, arrival, left = time.perf_counter(), 0, len(self.wanted)
        while left:
            now_s = time.perf_counter() - began_s
            while arrival < len(self.wanted) and self.wanted.arrived_s[arrival] <= now_s:
                self.arrive(arrival)
                arrival += 1
            self.hand_out(began_s)
            next_s = self.wanted.arrived_s[arrival] if arrival < len(self.wanted) else now_s + 60
            try:
                dump, worker, begun_s, result = self.over.get(timeout=max(0.0, next_s - now_s))
            except Empty:
                continue
            left -= 1
            self.finish(dump, worker, begun_s, time.perf_counter() - began_s, result)
        self.crew.close()
        return self.ran

    def arrive(self, dump: int) -> None:
        device = int(self.wanted.device[dump])
        if device in self.head:
            self.following.setdefault(device, deque()).append(dump)
        else:
            self.its_turn(device, dump)

    def its_turn(self, device: int, dump: int) -> None:
        self.head[device] = dump
        self.short[self.wanted.tenant[device]].append(device)

    def next(self) -> int | None:
        for offset in range(len(self.short)):
            tenant = (self.tenant + offset) % len(self.short)
            if self.short[tenant]:
                self.tenant = (tenant + 1) % len(self.short)
                return self.short[tenant].popleft()
        return None

    def hand_out(self, began_s: float) -> None:
        while self.crew.free:
            if self.long and self.longs < self.rules.long_max:
                device = self.long.popleft()
                self.longs += 1
            else:
                device = self.next()
                if device is None:
                    return
                if self.wanted.long[self.head[device]]:
                    self.long.append(device)
                    continue
            dump, worker = self.head[device], self.crew.lend(device % self.rules.workers_max)
            begun_s = time.perf_counter() - began_s
            future = self.crew.pools[worker].run(self.task(dump))
            future.add_done_callback(
                lambda done, dump=dump, worker=worker, begun_s=begun_s: self.over.put(
                    (dump, worker, begun_s, done.result())
                )
            )

    def finish(
        self, dump: int, worker: int, begun_s: float, now_s: float, result: StepDone | StepFailed
    ) -> None:
        if isinstance(result, StepFailed):
            raise AssertionError(result.detail)
        device = int(self.wanted.device[dump])
        self.states[device] = result
        self.longs -= bool(self.wanted.long[dump])
        self.crew.free[worker] = None
        self.ran.done_s[dump], self.ran.wall_s[dump] = now_s, result.wall_s
        self.ran.overhead_s[dump] = now_s - begun_s - result.wall_s
        del self.head[device]
        if self.following.get(device):
            self.its_turn(device, self.following[device].popleft())

    def task(self, dump: int) -> Task:
        device = int(self.wanted.device[dump])
        before = self.states.get(device)
        return Task(
            tenant=str(self.wanted.tenant[device]), device=str(device), detector="counting",
            archive=self.paths[dump], dump=DumpFacts(sequence=dump + 1, sha256=""),
            state=None if before is None else before.state, state_version="1",
        )  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """Fixed seconds of a step, seconds a packed MiB, and the spread of its noise (log-normal)."""

    fixed_s: float
    per_mib_s: float
    sigma: float

    def of(self, size_mib: np.ndarray) -> np.ndarray:
        return self.fixed_s + self.per_mib_s * size_mib.astype(np.float64)


def fitted(size_mib: np.ndarray, ran: Ran) -> Costs:
    """The costs that fit a run best; relative errors count alike."""
    took_s = ran.wall_s + ran.overhead_s
    design = np.column_stack([np.ones(len(took_s)), size_mib.astype(np.float64)]) / took_s[:, None]
    (fixed_s, per_mib_s), *_ = np.linalg.lstsq(design, np.ones(len(took_s)), rcond=None)
    costs = Costs(max(float(fixed_s), 0.0005), float(per_mib_s), 0.0)
    noise = np.log(took_s / costs.of(size_mib))
    middle = float(np.exp(np.median(noise)))  # so that the noise has the median 1
    return Costs(costs.fixed_s * middle, costs.per_mib_s * middle, float(noise.std()))


def tried(wanted: Demand, paths: list[Path], rules: Rules) -> Costs:
    """Costs of some dumps, as many at once as there are workers: from them follows how long a day lasts."""
    some = np.sort(np.random.default_rng(2).choice(len(wanted), min(SAMPLES, len(wanted)), replace=False))
    sample = replace(
        wanted, arrived_s=np.zeros(len(some)), device=wanted.device[some], size_mib=wanted.size_mib[some],
        work_s=wanted.work_s[some], long=wanted.long[some],
    )  # fmt: skip
    return fitted(sample.size_mib, Plant(sample, [paths[number] for number in some], rules).run())


def served(wanted: Demand, paths: list[Path], workers: int, folder: Path) -> tuple[Demand, list[Path], Ran]:
    """The same by a server. A dump has arrived when it was answered; its step is over when `process` is.

    What a step costs besides is the median pause of a worker between two steps of which the second waited.
    The dumps come back in the order in which they arrived.
    """
    log = folder / "steps.log"
    settings = {
        "TOCSIN_WATCH__DUMP_DETECTORS": json.dumps({"counting": {"config": {"log": str(log)}}}),
        "TOCSIN_DUMPS__WORKERS": str(workers),
        "TOCSIN_DUMPS__WORKERS_MIN": str(workers),
        "TOCSIN_DUMPS__UPLOADS_MAX": "256",
    }
    sequence = np.zeros(len(wanted), np.int64)
    for device in np.unique(wanted.device):
        own = wanted.device == device
        sequence[own] = np.arange(1, own.sum() + 1)
    arrived_s, done_s, wall_s = (np.zeros(len(wanted)) for _ in range(3))
    with serving(settings) as server:
        began_s = time.time() + 1
        threads = [
            threading.Thread(target=send, args=(server, wanted, paths, sequence, device, began_s, arrived_s))
            for device in np.unique(wanted.device)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while not server.get("/v1/digest")["caught_up"]:
            time.sleep(0.2)
    rows = [line.split() for line in log.read_text().splitlines()]
    place = {(int(wanted.device[dump]), int(sequence[dump])): dump for dump in range(len(wanted))}
    by_worker: dict[str, list[tuple[float, float, int]]] = {}
    for device, number, begun_s, over_s, worker in rows:
        dump = place[int(device), int(number)]
        done_s[dump], wall_s[dump] = float(over_s) - began_s, float(over_s) - float(begun_s)
        by_worker.setdefault(worker, []).append((float(begun_s) - began_s, float(over_s) - began_s, dump))
    pauses_s = [
        later[0] - earlier[1]
        for steps in by_worker.values()
        for earlier, later in pairwise(sorted(steps))
        if arrived_s[later[2]] < earlier[1] and not waited(later[2], wanted, done_s, earlier[1])
    ]
    overhead_s = np.full(len(wanted), float(np.median(pauses_s)))
    order = np.argsort(arrived_s, kind="stable")
    columns = {name: getattr(wanted, name)[order] for name in ("device", "size_mib", "work_s")}
    columns["long"] = np.zeros(len(wanted), np.bool_)  # none has 64 MiB
    ran = Ran(done_s[order], wall_s[order], overhead_s)
    return replace(wanted, arrived_s=arrived_s[order], **columns), [paths[dump] for dump in order], ran


def waited(dump: int, wanted: Demand, done_s: np.ndarray, at_s: float) -> bool:
    """Whether an earlier dump of the device was not done by then."""
    earlier = np.flatnonzero(wanted.device[:dump] == wanted.device[dump])
    return bool(len(earlier)) and bool(done_s[earlier[-1]] > at_s)


def send(
    server: Server, wanted: Demand, paths: list[Path], sequence: np.ndarray, device: int, began_s: float,
    arrived_s: np.ndarray,
) -> None:  # fmt: skip
    """One device's dumps, each at its time."""
    with httpx.Client(timeout=300) as http:
        for dump in np.flatnonzero(wanted.device == device):
            time.sleep(max(0.0, began_s + wanted.arrived_s[dump] - time.time()))
            body = paths[dump].read_bytes()
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            headers = {"Authorization": f"Bearer {server.key}", "Content-Digest": f"sha-256=:{digest}:"}
            url = f"{server.url}/v1/devices/{device}/dumps/{sequence[dump]}"
            answer = http.put(url, content=body, headers=headers)
            arrived_s[dump] = time.time() - began_s
            if answer.status_code != httpx.codes.CREATED:
                raise AssertionError(answer.text)


def figures(name: str, done_s: np.ndarray, arrived_s: np.ndarray) -> dict[str, float]:
    """What is compared."""
    lag_s = done_s - arrived_s
    p50, p99 = np.percentile(lag_s, (50, 99))
    found = {"makespan_s": done_s.max(), "lag_mean_s": lag_s.mean(), "lag_p50_s": p50, "lag_p99_s": p99}
    return {f"{name}_{key}": round(float(value), 4) for key, value in found.items()}


def ratios(name: str, told: dict[str, float], real: dict[str, float]) -> dict[str, float]:
    """Simulated over real, figure by figure."""
    keys = [key.removeprefix("real_") for key in real]
    return {f"{name}_over_real_{key}": round(told[f"{name}_{key}"] / real[f"real_{key}"], 3) for key in keys}


def compare(devices: int, workers: int, folder: Path, by_server: bool) -> dict[str, float]:
    """One fleet, processed, and simulated twice.

    `steps`: with the time that each step took, so that only the rules are compared. `model`: with the costs
    fitted to the run and random noise, as a sizing has them.
    """
    rules = Rules(workers_max=workers, worker_idle_s=1e9)
    wanted = demand(DumpFleet(devices=devices, seed=devices), ASSUMED, START_MS, START_MS + DAY_MS)
    paths = archives(wanted, folder)
    sizes = np.array([path.stat().st_size for path in paths], np.float32) / (1 << 20)
    wanted = replace(wanted, size_mib=sizes, long=sizes >= ASSUMED.long_mib)
    load = SERVER_LOAD if by_server else LOAD
    span_s = float(tried(wanted, paths, rules).of(sizes).sum()) / workers / load
    wanted = replace(wanted, arrived_s=wanted.arrived_s * span_s / (DAY_MS / 1000))
    if by_server:
        wanted, paths, ran = served(wanted, paths, workers, folder)
    else:
        ran = Plant(wanted, paths, rules).run()
    costs = fitted(wanted.size_mib, ran)
    noise = np.exp(np.random.default_rng(3).standard_normal(len(wanted)) * costs.sigma)
    works = {"steps": ran.wall_s + ran.overhead_s, "model": costs.of(wanted.size_mib) * noise}
    real = figures("real", ran.done_s, wanted.arrived_s)
    found = {
        "devices": devices, "workers": workers, "dumps": len(wanted), "server": by_server,
        "step_fixed_s": round(costs.fixed_s, 5), "step_s_per_mib": round(costs.per_mib_s, 4),
        "step_sigma": round(costs.sigma, 3), "overhead_ms": round(float(np.median(ran.overhead_s)) * 1000, 2),
        "load": round(float(works["steps"].sum()) / workers / span_s, 3),
    } | real  # fmt: skip
    for name, work_s in works.items():
        told = simulate(replace(wanted, work_s=work_s), rules, 3600.0, 1)
        found |= ratios(name, figures(name, told.done_s, wanted.arrived_s), real)
    return found


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleets", default="12:1,40:2", help="devices:workers, with commas")
    parser.add_argument("--server", action="store_true", help="by a real server")
    return parser.parse_args()


def main() -> None:
    """Print the figures."""
    found, said = [], options()
    with installed(COUNTING, "counting", "Counting"):
        for fleet in said.fleets.split(","):
            devices, workers = map(int, fleet.split(":"))
            with tempfile.TemporaryDirectory() as folder:
                found.append(compare(devices, workers, Path(folder), said.server))
                print(json.dumps(found[-1]), flush=True)
    print(json.dumps({"fleets": found}))


if __name__ == "__main__":
    main()
