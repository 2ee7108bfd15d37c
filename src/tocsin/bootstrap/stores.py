"""Opens every store under a data folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tocsin.clock import Clock
from tocsin.commit.checkpoints import EmbeddedCheckpointStore
from tocsin.commit.dump_steps import DumpStepStore
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.config import Config
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.inbox.folding import Windows
from tocsin.lake.abstract import Lake
from tocsin.log.bounds import AnswerBounds, DeadLetterBounds
from tocsin.log.embedded import EmbeddedLog
from tocsin.observability import metrics
from tocsin.observability.dependency import Dependency
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.runtime import Stores
from tocsin.scores.embedded import EmbeddedAbnormalReadings
from tocsin.traced import CallTracing

LakeOpener = Callable[[Path, Clock], Lake]


def open_stores(
    config: Config,
    clock: Clock,
    meters: Meters,
    open_lake: LakeOpener,
    opened: ExitStack,
    calls: CallTracing,
) -> tuple[Stores, EmbeddedLog]:
    """Every store under the data folder; the log comes first, since it refuses a second process."""
    data: Path = config.data

    def on_group(appends: int, took_s: float) -> None:
        meters.record(metrics.LOG_GROUP_APPENDS, appends)
        meters.record(metrics.LOG_SYNC_DURATION, took_s)

    log = EmbeddedLog(
        data / "log",
        config.log.partitions,
        clock,
        segment_bytes_max=config.log.segment_bytes,
        queue_bytes_max=config.log.queue_bytes,
        dead_letters=DeadLetterBounds(
            letters_max=config.log.dead_letters_max, bytes_max=config.log.dead_letters_bytes
        ),
        answers=AnswerBounds(bytes_max=config.log.answers_bytes),
        on_group=calls.group_written(on_group),
    )
    opened.callback(log.close)
    calls.watch(log, Dependency.LOG)
    commits = calls.watch(EmbeddedCommitStore(data / "commit.db"), Dependency.COMMIT)
    opened.callback(commits.close)
    calls.watch(commits.steps, Dependency.STEPS, DumpStepStore)
    checkpoints = calls.watch(EmbeddedCheckpointStore(data / "checkpoints.db"), Dependency.CHECKPOINTS)
    opened.callback(checkpoints.close)
    windows = Windows(
        correlation_ms=config.inbox.correlation_window_s * 1000,
        recurrence_ms=config.inbox.recurrence_window_s * 1000,
    )
    inbox = calls.watch(EmbeddedInbox(data / "inbox.db", windows), Dependency.INBOX)
    opened.callback(inbox.close)
    findings = calls.watch(EmbeddedAbnormalReadings(data / "abnormal.db"), Dependency.SCORES)
    opened.callback(findings.close)
    lake = calls.watch(open_lake(data / "lake", clock), Dependency.LAKE)
    opened.callback(lake.close)
    stores = Stores(
        log=log,
        commits=commits,
        checkpoints=checkpoints,
        inbox=inbox,
        findings=findings,
        lake=lake,
        steps=commits.steps,
    )
    return stores, log
