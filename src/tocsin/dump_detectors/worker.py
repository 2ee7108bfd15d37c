"""One worker process, seen from the pool."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec

from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.patience import Patience
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Task
from tocsin.dump_detectors.wire import Ready, decode_reply, encode, receive, reply_bytes_max, send

_GRACE_S: Final = 3.0
_HANDED_ON: Final = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
_OWN: Final = {
    "PYTHONHASHSEED": "0",  # sets of texts in one order, or findings differ from run to run
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


class Worker:
    """A process and the socket to it. Used by one thread at a time, but for `kill`."""

    def __init__(self, limits: StepLimits) -> None:
        self._limits = limits
        self._ready: Ready | None = None
        self._channel, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        words = [str(theirs.fileno()), msgspec.json.encode(limits).decode()]
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - this package itself, by the same Python
                [sys.executable, "-m", "tocsin.dump_detectors.worker_child", *words],
                pass_fds=[theirs.fileno()],
                env=environment | _OWN,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # whatever a detector prints is nobody's protocol
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the server; and what a detector starts ends with it
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._popen.pid

    @property
    def offline(self) -> bool:
        """Whether it can reach no network; known once a step was done."""
        return self._ready is not None and self._ready.offline

    def step(self, task: Task) -> StepDone | StepFailed:
        """Have a step done. After a crash, a hang or an end of memory the process is of no more use."""
        began_s = time.monotonic()
        try:
            payload = encode(task)
        except (TypeError, OverflowError, RecursionError) as error:
            detail = f"the task can't be sent to a worker: {error}"
            return StepFailed(kind=FailureKind.REFUSED, detail=detail)
        try:
            self._wait_until_ready()
            patience = Patience(self.pid, self._limits.wall_s)
            send(self._channel, payload, patience)
            reply = decode_reply(receive(self._channel, reply_bytes_max(self._limits), patience))
            if isinstance(reply, Ready):
                return self._broken("a second greeting", began_s)
        except TimeoutError:
            detail = f"the step took longer than {self._limits.wall_s:g} s"
            return StepFailed(kind=FailureKind.HANG, detail=detail, wall_s=time.monotonic() - began_s)
        except (OSError, EOFError):
            return self._ended(began_s)
        except (msgspec.MsgspecError, ValueError) as error:
            return self._broken(str(error), began_s)
        return reply.result

    def end(self) -> None:
        """Kill it and what it started; idempotent."""
        self.kill()
        self._popen.wait()
        with suppress(OSError):
            self._channel.close()

    def kill(self) -> None:
        """Kill it, if need be in the middle of a step, which then fails as a crash. From any thread."""
        if self._popen.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def _wait_until_ready(self) -> None:
        if self._ready is None:
            patience = Patience(self.pid, self._limits.start_s)
            said = decode_reply(receive(self._channel, 1 << 16, patience))
            if not isinstance(said, Ready):
                raise ValueError("something else than a greeting")
            self._ready = said

    def _broken(self, what: str, began_s: float) -> StepFailed:
        detail = f"the worker did not keep to its protocol: {what}"
        return StepFailed(kind=FailureKind.CRASH, detail=detail, wall_s=time.monotonic() - began_s)

    def _ended(self, began_s: float) -> StepFailed:
        """Why it ended, from the signal that it got."""
        deadline_s = time.monotonic() + _GRACE_S
        while self._popen.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        status = self._popen.returncode
        wall_s = time.monotonic() - began_s
        if status == -signal.SIGXCPU:
            detail = "the step used more processor time than its limit"
            return StepFailed(kind=FailureKind.HANG, detail=detail, wall_s=wall_s)
        name = signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"
        when = "in the step" if self._ready else "at its start"
        return StepFailed(kind=FailureKind.CRASH, detail=f"the worker ended {when} ({name})", wall_s=wall_s)
