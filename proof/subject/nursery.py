"""Gives birth to lives: a process that has loaded everything once forks a child for each of them.

So a life costs what it does, not what starting Python and loading compiled kernels costs. Nothing here may
start a thread before the fork.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from proof.shim.building import built
from proof.shim.control import Control
from proof.subject.answers import Answers
from proof.subject.crates import Crate
from proof.subject.haste import hurry
from proof.subject.life import config_of, live
from proof.subject.planting import plant
from proof.subject.traffic import Body

LIFE_S_MAX: Final = 150.0
_ALONE: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Death:
    """How a process ended: what it left as `result` if it came to its end (code 0), and what it said.

    The code is that of the process, the signal that ended it (negative), or 124 if it never ended.
    """

    code: int
    result: bytes
    words: str


@dataclass(frozen=True, slots=True)
class Cradle:
    """Where processes take place, one after another: `disk` is what they leave to each other."""

    scratch: Path
    control: Control
    bodies: Mapping[str, Sequence[Body]]
    machines: Sequence[Sequence[Crate]] = ()

    @property
    def data(self) -> Path:
        """The data folder, below what the shim watches."""
        return self.scratch / "disk" / "data"

    @property
    def trace(self) -> Path:
        """Where the shim writes down what happens to the disk."""
        return self.scratch / "trace"


Work = Callable[[Cradle], bytes]
"""What a process does; its result."""


def cradle_in(
    scratch: Path, bodies: Mapping[str, Sequence[Body]], machines: Sequence[Sequence[Crate]] = ()
) -> Cradle:
    """An empty disk and all that belongs to it."""
    (scratch / "disk").mkdir(exist_ok=True)
    return Cradle(scratch, Control(scratch / "control"), bodies, machines)


def a_life(cradle: Cradle) -> bytes:
    """Live until all is settled; the digest as JSON."""
    answers = Answers(cradle.scratch / "answers")
    digest = live(config_of(cradle.data), cradle.bodies, answers, machines=cradle.machines)
    return msgspec.json.encode(digest)


def with_shim(module: str) -> None:
    """Begin `python -m module` again with the shim before the C library, if it is not there yet."""
    library = str(built())
    if os.environ.get("LD_PRELOAD") != library:
        environment = os.environ | _ALONE | {"LD_PRELOAD": library}
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)  # noqa: S606


def require_alone() -> None:
    """A fork takes only the thread that forks along: what the others held would stay locked for ever.

    The background threads of jemalloc are its own affair: it holds its locks itself while a process forks.
    """
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    others = [name for name in names if name != "jemalloc_bg_thd"]
    if len(others) > 1:
        raise RuntimeError(f"threads run before the fork: {others}")


def born(cradle: Cradle, work: Work = a_life, *, planted: str = "", recorded: bool = False) -> int:
    """Fork a child that works to its end, or until the shim ends it; its process id."""
    require_alone()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        code = _child(cradle, work, planted, recorded)
    finally:
        os._exit(code)


def _child(cradle: Cradle, work: Work, planted: str, recorded: bool) -> int:
    _log_to(cradle.scratch / "words")
    hurry()
    plant(planted)
    trace = str(cradle.trace) if recorded else ""
    _shim().proof_attach(
        os.fsencode(cradle.scratch / "disk"), os.fsencode(trace), os.fsencode(cradle.control.path)
    )
    try:
        result = work(cradle)
    except BaseException:  # noqa: BLE001 - the process ends with it
        traceback.print_exc()
        return 3
    (cradle.scratch / "result").write_bytes(result)
    return 0


def _log_to(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _shim() -> Any:
    """The shim, which must have been loaded with the process."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "proof_attach"):
        raise RuntimeError("start this process with the shim in LD_PRELOAD")
    return library


def died(cradle: Cradle, process: int, timeout_s: float = LIFE_S_MAX) -> Death:
    """Wait for a process to end; one that never ends is ended."""
    code = _waited(process, timeout_s)
    words = (cradle.scratch / "words").read_text(errors="replace")[-3000:]
    return Death(code, (cradle.scratch / "result").read_bytes() if code == 0 else b"", words)


def _waited(process: int, timeout_s: float) -> int:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.003)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return 124
