"""Dump steps as a part of the runtime: who has the lease, what is in force, where decisions are logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.clock import Clock
from tocsin.commit.abstract import CommitStore
from tocsin.commit.dump_steps import DumpStepStore
from tocsin.control import DumpDetectorFailed, DumpDetectorRule, encode_control
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.observability import metrics
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_crew import Crew
from tocsin.runtimes.embedded.dump_ground import Ground
from tocsin.runtimes.embedded.dump_stepping import DumpStepping
from tocsin.runtimes.embedded.worker import Worker
from tocsin.threads import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpWork:
    """What dump steps need from whoever starts the runtime; without it dumps are ordered and wait.

    `chance` gives numbers from 0 up to 1, so that devices that failed together are not tried together.
    """

    steps: DumpStepStore
    archives: Archives
    crew: Crew
    chance: Callable[[], float]


class DumpRunning:
    """The thread `dump-steps` of the runtime."""

    def __init__(
        self,
        work: DumpWork,
        log: Log,
        commits: CommitStore,
        workers: Sequence[Worker],
        clock: Clock,
        meters: Meters,
        published: Callable[[], None],
        *,
        idle_s: float = 0.5,
        rounds: Callable[[str, Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._log: Final = log
        self._clock: Final = clock
        self._workers: Final = workers
        self._begun_at: tuple[int, ...] = ()
        self._steps: Final = work.steps
        ground = Ground(
            steps=work.steps,
            commits=commits,
            archives=work.archives,
            decide=self._decide,
            rules=self._rules,
            lease_epoch=lambda partition: workers[partition].lease.epoch,
            published=published,
            clock=clock,
            chance=work.chance,
        )
        self._stepping: Final = DumpStepping(ground, work.crew, clock, meters, idle_s=idle_s)
        self._round: Final = rounds("dump-steps", self._stepping.round)
        meters.observe(metrics.DUMPS_READY, work.steps.waiting)
        meters.observe(metrics.DUMP_WORKERS, lambda: self._stepping.workers)

    def run(self, stopping: Event) -> None:
        """Work until told to stop; first what was logged before the start has to be processed."""
        self._begun_at = tuple(self._log.end(worker.partition) for worker in self._workers)
        self._stepping.run(stopping, self._in_force, self._round)

    def wake(self) -> None:
        """Dumps may have become ready; from any thread."""
        self._stepping.wake()

    def idle(self) -> bool:
        """Whether no dump waits for a detector."""
        return not self._steps.waiting()

    def _in_force(self) -> bool:
        """Whether every partition has read the settings of this start."""
        ends = zip(self._workers, self._begun_at, strict=True)
        return all(worker.lease.position >= end for worker, end in ends)

    def _rules(self, partition: int, tenant: str) -> Mapping[str, DumpDetectorRule]:
        settings = self._workers[partition].settings.get(tenant)
        return {} if settings is None else settings.dump_detectors

    def _decide(self, partition: int, failed: DumpDetectorFailed) -> int:
        part = Part(partition, RecordKind.CONTROL, 1, encode_control(failed))
        append = Append(tenant=failed.tenant, arrival_ms=self._clock.now_ms(), parts=(part,))
        return self._log.submit(append).result().offsets[0]
