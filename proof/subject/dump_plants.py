"""Protections of dumps that can be taken away: of their bytes, their names, their order and their steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from proof.subject.queueing import queueing

_LATE_S: Final = 0.3


def _dump_unsynced() -> None:
    """A dump gets its name before its bytes are synced, and nobody syncs them afterwards."""
    from tocsin.blobs import embedded, staging

    for module in (embedded, staging):
        vars(module)["sync_file"] = lambda *_: None


def _dump_unnamed() -> None:
    """The names of dumps, claims and uploads are never synced."""
    from tocsin.blobs import embedded, staging, writing

    for module in (embedded, staging, writing):
        vars(module)["sync_directory"] = lambda _: None


def _dump_answered_before_logged() -> None:
    """A sender hears that its dump is in the log while it is only queued."""
    from tocsin.log.abstract import Log
    from tocsin.services.dumps import Dumps

    begin = Dumps.__init__

    def begin_hastily(self: Dumps, *, log: Log, **rest: Any) -> None:
        begin(self, log=queueing(log), **rest)

    Dumps.__init__ = begin_hastily  # type: ignore[method-assign]


def _dump_judged_before_synced() -> None:
    """A dump is logged and judged first; its bytes and name are synced right before its sender hears it."""
    from tocsin.blobs import embedded
    from tocsin.services.dumps import Dumps
    from tocsin.storage.files import sync_directory, sync_file

    settle = Dumps.settle
    vars(embedded)["sync_file"] = vars(embedded)["sync_directory"] = lambda *_: None

    def settle_hastily(self: Dumps, tenant: str, announced: Any, blob: Any) -> Any:
        receipt = settle(self, tenant, announced, blob)
        time.sleep(_LATE_S)
        path = self._blobs.path(blob.sha256)  # type: ignore[attr-defined]
        with path.open("r+b", buffering=0) as file:
            sync_file(file, path)
        sync_directory(path.parent)
        return receipt

    Dumps.settle = settle_hastily  # type: ignore[method-assign]


def _step_in_two_commits() -> None:
    """What a detector found is committed first, and that its dump waits no longer by a commit of its own."""
    from tocsin.commit.dump_steps import StepCommit
    from tocsin.commit.step_store import EmbeddedDumpSteps

    whole = EmbeddedDumpSteps.commit_step

    def commit_apart(self: EmbeddedDumpSteps, commit: StepCommit) -> None:
        whole(self, replace(commit, done=()))
        self.settle(commit.partition, commit.lease_epoch, commit.done)

    EmbeddedDumpSteps.commit_step = commit_apart  # type: ignore[method-assign]


DUMP_PLANTS: Final[dict[str, Callable[[], None]]] = {
    "dump_unsynced": _dump_unsynced,
    "dump_unnamed": _dump_unnamed,
    "dump_answered_before_logged": _dump_answered_before_logged,
    "dump_judged_before_synced": _dump_judged_before_synced,
    "step_in_two_commits": _step_in_two_commits,
}
