"""Runs one plan in a clean environment: no randomness, time, threads or files but the simulated ones."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import os
import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import anyio.to_thread
import apsw
import structlog

import tocsin.bootstrap.serving  # noqa: F401 - loaded by the first who serves, and what it loads draws
from proof.simulation.checks import Seen
from proof.simulation.files import SimulatedFiles
from proof.simulation.lives import Lives
from proof.simulation.plan import Plan
from proof.simulation.settings import LOOK_S
from proof.simulation.vfs import SimulatedConnection, SimulatedVFS
from proof.simulation.world import World
from tocsin import threads
from tocsin.bootstrap import directories
from tocsin.directory import http_api
from tocsin.processing.rehearsal import rehearse
from tocsin.services import maintenance
from tocsin.storage.files import files_of

COLLECT_EVERY: Final = 4
_runs = [0]


@dataclass(slots=True)
class Outcome:
    """What came of a plan."""

    seed: int
    trace_hash: str
    findings: list[tuple[str, str]]
    kinds: tuple[str, ...]
    simulated_s: float
    points: int
    faults: dict[str, int]
    seen: Seen = field(default_factory=Seen)
    last: list[tuple[float, str, str]] = field(default_factory=list)

    def verdict(self) -> str:
        """One line for people."""
        seen = self.seen
        what = "; ".join(self.kinds) if self.findings else "all laws hold"
        return (
            f"seed {self.seed}: {what} ({self.simulated_s / 60:.0f} min, {self.points} points, "
            f"{sum(self.faults.values())} faults, {seen.events} events, {seen.readings} readings, "
            f"{seen.episodes} episodes, {seen.silences} of them of logs that stay away, "
            f"{seen.anomalies} anomalies, {seen.actions} actions, {seen.limits_moved} limits moved, "
            f"{seen.windows} windows, {seen.dumps} dumps judged)"
        )


def run_plan(plan: Plan) -> Outcome:
    """Play it; what the product did is in the outcome, whatever it was."""
    if not _runs[0]:
        rehearse()  # comes once in a process, and draws: the first run of a seed would differ from the next
        gc.collect()
        gc.freeze()  # what is loaded by now never goes: the collector need not look at it again
    with _memory_folder() as folder:
        world = World(plan, folder)
        with environment(world.lives):
            world.run()
    lives, trace = world.lives, world.lives.trace
    return Outcome(
        seed=plan.seed,
        trace_hash=trace.digest(),
        findings=lives.findings.found,
        kinds=lives.findings.kinds(),
        simulated_s=lives.scheduler.now_s,
        points=trace.points,
        faults=dict(trace.faults),
        seen=world.checks.seen,
        last=list(trace.last),
    )


@contextmanager
def environment(lives: Lives) -> Iterator[None]:
    """Within the block only simulated threads, files, randomness and end of process are used."""
    entropy = random.Random(lives.plan.seed)
    with ExitStack() as stack:
        stack.enter_context(_no_collection())
        stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(threads.made_by(lives.maker))
        stack.enter_context(files_of(SimulatedFiles(lives.disk, lives.exit)))
        for each in _patches(lives, entropy):
            stack.enter_context(each)
        vfs = SimulatedVFS(lives.disk, entropy.randbytes)
        stack.callback(vfs.unregister)
        apsw.randomness(0)  # begin anew, from the simulated source
        before = structlog.get_config()
        structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
        stack.callback(lambda: structlog.configure(**before))
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # spans of the dead end anywhere
        yield


def _patches(lives: Lives, entropy: random.Random) -> list[Any]:
    def to_thread(func: Callable[..., Any], *args: Any, **_: Any) -> Any:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, lambda: func(*args))

    party = lives.third_party
    others = (
        []
        if party is None
        else [
            patch.object(http_api, "HttpDirectoryApi", party.api),
            patch.object(directories, "Asking", party.asking),
        ]
    )
    return [
        *others,
        patch.object(apsw, "Connection", SimulatedConnection),
        patch.object(maintenance, "APPLICATION_LOOK_MS", round(1000 * LOOK_S)),
        patch.object(os, "_exit", lambda status: lives.exit(f"status {status}")),
        patch.object(os, "urandom", entropy.randbytes),
        patch.object(random, "random", entropy.random),
        patch.object(secrets, "token_bytes", lambda size=32: entropy.randbytes(size or 32)),
        patch.object(secrets, "randbits", entropy.getrandbits),
        patch.object(anyio.to_thread, "run_sync", to_thread),
    ]


@contextmanager
def _no_collection() -> Iterator[None]:
    """When the collector runs depends on what ran before, and destructors close files, which is seen."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        _runs[0] += 1
        if _runs[0] % COLLECT_EVERY == 0:
            gc.collect()  # connections of the dead still hold files


@contextmanager
def _memory_folder() -> Iterator[Path]:
    shared = Path("/dev/shm")  # noqa: S108 - made with a random name and for its owner alone
    folder = Path(tempfile.mkdtemp(prefix="tocsin-sim-", dir=shared if shared.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent
