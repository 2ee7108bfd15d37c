"""What benchmarks of the whole system share: a server in a folder of its own, and load from outside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tocsin.testing import Server

DEVICES: Final = 10_000
PARAMETERS: Final = 3
BODY_EVENTS: Final = 5_000
STEP_S: Final = 60
# one credential sends everything, and residues reach the lake at once: both would only add waiting
_SETTINGS: Final = {
    "TOCSIN_ACCESS__REQUESTS_PER_S": "1e6",
    "TOCSIN_ACCESS__REQUESTS_BURST": "1e6",
    "TOCSIN_ACCESS__BYTES_PER_S": "1e12",
    "TOCSIN_ACCESS__BYTES_BURST": "1e12",
    "TOCSIN_LAKE__FLUSH_S": "1",
}


@contextmanager
def serving(
    settings: Mapping[str, str] | None = None, prepare: Callable[[Path], None] = lambda _data: None
) -> Iterator[Server]:
    """A server on a new folder, which is removed afterwards; `prepare` may put something there before."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        data = Path(folder) / "data"
        prepare(data)
        with Server(data, {**_SETTINGS, **(settings or {})}) as server:
            try:
                yield server
            except BaseException:
                sys.stderr.write(server.log.read_text(errors="replace")[-4000:])
                raise


class Load:
    """The load generator as a process: its bodies are made when the constructor returns."""

    def __init__(self, server: Server, *, lazy: bool = False, **options: float | str) -> None:
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        arguments += ["--lazy"] if lazy else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", "--url", server.url, *arguments],
            env=server.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the load generator did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def send(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait until all is sent; its figures. Any answer but 200, 429 and 503 is an error."""
        out, _ = self._process.communicate()
        found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        if bad := set(found["statuses"]) - {"200", "429", "503"}:
            raise RuntimeError(f"unexpected answers: {bad}")
        return found

    def send_all(self) -> dict[str, Any]:
        """Send everything, wait; the figures."""
        self.send()
        return self.result()


def wait_until_done(server: Server, *, lake: bool = True, timeout_s: float = 300) -> None:
    """Return once everything acknowledged is processed and, if asked for, in the lake."""
    names = ["tocsin_processor_lag"] + (["tocsin_lake_lag"] if lake else [])
    deadline_s = time.monotonic() + timeout_s
    while any(server.metric(name) for name in names):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not done after {timeout_s} s")
        time.sleep(0.05)


def require_all(server: Server, events: int, readings_per_event: int) -> None:
    """Raise unless every event sent is in the lake once, and every reading scored or late: else no figure."""
    counts = server.get("/v1/digest")["counts"]
    readings = sum(counts.get(status, 0) for status in ("scored", "late"))
    answer = httpx.post(
        f"{server.url}/v1/query",
        json={"sql": "SELECT count(*), count(DISTINCT (log_partition, log_offset)) FROM events"},
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=60,
    ).raise_for_status()
    stored = answer.json()["rows"][0]
    if readings != events * readings_per_event or set(stored) != {events}:
        raise RuntimeError(
            f"of {events} events of {readings_per_event} readings, {counts} were counted and {stored} stored"
        )


def start_of(rounds: int, step_s: int = STEP_S) -> int:
    """When `rounds` of events have to begin, in ms, so that they end some minutes ago."""
    return (int(time.time()) - 300 - rounds * step_s) * 1000


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, user and system, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and all its descendants, whichever of its threads began them."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.partition("VmRSS:")[2].split()[0]) << 10
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return own + sum(rss_bytes(int(child)) for child in children)
