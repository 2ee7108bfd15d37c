"""Kills Tocsin at random moments while a file is ingested, and proves that nothing came of it.

The server is killed with SIGKILL and started again, over and over, while one client sends the file and
retries. Afterwards the digests must equal those of an undisturbed backtest of the same file, the terms of
the conservation law must add up exactly, and every episode must come out the same when it is derived again.
The last line is a JSON object; the exit code is 0 only if all of that is so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tocsin.testing import COMMAND, Server

NAB_OPTIONS = ["--device-column", "series", "--time-column", "ts", "--parameters", "value"]
STATUSES = (
    "scored",
    "duplicate",
    "conflict",
    "late",
    "unscored_text",
    "unscored_clock",
    "unscored_quarantined",
    "pending",
)
BODY_EVENTS = 100
UP_S_MAX = 1.5
START_S_MAX = 3.0
CATCH_UP_S = 600


def simulated(folder: Path) -> Path:
    """A small file with late, duplicate and reordered events, for when no data set is given."""
    file = folder / "fleet.ndjson"
    fleet = ["--stations", "40", "--days", "12", "--interval-s", "300", "--faults", "all", "--seed", "1"]
    command = [COMMAND, "simulate", *fleet, "--out", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return file


def options_for(file: Path) -> list[str]:
    """How the columns of a table are read; NDJSON names its own."""
    return NAB_OPTIONS if file.suffix == ".parquet" else []


def backtest(file: Path, folder: Path) -> dict[str, Any]:
    """The undisturbed run's summary."""
    out = folder / "backtest"
    command = [COMMAND, "backtest", str(file), "--out", str(out), *options_for(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def start_client(server: Server, file: Path, folder: Path) -> subprocess.Popen[str]:
    """One client that sends the file in small bodies and tries again until each is acknowledged."""
    command = [COMMAND, "ingest", str(file), *options_for(file), "--json"]
    command += ["--connections", "2", "--body-events", str(BODY_EVENTS)]
    with (folder / "client.json").open("w") as out, (folder / "client.log").open("w") as log:
        return subprocess.Popen(command, env=server.environment(), stdout=out, stderr=log, text=True)


def kill_often(server: Server, client: subprocess.Popen[str], kills: int, rng: random.Random) -> int:
    """Kill and restart `kills` times; how many of them hit while the client was still sending.

    Every third kill comes at a random moment of the start itself, when recovery is under way.
    """
    sending = 0
    for number in range(1, kills + 1):
        if number % 3:
            time.sleep(rng.uniform(0, UP_S_MAX))
        sending += client.poll() is None
        server.kill()
        if number % 3 == 2 and number < kills:
            server.spawn()
            time.sleep(rng.uniform(0, START_S_MAX))
            continue
        took_s = server.start()
        print(f"kill {number}/{kills}, ready again after {took_s:.1f} s", file=sys.stderr, flush=True)
    return sending


def conserved(counts: dict[str, int]) -> bool:
    """Accepted readings equal the sum of what became of them."""
    return counts["accepted"] == sum(counts.get(status, 0) for status in STATUSES)


def explained(folder: Path) -> tuple[int, int]:
    """How many episodes of a data folder were derived again, and how many came out otherwise."""
    command = [COMMAND, "explain", "all", "--data", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["episodes"], len(found["mismatches"])


def torture(file: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """The whole run; its findings."""
    expected = backtest(file, folder)
    rng = random.Random(seed)
    server = Server(folder / "data", {"TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1"})
    server.start()
    client = start_client(server, file, folder)
    try:
        sending = kill_often(server, client, kills, rng)
        client.wait(timeout=CATCH_UP_S)
        said = server.run("digest", "--wait-s", str(CATCH_UP_S), "--json", timeout_s=2 * CATCH_UP_S)
        found = json.loads(said.stdout.splitlines()[-1])
    finally:
        client.kill()
        server.stop()
    same = {name: found[name] == expected[name] for name in ("digest_raw", "digest_final")}
    episodes, differ = explained(server.data)
    # no digest knows of a reading that was taken twice, since its repeat is a duplicate
    same["accepted"] = found["counts"]["accepted"] == expected["counts"]["accepted"]
    return {
        "kills": kills,
        "kills_while_sending": sending,
        "client_exit": client.returncode,
        "seed": seed,
        "same_digest_raw": same["digest_raw"],
        "same_digest_final": same["digest_final"],
        "same_accepted": same["accepted"],
        "conserved": conserved(found["counts"]),
        "episodes_explained": episodes,
        "episodes_differ": differ,
        "counts": found["counts"],
        "counts_backtest": expected["counts"],
        "ok": all(same.values()) and conserved(found["counts"]) and not (client.returncode or differ),
    }


def main() -> int:
    """Run in a temporary folder, which is kept if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="file to ingest; without it a fleet is simulated")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    arguments = parser.parse_args()
    if arguments.data is None:
        print("no data named (DATA=FILE): a fleet of 40 stations is simulated", file=sys.stderr, flush=True)
    elif not arguments.data.is_file():
        parser.error(
            f"{arguments.data} is no file: name a .parquet, .csv or .ndjson of events with DATA=FILE "
            "(--data FILE), or none, so that a fleet is simulated"
        )
    folder = Path(tempfile.mkdtemp(prefix="tocsin-torture-"))
    findings = torture(arguments.data or simulated(folder), folder, arguments.kills, arguments.seed)
    if findings["ok"]:
        shutil.rmtree(folder)
    else:
        print(f"kept for a look: {folder}", file=sys.stderr)
    print(json.dumps(findings))
    return 0 if findings["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
