"""The embedded commit store: one SQLite file, one writer at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tocsin.commit.abstract import Commit, CommitStore, Lease, OutboxRow, ReadyDump, Totals
from tocsin.commit.rows import (
    dump_of,
    episode_of,
    episode_row,
    lease_of,
    lease_row,
    proved_episode_of,
)
from tocsin.commit.step_rows import dealt_of, judged_of, snapshot_of, standing_of
from tocsin.commit.step_store import EmbeddedDumpSteps
from tocsin.errors import FencedError
from tocsin.model import Episode
from tocsin.storage.database import Tuning
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import load_scripts
from tocsin.storage.verify import RowReads, verify_rows
from tocsin.storage.writer import Writer

SCRIPTS: Final = load_scripts("tocsin.commit", "commit")
_SQL: Final = SCRIPTS.queries


class EmbeddedCommitStore(CommitStore):
    """An episode's rows are the outbox as well: an outbox row is an episode row not yet pruned."""

    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        tuning = Tuning(vfs=vfs)
        self._name = path.name
        self._writer = Writer(path, SCRIPTS, tuning)
        self._readers = Readers(path, tuning)
        self.steps: Final = EmbeddedDumpSteps(self._writer, self._readers, _SQL, _add_episode)
        """The dump steps, in the same file."""

    def acquire(self, partition: int) -> Lease:
        with self._writer.transaction() as writer:
            held = _lease(writer, partition) or Lease(partition, 0, 0, Totals())
            lease = replace(held, epoch=held.epoch + 1)
            writer.execute(_SQL["put_partition"], lease_row(lease))
        return lease

    def commit(self, commits: Sequence[Commit]) -> None:
        with self._writer.transaction() as writer:
            for commit in commits:
                _advance(writer, commit)
                for episode in commit.episodes:
                    _add_episode(writer, episode)
                for freed in commit.dumps:
                    self.steps.add(writer, commit.partition, freed)
                for tenant, device in commit.released:
                    self.steps.resume(writer, commit.partition, tenant, device)

    def positions(self) -> Mapping[int, int]:
        leases = [lease_of(row) for row in self._rows("partitions", ())]
        return {lease.partition: lease.position for lease in leases}

    def outbox(self, after: int, *, limit: int = 1000) -> list[OutboxRow]:
        return [OutboxRow(row[0], episode_of(row)) for row in self._rows("outbox", (after, limit))]

    def waiting(self, after: int) -> int:
        return int(self._rows("waiting", (after,))[0][0])

    def prune_outbox(self, through: int) -> None:
        with self._writer.transaction() as writer:
            writer.execute(_SQL["prune_outbox"], (through,))

    def episode(self, tenant: str, episode_id: str) -> Episode | None:
        rows = self._rows("newest_episode", (tenant, episode_id))
        return proved_episode_of(rows[0]) if rows else None

    def revisions(self, tenant: str, episode_id: str) -> list[Episode]:
        return [proved_episode_of(row) for row in self._rows("revisions", (tenant, episode_id))]

    def episodes(
        self,
        tenant: str,
        *,
        device: str | None = None,
        devices: Collection[str] | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        after_id: str = "",
        limit: int = 100,
    ) -> list[Episode]:
        wanted: dict[str, Any] = {"tenant": tenant, "from_ms": from_ms, "to_ms": to_ms}
        wanted |= {"after_id": after_id, "limit": limit}
        if device is not None:
            rows = self._rows("episodes_of_device", wanted | {"device": device})
        elif devices is not None:
            names = msgspec.json.encode(list(devices)).decode()
            rows = self._rows("episodes_of_devices", wanted | {"devices": names})
        else:
            rows = self._rows("episodes", wanted)
        return [episode_of(row) for row in rows]

    def ready_dumps(self, partition: int, after_number: int = 0, *, limit: int = 1000) -> list[ReadyDump]:
        return [dump_of(row) for row in self._rows("ready_dumps", (partition, after_number, limit))]

    def verify(self) -> list[str]:
        """What is wrong with the stored bytes, in words; reads all of them."""
        reads: RowReads = {
            "partitions": lambda row, _: lease_of(row),
            "all_episodes": lambda row, _: proved_episode_of(row),
            "all_ready_dumps": lambda row, _: dump_of(row),
            "all_dealt": lambda row, _: dealt_of(row),
            "all_steps": lambda row, _: standing_of(row),
            "all_findings": lambda row, _: judged_of(row),
            "all_snapshots": lambda row, _: snapshot_of(row),
        }
        return verify_rows(self._readers, self._name, reads, _SQL)

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    def _rows(self, query: str, values: apsw.Bindings) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(_SQL[query], values))


def _advance(writer: apsw.Connection, commit: Commit) -> None:
    lease = _lease(writer, commit.partition)
    if lease is None or (lease.epoch, lease.position) != (commit.epoch, commit.previous):
        current = f"epoch {lease.epoch}, position {lease.position}" if lease else "never acquired"
        raise FencedError(
            f"partition {commit.partition} is at {current}; the commit of epoch {commit.epoch} "
            f"from position {commit.previous} is refused"
        )
    if commit.position < commit.previous:
        raise ValueError(f"position {commit.position} lies before {commit.previous}")
    lease = replace(lease, position=commit.position, totals=commit.totals)
    writer.execute(_SQL["put_partition"], lease_row(lease))


def _add_episode(writer: apsw.Connection, episode: Episode) -> None:
    sequence = writer.execute(_SQL["add_episode"], episode_row(episode)).get
    newest = {
        "tenant": episode.tenant,
        "id": episode.id,
        "sequence": sequence,
        "revision": episode.revision,
        "device": episode.device,
        "started_ms": episode.started_ms,
        "end_ms": episode.end_ms,
    }
    writer.execute(_SQL["point_to_newest"], newest)


def _lease(writer: apsw.Connection, partition: int) -> Lease | None:
    row = writer.execute(_SQL["partition"], (partition,)).get
    return lease_of(row) if row else None
