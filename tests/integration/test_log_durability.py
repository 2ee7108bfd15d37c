"""Acknowledged means durable: killed, watched at its system calls, and with a disk that fails to sync."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tocsin.clock import SystemClock
from tocsin.log.embedded import EmbeddedLog
from tocsin.storage.faults import EXIT_STATUS

WRITER = Path(__file__).with_name("log_writer.py")


def writer(folder: Path, run: str, count: int, segment_bytes: int) -> list[str]:
    return [sys.executable, str(WRITER), str(folder), run, str(count), str(segment_bytes)]


def acknowledged(output: str) -> dict[str, int]:
    """Sequence to offset, of whole lines."""
    return {name: int(offset) for name, offset in re.findall(r"^ack (\S+) (\d+)\n", output, re.MULTILINE)}


def run_and_kill(folder: Path, run: str, after_s: float) -> dict[str, int]:
    """What a writer that was killed had acknowledged."""
    with subprocess.Popen(
        writer(folder, run, 1_000_000, 100_000), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(after_s)
        process.kill()
        return acknowledged(first + process.stdout.read())


def test_what_was_acknowledged_survives_kill_9_exactly_once(tmp_path: Path) -> None:
    """After several kills at random moments every acknowledged append is there, at its offset, once."""
    rng = random.Random(7)
    promised: dict[str, int] = {}
    for run in range(5):
        fresh = run_and_kill(tmp_path, str(run), rng.uniform(0.02, 0.4))
        assert fresh
        promised |= fresh
    log = EmbeddedLog(tmp_path, 2, SystemClock())
    found: dict[str, int] = {}
    offset = log.begin(0)
    while records := log.read(0, offset):
        for record in records:
            name = record.payload[: len(record.payload) // 100].decode()
            assert name not in found
            found[name] = record.offset
        offset = records[-1].next_offset
    kept = {name: at for name, at in promised.items() if at >= log.begin(0)}
    assert {name: found.get(name) for name in kept} == kept
    assert len(found) == log.end(0) - log.begin(0)
    answers = {name: log.find_answer("t", "p", name, b"f") for name in promised}
    assert answers == {name: name.encode() for name in promised}
    assert log.verify() == []
    log.close()


def strace(*options: str) -> list[str]:
    """The command that watches a child; a test that needs it fails without it."""
    found = shutil.which("strace")
    assert found, "strace is not installed: `apt-get install strace` (or the like), then run the tests again"
    return [found, "-f", "-y", "-s", "4000", *options]


@pytest.mark.services
def test_every_acknowledgement_follows_a_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    """No `ack` leaves while a write is not synced, and nothing is written under a name that is not."""
    trace, folder = tmp_path / "trace", tmp_path / "log"
    calls = "trace=write,pwrite64,fsync,fdatasync,rename,openat,unlink"
    command = [*strace("-o", str(trace), "-e", calls), *writer(folder, "run", 300, 20_000)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    unsynced: set[str] = set()
    unsynced_names = False
    acks = renames = 0
    for line in trace.read_text(errors="replace").splitlines():
        if match := re.search(r"pwrite64\(\d+<([^>]*segment-\d+\.db-wal)>", line):
            assert not unsynced_names, line
            unsynced.add(match[1])
        elif match := re.search(r"(?:fsync|fdatasync)\(\d+<([^>]*)>", line):
            unsynced.discard(match[1])
            unsynced_names &= match[1] != str(folder)
        elif re.search(r"rename\(.*segment-\d+\.db\"", line):
            unsynced_names = True
            renames += 1
        elif re.search(r"write\(1<[^>]*>, \"ack ", line):
            acks += 1
            assert not unsynced, line
    assert acks == 300
    assert renames > 5


@pytest.mark.services
@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_failing_sync_ends_the_process_and_nothing_more_is_acknowledged(call: str, tmp_path: Path) -> None:
    """The kernel's EIO is not retried: the process stops, and the next one finds what was acknowledged."""
    folder = tmp_path / "log"
    inject = f"inject={call}:error=EIO:when=60+"
    command = [*strace("-o", str(tmp_path / "trace"), "-e", inject), *writer(folder, "run", 5_000, 50_000)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == EXIT_STATUS
    assert "must be started again" in done.stderr
    log = EmbeddedLog(folder, 2, SystemClock())
    promised = acknowledged(done.stdout)
    assert promised
    for name in promised:
        assert log.find_answer("t", "p", name, b"f") == name.encode()
    log.close()
