"""Watched from the kernel: everything an append makes is synced before the append returns."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.services

SCRIPT = """
import os, sys
from pathlib import Path
from tests.lake_kit import events, open_lake, record, steady
import tocsin.lake.table as table
if sys.argv[2] == "entry":
    table.sync_file = lambda path: None
if sys.argv[2] == "directory":
    import tocsin.lake.files as files
    files.sync_directory = lambda path: None
lake = open_lake(Path(sys.argv[1]))
lake.append([record(0, events(steady(10)))])
lake.append([record(10, events(steady(10)))])
os.write(1, b"APPENDED")
os._exit(0)
"""
CALLS = (
    "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,"
    "link,linkat,mkdir,mkdirat,unlink,unlinkat"
)
PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"^\w+\((\d+)<([^>]*)>")


class Watched:
    """What a trace says of files and directories: the step of their last change and of their last sync."""

    def __init__(self, trace: str, folder: Path) -> None:
        self._folder = str(folder)
        self.changed: dict[str, int] = {}
        self.entered: dict[str, int] = {}
        self.synced: dict[str, int] = {}
        for step, line in enumerate(trace.splitlines()):
            call = re.sub(r"^\[?\w*\s*\d+\]?\s+", "", line)
            if '"APPENDED"' in call:
                return
            if "= -1" not in call:
                self._take(step, call)
        raise AssertionError("the append never returned")

    def unsynced(self) -> list[str]:
        """Files whose bytes, and directories whose entries, were not synced after their last change."""
        files = [path for path, step in self.changed.items() if self.synced.get(path, -1) < step]
        names = [path for path, step in self.entered.items() if self.synced.get(path, -1) < step]
        return sorted(path for path in files + names if path.startswith(self._folder))

    def _take(self, step: int, call: str) -> None:
        name = call.partition("(")[0]
        paths = PATH.findall(call)
        descriptor = DESCRIPTOR.match(call)
        if name in {"write", "pwrite64", "ftruncate"} and descriptor:
            self.changed[descriptor[2]] = step
        elif name in {"fsync", "fdatasync"} and descriptor:
            self.synced[descriptor[2]] = step
        elif name.startswith(("rename", "link")):
            self._move(step, paths[0], paths[1], stays=name.startswith("link"))
        elif name.startswith("mkdir") or (name == "openat" and "O_CREAT" in call):
            self.entered[str(Path(paths[0]).parent)] = step
        elif name.startswith("unlink"):
            self.changed.pop(paths[0], None)

    def _move(self, step: int, source: str, target: str, *, stays: bool) -> None:
        self.entered[str(Path(target).parent)] = step
        for known in (self.changed, self.synced):
            if source in known:
                known[target] = known[source] if stays else known.pop(source)


def watch(folder: Path, broken: str) -> Watched:
    """Append twice under strace, with the named sync left out."""
    trace = folder.parent / "trace"
    command = ["strace", "-f", "-y", "-s", "4096", "-o", str(trace), "-e", f"trace={CALLS}"]
    script = [sys.executable, "-c", SCRIPT, str(folder), broken]
    subprocess.run([*command, *script], check=True, capture_output=True, timeout=120)
    return Watched(trace.read_text(), folder)


def test_everything_is_synced_when_append_returns(tmp_path: Path) -> None:
    """Every lake file, its directory, the table's log entry and the ledger are synced before the return."""
    watched = watch(tmp_path / "lake", "nothing")
    made = {path.rsplit("/", 1)[-1] for path in watched.changed if str(tmp_path) in path}
    assert f"{2:020d}.json" in made
    assert any(name.startswith("part-") for name in made)
    assert "synced.json" in made
    assert watched.unsynced() == []


@pytest.mark.parametrize(("broken", "missing"), [("entry", "_delta_log"), ("directory", "date=")])
def test_a_left_out_sync_is_seen(tmp_path: Path, broken: str, missing: str) -> None:
    """The watch itself works: without a sync of log entries or of directories it names them."""
    assert any(missing in path for path in watch(tmp_path / "lake", broken).unsynced())
