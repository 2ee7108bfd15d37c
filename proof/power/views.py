"""Opens each store as a restart does, and takes down what it says; one store, one view.

Opening is the product's own recovery. A view says what is wrong inside the store (`problems`) and holds what
the stores are then compared by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proof.power.dumps import BlobsSay, Name, StepsSay, blobs_say, steps_say
from proof.power.history import Place
from proof.power.recording import PRODUCERS
from proof.subject.crates import machine_of
from proof.subject.haste import SETTINGS
from tocsin.access.audit import AuditLog
from tocsin.access.store import DEFAULT_TENANT, AccessStore
from tocsin.clock import ManualClock
from tocsin.commit.abstract import Totals
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.errors import TocsinError
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.lake.delta import DeltaLake
from tocsin.lake.projections import OUTBOX_WRITER
from tocsin.lake.schemas import EPISODES
from tocsin.lake.upkeep import check
from tocsin.log.embedded import EmbeddedLog
from tocsin.log.rows import Answer, record_hash
from tocsin.processing.chunks import partition_of_chunk
from tocsin.scores.embedded import EmbeddedAbnormalReadings
from tocsin.services.maintenance_store import LAST, MaintenanceStore
from tocsin.services.replays import Replays

CLOCK: Final = ManualClock(1_790_000_000_000)
PARTITIONS: Final = int(SETTINGS["TOCSIN_LOG__PARTITIONS"])


@dataclass(slots=True)
class View:
    """What a store said; `problems` is what is wrong by its own account."""

    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LogView(View):
    """Records by place as hashes; the answers found for those who were asked about."""

    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    records: dict[Place, bytes] = field(default_factory=dict)
    answers: dict[tuple[str, str], bytes] = field(default_factory=dict)
    letters: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class CommitView(View):
    """Positions with their sums, and the sequences of episodes that the outbox still gives."""

    positions: dict[int, int] = field(default_factory=dict)
    totals: dict[int, Totals] = field(default_factory=dict)
    outbox: list[int] = field(default_factory=list)
    steps: StepsSay = field(default_factory=StepsSay)


@dataclass(slots=True)
class BlobView(View):
    """What there is of dumps."""

    said: BlobsSay = field(default_factory=BlobsSay)


@dataclass(slots=True)
class CheckpointView(View):
    """The newest position of any chunk, by partition."""

    newest: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class PositionView(View):
    """How far a projection has come."""

    position: int = 0
    positions: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class InboxView(PositionView):
    """How far it has folded; the key of each action, by its number."""

    actions: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class WindowsView(View):
    """Of each maintenance window its revision, and the one that is noted as logged."""

    revisions: dict[str, int] = field(default_factory=dict)
    logged: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class AccessView(View):
    """Whether the admin key works, and each credential with whether it was revoked."""

    key_works: bool = False
    revoked: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class LakeView(View):
    """Positions, and how often each offset of each partition is there."""

    positions: Mapping[int, int] = field(default_factory=dict)
    projected: int = 0


def log_view(data: Path, asked: Mapping[tuple[str, str], Answer]) -> LogView:
    """Everything that can be read, and what each body would be answered that is sent again."""
    log = EmbeddedLog(
        data / "log",
        PARTITIONS,
        CLOCK,
        segment_bytes_max=int(SETTINGS["TOCSIN_LOG__SEGMENT_BYTES"]),
    )
    try:
        view = LogView(log.verify())
        view.begins = tuple(log.begin(partition) for partition in range(PARTITIONS))
        view.ends = tuple(log.end(partition) for partition in range(PARTITIONS))
        for partition in range(PARTITIONS):
            offset = log.begin(partition)
            while found := log.read(partition, offset):
                view.records.update({(partition, each.offset): record_hash(each) for each in found})
                offset = found[-1].next_offset
        for name, first in asked.items():
            answer = log.find_answer(first.tenant, first.producer, first.sequence, first.fingerprint)
            if answer is not None:
                view.answers[name] = answer
        view.letters = {
            letter.id: letter.letter.body for letter in log.dead_letters(DEFAULT_TENANT, limit=100_000)
        }
        return view
    finally:
        log.close()


def commit_view(data: Path) -> CommitView:
    """Sums and positions as `acquire` gives them to a new owner."""
    store = EmbeddedCommitStore(data / "commit.db")
    try:
        view = CommitView(store.verify())
        view.steps = steps_say(store, PARTITIONS, [machine_of(producer) for producer in PRODUCERS])
        view.problems += view.steps.problems
        view.outbox = [row.sequence for row in store.outbox(0, limit=100_000)]
        for partition in range(PARTITIONS):
            lease = store.acquire(partition)
            view.positions[partition], view.totals[partition] = lease.position, lease.totals
        return view
    finally:
        store.close()


def blob_view(data: Path, known: Mapping[tuple[Name, str], Place]) -> BlobView:
    """Every blob against its hash; what is known of dumps that were ever logged."""
    said = blobs_say(data, known)
    return BlobView(said.problems, said)


def checkpoint_view(data: Path) -> CheckpointView:
    """Every chunk."""
    store = EmbeddedCheckpointStore(data / "checkpoints.db")
    try:
        view = CheckpointView(store.verify())
        for chunk in store.read():
            partition = partition_of_chunk(chunk.shard, PARTITIONS)
            view.newest[partition] = max(view.newest.get(partition, 0), chunk.position)
        return view
    finally:
        store.close()


def inbox_view(data: Path) -> InboxView:
    """The last outbox row that was folded, and what people did."""
    inbox = EmbeddedInbox(data / "inbox.db")
    try:
        changes = [change.sequence for change in inbox.changes(0, limit=100_000)]
        gaps = [] if changes == list(range(1, len(changes) + 1)) else [f"inbox: changes {changes}"]
        done = {each.sequence: each.action.key for each in inbox.actions(0, limit=100_000)}
        return InboxView([*_verified(inbox), *gaps], position=inbox.position(), actions=done)
    finally:
        inbox.close()


def windows_view(data: Path) -> WindowsView:
    """What people asked for, and what of it is noted as logged."""
    store = MaintenanceStore(data / "maintenance.db")
    try:
        found = store.page(DEFAULT_TENANT, before=LAST, limit=100_000)
        return WindowsView(
            store.verify(),
            revisions={each.id: each.revision for each in found},
            logged={each.id: each.logged for each in found},
        )
    finally:
        store.close()


def findings_view(data: Path) -> PositionView:
    """How far the abnormal readings have come."""
    findings = EmbeddedAbnormalReadings(data / "abnormal.db")
    try:
        return PositionView(_verified(findings), positions=findings.positions())
    finally:
        findings.close()


def access_view(data: Path, key: str) -> AccessView:
    """Credentials, and whether the first admin's key still opens."""
    access = AccessStore(data / "access.db", CLOCK)
    try:
        view = AccessView()
        view.revoked = (
            {
                credential.key_id: credential.revoked_ms is not None
                for credential in access.credentials(DEFAULT_TENANT, limit=1000)
            }
            if access.tenants()
            else {}
        )
        try:
            view.key_works = bool(access.authenticate(key).key_id)
        except TocsinError:
            view.key_works = False
        return view
    finally:
        access.close()


