"""One Delta table: delta-rs keeps its log, Tocsin syncs it and forgets what was never synced."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import xxhash
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from tocsin.errors import CorruptError, FencedError, StorageUnavailableError
from tocsin.lake.files import LakeFile, partition_value, stats_json, sync_file
from tocsin.lake.ledger import Ledger, Synced
from tocsin.lake.schemas import TableSpec
from tocsin.storage.files import make_directory, sync_directory

CHECKPOINT_EVERY: Final = 50

_LOG: Final = "_delta_log"
_ENTRY: Final = re.compile(r"(\d{20})\.(json|checkpoint\..*parquet|.*)")
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


class LakeTable:
    """The writer's view of a table: its files, its writers' versions, and commits that are synced.

    Not thread-safe: the lake serialises commits. The lake records `synced` in the ledger; until then
    a commit may be forgotten at the next start.
    """

    def __init__(self, folder: Path, spec: TableSpec, ledger: Ledger, *, read_only: bool = False) -> None:
        self.folder: Final = folder / spec.name
        self.spec: Final = spec
        self._schema: Final = Schema.from_arrow(spec.schema)
        synced = ledger.get(spec.name)
        if synced is None:
            synced = self._create(ledger)
        check_entries(self.folder / _LOG, synced.entries, may_lack=read_only)
        if not read_only:
            forget_unsynced(self.folder / _LOG, synced)
        self._checkpoint = synced.checkpoint
        self._entries = dict(synced.entries)
        self._delta = self._opened(synced)
        self._writers = {name: int(self._delta.transaction_version(name) or 0) for name in synced.writers}
        self.files: dict[str, LakeFile] = {entry.path: entry for entry in self._current_files()}

    @property
    def synced(self) -> Synced:
        """What the ledger must remember now."""
        return Synced(
            version=self._delta.version(),
            checkpoint=self._checkpoint,
            writers=tuple(sorted(self._writers)),
            entries=dict(self._entries),
        )

    @property
    def writers(self) -> Mapping[str, int]:
        """How far each writer has got."""
        return self._writers

    def commit(
        self,
        add: Sequence[LakeFile],
        *,
        remove: Sequence[LakeFile] = (),
        writers: Mapping[str, int],
        now_ms: int,
    ) -> None:
        """Add and remove files in one entry of the table log, synced on return.

        The stored version of each writer is checked before: delta-rs would take the same one twice.
        """
        for writer, version in writers.items():
            stored = self._writers.get(writer, -1)
            if stored >= version:
                raise FencedError(f"{self.spec.name}: {writer} is at {stored} already, {version} comes late")
        self._write_entry(add, remove, writers, now_ms)
        self._writers.update(writers)
        for entry in remove:
            del self.files[entry.path]
        self.files.update({entry.path: entry for entry in add})
        if self._delta.version() - self._checkpoint >= CHECKPOINT_EVERY:
            self._make_checkpoint()

    def _write_entry(
        self, add: Sequence[LakeFile], remove: Sequence[LakeFile], writers: Mapping[str, int], now_ms: int
    ) -> None:
        data_change = not remove
        actions: list[AddAction | RemoveAction] = [
            self._add_action(added, now_ms, data_change) for added in add
        ]
        actions += [_remove_action(removed, now_ms) for removed in remove]
        entry = self.folder / _LOG / f"{self._delta.version() + 1:020d}.json"
        try:
            self._delta.create_write_transaction(
                actions,
                "append",
                self._schema,
                list(self.spec.partition_by),
                commit_properties=CommitProperties(
                    max_commit_retries=0,
                    app_transactions=[Transaction(writer, version) for writer, version in writers.items()],
                ),
                post_commithook_properties=_NO_HOOKS,
            )
        except (DeltaError, OSError) as error:
            if entry.exists():
                raise FencedError(
                    f"another writer has changed the table {self.spec.name}: {error}"
                ) from error
            raise StorageUnavailableError(f"{entry} can't be written: {error}", retry_after_s=10) from error
        sync_file(entry)
        self._delta.update_incremental()
        self._entries[entry.name] = hash_of(entry)

    def _add_action(self, entry: LakeFile, now_ms: int, data_change: bool) -> AddAction:
        return AddAction(
            entry.path,
            entry.size_bytes,
            {column: value or None for column, value in entry.partition.items()},
            now_ms,
            data_change,
            stats_json(self.spec, entry),
        )

    def _make_checkpoint(self) -> None:
        """Sum up the log, so that opening stays fast; delta-rs writes it, it counts once it is synced."""
        version = self._delta.version()
        try:
            self._delta.create_checkpoint()
        except (DeltaError, OSError) as error:  # the entry itself is written: only opening gets slower
            raise StorageUnavailableError(
                f"a checkpoint of {self.spec.name} can't be written: {error}", retry_after_s=10
            ) from error
        written = sorted((self.folder / _LOG).glob(f"{version:020d}.checkpoint*"))
        for path in written:
            sync_file(path)
        self._entries = {path.name: hash_of(path) for path in written}
        sync_file(self.folder / _LOG / "_last_checkpoint")
        self._checkpoint = version
        self._delta.cleanup_metadata()

    def _create(self, ledger: Ledger) -> Synced:
        if any(_is_later(path.name) for path in _log_files(self.folder / _LOG)):
            raise CorruptError(
                f"{self.folder} holds a table that the lake's ledger does not know: "
                "restore the ledger from a backup, or move the folder away"
            )
        shutil.rmtree(self.folder / _LOG, ignore_errors=True)
        make_directory(self.folder)
        DeltaTable.create(self.folder, self._schema, partition_by=list(self.spec.partition_by))
        first = self.folder / _LOG / f"{0:020d}.json"
        sync_file(first)
        sync_directory(self.folder)
        synced = Synced(version=0, entries={first.name: hash_of(first)})
        ledger.record({self.spec.name: synced})
        return synced

    def _opened(self, synced: Synced) -> DeltaTable:
        """The table as delta-rs reads it; damaged files have been found before, since it may panic."""
        try:
            return DeltaTable(self.folder, version=synced.version)
        except (DeltaError, OSError, ValueError) as error:
            first_line = str(error).partition("\n")[0]  # below it come addresses of machine code
            raise CorruptError(f"{self.folder / _LOG} can't be read: {first_line}") from error

    def _current_files(self) -> Iterable[LakeFile]:
        actions = pa.table(self._delta.get_add_actions(flatten=True))
        return [_lake_file(self.spec, row) for row in actions.to_pylist()]


def forget_unsynced(log: Path, synced: Synced) -> None:
    """Drop entries and checkpoints of the table log that were never synced: they may be torn.

    Their data were never reported as stored, so they are appended again. A torn last entry would
    otherwise open silently, with rows missing.
    """
    if not (log / f"{synced.version:020d}.json").exists() and synced.checkpoint < synced.version:
        raise CorruptError(
            f"{log} lacks entry {synced.version}, which was synced: restore the lake from a backup"
        )
    for path in _log_files(log):
        match = _ENTRY.fullmatch(path.name)
        limit = synced.version if match and match[2] == "json" else synced.checkpoint
        if match is None or int(match[1]) > limit:
            path.unlink()
    sync_directory(log)


def _is_later(name: str) -> bool:
    """Whether it is more than the first entry of a table, or a draft of that, which a crash has left."""
    return name.split("#", maxsplit=1)[0] != f"{0:020d}.json"


def hash_of(path: Path) -> str:
    """The xxh3_128 of a file's bytes."""
    return xxhash.xxh3_128_hexdigest(path.read_bytes())


