"""Power loss of a real server, recorded at its system calls: nothing that was promised is lost.

And the proof works: each protection that is taken away is missed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proof.power.campaign import campaign
from proof.power.recording import record
from proof.shim.building import built
from proof.shim.event import Kind, read_trace
from proof.subject.planting import PLANTS
from proof.subject.server import EndedError

pytestmark = [pytest.mark.services, pytest.mark.long]

SEED = 20
ROOT = Path(__file__).resolve().parents[2]
CALLS = (
    "write,writev,pwrite64,pwritev,pwritev2,sendfile,copy_file_range,splice,io_uring_setup,ftruncate,truncate,"
    "fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
PATTERNS = {
    "write": r"(?:p?writev?(?:64|2)?|sendfile)\(\d+<(?P<path>[^>]*)>",
    "name": (
        r"(?:rename|(?:sym)?link|unlink|mkdir|rmdir)(?:at2?)?"
        r"\((?:\w+<(?P<at>[^>]*)>, )?\"(?P<path>[^\"]*)\""
    ),
    "size": r"(?:ftruncate|fallocate)\(\d+<(?P<path>[^>]*)>",
}


def test_no_power_cut_loses_doubles_or_breaks_anything() -> None:
    """Two runs, the second with kills on the way, cut at every stretch."""
    figures = campaign(600, SEED, runs_max=2, states_a_run=600)
    assert figures.words == []
    assert len(figures.states) > 600


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_missing_protection_is_noticed(name: str) -> None:
    """With it taken away, some state loses, doubles or breaks something."""
    assert campaign(600, SEED, plant=name, runs_max=12, states_a_run=1500).words


def test_a_server_that_ends_before_it_is_ready_is_told_apart_from_a_broken_tool(tmp_path: Path) -> None:
    """A campaign counts it among what it found."""
    with pytest.raises(EndedError, match="TOCSIN_HTTP__PORT"):
        record(tmp_path, SEED, settings={"TOCSIN_HTTP__PORT": "none"})


def test_the_recorder_sees_every_call_that_the_kernel_sees(tmp_path: Path) -> None:
    """Whatever changes a file below the folder goes through the shim, from Python, C++ and Rust."""
    strace = shutil.which("strace")
    assert strace, "strace is not installed: `apt-get install strace` (or the like), then run the tests again"
    disk, trace, seen = tmp_path / "disk", tmp_path / "trace", tmp_path / "strace"
    disk.mkdir()
    shim = ["-E", f"LD_PRELOAD={built()}", "-E", f"PROOF_FOLDER={disk}", "-E", f"PROOF_TRACE={trace}"]
    calls = ["-f", "-y", "-qq", "-s", "0", "-e", f"trace={CALLS}", "-o", str(seen)]
    user = [sys.executable, "-m", "tests.integration.lake_user", str(disk)]
    subprocess.run([strace, *calls, *shim, *user], check=True, timeout=300, cwd=ROOT)
    recorded, known = recorded_counts(trace), kernel_counts(seen, disk)
    assert recorded == known
    assert min(known.values()) > 0
    assert "io_uring" not in seen.read_text(errors="replace")


def recorded_counts(trace: Path) -> dict[str, int]:
    """Calls by kind, as the shim has them. A sync is told to the trace alone."""
    counts = {"write": 0, "name": 0, "size": 0}
    groups = {
        **dict.fromkeys((Kind.WRITE,), "write"),
        **dict.fromkeys((Kind.RENAME, Kind.LINK, Kind.UNLINK, Kind.MKDIR, Kind.RMDIR), "name"),
    }
    for event in read_trace(trace):
        if event.kind in groups:
            counts[groups[event.kind]] += 1
        elif event.kind is Kind.TRUNCATE:
            counts["size"] += 1
    return counts


def kernel_counts(seen: Path, disk: Path) -> dict[str, int]:
    """The same calls, as the kernel was asked for them; only those that succeeded, without `-shm` files."""
    counts = {"write": 0, "name": 0, "size": 0}
    for line in whole_lines(seen):
        for kind, pattern in PATTERNS.items():
            match = re.match(pattern, line)
            if match is not None and "= -1 " not in line and is_inside(path_of(match), disk):
                counts[kind] += 1
    return counts


def path_of(match: re.Match[str]) -> str:
    """What the call is about; a relative name is one of the folder given with it."""
    found = match.groupdict()
    return str(Path(found.get("at") or "/", found["path"]))


def is_inside(path: str, disk: Path) -> bool:
    return path.removesuffix(" (deleted)").startswith(f"{disk}/") and not path.endswith("-shm")


def whole_lines(seen: Path) -> list[str]:
    """Calls without their process ids; those that were interrupted put together again."""
    waiting: dict[str, str] = {}
    lines = []
    for line in seen.read_text(errors="replace").splitlines():
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            waiting[process] = call.removesuffix("<unfinished ...>")
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            lines.append(waiting.pop(process, "") + match[1])
        else:
            lines.append(call)
    return lines
