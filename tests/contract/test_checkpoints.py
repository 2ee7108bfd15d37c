"""What every checkpoint store promises. A new implementation adds its maker to MAKERS."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.commit.abstract import CheckpointStore, Chunk
from tocsin.commit.checkpoints import EmbeddedCheckpointStore


class Maker(Protocol):
    """Opens the same store again and again."""

    def open(self) -> CheckpointStore:
        """The store with all that was written."""
        ...


@dataclass
class EmbeddedMaker:
    """An EmbeddedCheckpointStore in a file."""

    folder: Path

    def open(self) -> CheckpointStore:
        return EmbeddedCheckpointStore(self.folder / "checkpoints.db")


MAKERS: list[Callable[[Path], Maker]] = [EmbeddedMaker]


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    made: Maker = request.param(tmp_path)
    return made


@pytest.fixture
def store(maker: Maker) -> Iterator[CheckpointStore]:
    opened = maker.open()
    yield opened
    opened.close()


def test_chunks_come_back_by_shard_after_reopening(maker: Maker) -> None:
    """The next process finds each shard's state as it was written, in order of the shards."""
    chunks = [Chunk(4095, 9, b"last"), Chunk(0, 3, b""), Chunk(7, 1 << 40, bytes(2_000_000))]
    first = maker.open()
    first.write(chunks)
    first.close()
    second = maker.open()
    assert list(second.read()) == sorted(chunks, key=lambda chunk: chunk.shard)
    second.close()


def test_the_newest_chunk_replaces_the_older(store: CheckpointStore) -> None:
    """Only the shards that are written change."""
    store.write([Chunk(1, 1, b"old"), Chunk(2, 1, b"kept")])
    store.write([Chunk(1, 5, b"new")])
    assert list(store.read()) == [Chunk(1, 5, b"new"), Chunk(2, 1, b"kept")]


def test_a_discarded_shard_is_gone(store: CheckpointStore) -> None:
    """A shard without a chunk is rebuilt by replay; discarding it twice is no error."""
    store.write([Chunk(1, 1, b"a"), Chunk(2, 1, b"b")])
    store.discard(1)
    store.discard(1)
    assert list(store.read()) == [Chunk(2, 1, b"b")]


def test_writing_goes_on_while_chunks_are_read(store: CheckpointStore) -> None:
    """A slow reader neither blocks a checkpoint nor sees half a chunk."""
    store.write([Chunk(shard, 1, bytes([1]) * 100_000) for shard in range(10)])
    reading = store.read()
    assert next(reading).position == 1
    store.write([Chunk(shard, 2, bytes([2]) * 100_000) for shard in range(10)])
    store.discard(9)
    for chunk in reading:
        assert chunk.payload == bytes([chunk.position]) * 100_000


def test_reading_holds_one_chunk_at_a_time(store: CheckpointStore) -> None:
    """Gigabytes of state are read without gigabytes of buffers."""
    for shard in range(20):
        store.write([Chunk(shard, 1, bytes(1 << 20))])
    tracemalloc.start()
    assert sum(len(chunk.payload) for chunk in store.read()) == 20 << 20
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 6 << 20


chunks = st.builds(Chunk, shard=st.integers(0, 4095), position=st.integers(0, 1 << 62), payload=st.binary())


@settings(max_examples=20, deadline=None)
@given(writes=st.lists(st.lists(chunks, max_size=5), max_size=6))
def test_the_store_equals_a_dict(tmp_path_factory: pytest.TempPathFactory, writes: list[list[Chunk]]) -> None:
    """Whatever is written in whatever order, the last chunk of each shard counts."""
    model: dict[int, Chunk] = {}
    for made in MAKERS:
        store = made(tmp_path_factory.mktemp("store")).open()
        for written in writes:
            store.write(written)
            model |= {chunk.shard: chunk for chunk in written}
        assert list(store.read()) == [model[shard] for shard in sorted(model)]
        store.close()
