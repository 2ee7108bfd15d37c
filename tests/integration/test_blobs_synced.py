"""Watched from the kernel: what the blob store tells of is synced before, bytes and names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_lake_synced import CALLS, Watched

pytestmark = pytest.mark.services

SCRIPT = """
import os, sys
from pathlib import Path
from tocsin.blobs import embedded, staging, writing
if sys.argv[2] == "bytes":
    embedded.sync_file = staging.sync_file = writing.sync_file = lambda file, path: None
if sys.argv[2] == "directory":
    embedded.sync_directory = staging.sync_directory = writing.sync_directory = lambda folder: None
store = embedded.EmbeddedBlobStore(Path(sys.argv[1]))
upload = store.begin()
upload.write(b"hello")
upload.finish()
store.claim("name", b"content")
staged = store.stage("name", b"note")
staged.write(b"hello")
staged.sync()
os.write(1, b"APPENDED")
os._exit(0)
"""


def watch(folder: Path, broken: str) -> Watched:
    """Take in a blob, a claim and a part of an upload under strace, with the named sync left out."""
    trace = folder.parent / "trace"
    command = ["strace", "-f", "-y", "-s", "4096", "-o", str(trace), "-e", f"trace={CALLS}"]
    script = [sys.executable, "-c", SCRIPT, str(folder), broken]
    subprocess.run([*command, *script], check=True, capture_output=True, timeout=120)
    return Watched(trace.read_text(), folder)


def unsynced(watched: Watched) -> list[str]:
    """What lies where it stays; what is on its way may go."""
    return [path for path in watched.unsynced() if not path.endswith("/incoming")]


def test_everything_is_synced_when_a_blob_is_told_of(tmp_path: Path) -> None:
    """Bytes before the name, the name before the answer, new folders too."""
    watched = watch(tmp_path / "blobs", "nothing")
    made = [path for path in watched.changed if str(tmp_path / "blobs") in path]
    assert len(made) == 5
    assert unsynced(watched) == []


@pytest.mark.parametrize(
    ("broken", "missing"),
    [("bytes", "blobs/"), ("bytes", "staged"), ("directory", "claims"), ("directory", "staged")],
)
def test_a_left_out_sync_is_seen(tmp_path: Path, broken: str, missing: str) -> None:
    """The watch itself works: without one of the syncs it names what is at risk."""
    assert any(missing in path for path in unsynced(watch(tmp_path / "blobs", broken)))
