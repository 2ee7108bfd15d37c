"""Processes that run other people's SQL, so that a query that wants too much ends none but its own."""

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
import pyarrow as pa

from tocsin import threads
from tocsin.errors import BackpressureError, TocsinError, TooLargeError
from tocsin.lake.query_wire import READY, Failure, Form, receive, send_question
from tocsin.lake.room import QueryLimits, Room

_KEPT_MAX: Final = 2
_START_S: Final = 60.0
_GRACE_S: Final = 3.0
_ENVELOPE_BYTES: Final = 1 << 20
_HANDED_ON: Final = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")
_OWN: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}


class QueryProcesses:
    """Hands questions to processes of at most `memory_bytes` each, which are kept and used again.

    A process that has seen one tenant's rows never serves another tenant. `warm` starts one ahead, since
    a start takes about half a second. Thread-safe; as many processes run as threads ask at the same time.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._kept: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False
        self._lock = threads.lock()

    def json(self, room: Room, sql: str, limits: QueryLimits) -> bytes:
        """The rows as JSON, see `json_rows`. Errors as in `answer`."""
        return self._ask(room, sql, limits, Form.JSON)

    def table(self, room: Room, sql: str, limits: QueryLimits) -> pa.Table:
        """The rows as a table. Errors as in `answer`."""
        with pa.ipc.open_stream(self._ask(room, sql, limits, Form.ARROW)) as stream:
            return stream.read_all()

    def warm(self) -> None:
        """Have a process ready that nobody has used; returns before it is.

        Those that were killed meanwhile are let go: the kernel takes them first when memory ends.
        """
        with self._lock:
            for gone in [process for process in self._kept if not process.runs]:
                self._kept.remove(gone)
                self._all.discard(gone)
                gone.end()
            if self._closed or any(process.tenant is None for process in self._kept):
                return
            process = _Process(self._memory_bytes)
            self._all.add(process)
            self._kept.append(process)

    def close(self) -> None:
        """End all of them, queries that run included; idempotent."""
        with self._lock:
            self._closed = True
            processes = list(self._all)
            self._all.clear()
            self._kept.clear()
        for process in processes:
            process.end()

    def _ask(self, room: Room, sql: str, limits: QueryLimits, form: Form) -> bytes:
        process = self._take(room.tenant)
        healthy = False
        try:
            found = process.ask(room, sql, limits, form)
            error = None if found[:1] == b"R" else msgspec.json.decode(found[1:], type=Failure).error()
            # what wanted too much may have left too little for the next one
            healthy = not isinstance(error, TooLargeError)
        finally:
            self._give_back(process, healthy=healthy)
            self.warm()
        if error is not None:
            raise error
        return found[1:]

    def _take(self, tenant: str) -> _Process:
        with self._lock:
            if self._closed:
                raise BackpressureError("The server is stopping.", retry_after_s=5)
            for wanted in (tenant, None):
                for process in self._kept:
                    if process.tenant == wanted and process.runs:
                        self._kept.remove(process)
                        process.tenant = tenant
                        return process
            process = _Process(self._memory_bytes)
            process.tenant = tenant
            self._all.add(process)
            return process

    def _give_back(self, process: _Process, *, healthy: bool) -> None:
        with self._lock:
            if healthy and not self._closed:
                self._kept.append(process)
            else:
                self._all.discard(process)
                process.end()
            used = [kept for kept in self._kept if kept.tenant is not None]
            for surplus in used[:-_KEPT_MAX]:
                self._kept.remove(surplus)
                self._all.discard(surplus)
                surplus.end()


class _Process:
    """One process and the socket to it; used by one thread at a time. `tenant` is whose rows it has seen."""

    def __init__(self, memory_bytes: int) -> None:
        self.tenant: str | None = None
        self._ready = False
        self._channel, theirs = socket.socketpair()
        self._reading = self._channel.makefile("rb")
        self._writing = self._channel.makefile("wb")
        environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - this package itself, by the same Python
                [sys.executable, "-m", "tocsin.lake.query_child", str(theirs.fileno()), str(memory_bytes)],
                pass_fds=[theirs.fileno()],
                env=environment | _OWN,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the server, which ends its processes in order
            )

    @property
    def runs(self) -> bool:
        return self._popen.poll() is None

    def ask(self, room: Room, sql: str, limits: QueryLimits, form: Form) -> bytes:
        """The first byte tells rows from a failure. After an error the process is of no more use."""
        try:
            self._wait_until_ready()
            self._channel.settimeout(limits.timeout_s + _GRACE_S)
            send_question(self._writing, room, sql, limits, form)
            return receive(self._reading, limits.result_bytes_max + _ENVELOPE_BYTES)
        except TimeoutError as error:
            raise _too_long(limits) from error
        except (OSError, EOFError) as error:
            raise self._cause(limits) from error

    def end(self) -> None:
        """Kill it, if need be in the middle of a query."""
        self._popen.kill()
        self._popen.wait()
        for closing in (self._writing, self._reading, self._channel):
            with suppress(OSError):
                closing.close()

    def _wait_until_ready(self) -> None:
        if not self._ready:
            self._channel.settimeout(_START_S)
            said = receive(self._reading, _ENVELOPE_BYTES)
            if said != READY:
                raise RuntimeError(f"a process for queries can't start: {said.decode()}")
            self._ready = True

    def _cause(self, limits: QueryLimits) -> Exception:
        """Why it ended, from the signal that it got."""
        deadline_s = time.monotonic() + _GRACE_S
        while self.runs and time.monotonic() < deadline_s:
            time.sleep(0.01)
        status = self._popen.returncode
        if not self._ready:
            return RuntimeError(f"a process for queries ended at its start with status {status}")
        if status == -signal.SIGXCPU:
            return _too_long(limits)
        name = signal.Signals(-status).name if status is not None and status < 0 else str(status)
        return TooLargeError(
            f"the query wanted more memory than it may use, or the engine broke ({name}): ask for less"
        )


def _too_long(limits: QueryLimits) -> TocsinError:
    return TooLargeError(f"the query took longer than {limits.timeout_s:g} s: ask for fewer rows")
