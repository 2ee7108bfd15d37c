"""Does `tocsin simulate dumps --simulated` tell the truth? Two small fleets, simulated and sent to a server.

A day of a fleet passes in some minutes: real archives, uploaded to a real server with its worker processes.
What a dump costs there is measured before and after it, with as many steps at once as one of the day sees;
from that alone, and from the number of devices, the command then tells lag, workers and storage. `python -m
benchmarks.dump_sizing`, last line is JSON. The detector reads all of a dump and then waits as long as a slow
one would work: so a machine with two processors can keep seven workers busy, and what else it does meanwhile
changes a step less.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np

from benchmarks.dump_day import DAY_MS, PACED, START_MS, Paper, Parcel, Plant, Ran
from benchmarks.throughput.dumps import installed
from tocsin.runtimes.embedded.dump_archives import LONG_BYTES
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.sizing.assumptions import Assumptions
from tocsin.simulate.dumps.sizing.demand import demand, receiving_s
from tocsin.testing import COMMAND

SPEED = 360.0
HOUR_S = 3600 / SPEED
BUSY = 0.8
FIXED_S = 0.2
S_PER_MIB = 1.0
TRIED = 40
WARM = 4
SMALL_MIB = 0.1
ASSUMED = Assumptions(
    tenants=1, size_median_kib=100, size_min_kib=12, size_max_kib=16 * 1024, line_median_mbit=1e6,
    line_sigma=0, speed=SPEED, step_fixed_s=FIXED_S, step_s_per_mib=S_PER_MIB,
)  # fmt: skip


def fitted(ran: Ran, ratio: float) -> Assumptions:
    """What a dump costs: the costs that fit those sent apart best.

    The first ones have the start of a worker or of code in them. The noise is that of times, not of dumps.
    """
    dealt = [dump for dump in ran.alone if dump.parcel.sequence > WARM]
    starts = [dump for dump in ran.alone if dump.parcel.sequence == 1 and dump.parcel.device > "last"]
    size_mib = np.array([dump.parcel.path.stat().st_size / (1 << 20) for dump in dealt])
    run_s = np.array([dump.run_s for dump in dealt])
    step_fixed_s, step_s_per_mib = line(size_mib, run_s)
    noise = np.log(run_s / (step_fixed_s + step_s_per_mib * size_mib))
    commit_s = sum(span.took_s for span in ran.rounds) / len(ran.alone)
    around_s = np.array([dump.committed_s - dump.last_byte_s for dump in dealt]) - run_s - commit_s
    ready_fixed_s, ready_s_per_mib = line(size_mib, around_s)
    small_s = step_fixed_s + step_s_per_mib * SMALL_MIB
    return msgspec.structs.replace(
        ASSUMED,
        step_fixed_s=step_fixed_s,
        step_s_per_mib=step_s_per_mib,
        step_sigma=float(np.sqrt(np.average(noise**2, weights=run_s))),
        commit_s=commit_s,
        ready_fixed_s=ready_fixed_s,
        ready_s_per_mib=ready_s_per_mib,
        worker_start_s=max(0.0, float(np.mean([dump.run_s for dump in starts])) - small_s),
        long_mib=LONG_BYTES / (1 << 20) / ratio,
    )


def typical_mib() -> list[float]:
    """Sizes that are spread as those of the day are."""
    normal = NormalDist(math.log(ASSUMED.size_median_kib), ASSUMED.size_sigma)
    kib = (math.exp(normal.inv_cdf((number + 0.5) / TRIED)) for number in range(TRIED))
    return [min(max(size, ASSUMED.size_min_kib), ASSUMED.size_max_kib) / 1024 for size in kib]


def seen_at_once(said: dict[str, Any]) -> int:
    """How many steps are at work on average when one begins, that one too: most begin in busy hours."""
    busy = [hour["busy"] for hour in said["hours"]]
    return 1 + round(sum(each**2 for each in busy) / sum(busy))


def line(size_mib: np.ndarray, took_s: np.ndarray) -> tuple[float, float]:
    """The constant and the slope, neither below 0, that fit best."""
    design = np.column_stack([np.ones(len(took_s)), size_mib])
    (constant, slope), *_ = np.linalg.lstsq(design, took_s, rcond=None)
    if slope < 0:
        return float(took_s.mean()), 0.0
    return max(float(constant), 0.0), float(slope)


def told(devices: int, workers: int | None, assumed: Assumptions) -> dict[str, Any]:
    """What the command says."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "assume.yaml"
        file.write_bytes(msgspec.yaml.encode(assumed))
        words = ["simulate", "dumps", "--devices", str(devices), "--days", "1", "--simulated", "--json"]
        words += ["--assume", str(file)] + ([] if workers is None else ["--workers", str(workers)])
        out = subprocess.run([str(COMMAND), *words], check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Figures:
    """What is compared. Hours are those of the fleet's clock, of `HOUR_S` each.

    `busiest_hour` is how many workers were busy in it on average; so many are needed that they are 80 % busy.
    """

    dumps: float
    lag_mean_s: float
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float
    busy_worker_s: float
    alive_worker_s: float
    busiest_hour: float
    workers_needed: float
    workers_most: float
    workers_by_hour: float
    stored_mib: float


def of_simulation(said: dict[str, Any]) -> Figures:
    """Of what the command said."""
    lag, hours = said["lag"], said["hours"]
    return Figures(
        dumps=said["dumps"],
        lag_mean_s=lag["mean_s"],
        lag_p50_s=lag["p50_s"],
        lag_p99_s=lag["p99_s"],
        lag_max_s=lag["max_s"],
        busy_worker_s=said["busy_hours_a_day"] * 3600,
        alive_worker_s=said["worker_hours_a_day"] * 3600,
        busiest_hour=max(hour["busy"] for hour in hours),
        workers_needed=math.ceil(max(hour["busy"] for hour in hours) / BUSY),
        workers_most=max(hour["workers"] for hour in hours),
        workers_by_hour=sum(hour["workers"] for hour in hours) / len(hours),
        stored_mib=said["gib_a_day"] * 1024,
    )


def of_run(ran: Ran, began_s: float) -> Figures:
    """Of what the server did; `began_s` is when the fleet's day began."""
    lag_s = np.array([dump.committed_s - dump.last_byte_s for dump in ran.dealt])
    run_s = np.array([dump.run_s for dump in ran.dealt])
    hour = np.array([int((dump.last_byte_s - began_s) / HOUR_S) for dump in ran.dealt]).clip(0, 23)
    busy = np.bincount(hour, run_s, 24) / HOUR_S
    most = np.zeros(24)
    for at_s, workers in ran.workers:
        number = min(int((at_s - began_s) / HOUR_S), 23)
        most[number] = max(most[number], workers)
    return Figures(
        dumps=len(ran.dealt),
        lag_mean_s=float(lag_s.mean()),
        lag_p50_s=float(np.median(lag_s)),
        lag_p99_s=float(np.percentile(lag_s, 99)),
        lag_max_s=float(lag_s.max()),
        busy_worker_s=float(run_s.sum()),
        alive_worker_s=ran.alive_s,
        busiest_hour=float(busy.max()),
        workers_needed=math.ceil(busy.max() / BUSY),
        workers_most=float(most.max()),
        workers_by_hour=float(most.mean()),
        stored_mib=ran.blob_bytes / (1 << 20),
    )


def day(paper: Paper, devices: int, workers: int, at_once: int) -> tuple[Figures, Assumptions]:
    """The fleet's day, for real, and what a dump cost then."""
    wanted = demand(DumpFleet(devices=devices), ASSUMED, START_MS, START_MS + DAY_MS)
    at_s = wanted.arrived_s - receiving_s(ASSUMED, wanted.size_mib)
    tried = np.random.default_rng(2).permutation(typical_mib()).tolist()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def parcel(device: str, sequence: int, size_mib: float, due_s: float = 0.0) -> Parcel:
            path = place / f"{device}-{sequence}.zip"
            path.write_bytes(paper.archive(size_mib))
            return Parcel(device, sequence, path, due_s)

        sizes = [SMALL_MIB] * WARM + tried
        first, last = (
            [
                parcel(f"{when}-{n}", number, size)
                for n in range(at_once)
                for number, size in enumerate(sizes, 1)
            ]
            for when in ("first", "last")
        )
        sequences = dict.fromkeys(range(devices), 0)
        parcels = []
        for number, device in enumerate(wanted.device.tolist()):
            sequences[device] += 1
            due_s = float(at_s[number])
            parcels.append(parcel(f"cell-{device}", sequences[device], float(wanted.size_mib[number]), due_s))
        plant = Plant(place, workers, FIXED_S, S_PER_MIB / paper.ratio)
        ran = plant.run(first, parcels, last)
        return of_run(ran, plant.began_s), fitted(ran, paper.ratio)


def compared(paper: Paper, devices: int) -> dict[str, Any]:
    """One fleet: the command says how many workers, a server does its day, the command says the rest."""
    roughly = told(devices, None, ASSUMED)
    workers = roughly["workers_max"]
    real, assumed = day(paper, devices, workers, min(seen_at_once(roughly), workers))
    simulated = of_simulation(told(devices, workers, assumed))
    rows = {
        name: {
            "simulated": round(getattr(simulated, name), 3),
            "real": round(getattr(real, name), 3),
            "ratio": round(getattr(simulated, name) / getattr(real, name), 3),
        }
        for name in Figures.__annotations__
    }
    costs = {name: round(value, 5) for name, value in msgspec.to_builtins(assumed).items()}
    return {"devices": devices, "workers": workers, "figures": rows, "assumed": costs}


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", default="20,60", help="sizes of fleets, with commas")
    return parser.parse_args()


def main() -> None:
    """Print the figures."""
    with installed(PACED, "paced", "Paced"):
        paper, fleets = Paper(), []
        for devices in map(int, options().devices.split(",")):
            fleets.append(compared(paper, devices))
            print(json.dumps(fleets[-1]), flush=True)
    ratios = [row["ratio"] for fleet in fleets for row in fleet["figures"].values()]
    off = max(abs(ratio - 1) for ratio in ratios)
    print(json.dumps({"off_max": round(off, 3), "fleets": fleets}))


if __name__ == "__main__":
    main()