def audit_view(data: Path) -> View:
    """The chain of the audit log."""
    audit = AuditLog(data / "audit.db", CLOCK)
    try:
        broken = audit.verify().broken_at
        return View([] if broken is None else [f"audit: the chain breaks at {broken}"])
    finally:
        audit.close()


def catalogue_view(data: Path) -> View:
    """Every entry, whose hashes reading checks."""
    catalogue = CatalogueStore(data / "catalogue.db")
    try:
        list(catalogue.read())
        return View()
    finally:
        catalogue.close()


def replays_view(data: Path) -> View:
    """Whether it opens and answers."""
    replays = Replays(data / "replays.db")
    try:
        replays.marked(DEFAULT_TENANT, 0, 1 << 40)
        return View()
    finally:
        replays.close()


def lake_view(data: Path) -> LakeView:
    """Every file against its hash; each offset below the positions exactly once."""
    lake = DeltaLake(data / "lake", CLOCK)
    try:
        snapshot = lake.snapshot()
        view = LakeView(
            [
                f"lake: {found.damage.table}/{found.damage.path} {found.damage.problem}"
                for found in check(snapshot)
                if found.damage is not None
            ]
        )
        view.positions = dict(lake.positions())
        view.projected = lake.store.table(EPISODES.name).writers.get(OUTBOX_WRITER, 0)
        if not view.problems:
            for partition, end in view.positions.items():
                records = lake.records(partition, 0, end + 1_000_000)
                reached = 0
                for record in records:
                    if record.offset != reached:
                        view.problems.append(
                            f"lake: partition {partition} goes from {reached} to {record.offset}"
                        )
                        break
                    reached = record.next_offset
                if reached != end and end:
                    view.problems.append(f"lake: partition {partition} says {end} and ends at {reached}")
        return view
    finally:
        lake.close()


def _verified(store: object) -> list[str]:
    """A store's own account of itself, where it can give one."""
    verify = getattr(store, "verify", None)
    return list(verify()) if verify else []
