"""The embedded runtime: threads that feed the processor, keep its state and empty its outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.commit.abstract import CheckpointStore, CommitStore
from tocsin.commit.dump_steps import DumpStepStore
from tocsin.control import Settings
from tocsin.errors import StorageFullError, StorageUnavailableError
from tocsin.inbox.abstract import Inbox
from tocsin.lake.abstract import Lake
from tocsin.lake.writer import FlushPolicy, LakeWriter
from tocsin.log.abstract import Log
from tocsin.observability import metrics
from tocsin.observability.logging import get_logger
from tocsin.observability.meters import Meters
from tocsin.processing.dump_order import DumpPlace
from tocsin.processing.rehearsal import rehearse
from tocsin.runtimes.embedded.checkpointing import Checkpointing
from tocsin.runtimes.embedded.counting import count_changes, count_step
from tocsin.runtimes.embedded.decisions import Decides, Decisions
from tocsin.runtimes.embedded.dump_proofs import DumpProofs
from tocsin.runtimes.embedded.dump_running import DumpRunning, DumpWork
from tocsin.runtimes.embedded.findings import findings_of
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.in_turn import InTurn
from tocsin.runtimes.embedded.log_rounds import LogGathering
from tocsin.runtimes.embedded.log_work import LogWork
from tocsin.runtimes.embedded.recovery import recover
from tocsin.runtimes.embedded.scored import KeepOf
from tocsin.runtimes.embedded.views import Views
from tocsin.runtimes.embedded.worker import Worker
from tocsin.scores.abstract import AbnormalReadings

_log = get_logger("runtime")

CHECKPOINT_SHARE: Final = 0.1
OUTBOX_ROWS: Final = 1000
STORAGE_ERRORS: Final = (StorageFullError, StorageUnavailableError)
Rounds = Callable[[str, Callable[[], None]], Callable[[], None]]
"""Takes the name of a job and what one round of it does, and gives what is called instead, to trace it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store the runtime works on; opened and closed by whoever made them."""

    log: Log
    commits: CommitStore
    checkpoints: CheckpointStore
    inbox: Inbox
    findings: AbnormalReadings
    lake: Lake
    steps: DumpStepStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the runtime does what; seconds. No verdict depends on it.

    After a step a partition rests, unless `step_events` already wait: for `rest_s`, or `rest_steps` times
    as long as the step took, at most `rest_s_max`. Who waits for work looks by itself every `idle_s`, and
    tries again as often what a full disk put off.
    """

    tick_s: float = 60.0
    checkpoint_s: float = 10.0
    correction_s: float = 60.0
    lake_s: float = 1.0
    wake_s: float = 1.0
    steps_at_once: int = 2
    rest_s: float = 0.05
    rest_s_max: float = 0.15
    rest_steps: float = 6.0
    idle_s: float = 0.5
    step_events: int = 20_000
    flush: FlushPolicy = field(default_factory=FlushPolicy)

    def rest_after(self, took_s: float) -> float:
        """How long to rest after a step that took so long.

        Much of a step is the same for a few records and for thousands, so what has much to do gathers more
        for the next one, as far as alarms allow it to be late.

        >>> [Pace().rest_after(took_s) for took_s in (0.002, 0.02, 5.0)]
        [0.05, 0.12, 0.15]
        """
        return min(max(self.rest_s, self.rest_steps * took_s), self.rest_s_max)


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is done again and again beside the processing; a full disk puts it off, other errors end."""

    name: str
    every_s: float
    work: Callable[[], None]


class Runtime:
    """Start it, stop it; if any of its threads fails it stops, and `failure` says why."""

    def __init__(
        self,
        stores: Stores,
        settings_of: Callable[[str], Settings],
        tenants: Callable[[], list[str]],
        clock: Clock,
        meters: Meters,
        pace: Pace | None = None,
        chores: Sequence[Chore] = (),
        projected: Callable[[], int] | None = None,
        keep_scores: KeepOf | None = None,
        dumps: DumpWork | None = None,
        dump_proofs: DumpProofs | None = None,
        logs: LogWork | None = None,
        rounds: Rounds = lambda _job, work: work,
        decides: Decides = Decides.ALL,
    ) -> None:
        """`projected` tells up to which outbox row others have what they need, so that it may be pruned.

        `keep_scores` tells which scores of a tenant to store for the lake; None = nobody takes them. With
        `dumps`, dumps are shown to dump detectors; `dump_proofs` shows them again on request. With `logs`,
        lines of logs are cut into dumps.
        Unless it `decides` all, the settings last logged stay in force, whatever `settings_of` says, and
        dumps that are ready wait for a runtime that does.
        """
        self._stores: Final = stores
        self._rounds: Final = rounds
        self._decides: Final = decides
        self._clock: Final = clock
        self._meters: Final = meters
        self._pace: Final = pace or Pace()
        self._chores: Final = tuple(chores)
        self._keep_scores: Final = keep_scores
        self._projected: Final = projected or stores.inbox.position
        self._stopping = threads.event()
        self._episodes = threads.event()
        self._threads: list[threads.Running] = []
        self._steps = InTurn(max(1, self._pace.steps_at_once))
        self._rehearsing = threads.lock()
        self.failure: BaseException | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.workers: Final = [
            Worker(partition, stores.log, stores.lake, stores.commits, DeviceHistory(stores.log, stores.lake))
            for partition in range(stores.log.partitions)
        ]
        self._checkpointing: Final = Checkpointing(stores.checkpoints, self.workers)
        self._lake_writer: Final = LakeWriter(stores.lake, stores.log, self._pace.flush)
        self._decisions: Final = Decisions(stores.log, stores.lake, self.workers, settings_of, tenants, clock)
        works = dumps if decides is Decides.ALL else None
        self._dumps: Final = works and DumpRunning(
            works,
            stores.log,
            stores.commits,
            self.workers,
            clock,
            meters,
            self._episodes.set,
            idle_s=self._pace.idle_s,
            rounds=rounds,
        )
        history = DeviceHistory(stores.log, stores.lake)
        self.views: Final = Views(
            self.workers, stores.log, stores.commits, history, stores.steps, dump_proofs
        )
        self._logs: Final = LogGathering(logs if decides is Decides.ALL else None, stores.log, self.views)
        self._observe()

    def start(self) -> None:
        """Recover every partition, then begin to work; blocks for the recovery."""
        self._rounds("start", self._recover)()
        for worker in self.workers:
            self._run(f"processor-{worker.partition}", partial(self._process, worker))
        if self._dumps:
            self._run("dump-steps", partial(self._dumps.run, self._stopping))
        if self._logs.begin():
            round_ = self._rounds("log-windows", self._logs.round)
            self._run("log-windows", partial(self._logs.run, self._stopping, round_, self._pace.idle_s))
        self._run("inbox", partial(self._fold, self._rounds("inbox", self._fold_waiting)))
        self._repeat("lake", self._pace.lake_s, self._flush)
        self._repeat("checkpoints", self._pace.checkpoint_s, self._checkpoint, CHECKPOINT_SHARE)
        if self._decides is Decides.ALL:
            self._repeat("ticks", self._pace.tick_s, self._decisions.tick)
            self._repeat("snoozes", self._pace.wake_s, self._wake)
        if self._decides is not Decides.NOTHING:
            self._repeat("corrections", self._pace.correction_s, self._decisions.corrections)
        for chore in self._chores:
            self._repeat(chore.name, chore.every_s, chore.work)

    def stop(self) -> None:
        """Finish the running steps, write a last checkpoint and part of the lake; idempotent.

        So the lake holds what was accepted, unless more than one part waits. The stores stay open.
        """
        self._stopping.set()
        self._episodes.set()
        if self._dumps:
            self._dumps.wake()
        for thread in self._threads:
            if not thread.is_current():
                thread.join()
        if self._threads and self.failure is None:
            self._if_room(partial(self._lake_writer.run_once, self._clock.now_ms(), force=True))
            self._if_room(self._checkpoint)
        self._threads.clear()

    def require_settings(self, tenant: str) -> None:
        """Have the tenant's settings in the log before what they are to judge; raises its refusal."""
        if self._decides is Decides.ALL:
            self._decisions.require_settings(tenant)

    def caught_up(self) -> bool:
        """Whether everything acknowledged is processed and folded into the inbox."""
        ends = (worker.lease.position == self._stores.log.end(worker.partition) for worker in self.workers)
        if not self._logs.caught_up() or (self._dumps and not self._dumps.idle()):
            return False
        return all(ends) and not self._stores.commits.outbox(self._stores.inbox.position(), limit=1)

    def _recover(self) -> None:
        self._checkpointing.complete.update(
            recover(self.workers, self._stores.checkpoints, self._stores.findings, self._keep_scores)
        )
        if self._decides is Decides.ALL:
            self._decisions.settings()

    def _repeat(self, name: str, pause_s: float, work: Callable[[], None], share: float = 1.0) -> None:
        self._run(name, partial(self._every, pause_s, self._rounds(name, work), share))

    def _run(self, name: str, work: Callable[[], None]) -> None:
        self._threads.append(threads.start(name, partial(self._guarded, name, work)))

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Run a thread's work; its failure is that of the whole runtime, loudly."""
        try:
            work()
        except BaseException as error:
            self.failure = error
            _log.exception("thread_failed", thread=name)
            self._stopping.set()
            self._episodes.set()
            self.on_failure()
            raise

    def _every(self, pause_s: float, work: Callable[[], None], share: float = 1.0) -> None:
        """Work again and again, at most `share` of the time."""
        rest_s = pause_s
        while not self._stopping.wait(rest_s):
            started_s = self._clock.monotonic_s()
            try:
                work()
            except STORAGE_ERRORS as error:
                _log.warning("tried_again_later", error=error.detail)
            took_s = self._clock.monotonic_s() - started_s
            rest_s = max(pause_s, took_s / share - took_s)

    def _process(self, worker: Worker) -> None:
        """Step by step while there are records; a short rest behind the last lets requests share one."""
        log = self._stores.log
        step = self._rounds("processor", partial(self._step, worker))
        while not self._stopping.is_set():
            if not log.wait(worker.partition, worker.state.position, self._pace.idle_s):
                continue
            with self._rehearsing:  # one compiles for all, while nobody holds a partition's lock
                rehearse()
            with self._steps:
                started_s, waiting = self._clock.monotonic_s(), log.end(worker.partition)
                step()
                took_s = self._clock.monotonic_s() - started_s
            left = log.end(worker.partition) - worker.state.position
            if worker.state.position >= waiting and left < self._pace.step_events:
                self._stopping.wait(self._pace.rest_after(took_s))

    def _step(self, worker: Worker) -> None:
        started_s = self._clock.monotonic_s()
        with worker.lock:
            found = worker.step()
            if found is None:
                return
            commit, output = found
            processed_s = self._clock.monotonic_s()
            if not self._until_stored(partial(self._stores.commits.commit, [commit])):
                return
            worker.committed(commit)
            findings = findings_of(worker.partition, commit.position, output, self._keep_scores)
            if findings and not self._until_stored(partial(self._stores.findings.append, [findings])):
                return
            worker.keep()
        if output.episodes:
            self._episodes.set()
        if self._dumps and (commit.dumps or commit.released):
            self._dumps.wake()
        self._meters.record(metrics.PROCESSOR_DURATION, processed_s - started_s)
        self._meters.record(metrics.COMMIT_DURATION, self._clock.monotonic_s() - processed_s)
        count_step(self._meters, output)

    def _until_stored(self, store: Callable[[], None]) -> bool:
        """Store, again and again while the disk is full; False when told to stop meanwhile."""
        while True:
            try:
                store()
            except STORAGE_ERRORS as error:
                _log.warning("storing_waits", error=error.detail)
                if self._stopping.wait(self._pace.idle_s):
                    return False
            else:
                return True

    def _fold(self, fold_waiting: Callable[[], None]) -> None:
        """Fold episodes into the inbox as they come; idempotent by the outbox's sequence."""
        behind = True  # an earlier process may have left some
        while not self._stopping.is_set():
            if not self._episodes.wait(self._pace.idle_s) and not behind:
                continue
            self._episodes.clear()
            try:
                fold_waiting()
                behind = False
            except STORAGE_ERRORS as error:
                behind = True
                _log.warning("tried_again_later", error=error.detail)

    def _fold_waiting(self) -> None:
        inbox, commits = self._stores.inbox, self._stores.commits
        while rows := commits.outbox(inbox.position(), limit=OUTBOX_ROWS):
            started_s = self._clock.monotonic_s()
            before = inbox.last_change()
            inbox.fold(rows, self._clock.now_ms())
            changes = inbox.changes(before, limit=2 * OUTBOX_ROWS)  # people may have acted meanwhile
            count_changes(self._meters, [change for change in changes if change.action is None])
            commits.prune_outbox(min(rows[-1].sequence, self._projected()))
            self._meters.record(metrics.INBOX_FOLD_DURATION, self._clock.monotonic_s() - started_s)

    def _wake(self) -> None:
        """Open again what was snoozed until now."""
        while self._stores.inbox.wake(self._clock.now_ms()) and not self._stopping.is_set():
            pass

    def _flush(self) -> None:
        started_s = self._clock.monotonic_s()
        while self._lake_writer.run_once(self._clock.now_ms()) and not self._stopping.is_set():
            self._meters.record(metrics.LAKE_FLUSH_DURATION, self._clock.monotonic_s() - started_s)
            started_s = self._clock.monotonic_s()

    def _if_room(self, last: Callable[[], object]) -> None:
        """What a full disk keeps from the lake or the checkpoints at the end stays in the log."""
        try:
            last()
        except STORAGE_ERRORS as error:
            _log.warning("left_in_the_log", error=error.detail)

    def _checkpoint(self) -> None:
        started_s = self._clock.monotonic_s()
        if self._checkpointing.round():
            self._meters.record(metrics.CHECKPOINT_DURATION, self._clock.monotonic_s() - started_s)
        self._stores.log.trim(self._logs.spared(self._safe()))

    def _safe(self) -> dict[int, int]:
        """Per partition the offset below which lake, commit and every shard's checkpoint have all records."""
        return {
            worker.partition: min(self._in_lake(worker), self._committed(worker), self._covered(worker))
            for worker in self.workers
        }

    def _observe(self) -> None:
        inbox, commits = self._stores.inbox, self._stores.commits
        self._meters.observe(metrics.INBOX_LAG, lambda: commits.waiting(inbox.position()))
        for worker in self.workers:
            name = str(worker.partition)
            observe = partial(self._meters.observe, partition=name)
            observe(metrics.PROCESSOR_LAG, partial(self._behind, worker, self._committed))
            observe(metrics.CHECKPOINT_LAG, partial(self._behind, worker, self._covered))
            observe(metrics.LAKE_LAG, partial(self._behind, worker, self._in_lake))

        for place in DumpPlace:
            self._meters.observe(metrics.DUMP_PLACES, partial(self._dumps_in, place), place=place.value)

    def _dumps_in(self, place: DumpPlace) -> float:
        """As of what is committed."""
        counts = (counts for worker in self.workers for counts in worker.lease.totals.counts.values())
        return sum(each.get(f"dumps_{place.value}", 0) for each in counts)

    def _behind(self, worker: Worker, reached: Callable[[Worker], int]) -> float:
        return self._stores.log.end(worker.partition) - reached(worker)

    def _committed(self, worker: Worker) -> int:
        return worker.lease.position

    def _covered(self, worker: Worker) -> int:
        return self._checkpointing.complete.get(worker.partition, 0)

    def _in_lake(self, worker: Worker) -> int:
        return self._stores.lake.positions().get(worker.partition, 0)
