"""What the lake does by itself: take in episodes, scores and models, and merge small files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa

from tocsin.clock import Clock
from tocsin.commit.abstract import CommitStore
from tocsin.errors import CorruptError, StorageUnavailableError
from tocsin.lake.compaction import compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.projections import (
    OUTBOX_WRITER,
    append_dead_letters,
    append_episodes,
    dead_letters_reached,
)
from tocsin.lake.schemas import EPISODES, MODELS
from tocsin.lake.scores import ScoreIntake
from tocsin.lake.tables import append_parts
from tocsin.lake.upkeep import inspect, vacuum
from tocsin.log.abstract import Log
from tocsin.observability.logging import get_logger
from tocsin.scores.abstract import AbnormalReadings

_log = get_logger("lake")

_PAGE = 5_000
_LETTERS = 200  # of at most 256 KiB each
_DAY_MS = 86_400_000
_INSPECTED_BYTES = 256 << 20

ModelsOf = Callable[[str], Iterator[pa.Table]]
"""Rows of the table of models of a tenant, part by part."""


class LakeChores:
    """Each is repeated by whoever owns the threads; all of them may be repeated at any time."""

    def __init__(
        self, lake: DeltaLake, commits: CommitStore, findings: AbnormalReadings, clock: Clock
    ) -> None:
        self._lake = lake
        self._commits = commits
        self._clock = clock
        self._scores = ScoreIntake(lake.store, findings, clock)
        self._projected = lake.store.table(EPISODES.name).writers.get(OUTBOX_WRITER, 0)

    def projected(self) -> int:
        """The outbox row up to which episodes are in the lake."""
        return self._projected

    def take_in(self) -> None:
        """Add new states of episodes."""
        while rows := self._commits.outbox(self._projected, limit=_PAGE):
            append_episodes(self._lake.store, rows)
            self._projected = rows[-1].sequence

    def take_in_scores(self) -> None:
        """Add scores that wait."""
        self._scores.take_in()

    def take_in_dead_letters(self, tenants: list[str], log: Log) -> None:
        """Add refused lines, as long as the log keeps them.

        A damaged one holds up those of its tenant, and nothing else: no verdict depends on it.
        """
        for tenant in tenants:
            try:
                self._take_in_letters_of(tenant, log)
            except CorruptError as error:
                _log.error("dead_letters_stay_behind", tenant=tenant, error=error.detail)

    def _take_in_letters_of(self, tenant: str, log: Log) -> None:
        reached = dead_letters_reached(self._lake.store, tenant)
        while letters := log.dead_letters(tenant, after_id=reached, limit=_LETTERS):
            append_dead_letters(self._lake.store, letters)
            reached = letters[-1].id

    def merge(self) -> None:
        """Merge small files and remove those that nothing refers to any more.

        StorageUnavailableError where the engine has no room for it, in memory or on the disk.
        """
        try:
            for _ in compact(self._lake.store):
                pass
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise StorageUnavailableError(f"files of the lake can't be merged now: {error}") from error
        finally:
            vacuum(self._lake.store)

    def inspect(self) -> None:
        """Compare some files with their hashes; called once a minute, up to 360 GiB within a day.

        Damage is logged, and queries refuse the file from then on.
        """
        inspect(self._lake.store, bytes_max=_INSPECTED_BYTES)

    def record_models(self, tenants: list[str], models_of: ModelsOf) -> None:
        """Once a day (UTC), write down what detectors have learnt."""
        self._record(tenants, models_of, self._clock.now_ms() // _DAY_MS)

    def record_first_models(self, tenants: list[str], models_of: ModelsOf) -> None:
        """The same for tenants that have none yet, so that a new folder has some; the day's come besides."""
        writers = self._lake.store.table(MODELS.name).writers
        fresh = [tenant for tenant in tenants if _models_writer(tenant) not in writers]
        self._record(fresh, models_of, self._clock.now_ms() // _DAY_MS - 1)

    def _record(self, tenants: list[str], models_of: ModelsOf, version: int) -> None:
        for tenant in tenants:
            writer = _models_writer(tenant)
            append_parts(
                self._lake.store, MODELS.name, tenant, models_of(tenant), writer=writer, version=version
            )


def _models_writer(tenant: str) -> str:
    return f"models-{tenant}"
