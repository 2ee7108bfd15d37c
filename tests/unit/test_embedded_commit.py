"""What is particular to the embedded commit and checkpoint stores: damage is noticed and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commit_kit import EPISODE, freed
from tocsin.commit.abstract import Chunk, Commit, Totals
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import CorruptError


def flip(path: Path, found: bytes) -> None:
    """Flip one bit where `found` is stored."""
    content = bytearray(path.read_bytes())
    content[content.index(found)] ^= 1
    path.write_bytes(content)


def committed(path: Path) -> None:
    """A store with one episode, in its main file alone."""
    store = EmbeddedCommitStore(path)
    lease = store.acquire(0)
    totals = Totals(counts={"t": {"scored": 12_345}})
    store.commit([Commit(0, lease.epoch, 0, 10, totals, [EPISODE], [freed()])])
    store.close()


def test_an_altered_episode_is_not_shown(tmp_path: Path) -> None:
    """Lists, the outbox and the episode itself name what is damaged instead of showing it."""
    path = tmp_path / "commit.db"
    committed(path)
    flip(path, b"above the 81.1")
    store = EmbeddedCommitStore(path)
    for read in (
        lambda: store.episode("acme", "e1"),
        lambda: store.episodes("acme"),
        lambda: store.outbox(0),
        lambda: store.revisions("acme", "e1"),
    ):
        with pytest.raises(CorruptError, match="e1"):
            read()
    assert store.verify() == ["commit store: episode e1 does not match its hash"]
    store.close()


def test_altered_evidence_proves_nothing_and_hides_nothing(tmp_path: Path) -> None:
    """Lists, which do not read the evidence, still work; who asks for the proof hears that it is damaged."""
    path = tmp_path / "commit.db"
    committed(path)
    flip(path, b"the state before")
    store = EmbeddedCommitStore(path)
    assert [found.id for found in store.episodes("acme")] == ["e1"]
    with pytest.raises(CorruptError, match="evidence of episode e1"):
        store.episode("acme", "e1")
    assert len(store.verify()) == 1
    store.close()


def test_an_altered_position_stops_the_partition(tmp_path: Path) -> None:
    """Processing does not start from totals that nobody committed."""
    path = tmp_path / "commit.db"
    committed(path)
    flip(path, b'"scored":12345'[-6:])
    store = EmbeddedCommitStore(path)
    with pytest.raises(CorruptError, match="partition 0"):
        store.acquire(0)
    with pytest.raises(CorruptError, match="partition 0"):
        store.positions()
    store.close()


def test_an_altered_ready_dump_is_not_given_to_anybody(tmp_path: Path) -> None:
    """Whoever asks for dumps to process hears which one is damaged; so does the check."""
    path = tmp_path / "commit.db"
    committed(path)
    flip(path, b"collected_from_ms")
    store = EmbeddedCommitStore(path)
    with pytest.raises(CorruptError, match="ready dump 1"):
        store.ready_dumps(0)
    assert store.verify() == ["commit store: ready dump 1 does not match its hash"]
    store.close()


def test_a_sound_store_has_nothing_to_say(tmp_path: Path) -> None:
    """The check is silent about stores that are whole."""
    committed(tmp_path / "commit.db")
    store = EmbeddedCommitStore(tmp_path / "commit.db")
    assert store.verify() == []
    store.close()


def test_an_altered_chunk_is_named_and_can_be_discarded(tmp_path: Path) -> None:
    """The shard at fault is named, so that it alone is rebuilt by replay."""
    path = tmp_path / "checkpoints.db"
    store = EmbeddedCheckpointStore(path)
    store.write([Chunk(shard, 7, f"state of shard {shard}".encode()) for shard in range(5)])
    store.close()
    flip(path, b"state of shard 3")
    store = EmbeddedCheckpointStore(path)
    with pytest.raises(CorruptError, match="shard 3") as error:
        list(store.read())
    assert error.value.field == "shard 3"
    assert store.verify() == ["checkpoint of shard 3 does not match its hash"]
    store.discard(3)
    assert [chunk.shard for chunk in store.read()] == [0, 1, 2, 4]
    store.close()
