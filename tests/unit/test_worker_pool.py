"""Another team's code does what it likes, in real processes: a step gives a result or a reason."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.dump_detector_kit import install, task
from tocsin.dump_detectors import patience
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed

_LIMITS = StepLimits(wall_s=20, memory_bytes=256 << 20, state_bytes_max=1 << 20, findings_max=50)
_NOISE = """
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        os.write(fd, b"noise" * 9)
    except OSError:
        pass
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    """Two workers."""
    with WorkerPool(2, _LIMITS) as made:
        yield made


def _done(result: StepDone | StepFailed) -> StepDone:
    assert isinstance(result, StepDone), result
    return result


def _after(pool: WorkerPool, folder: Path, sequences: range, **changes: Any) -> StepDone:
    """The last of these steps, each with the state before."""
    state: dict[str, Any] = {"state": None, "state_version": ""}
    for sequence in sequences:
        done = _done(pool.run(task(folder, sequence, **state, **changes)).result(60))
        state = {"state": done.state, "state_version": done.state_version}
    return done


def test_findings_and_state_come_back(pool: WorkerPool, tmp_path: Path) -> None:
    """A device's dumps in order, each step with the state that the one before gave."""
    done = _after(pool, tmp_path, range(1, 4))
    assert [finding.reason for finding in done.findings] == ["dump 3 of pump-7 makes 6 lines"]
    assert (done.state, done.state_version) == (b"6 3", "2")


def test_a_device_stays_with_its_worker_and_its_instance(pool: WorkerPool, tmp_path: Path) -> None:
    """The second step finds the instance of the first, unless its state or configuration is another."""
    first = _after(pool, tmp_path, range(1, 2), config={"do": "tell"})
    again = task(tmp_path, 2, config={"do": "tell"}, state=first.state, state_version="2")
    kept = _done(pool.run(again).result(60))
    assert kept.findings[0].evidence == {"kept": True, "pid": first.findings[0].evidence["pid"]}
    other = _done(pool.run(again).result(60))  # the instance has gone on meanwhile
    assert other.findings[0].evidence["kept"] is False
    assert other.state == kept.state


