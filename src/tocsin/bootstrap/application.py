"""One Tocsin process, put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa

from tocsin import threads
from tocsin.access.audit import AuditLog
from tocsin.access.passwords import Passwords
from tocsin.access.rate_limit import RateLimiter
from tocsin.access.store import DEFAULT_TENANT, AccessStore
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.bootstrap.directories import Directories
from tocsin.bootstrap.settings import (
    archive_limits,
    pace_of,
    query_limits,
    rate_limits,
    session_limits,
    step_limits,
)
from tocsin.bootstrap.stores import LakeOpener, open_stores
from tocsin.bootstrap.struct_types import prepare_structs
from tocsin.clock import Clock, SystemClock
from tocsin.config import Config
from tocsin.config.watched import check_detectors
from tocsin.dump_detectors.host import PROCESSES, DetectorHost
from tocsin.dump_detectors.in_force import InForce
from tocsin.dump_detectors.steps import Stepper
from tocsin.errors import NotFoundError, TocsinError
from tocsin.ingest.admission import Catalogue
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.series_table import SeriesLimits
from tocsin.lake.chores import LakeChores
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import room_of
from tocsin.lake.query_processes import QueryProcesses
from tocsin.lake.room import QueryLimits, Room, Rows, open_rows
from tocsin.memory import Returning
from tocsin.observability import metrics
from tocsin.observability.collector import collector_of
from tocsin.observability.dependency import Dependency
from tocsin.observability.logging import get_logger
from tocsin.observability.meters import Meters
from tocsin.observability.span_file import span_files
from tocsin.observability.tracing import Tracing
from tocsin.runtimes.embedded.decisions import Decides
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_crew import Crew
from tocsin.runtimes.embedded.dump_proofs import DumpProofs
from tocsin.runtimes.embedded.dump_running import DumpWork
from tocsin.runtimes.embedded.log_work import log_work
from tocsin.runtimes.embedded.models import models_of
from tocsin.runtimes.embedded.runtime import STORAGE_ERRORS, Chore, Pace, Runtime
from tocsin.services.actions import Actions
from tocsin.services.anomalies import LISTS_AT_ONCE, Anomalies
from tocsin.services.audit import AuditTrail
from tocsin.services.bundle import Services
from tocsin.services.clock_watch import ClockWatch
from tocsin.services.colleagues import Colleagues
from tocsin.services.credentials import Credentials, Tenants
from tocsin.services.dead_letters import DeadLetters
from tocsin.services.device_dumps import DeviceDumps
from tocsin.services.devices import Devices
from tocsin.services.dictionaries import Dictionaries
from tocsin.services.digest import DigestReport
from tocsin.services.dumps import Dumps
from tocsin.services.entrance import Entrance
from tocsin.services.episodes import Episodes
from tocsin.services.feedback import Feedbacks
from tocsin.services.health import Health, disk_probe
from tocsin.services.ingest import Ingest
from tocsin.services.kept_dumps import KeptDumps
from tocsin.services.lasting import Lasting
from tocsin.services.maintenance import Maintenances
from tocsin.services.maintenance_store import MaintenanceStore
from tocsin.services.mapping import DeviceMapping
from tocsin.services.own_devices import OwnDevices
from tocsin.services.own_keys import OwnKeys
from tocsin.services.people import People
from tocsin.services.proofs import Proofs
from tocsin.services.quarantines import Quarantines
from tocsin.services.query import Queries
from tocsin.services.replays import Replays
from tocsin.services.series import SeriesCharts
from tocsin.services.sessions import Sessions
from tocsin.services.short import ShortQuestions
from tocsin.services.stream import ChangeStream
from tocsin.services.technicians import Technicians
from tocsin.services.uploads import Uploads
from tocsin.storage.files import settle_directory
from tocsin.traced import CallTracing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tocsin.api.server import HttpServer

_log = get_logger("tocsin")

MEMORY_S: Final = 10.0
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
ANSWER_BYTES_MAX: Final = 16 << 20
PATIENCE_S: Final = 30.0
MODEL_SERIES_MAX: Final = 5_000
"""Series of a tenant and partition whose models are recorded each day; about 500 rows a series."""


class Application:
    """One Tocsin process over one data folder.
    `start` recovers, works and serves; `stop` ends it in order. Everything is closed again when a part
    can't be opened. For a simulation, `open_lake` gives another lake than Delta tables (it then has no
    chores and answers no queries), `pace` another pace than the configuration, and `detectors` another
    place for dump detectors than worker processes. `tracing` sends spans elsewhere than the configuration
    says. One that does not decide all only has what is stored: it is for reading, and is not served.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        *,
        open_lake: LakeOpener = DeltaLake,
        pace: Pace | None = None,
        detectors: DetectorHost | None = None,
        tracing: Tracing | None = None,
        decides: Decides = Decides.ALL,
    ) -> None:
        prepare_structs()
        self.config: Final = config
        self.clock: Final = clock or SystemClock()
        self._open_lake: Final = open_lake
        self._pace: Final = pace or pace_of(config)
        self._detectors: Final = detectors or PROCESSES
        self._decides: Final = decides
        self._ended = threads.event()
        self._recovered = False
        self.clock_watch: Final = ClockWatch(self._clock_drift_ms)
        with ExitStack() as opened:
            self._build(config, opened, tracing)
            self._opened: Final = opened.pop_all()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, on_bound: Callable[[], None] = lambda: None) -> None:
        """Recover what was acknowledged, then accept requests.

        In between, once the address is this server's, `on_bound` is called, in another thread.
        """
        self.runtime.on_failure = self.server.on_failure = self._ended.set
        self.runtime.start()
        self.runtime.views.patience_s = PATIENCE_S
        self.query_processes.warm()
        self._recovered = True
        self.server.on_bound = on_bound
        self.server.start()
        self.log.tell(self.server.url)

    def bootstrap_admin(self) -> str | None:
        """The first admin key of a new folder, None where there are credentials.

        Nobody can read it again, so who shows it asks for it in `on_bound`: one made before an address is
        found taken would scroll away with the error. Whatever it sends is judged by settings in force.
        """
        if self._recovered:
            self.runtime.require_settings(DEFAULT_TENANT)
        return self.access.bootstrap_admin()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until something has failed or `end` is called; False after the timeout."""
        if timeout_s is not None:
            return self._ended.wait(timeout_s)
        # A signal that the kernel hands to another thread does not wake this one: it has to look by itself.
        while not self._ended.wait(1.0):
            pass
        return True

    @property
    def failure(self) -> BaseException | None:
        """What ended a thread of the runtime or the server, if anything did."""
        return self.runtime.failure or (self.server.failure if self._is_served else None)

    @cached_property
    def app(self) -> FastAPI:
        """The interface and the pages."""
        from tocsin.bootstrap.serving import app_of  # noqa: PLC0415 - a command that reads needs no interface

        return app_of(self.config, self.services)

    @cached_property
    def server(self) -> HttpServer:
        """What listens once the application has started."""
        from tocsin.bootstrap.serving import server_of  # noqa: PLC0415 - as above

        return server_of(self.app, self.config, self.services)

    @property
    def _is_served(self) -> bool:
        return self._decides is Decides.ALL

    def end(self) -> None:
        """Let `wait` return; safe in signal handlers and from any thread."""
        self._ended.set()

    def stop(self) -> None:
        """Take no more requests, finish what runs, write a last checkpoint, close everything; idempotent."""
        self._opened.close()

    def _build(self, config: Config, opened: ExitStack, tracing: Tracing | None) -> None:
        check_detectors(config)
        settle_directory(config.data, mode=0o700)
        in_force = InForce(config.settings_of, self._detectors.ask_version)
        for watch in (config.watch, *config.tenants.values()) if self._is_served else ():
            in_force.ask(watch.settings())  # other teams' packages are imported while the stores are opened
        collector = collector_of(config.observability)
        self.meters = Meters(collector)
        opened.callback(self.meters.close)
        self.tracing = tracing or Tracing(
            collector, ratio=config.observability.trace_ratio, processors=span_files(config.observability)
        )
        opened.callback(self.tracing.close)
        self.calls = CallTracing(self.tracing)
        watched = self.calls.watch
        self.stores, self.log = open_stores(
            config, self.clock, self.meters, self._open_lake, opened, self.calls
        )
        self.lake = self.stores.lake
        self._open_access(config, opened)
        self._decoding = threads.lock()
        self.blobs = watched(EmbeddedBlobStore(config.data / "blobs"), Dependency.BLOBS)
        opened.callback(self.blobs.close)
        self.query_processes = watched(QueryProcesses(config.query.memory_bytes), Dependency.QUERIES)
        opened.callback(self.query_processes.close)
        self.lake_chores = (
            watched(
                LakeChores(self.lake, self.stores.commits, self.stores.findings, self.clock), Dependency.LAKE
            )
            if isinstance(self.lake, DeltaLake)
            else None
        )
        self.dumps = self._dumps(config, opened)
        self.directories = Directories(
            config, self.clock, self.meters, self.calls, self._device_names, opened
        )
        self.runtime = Runtime(
            self.stores,
            in_force,
            self.access.tenants,
            self.clock,
            self.meters,
            self._pace,
            chores=self._chores(),
            projected=self.lake_chores.projected if self.lake_chores else None,
            keep_scores=config.scores_of if self.lake_chores else None,
            dumps=self._dump_work(config),
            dump_proofs=self._dump_proofs(config),
            logs=log_work(config, self.dumps, self.blobs),
            rounds=self.calls.job,
            decides=self._decides,
        )
        watched(self.runtime.views, Dependency.PROCESSOR)
        self.services = self._services(config, opened)
        opened.callback(self._complete_tables)
        opened.callback(self.runtime.stop)
        opened.callback(self.directories.end)  # a round would go on for minutes while answers come slowly
        if self._is_served:
            opened.callback(self.server.stop)

    def _dump_work(self, config: Config) -> DumpWork | None:
        """None where no dump detector is configured, and no dump waits for one that was."""
        steps = self.stores.steps
        watches = (config.watch, *config.tenants.values())
        if steps is None or not (steps.waiting() or any(watch.dump_detectors for watch in watches)):
            return None
        crew = Crew(
            self._workers(config),
            self.clock,
            workers_min=config.dumps.workers_min,
            workers_max=config.dumps.workers,
        )
        archives = Archives(self.blobs.path, archive_limits(config))
        return DumpWork(steps=steps, archives=archives, crew=crew, chance=random.random)

    def _dump_proofs(self, config: Config) -> DumpProofs | None:
        if self.stores.steps is None:
            return None
        return DumpProofs(
            self.stores.steps,
            Archives(self.blobs.path, archive_limits(config)),
            self._workers(config),
            lambda tenant: config.settings_of(tenant).dump_detectors,
            self.stores.log,
            self.lake,
        )

    def _workers(self, config: Config) -> Callable[[], Stepper]:
        make = partial(self._detectors.worker, step_limits(config))
        return self.calls.maker(make, Dependency.WORKERS)

    def _chores(self) -> list[Chore]:
        chores = [
            Chore("last-used", MINUTE_S, self.access.write_last_used),
            Chore("clock", MINUTE_S, self.clock_watch.look),
            Chore("dump-uploads", HOUR_S, self.uploads.expire),
        ]
        if self._decides is Decides.ALL:
            chores += self.directories.chores()
            chores.append(Chore("maintenance", MINUTE_S, self._refresh_maintenance))
        if self.lake_chores is not None:
            chores += [
                Chore("memory", MEMORY_S, Returning(self.clock, pa.default_memory_pool().release_unused)),
                Chore("lake-episodes", MINUTE_S, self.lake_chores.take_in),
                Chore("lake-scores", MINUTE_S, self.lake_chores.take_in_scores),
                Chore("lake-dead-letters", MINUTE_S, partial(self._take_in_dead_letters, self.lake_chores)),
                Chore("lake-merge", HOUR_S, self.lake_chores.merge),
                Chore("lake-check", MINUTE_S, self.lake_chores.inspect),
                Chore("lake-models", HOUR_S, partial(self._record_models, self.lake_chores)),
                Chore("lake-first-models", MINUTE_S, partial(self._record_first_models, self.lake_chores)),
            ]
        return chores

    def _refresh_maintenance(self) -> None:
        self.services.maintenance.refresh()

    def _device_names(self, tenant: str) -> Sequence[str]:
        return self.runtime.views.names(tenant)

    def _take_in_dead_letters(self, chores: LakeChores) -> None:
        chores.take_in_dead_letters(self.access.tenants(), self.log)

    def _record_models(self, chores: LakeChores) -> None:
        chores.record_models(self.access.tenants(), self._models_of)

    def _record_first_models(self, chores: LakeChores) -> None:
        if self.runtime.caught_up():
            chores.record_first_models(self.access.tenants(), self._models_of)

    def _models_of(self, tenant: str) -> Iterator[pa.Table]:
        return models_of(self.runtime.workers, tenant, self.clock.now_ms(), MODEL_SERIES_MAX)

    def _complete_tables(self) -> None:
        """Let the lake have what it takes in now and then, once nothing changes any more."""
        if self.lake_chores is None or self.runtime.failure is not None:
            return
        try:
            self.lake_chores.take_in()
            self.lake_chores.take_in_scores()
            self._take_in_dead_letters(self.lake_chores)
            self._record_first_models(self.lake_chores)
        except STORAGE_ERRORS as error:
            _log.warning("tables_stay_behind", error=error.detail)

    def _open_access(self, config: Config, opened: ExitStack) -> None:
        access = AccessStore(config.data / "access.db", self.clock, sessions=session_limits(config))
        self.access = self.calls.watch(access, Dependency.ACCESS)
        opened.callback(self.access.close)
        self.calls.watch(self.access.people, Dependency.ACCESS)
        self.calls.watch(self.access.sessions, Dependency.ACCESS)
        self.calls.watch(self.access.keys, Dependency.ACCESS)
        self.passwords = Passwords()
        opened.callback(self.passwords.close)

    def _services(self, config: Config, opened: ExitStack) -> Services:
        stores, views, clock = self.stores, self.runtime.views, self.clock
        ingest = self._ingest(config, opened)
        audit = self._audit(config, opened)
        replays = self.replays = self.calls.watch(Replays(config.data / "replays.db"), Dependency.REPLAYS)
        opened.callback(replays.close)
        stream = ChangeStream(stores.inbox, listeners_max=config.http.streams_max)
        self._observe(stream)
        lasting = Lasting(stores.commits, views, clock)
        sight = OwnDevices(self.directories.by_tenant)
        mapping = DeviceMapping(self.directories.by_tenant, sight)
        colleagues = Colleagues(self.access.people)
        lists = threads.semaphore(LISTS_AT_ONCE)
        anomalies = Anomalies(stores.inbox, lasting, sight, lists)
        episodes = Episodes(stores.commits, sight)
        actions = Actions(stores.inbox, audit, clock, self.meters, self.access.holder, colleagues, sight)
        return Services(
            clock=clock,
            meters=self.meters,
            tracing=self.tracing,
            entrance=Entrance(self.access, RateLimiter(rate_limits(config), clock)),
            audit=audit,
            credentials=Credentials(self.access, audit),
            tenants=Tenants(self.access, audit),
            people=People(self.access.people, self.passwords, audit, clock),
            ingest=ingest,
            dumps=self.dumps,
            uploads=self.uploads,
            kept_dumps=KeptDumps(self.blobs, audit, sight),
            device_dumps=DeviceDumps(views, sight),
            anomalies=anomalies,
            actions=actions,
            colleagues=colleagues,
            episodes=episodes,
            dead_letters=DeadLetters(stores.log, ingest, replays, audit, clock, self.access.holder),
            devices=Devices(views, stores.inbox, lasting, sight),
            mapping=mapping,
            technicians=Technicians(mapping, stores.inbox, lasting, lists),
            dictionaries=Dictionaries(
                stores.log, self.blobs, views, anomalies, stores.commits, actions, audit, clock
            ),
            feedback=Feedbacks(stores.log, anomalies, stores.commits, actions, views),
            maintenance=self._maintenances(opened, audit, sight),
            quarantines=Quarantines(stores.log, views, audit, clock),
            lasting=lasting,
            series=SeriesCharts(views, views, sight, config.unit_of),
            short=ShortQuestions(stores.findings, clock, sight),
            sight=sight,
            own_keys=OwnKeys(self.access, audit, clock),
            digest=DigestReport(views),
            queries=Queries(self._query, at_once_max=config.query.at_once_max),
            proofs=Proofs(views, episodes),
            health=Health(
                log=stores.log,
                commits=stores.commits,
                lake=stores.lake,
                inbox=stores.inbox,
                probes={
                    "disk": self.calls.watched(disk_probe(config.data), Dependency.DISK, "probe"),
                    "runtime": self._runtime_works,
                    "clock": self.clock_watch.tell,
                    "directories": self.directories.tell,
                },
            ),
            sessions=Sessions(self.access, self.passwords, audit, clock),
            stream=stream,
        )

    def _maintenances(self, opened: ExitStack, audit: AuditTrail, sight: OwnDevices) -> Maintenances:
        windows = MaintenanceStore(self.config.data / "maintenance.db")
        self.windows = self.calls.watch(windows, Dependency.MAINTENANCE)
        opened.callback(windows.close)
        return Maintenances(
            self.stores.log,
            windows,
            self.runtime.views,
            self.directories.by_tenant,
            audit,
            self.clock,
            sight,
        )

    def _ingest(self, config: Config, opened: ExitStack) -> Ingest:
        limits = SeriesLimits(
            devices=config.ingest.devices_per_tenant_max,
            fields=config.ingest.fields_per_device_max,
            series=config.ingest.series_per_tenant_max,
        )
        store = CatalogueStore(config.data / "catalogue.db")
        catalogue = self.calls.watch(Catalogue(store, limits), Dependency.CATALOGUE)
        opened.callback(catalogue.close)
        self.meters.observe(metrics.INGEST_SERIES, lambda: catalogue.series)
        ingest = Ingest(
            log=self.stores.log,
            catalogue=catalogue,
            clock=self.clock,
            meters=self.meters,
            tracing=self.tracing,
            config=config.ingest,
            parse_limits=ParseLimits(
                body_bytes=config.http.body_bytes_max, lines=config.ingest.lines_per_body_max
            ),
            threads=config.ingest.threads,
            bodies_max=config.http.concurrency_max,
        )
        opened.callback(ingest.close)
        return ingest

    def _dumps(self, config: Config, opened: ExitStack) -> Dumps:
        dumps = Dumps(
            log=self.stores.log,
            blobs=self.blobs,
            clock=self.clock,
            meters=self.meters,
            limits=archive_limits(config),
            threads=config.dumps.threads,
            uploads_max=config.dumps.uploads_max,
            require_settings=lambda tenant: self.runtime.require_settings(tenant),  # noqa: PLW0108 - made later
        )
        self.uploads = Uploads(
            dumps,
            self.blobs,
            self.clock,
            bytes_max=config.dumps.bytes_max,
            keep_s=config.dumps.unfinished_s,
            per_device_max=config.dumps.unfinished_per_device_max,
        )
        opened.callback(self.uploads.close)
        opened.callback(dumps.close)
        self.meters.observe(metrics.DUMP_UPLOADS, lambda: dumps.uploads)
        return dumps

    def _audit(self, config: Config, opened: ExitStack) -> AuditTrail:
        audit_log = AuditLog(
            config.data / "audit.db",
            self.clock,
            retention_days=config.access.audit_retention_days,
            rows_max=config.access.audit_rows_max,
        )
        self.audit_log = self.calls.watch(audit_log, Dependency.AUDIT)
        opened.callback(self.audit_log.close)
        return AuditTrail(self.audit_log, self.clock, self.meters)

    def _runtime_works(self) -> str:
        if self.runtime.failure is not None:
            raise TocsinError(f"has stopped ({type(self.runtime.failure).__name__}): see the log, restart")
        return "works"

    def query_table(self, sql: str, *, tenant: str, skip_damaged: bool = False) -> pa.Table:
        """The rows of a SELECT, up to a million: for the command line, which answers larger questions."""
        limits = query_limits(self.config)
        room = self._room(tenant, limits, skip_damaged=skip_damaged)
        return self.query_processes.table(room, sql, limits)

    @contextmanager
    def query_rows(self, sql: str, *, tenant: str, spill: Path, skip_damaged: bool = False) -> Iterator[Rows]:
        """All rows of a SELECT, in this process: for whoever holds the folder anyway (see `open_rows`)."""
        limits = query_limits(self.config)
        room = self._room(tenant, limits, read_first=True, skip_damaged=skip_damaged)
        with open_rows(room, sql, limits, spill) as rows:
            yield rows

    def _query(self, sql: str, *, tenant: str, rows_max: int, skip_damaged: bool) -> bytes:
        limits = replace(query_limits(self.config), rows_max=rows_max, result_bytes_max=ANSWER_BYTES_MAX)
        room = self._room(tenant, limits, skip_damaged=skip_damaged)
        return self.query_processes.json(room, sql, limits)

    def _room(
        self, tenant: str, limits: QueryLimits, *, read_first: bool = False, skip_damaged: bool = False
    ) -> Room:
        if not isinstance(self.lake, DeltaLake):
            raise NotFoundError("This lake answers no queries.")
        with self._decoding:  # one at a time: a long tail is several times as large in memory
            return room_of(
                self.lake,
                self.stores.log,
                tenant,
                tail_bytes_max=limits.tail_bytes_max,
                read_first=read_first,
                skip_damaged=skip_damaged,
            )

    def _observe(self, stream: ChangeStream) -> None:
        log = self.log
        self.meters.observe(metrics.HTTP_STREAMS, lambda: stream.listeners)
        self.meters.observe(metrics.LOG_DEAD_LETTERS_DROPPED, lambda: log.dead_letters_dropped)
        self.meters.observe(metrics.LOG_QUEUE_BYTES, lambda: log.queued_bytes)
        self.meters.observe(metrics.LOG_SEGMENTS, lambda: len(log.segments()))
        self.meters.observe(metrics.LOG_BYTES, lambda: sum(segment.bytes for segment in log.segments()))
        if isinstance(self.lake, DeltaLake):
            verified = self.lake.store.verified
            self.meters.observe(metrics.LAKE_DAMAGED, lambda: verified.damaged)
        self.meters.observe(metrics.CLOCK_JUMP, lambda: self._clock_drift_ms() / 1000)

    def _clock_drift_ms(self) -> int:
        """A clock that a test moves is the machine's own."""
        return self.clock.drift_ms() if isinstance(self.clock, SystemClock) else 0
