"""Dump steps in the embedded commit store: the same file, the same writer, the same transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw

from tocsin.commit.abstract import DumpKind, FreedDump, Lease, ReadyDump
from tocsin.commit.dump_steps import (
    DumpPlace,
    DumpStepStore,
    JudgedDump,
    Standing,
    StepCommit,
    StepSnapshot,
)
from tocsin.commit.rows import dump_of, dump_row, lease_of
from tocsin.commit.step_rows import (
    dealt_of,
    dealt_row,
    facts_of,
    judged_of,
    judged_row,
    snapshot_of,
    snapshot_row,
    standing_of,
    standing_row,
)
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.errors import FencedError
from tocsin.model import Episode
from tocsin.storage.readers import Readers
from tocsin.storage.writer import Writer

AddEpisode = Callable[[apsw.Connection, Episode], None]


class EmbeddedDumpSteps(DumpStepStore):
    """Made by the commit store, which opens and closes what it works on."""

    def __init__(
        self, writer: Writer, readers: Readers, sql: Mapping[str, str], add_episode: AddEpisode
    ) -> None:
        self._writer: Final = writer
        self._readers: Final = readers
        self._sql: Final = sql
        self._add_episode: Final = add_episode

    def commit_step(self, commit: StepCommit) -> None:
        with self._writer.transaction() as writer:
            self._check_lease(writer, commit.partition, commit.lease_epoch)
            self._check_revision(writer, commit.standing)
            writer.execute(self._sql["put_step"], standing_row(commit.standing))
            for judged in commit.judged:
                writer.execute(self._sql["add_findings"], judged_row(commit.standing, judged))
            for episode in commit.episodes:
                self._add_episode(writer, episode)
            self._deal(writer, commit.partition, commit.done)
            self._keep_snapshots(writer, commit)

    def add(self, writer: apsw.Connection, partition: int, freed: FreedDump) -> None:
        """Within a commit of the partition: a dump that has become ready, or is dealt with at once."""
        if freed.kind is DumpKind.UNWATCHED:
            writer.execute(self._sql["add_dealt"], dealt_row(freed.dump))
        else:
            writer.execute(self._sql["add_ready_dump"], dump_row(partition, freed))

    def resume(self, writer: apsw.Connection, partition: int, tenant: str, device: str) -> None:
        """Within a commit of the partition: let the device's turn come, if a detector of it has stopped."""
        for stored in writer.execute(self._sql["steps"], (tenant, device)).fetchall():
            failure = standing_of(stored).failure
            if failure is not None:
                stopped_at = DumpReceived(
                    tenant=tenant,
                    device=device,
                    epoch=failure.epoch,
                    sequence=failure.sequence,
                    sha256=failure.sha256,
                    size_bytes=0,
                    outcome=DumpOutcome.ACCEPTED,
                )
                self.add(writer, partition, FreedDump(DumpKind.RESUME, stopped_at))
                return

    def settle(self, partition: int, lease_epoch: int, numbers: Sequence[int]) -> None:
        with self._writer.transaction() as writer:
            self._check_lease(writer, partition, lease_epoch)
            self._deal(writer, partition, numbers)

    def standings(self, tenant: str, device: str) -> dict[str, Standing]:
        found = (standing_of(row) for row in self._rows("steps", (tenant, device)))
        return {standing.detector: standing for standing in found}

    def digests(self, tenant: str) -> list[tuple[str, str, int]]:
        found = (facts_of(row) for row in self._rows("step_facts", (tenant,)))
        return [(standing.device, standing.detector, int(standing.digest, 16)) for standing in found]

    def next_tenant(self, after: str) -> str | None:
        tenant: str | None = self._rows("next_tenant", (after,))[0][0]
        return tenant

    def devices(self, tenant: str, after: str, *, limit: int = 64) -> list[str]:
        wanted = {"tenant": tenant, "after": after, "limit": limit}
        return [device for (device,) in self._rows("ready_devices", wanted)]

    def ready_of(self, tenant: str, device: str, *, limit: int = 64) -> list[ReadyDump]:
        return [dump_of(row) for row in self._rows("ready_of_device", (tenant, device, limit))]

    def waiting(self, tenant: str | None = None) -> int:
        if tenant is None:
            return int(self._rows("ready_count", ())[0][0])
        return int(self._rows("ready_count_of_tenant", (tenant,))[0][0])

    def dealt(self, tenant: str, device: str, after: DumpPlace, *, limit: int = 100) -> list[DumpReceived]:
        return [dealt_of(row) for row in self._rows("dealt", (tenant, device, *after, limit))]

    def judged(
        self, tenant: str, device: str, detector: str, after: DumpPlace, *, limit: int = 100
    ) -> list[JudgedDump]:
        rows = self._rows("findings", (tenant, device, detector, *after, limit))
        return [judged_of(row) for row in rows]

    def revisions(self, tenant: str, device: str, detector: str, place: DumpPlace) -> list[JudgedDump]:
        rows = self._rows("findings_of_dump", (tenant, device, detector, *place))
        return [judged_of(row) for row in rows]

    def snapshot_places(self, tenant: str, device: str, detector: str) -> list[DumpPlace]:
        rows = self._rows("snapshot_places", (tenant, device, detector))
        return [(epoch, sequence) for epoch, sequence in rows]

    def snapshot(self, tenant: str, device: str, detector: str, before: DumpPlace) -> StepSnapshot | None:
        rows = self._rows("snapshot", (tenant, device, detector, *before))
        return snapshot_of(rows[0]) if rows else None

    def _rows(self, query: str, values: apsw.Bindings) -> list[tuple[Any, ...]]:
        with self._readers.lend() as reader:
            return list(reader.execute(self._sql[query], values))

    def _check_lease(self, writer: apsw.Connection, partition: int, epoch: int) -> None:
        row = writer.execute(self._sql["partition"], (partition,)).get
        lease: Lease | None = lease_of(row) if row else None
        if lease is None or lease.epoch != epoch:
            held = f"at epoch {lease.epoch}" if lease else "held by nobody"
            raise FencedError(f"partition {partition} is {held}; the step of epoch {epoch} is refused")

    def _check_revision(self, writer: apsw.Connection, standing: Standing) -> None:
        key = (standing.tenant, standing.device, standing.detector)
        stored = writer.execute(self._sql["step_revision"], key).get or 0
        if standing.revision != stored + 1:
            raise FencedError(
                f"{standing.detector} has committed revision {stored} of {standing.device}; "
                f"revision {standing.revision} is refused"
            )

    def _keep_snapshots(self, writer: apsw.Connection, commit: StepCommit) -> None:
        standing = commit.standing
        for place in commit.forgotten:
            key = (standing.tenant, standing.device, standing.detector, *place)
            writer.execute(self._sql["drop_snapshot"], key)
        for snapshot in commit.snapshots:
            writer.execute(self._sql["add_snapshot"], snapshot_row(standing, snapshot))

    def _deal(self, writer: apsw.Connection, partition: int, numbers: Sequence[int]) -> None:
        for number in numbers:
            named = {"number": number, "partition": partition}
            writer.execute(self._sql["deal"], named)
            if writer.execute(self._sql["remove_ready"], named).get is None:
                raise FencedError(f"dump {number} of partition {partition} is not ready any more")
