"""Whether this process can do its work, and how far behind each step is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tocsin.commit.abstract import CommitStore
from tocsin.errors import StorageFullError, StorageUnavailableError, TocsinError
from tocsin.inbox.abstract import Inbox
from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Log
from tocsin.observability.logging import get_logger

_log = get_logger("health")

Probe = Callable[[], str]
FREE_BYTES_MIN: Final = 64 << 20


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be right; `detail` is for people."""

    name: str
    ok: bool
    detail: str


class PartitionState(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets of one partition: the log's end, and how far processor and lake have come."""

    partition: int
    end: int
    committed: int
    in_lake: int


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Ready = every check is right, so requests will be answered."""

    ready: bool
    checks: tuple[Check, ...]


class Health:
    """Reads positions and asks probes.

    A probe answers in a few words, or raises TocsinError or OSError when its part can't work.
    """

    def __init__(
        self, *, log: Log, commits: CommitStore, lake: Lake, inbox: Inbox, probes: Mapping[str, Probe]
    ) -> None:
        self._log = log
        self._commits = commits
        self._lake = lake
        self._inbox = inbox
        self._failing: frozenset[str] = frozenset()
        self._probes: dict[str, Probe] = {"log": self._log_answers, "inbox": self._inbox_answers, **probes}

    def readiness(self) -> Readiness:
        """Every check, made now; blocks as long as the slowest probe."""
        checks = tuple(self._checked(name, probe) for name, probe in self._probes.items())
        return Readiness(ready=all(check.ok for check in checks), checks=checks)

    def partitions(self) -> Sequence[PartitionState]:
        """How far each partition has come."""
        committed, in_lake = self._commits.positions(), self._lake.positions()
        return [
            PartitionState(
                partition=partition,
                end=self._log.end(partition),
                committed=committed.get(partition, 0),
                in_lake=in_lake.get(partition, 0),
            )
            for partition in range(self._log.partitions)
        ]

    def _checked(self, name: str, probe: Probe) -> Check:
        """A check; the log gets a line when it begins to fail and one when that is over."""
        try:
            check = Check(name=name, ok=True, detail=probe())
        except (TocsinError, OSError) as error:
            detail = error.detail if isinstance(error, TocsinError) else "fails"
            check = Check(name=name, ok=False, detail=detail)
            if name not in self._failing:
                _log.warning("not_ready", check=name, reason=str(error))
        if check.ok and name in self._failing:
            _log.info("ready_again", check=name)
        self._failing = self._failing - {name} if check.ok else self._failing | {name}
        return check

    def _log_answers(self) -> str:
        ends = [self._log.end(partition) for partition in range(self._log.partitions)]
        return f"answers for {len(ends)} partitions"

    def _inbox_answers(self) -> str:
        self._inbox.position()
        return "answers"


def disk_probe(folder: Path) -> Probe:
    """A probe that fails when `folder` can't be written or is about to be full."""

    def probe() -> str:
        if not os.access(folder, os.W_OK):
            raise StorageUnavailableError("the data folder can't be written: remount or repair the disk")
        free = shutil.disk_usage(folder).free
        if free < FREE_BYTES_MIN:
            raise StorageFullError(f"only {free >> 20} MiB are free: make room")
        return f"{free >> 30} GiB free"

    return probe