def check_entries(log: Path, entries: Mapping[str, str], *, may_lack: bool) -> None:
    """CorruptError names a file that is not as it was written, or is gone, unless it `may_lack`."""
    for name, expected in entries.items():
        path = log / name
        try:
            found = hash_of(path)
        except FileNotFoundError as error:
            if may_lack:  # beside a writer, which sums the log up and drops what it does not need any more
                continue
            raise CorruptError(
                f"{log} lacks entry {int(name[:20])} ({name}), which was synced: restore the lake"
            ) from error
        except OSError as error:
            raise CorruptError(f"{path} can't be read: {error.strerror}") from error
        if found != expected:
            raise CorruptError(f"{path} does not match its hash: restore the lake from a backup")


def _log_files(log: Path) -> list[Path]:
    return [path for path in log.iterdir() if path.is_file()] if log.is_dir() else []


def _remove_action(entry: LakeFile, now_ms: int) -> RemoveAction:
    return RemoveAction(
        path=entry.path,
        data_change=False,
        deletion_timestamp=now_ms,
        size=entry.size_bytes,
        partition_values={column: value or None for column, value in entry.partition.items()},
    )


def _lake_file(spec: TableSpec, row: Mapping[str, Any]) -> LakeFile:
    limits = {name: (row.get(f"min.{name}"), row.get(f"max.{name}")) for name in spec.statistics}
    return LakeFile(
        path=unquote(row["path"]),
        size_bytes=row["size_bytes"],
        rows=row["num_records"],
        partition={name: partition_value(row[f"partition.{name}"]) for name in spec.partition_by},
        ranges={name: (_plain(low), _plain(high)) for name, (low, high) in limits.items() if low is not None},
    )


def _plain(value: Any) -> Any:
    return round(value.timestamp() * 1_000_000) if hasattr(value, "timestamp") else value
