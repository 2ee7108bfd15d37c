"""One life of the system: its process, its application, its threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proof.simulation.clock import Machine, ProcessClock
from proof.simulation.lake import SimulatedLake
from proof.simulation.loop import Server
from proof.simulation.making import SimulatedPool, SimulatedThreads
from proof.simulation.scheduler import Process, Scheduler, Task
from tocsin.bootstrap import Application
from tocsin.commit.abstract import OutboxRow
from tocsin.config import Config
from tocsin.dump_detectors.host import DetectorHost
from tocsin.inbox.abstract import Anomaly
from tocsin.log.abstract import Record
from tocsin.model import Episode
from tocsin.runtimes.embedded.runtime import Pace

HANDLERS: Final = 4


class Node:
    """`waiting`: who waits for an answer from it. `failure`: what it could not start with."""

    def __init__(self, scheduler: Scheduler, machine: Machine, number: int, maker: SimulatedThreads) -> None:
        self.process: Final = Process(f"life-{number}")
        self._maker: Final = maker
        self.application: Application | None = None
        self._built: Application | None = None
        self.server: Server | None = None
        self.waiting: list[Task] = []
        self.failure: BaseException | None = None
        self._scheduler: Final = scheduler
        self._machine: Final = machine

    def start(
        self,
        config: Config,
        pace: Pace,
        detectors: DetectorHost,
        failed: Callable[[], None],
        folded: dict[int, Episode],
        arrivals: dict[tuple[int, int], int],
    ) -> None:
        """Recover and begin to work, in a thread of the process.

        `folded` takes what the inbox is given, `arrivals` when each record that was read had come.
        """
        try:
            application = Application(
                config,
                ProcessClock(self._machine),
                open_lake=SimulatedLake,
                pace=pace,
                detectors=detectors,
            )
            self._built = application
            _remember_rows(application, folded)
            _remember_arrivals(application, arrivals)
            application.bootstrap_admin()
            application.runtime.on_failure = failed
            application.runtime.start()
        except Exception as error:  # noqa: BLE001 - whoever started it decides whether that may be
            self.failure = error
            return
        self.application = application
        pool = SimulatedPool(self._maker, HANDLERS, "handler")
        server = Server(self._scheduler, application.app, pool)
        self._maker.start("http", server.serve)
        self.server = server

    def forget(self) -> None:
        """Once it is dead: let go of what a library would keep until the end of the real process."""
        if self._built is not None:
            self._built.meters.close()
            self._built.tracing.close()

    def running(self) -> Application:
        """The application, which has started."""
        if self.application is None:
            raise RuntimeError("nothing runs")
        return self.application

    def stop(self) -> None:
        """Take no more requests, then end in order; runs in a thread of the process."""
        server, self.server = self.server, None
        if server is not None:
            self._scheduler.sleep(1.0)
            server.stop()
        if self.application is not None:
            self.application.stop()


def _remember_rows(application: Application, folded: dict[int, Episode]) -> None:
    """Outbox rows are pruned; the model needs them in the order in which they came."""
    inbox = application.stores.inbox
    fold = inbox.fold

    def remembering(rows: Sequence[OutboxRow], now_ms: int) -> Sequence[Anomaly]:
        folded.update({row.sequence: row.episode for row in rows})
        return fold(rows, now_ms)

    inbox.fold = remembering  # type: ignore[method-assign]


def _remember_arrivals(application: Application, arrivals: dict[tuple[int, int], int]) -> None:
    """The lake does not keep when a record came, and the log is trimmed; the model needs it."""
    log = application.log
    read = log.read

    def remembering(partition: int, offset: int, *, bytes_max: int = 8 << 20) -> list[Record]:
        records = read(partition, offset, bytes_max=bytes_max)
        arrivals.update({(partition, record.offset): record.arrival_ms for record in records})
        return records

    log.read = remembering  # type: ignore[method-assign]
