"""A bit that flips in a store's schema is damage, and is told as such: it is not in any row's hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.clock import ManualClock
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import CorruptError
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog


def alter(path: Path, old: bytes, new: bytes) -> None:
    """Put other bytes of the same length wherever the old ones are."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_a_store_with_an_altered_schema_does_not_open(tmp_path: Path) -> None:
    """A column of another name would be found by the first query that wants it, as if that were wrong."""
    path = tmp_path / "commit.db"
    EmbeddedCommitStore(path).close()
    alter(path, b"pruned_through", b"pruned_thrnugh")
    with pytest.raises(CorruptError, match=r"commit\.db is damaged: its schema"):
        EmbeddedCommitStore(path)


def log_of_two_segments(folder: Path) -> EmbeddedLog:
    return EmbeddedLog(folder, 1, ManualClock(1), segment_bytes_max=1)


@pytest.mark.parametrize(("old", "new"), [(b"arrival_ms", b"arrival_mr"), (b"first_dead", b"first_deae")])
def test_a_sealed_segment_with_an_altered_schema_is_named(tmp_path: Path, old: bytes, new: bytes) -> None:
    """It is opened for reading alone: whoever checks it, or opens the log, says which file it is."""
    log = log_of_two_segments(tmp_path)
    for number in range(2):
        log.submit(Append("t", 1, (Part(0, RecordKind.EVENTS, 1, bytes([number])),))).result()
    log.close()
    alter(tmp_path / "segment-000000000001.db", old, new)
    assert any("segment-000000000001.db" in words for words in problems_of(tmp_path))


def problems_of(folder: Path) -> list[str]:
    """What opening or checking the log says."""
    try:
        log = log_of_two_segments(folder)
    except CorruptError as error:
        return [error.detail]
    try:
        return log.verify()
    finally:
        log.close()
