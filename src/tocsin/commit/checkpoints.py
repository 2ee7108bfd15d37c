"""The embedded checkpoint store: one SQLite file of its own, one row per shard."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import xxhash

from tocsin.commit.abstract import CheckpointStore, Chunk
from tocsin.errors import CorruptError
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

SCRIPTS: Final = load_scripts("tocsin.commit", "checkpoints")
_SQL: Final = SCRIPTS.queries
_HEAD: Final = struct.Struct("<qq")


class EmbeddedCheckpointStore(CheckpointStore):
    """Apart from the commit store, so that gigabytes of state never make a commit wait."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        tuning = Tuning(page_bytes=16384, vfs=vfs)
        self._name = path.name
        self._writer = Writer(path, SCRIPTS, tuning)
        self._readers = Readers(path, tuning, idle_max=1)

    def write(self, chunks: Sequence[Chunk]) -> None:
        rows = [(chunk.shard, chunk.position, _chunk_hash(chunk), chunk.payload) for chunk in chunks]
        with self._writer.transaction() as writer:
            writer.executemany(_SQL["put"], rows)

    def read(self) -> Iterator[Chunk]:
        with self._readers.lend() as reader:
            shards = [shard for (shard,) in reader.execute(_SQL["shards"])]
        for shard in shards:
            if chunk := self._read_shard(shard):
                yield chunk

    def discard(self, shard: int) -> None:
        with self._writer.transaction() as writer:
            writer.execute(_SQL["discard"], (shard,))

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {"all_chunks": lambda row, _: _chunk_of(row)}
        return verify_rows(self._readers, self._name, reads, _SQL)

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    def _read_shard(self, shard: int) -> Chunk | None:
        with self._readers.lend() as reader:
            row = reader.execute(_SQL["chunk"], (shard,)).get
        return None if row is None else _chunk_of(row)


def _chunk_of(row: tuple[Any, ...]) -> Chunk:
    shard, position, stored, payload = row
    chunk = Chunk(shard, position, payload)
    if _chunk_hash(chunk) != stored:
        raise CorruptError(f"checkpoint of shard {shard} does not match its hash", field=f"shard {shard}")
    return chunk


def _chunk_hash(chunk: Chunk) -> bytes:
    digest = xxhash.xxh3_128(_HEAD.pack(chunk.shard, chunk.position))
    digest.update(chunk.payload)
    return digest.digest()
