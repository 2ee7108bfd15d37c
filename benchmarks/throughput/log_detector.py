"""Dumps of logs through a real server with the detector `logs`: from their first byte to committed findings.

`dump_mib_per_s_per_core` is unpacked MiB by seconds of processor of server and worker, with all they do for a
dump: taking it in, proving every member, logging, judging, committing. `judging_mib_per_s_per_core` is the
detector alone in this process; `dump_over_unpacking` is the first over unpacking the same archives here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx

from benchmarks.serving import cpu_s, serving, wait_until_done
from tocsin.dump_detectors.abstract import Device
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource
from tocsin.log_detector.detector import Logs
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine, MadeDump
from tocsin.testing import Server

FLEET: Final = DumpFleet(devices=2, seed=7, scale=40.0)
START_MS: Final = 1_767_592_800_000  # Monday, 2026-01-05, 6 o'clock
HOURS: Final = 6
WARM: Final = 4
PIECE_BYTES: Final = 1 << 20
SETTINGS: Final = {"TOCSIN_WATCH__DUMP_DETECTORS": '{"logs": {}}', "TOCSIN_DUMPS__WORKERS": "1"}


def main() -> None:
    """Print the figures."""
    dumps = [list(machine) for machine in _machines()]
    size_mib = sum(_unpacked_bytes(dump) for own in dumps for dump in own[WARM:]) / 2**20
    judged_s = sum(_judging_s(own) for own in dumps)
    unpacked_s = _unpacking_s([dump for own in dumps for dump in own[WARM:]])
    with serving(SETTINGS) as server, httpx.Client(timeout=300) as http:
        warm, rest = [own[:WARM] for own in dumps], [own[WARM:] for own in dumps]
        _send(server, http, warm)
        began_s = _settled_cpu_s(server)
        count = _send(server, http, rest)
        whole_s = _settled_cpu_s(server) - began_s
    figures = {
        "dump_mib_per_s_per_core": round(size_mib / whole_s, 1),
        "judging_mib_per_s_per_core": round(size_mib / judged_s, 1),
        "dump_over_unpacking": round(unpacked_s / whole_s, 3),
        "dump_mib": round(size_mib / count, 2),
    }
    print(json.dumps(figures))


def _machines() -> Iterator[Iterator[MadeDump]]:
    for number in range(FLEET.devices):
        yield Machine(FLEET, number).dumps(START_MS, START_MS + HOURS * 3_600_000)


def _archive(made: MadeDump) -> Archive:
    return Archive(BytesSource(made.archive))


def _unpacked_bytes(made: MadeDump) -> int:
    return sum(len(piece) for member in _archive(made).members for piece in member.plain())


def _unpacking_s(dumps: Sequence[MadeDump]) -> float:
    began_s = time.thread_time()
    for made in dumps:
        _unpacked_bytes(made)
    return time.thread_time() - began_s


def _judging_s(dumps: Sequence[MadeDump]) -> float:
    """Seconds of this thread for all but the first dumps of a device."""
    instance = Logs()
    instance.setup({})
    instance.start(Device(tenant="benchmark", device="device"))
    spent_s = 0.0
    for number, made in enumerate(dumps):
        began_s = time.thread_time()
        facts = DumpFacts(
            sequence=made.sequence, sha256="", collected_from_ms=made.from_ms, collected_to_ms=made.to_ms
        )
        list(instance.process(ArchiveDump(facts, _archive(made))))
        instance.save()
        spent_s += time.thread_time() - began_s if number >= WARM else 0.0
    return spent_s


def _send(server: Server, http: httpx.Client, dumps: Sequence[Sequence[MadeDump]]) -> int:
    """Upload each device's dumps in order; how many there were."""
    for made in (dump for own in dumps for dump in own):
        digest = base64.b64encode(hashlib.sha256(made.archive).digest()).decode()
        http.put(
            f"{server.url}/v1/devices/{made.device}/dumps/{made.sequence}",
            content=made.archive,
            headers={"Authorization": f"Bearer {server.key}", "Content-Digest": f"sha-256=:{digest}:"},
        ).raise_for_status()
    return sum(map(len, dumps))


def _settled_cpu_s(server: Server) -> float:
    """Wait until all steps have been committed; the seconds of processor of server and workers so far."""
    wait_until_done(server, lake=False)
    end_s = time.monotonic() + 240
    while server.metric("tocsin_dumps_ready") or server.metric("tocsin_dumps_steps_running"):
        if time.monotonic() > end_s:
            raise TimeoutError("dumps are still waiting")
        time.sleep(0.2)
    return _family_cpu_s(server.pid)


def _family_cpu_s(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return cpu_s(pid) + sum(_family_cpu_s(child) for child in sorted(children))


if __name__ == "__main__":
    main()
