"""Processes for queries: what they give up, and how they come and go."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lake_kit import events, open_lake, record, steady
from tocsin.errors import BackpressureError, InvalidInputError, TooLargeError
from tocsin.lake.query import room_of
from tocsin.lake.query_processes import QueryProcesses
from tocsin.lake.room import QueryLimits, empty_room

LIMITS = QueryLimits(memory_bytes=128 << 20, timeout_s=5, result_bytes_max=1 << 20)
filtered = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="system calls are filtered on these machines alone",
)


@pytest.fixture
def processes() -> Iterator[QueryProcesses]:
    """Processes of 512 MiB each."""
    processes = QueryProcesses(512 << 20)
    yield processes
    processes.close()


@filtered
@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.socket(socket.AF_UNIX)",
        "open('{folder}/new', 'w')",
        "open('{folder}/old', 'r+')",
        "os.unlink('{folder}/old')",
        "os.rename('{folder}/old', '{folder}/moved')",
        "os.mkdir('{folder}/made')",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], dict())",
        "os.fork()",
        "bytearray(400 << 20)",
    ],
)
def test_a_confined_process_can_not(tmp_path: Path, attempt: str) -> None:
    """Write, connect, start a program or take more memory, whatever the engine would let it."""
    (tmp_path / "old").write_text("kept")
    code = (
        "import os, socket, threading\n"
        "from tocsin.confinement import confine\n"
        "confine(256 << 20)\n"
        f"assert open({str(tmp_path / 'old')!r}).read() == 'kept'\n"
        "threading.Thread(target=print, args=('threads work',)).start()\n"
        f"try:\n    {attempt.format(folder=tmp_path)}\n"
        "except (OSError, MemoryError) as error:\n    print('refused', type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "refused" in done.stdout, done.stdout + done.stderr
    assert "threads work" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


def test_rows_and_errors_come_back(processes: QueryProcesses, tmp_path: Path) -> None:
    """Rows of lake and tail as JSON and as a table; a mistake as the same error as in this process."""
    with_rows = room_of(lake := open_lake(tmp_path / "lake"), None, "acme", tail_bytes_max=1 << 20)
    lake.append([record(0, events(steady(3)))])
    with_rows = room_of(lake, None, "acme", tail_bytes_max=1 << 20)
    sql = "SELECT count(*) AS n, [1, NULL] AS l, 'infinity'::DOUBLE AS d FROM events"
    assert processes.json(with_rows, sql, LIMITS).endswith(b'"rows":[[3,[1,null],null]]}')
    assert processes.table(with_rows, "SELECT device FROM events", LIMITS).num_rows == 3
    with pytest.raises(InvalidInputError, match="only one SELECT"):
        processes.json(with_rows, "SELECT 1; SELECT 2", LIMITS)
    with pytest.raises(InvalidInputError, match="always"):
        processes.json(with_rows, "SELECT 'infinity'::TIMESTAMP AS always", LIMITS)
    lake.close()


def test_a_process_that_ends_is_replaced(processes: QueryProcesses) -> None:
    """Killed while it waits, or by what a query wants: the next question is answered all the same."""
    assert processes.json(empty_room(), "SELECT 1", LIMITS)
    for process in processes._kept:
        os.kill(process._popen.pid, signal.SIGKILL)
        process._popen.wait()
    assert processes.json(empty_room(), "SELECT 1", LIMITS)
    with pytest.raises(TooLargeError):
        processes.json(empty_room(), "SELECT " + "||".join(["repeat('z', 100000000)"] * 9), LIMITS)
    with pytest.raises(TooLargeError, match="1048576 bytes"):
        processes.json(empty_room(), "SELECT repeat('x', 1000) FROM range(9000)", LIMITS)
    assert processes.json(empty_room(), "SELECT 1", LIMITS)


def test_one_that_wanted_too_much_serves_nobody_else(processes: QueryProcesses) -> None:
    """What it holds of its memory is missing to the next question, which may be a small one."""
    with pytest.raises(TooLargeError):
        processes.json(empty_room(), "SELECT * FROM range(3000000) a", LIMITS)
    assert [process.tenant for process in processes._kept] == [None]


def test_no_room_for_a_thread_is_no_room() -> None:
    """A query that finds no memory for a thread's stack is refused like one that finds none for its rows."""
    processes = QueryProcesses(memory_bytes=2 << 20)
    with pytest.raises(TooLargeError, match="more memory"):
        processes.json(empty_room(), "SELECT 1", LIMITS)
    processes.close()


def test_one_that_was_killed_while_it_waited_is_replaced_ahead(processes: QueryProcesses) -> None:
    """The kernel takes an idle process first when memory ends; the next question must not pay for a start."""
    processes.warm()
    (killed,) = processes._kept
    os.kill(killed._popen.pid, signal.SIGKILL)
    killed._popen.wait()
    processes.warm()
    assert [process.runs for process in processes._kept] == [True]


def test_time_is_bounded_where_the_engine_does_not_look_at_it(processes: QueryProcesses) -> None:
    """One call inside the engine that runs on and on is ended with its process."""
    endless = "SELECT length(regexp_replace(repeat('a', 50000000), '(a|b|ab)*?c', 'x', 'g'))"
    nested = f"SELECT list_reduce(range(3000000), lambda x, y: x + length(md5(y::VARCHAR))), ({endless})"
    with pytest.raises(TooLargeError, match=r"longer than|memory"):
        processes.json(empty_room(), nested, replace(LIMITS, timeout_s=0.5))


def test_a_process_sees_one_tenant(processes: QueryProcesses) -> None:
    """Another tenant's question goes to a process that has never held the first one's rows."""
    room = empty_room()
    for tenant in ("acme", "other", "acme", "third"):
        processes.json(replace(room, tenant=tenant), "SELECT 1", LIMITS)
        assert len({process.tenant for process in processes._kept}) == len(processes._kept)
    assert len(processes._all) <= 3


def test_after_the_end_nothing_is_answered(processes: QueryProcesses) -> None:
    """Closing ends every process; who asks later is told to try again."""
    processes.warm()
    started = [process._popen for process in processes._all]
    processes.close()
    assert all(popen.poll() is not None for popen in started)
    with pytest.raises(BackpressureError):
        processes.json(empty_room(), "SELECT 1", LIMITS)