@pytest.mark.parametrize(
    ("do", "kind", "words"),
    [
        ("os._exit(3)", FailureKind.CRASH, "status 3"),
        ("os.kill(os.getpid(), 11)", FailureKind.CRASH, "SIGSEGV"),
        ("os.abort()", FailureKind.CRASH, "SIGABRT"),
        ("bytearray(1 << 30)", FailureKind.MEMORY, "memory"),
        ("hog = [b'x' * (1 << 20) for _ in range(4000)]", FailureKind.MEMORY, "memory"),
        ("endless", FailureKind.ERROR, "more than 50 findings"),
        ("huge", FailureKind.ERROR, "67108864 bytes"),
        ("1 / 0", FailureKind.ERROR, "ZeroDivisionError"),
        ("sys.exit(0)", FailureKind.ERROR, "SystemExit"),
        ("raise KeyboardInterrupt", FailureKind.ERROR, "KeyboardInterrupt"),
        ("socket.create_connection(('127.0.0.1', 9))", FailureKind.ERROR, "PermissionError"),
        (_NOISE, FailureKind.CRASH, "protocol"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_an_answer_and_the_next_step_goes_on(
    pool: WorkerPool, tmp_path: Path, do: str, kind: FailureKind, words: str
) -> None:
    """The second dump fails with its kind; then the same dump without the fault gives what it would have."""
    first = _after(pool, tmp_path, range(1, 2))
    second = task(tmp_path, 2, state=first.state, state_version=first.state_version)
    failed = pool.run(task(tmp_path, 2, config={"do": do}, state=first.state, state_version="2")).result(60)
    assert isinstance(failed, StepFailed)
    assert (failed.kind, words in failed.detail) == (kind, True), failed
    assert _done(pool.run(second).result(60)).state == b"3 2"


@pytest.mark.parametrize("do", ["time.sleep(600)", "while True: pass", "os.kill(os.getpid(), 19)"])
def test_a_hang_is_ended(tmp_path: Path, do: str) -> None:
    """One that sleeps, one that computes for ever, one that was stopped."""
    with WorkerPool(1, StepLimits(wall_s=1.0)) as pool:
        failed = pool.run(task(tmp_path, config={"do": do, "at": 1})).result(60)
        assert isinstance(failed, StepFailed)
        assert failed.kind is FailureKind.HANG
        assert failed.may_go_away
        assert _done(pool.run(task(tmp_path)).result(60)).state == b"1 1"


def test_a_busy_machine_stops_no_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker waits for a processor does not count: here it is said to wait nearly all the time."""
    monkeypatch.setattr(patience, "waited_s", lambda _pid: 0.99 * time.monotonic())
    with WorkerPool(1, StepLimits(wall_s=1.0)) as pool:
        result = pool.run(task(tmp_path, config={"do": "time.sleep(2)", "at": 1})).result(60)
        assert _done(result).wall_s > 1


@pytest.mark.parametrize(
    ("waited_s", "left_s"), [(0.0, -20.0), (30.0, 10.0), (300.0, 280.0), (9_000.0, 520.0)]
)
def test_patience_is_as_long_as_the_processor_was_waited_for(
    monkeypatch: pytest.MonkeyPatch, waited_s: int, left_s: int
) -> None:
    """But not endless: ten times as long at most."""
    now_s, told_s = [100.0], [5.0]
    monkeypatch.setattr("tocsin.dump_detectors.patience.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(patience, "waited_s", lambda _pid: told_s[0])
    waiting = patience.Patience(1, 60.0)
    now_s[0], told_s[0] = 180.0, 5.0 + waited_s
    assert waiting.left_s() == left_s


def test_waiting_for_a_processor_is_told_where_the_system_knows() -> None:
    """It never goes back, and is 0 for a process that there is not."""
    before_s = patience.waited_s(os.getpid())
    sum(range(100_000))
    assert 0 <= before_s <= patience.waited_s(os.getpid())
    assert patience.waited_s(1 << 30) == 0


@pytest.mark.parametrize("method", ["setup", "start", "process", "save", "load"])
def test_an_exception_in_any_method_fails_the_step(pool: WorkerPool, tmp_path: Path, method: str) -> None:
    """It names the exception and the line."""
    config = {"do": "raise RuntimeError('broken pump')", "in": method, "at": 1}
    failed = pool.run(task(tmp_path, config=config, state=b"4 0", state_version="2")).result(60)
    assert isinstance(failed, StepFailed)
    assert failed.kind is FailureKind.ERROR
    assert "RuntimeError: broken pump" in failed.detail


def test_printing_disturbs_nothing(pool: WorkerPool, tmp_path: Path) -> None:
    """Standard output and standard error are no part of the protocol."""
    config = {"do": "print('x' * 10**6); os.write(1, b'y' * 10**6); print('z' * 10**6, file=sys.stderr)"}
    assert _after(pool, tmp_path, range(1, 4), config=config).state == b"6 3"


def test_state_of_an_older_version_is_migrated_or_refused(pool: WorkerPool, tmp_path: Path) -> None:
    """Version 1 wrote a comma; of version 0 nobody knows."""
    old = task(tmp_path, 3, state=b"3,2", state_version="1")
    assert _done(pool.run(old).result(60)).state == b"6 3"
    unknown = pool.run(task(tmp_path, 3, state=b"3,2", state_version="0")).result(60)
    assert isinstance(unknown, StepFailed)
    assert (unknown.kind, unknown.may_go_away) == (FailureKind.REFUSED, False)


def test_a_migration_that_breaks_is_an_error_and_no_refusal(pool: WorkerPool, tmp_path: Path) -> None:
    """What a library raises in it must not look like a version that it does not know."""
    config = {"do": "raise NotImplementedError('of a library')", "in": "migrate", "at": 1}
    old = task(tmp_path, 3, state=b"3,2", state_version="1", config=config)
    broken = pool.run(old).result(60)
    assert isinstance(broken, StepFailed)
    assert (broken.kind, "of a library" in broken.detail) == (FailureKind.ERROR, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"detector": "unheard-of"}, "there is no dump detector 'unheard-of' (known: "),
        ({"version": "3"}, "counting 3 is in force, and 2 is installed"),
        ({"config": {"colour": 1}}, "the configuration is refused: unknown: ['colour']"),
        ({"config": {"at": 1 << 80}}, "the task can't be sent to a worker"),
        ({"state": b"no state", "state_version": "2"}, "the state is refused"),
    ],
)
def test_what_can_not_begin_is_refused(
    pool: WorkerPool, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    """With what is wrong; running it again would not help."""
    failed = pool.run(task(tmp_path, **changes)).result(60)
    assert isinstance(failed, StepFailed)
    assert failed.kind is FailureKind.REFUSED
    assert words in failed.detail


def test_a_blob_that_can_not_be_read_is_not_the_detectors_fault(pool: WorkerPool, tmp_path: Path) -> None:
    """A file that is away, one that is no archive, and one whose bytes were flipped."""
    whole = task(tmp_path, 400)
    flipped = bytearray(whole.archive.read_bytes())
    flipped[60] ^= 255
    for content in (None, b"no archive", bytes(flipped)):
        path = tmp_path / "bad.zip"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        failed = pool.run(task(tmp_path, archive=path)).result(60)
        assert isinstance(failed, StepFailed)
        assert failed.kind is FailureKind.ARCHIVE, failed


def test_what_the_machine_can_not_open_for_a_moment_is_tried_again(pool: WorkerPool, tmp_path: Path) -> None:
    """Nothing is wrong with the dump or the detector, so neither may be stopped by the first such error."""
    path = tmp_path / "loop.zip"
    path.symlink_to(path)
    failed = pool.run(task(tmp_path, archive=path)).result(60)
    assert isinstance(failed, StepFailed)
    assert (failed.kind, failed.may_go_away) == (FailureKind.STORAGE, True), failed


def test_a_worker_that_can_not_be_started_is_an_answer(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more processes or files: the step fails, and once there are some again, the next one is done."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(tmp_path / "no such program"))
        for _ in range(2):
            failed = pool.run(task(tmp_path, config={"do": "os._exit(3)", "at": 1})).result(60)
        assert isinstance(failed, StepFailed)
        assert "no worker can be started" in failed.detail
    assert _done(pool.run(task(tmp_path)).result(60)).state == b"1 1"


def test_closing_fails_what_is_under_way_and_leaves_no_process(tmp_path: Path) -> None:
    """A step in the middle and those that wait are answered; the process is gone."""
    pool = WorkerPool(1, _LIMITS)
    told = _after(pool, tmp_path, range(1, 2), config={"do": "tell"})
    begun = tmp_path / "begun"
    do = f"open({str(begun)!r}, 'w').close(); time.sleep(600)"
    hanging = pool.run(task(tmp_path, config={"do": do, "at": 1}))
    while not begun.exists():
        time.sleep(0.01)
    waiting = pool.run(task(tmp_path))
    with capture_logs() as told_of:
        pool.close()
    for future in (hanging, waiting, pool.run(task(tmp_path))):
        failed = future.result(10)
        assert isinstance(failed, StepFailed)
        assert failed.kind is FailureKind.CRASH
        assert failed.detail == "the workers were ended before the step was done"
    assert told_of == []  # who ends the workers needs no warning of a crash to look into
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.findings[0].evidence["pid"]), 0)
