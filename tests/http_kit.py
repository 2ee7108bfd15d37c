"""A whole HTTP application over real stores, for tests: two tenants, a credential of every role."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from tests.kit import events_of
from tocsin import threads, web
from tocsin.access.audit import AuditLog
from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.passwords import HashCost, Passwords
from tocsin.access.person import NewPerson
from tocsin.access.principal import Role, Scope
from tocsin.access.rate_limit import RateLimiter, RateLimits
from tocsin.access.store import AccessStore
from tocsin.api.app import create_app
from tocsin.api.limits import RequestLimits
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.clock import ManualClock
from tocsin.commit.abstract import Commit, Totals
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.config.sections import IngestConfig
from tocsin.control import DictionaryTaken, FeedbackGiven, decode_control
from tocsin.directory.abstract import Entry
from tocsin.directory.asking import Asking
from tocsin.directory.cache import DirectoryCache
from tocsin.directory.embedded import CachedDirectory
from tocsin.directory.limits import DirectoryLimits
from tocsin.dumps.limits import ArchiveLimits
from tocsin.errors import NotFoundError
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.ingest.admission import Catalogue
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import room_of
from tocsin.lake.query_processes import QueryProcesses
from tocsin.lake.room import QueryLimits
from tocsin.log.abstract import RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.model import DumpEvidence, DumpName, Episode, Severity, Verdict
from tocsin.observability.meters import Meters
from tocsin.observability.tracing import Tracing
from tocsin.processing.batching import Events
from tocsin.processing.dump_places import PlacedDumps
from tocsin.processing.episodes import evidence_without_readings
from tocsin.processing.preview import Difference
from tocsin.processing.proof import Proof, prove
from tocsin.scores.abstract import AbnormalReading, Findings
from tocsin.scores.embedded import EmbeddedAbnormalReadings
from tocsin.services.actions import Actions
from tocsin.services.anomalies import LISTS_AT_ONCE, Anomalies
from tocsin.services.audit import AuditTrail
from tocsin.services.bundle import Services
from tocsin.services.colleagues import Colleagues
from tocsin.services.credentials import Credentials, Tenants
from tocsin.services.dead_letters import DeadLetters
from tocsin.services.device_dumps import DeviceDumps
from tocsin.services.devices import Device, Devices
from tocsin.services.dictionaries import Dictionaries
from tocsin.services.digest import Digest, DigestReport
from tocsin.services.dumps import Dumps
from tocsin.services.entrance import Entrance
from tocsin.services.episodes import Episodes
from tocsin.services.feedback import Feedbacks
from tocsin.services.health import Health
from tocsin.services.ingest import Ingest
from tocsin.services.kept_dumps import KeptDumps
from tocsin.services.lasting import Lasting
from tocsin.services.maintenance import Maintenances
from tocsin.services.maintenance_store import MaintenanceStore
from tocsin.services.maintenance_window import Covers, MaintenanceWindow, Wanted
from tocsin.services.mapping import DeviceMapping
from tocsin.services.own_devices import OwnDevices
from tocsin.services.own_keys import OwnKeys
from tocsin.services.people import People
from tocsin.services.proofs import Proofs
from tocsin.services.quarantines import Quarantines
from tocsin.services.query import Queries
from tocsin.services.replays import Replays
from tocsin.services.series import Band, MovedLimit, SeriesCharts
from tocsin.services.sessions import CSRF_HEADER, SESSION_COOKIE, Place, Sessions
from tocsin.services.short import ShortQuestions
from tocsin.services.stream import ChangeStream
from tocsin.services.technicians import Technicians
from tocsin.services.uploads import Uploads
from tocsin.simulate.directory.in_process import SimulatedDirectoryApi
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.service import SimulatedService

NOW_MS: Final = 1_795_341_600_000  # 2026-11-22T10:00:00Z
OWN: Final = "default"
FOREIGN: Final = "other"
NDJSON: Final = {"Content-Type": "application/x-ndjson"}
CHEAP: Final = HashCost(passes=1, memory_kib=64)
PASSWORD: Final = "the bell rings at noon"
GENEROUS: Final = RateLimits(
    requests_per_s=1e6, requests_burst=1e6, bytes_per_s=1e12, bytes_burst=1e12, refused_burst=1e9
)


class KnownFleet:
    """Stands where the runtime stands: devices by tenant, each series a straight line."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Device]] = {}
        self.placed: dict[tuple[str, str], PlacedDumps] = {}
        self.previewed: list[Episode] = []
        self.moved: list[MovedLimit] = []
        self.heard_all = True
        self.standing: dict[str, Episode] = {}  # episodes that go on, by id, as they are now

    def add(
        self,
        tenant: str,
        device: str,
        parameters: Sequence[str] = ("temperature",),
        *,
        quarantined: bool = False,
        last_ms: int = NOW_MS,
        dumps: int = 0,
    ) -> None:
        """Make a device known."""
        self.known.setdefault(tenant, {})[device] = Device(
            device=device,
            application="pumps",
            version="1.0",
            parameters=tuple(parameters),
            last_ms=last_ms,
            quarantined=quarantined,
            dumps=dumps,
        )

    def devices(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[Device]:
        names = sorted(name for name in self.known.get(tenant, {}) if name > after)
        return [self.known[tenant][name] for name in names[:limit]]

    def dumps(self, tenant: str, device: str) -> PlacedDumps | None:
        """Those of which a test says where they are."""
        return self.placed.get((tenant, device))

    def sends_dumps(self, tenant: str, device: str) -> bool:
        """None of these devices does."""
        return False

    def device(self, tenant: str, device: str) -> Device | None:
        return self.known.get(tenant, {}).get(device)

    def band(self, tenant: str, device: str, parameter: str, from_ms: int, to_ms: int) -> Band:
        ts = np.arange(from_ms, to_ms, 60_000, dtype=np.int64)
        value = np.sin(np.arange(len(ts)) / 10) + 20
        verdict = np.where(value > 20.9, Verdict.ABNORMAL, Verdict.NORMAL).astype(np.uint8)
        expected = np.where(np.arange(len(ts)) < 30, np.nan, 20.0)
        return Band(ts, value, expected, expected - 1, expected + 1, verdict)

    def moved_limits(self, tenant: str, device: str) -> Mapping[str, Sequence[MovedLimit]]:
        return dict.fromkeys(self.known[tenant][device].parameters, self.moved)

    def has_heard_all(self, tenant: str, device: str) -> bool:
        return self.heard_all

    def preview(self, said: FeedbackGiven, span_ms: int) -> Difference:
        last = self.known[said.tenant][said.device].last_ms
        return Difference(last - span_ms, last, tuple(self.previewed), ())

    def lasting(self, tenant: str, devices: Collection[str]) -> set[str]:
        return set(self.standing)

    def as_they_stand(self, tenant: str, episodes: Sequence[Episode], now_ms: int) -> list[Episode]:
        return [self.standing.get(episode.id, episode) for episode in episodes]

    def digest(self, tenant: str) -> Digest:
        text = tenant.encode().hex()
        return Digest(
            digest_dumps="d",
            dumps_unjudged=0,
            digest_raw=text,
            digest_scored=text,
            digest_final=text,
            counts={},
            pending=0,
            caught_up=True,
        )


class World:
    """Stores, services and application in `folder`; `keys[tenant][role]` are tokens."""

    def __init__(
        self,
        folder: Path,
        *,
        rates: RateLimits = GENEROUS,
        limits: RequestLimits | None = None,
        parse_limits: ParseLimits | None = None,
        bodies_max: int = 64,
        uploads_max: int = 16,
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing or Tracing()
        self.folder = folder
        self.clock = ManualClock(NOW_MS)
        self.meters = Meters()
        self.log = EmbeddedLog(folder / "log", 4, self.clock)
        self.commits = EmbeddedCommitStore(folder / "commit.db")
        self.inbox = EmbeddedInbox(folder / "inbox.db")
        self.lake = DeltaLake(folder / "lake", self.clock)
        self.abnormal = EmbeddedAbnormalReadings(folder / "abnormal.db")
        self.access = AccessStore(folder / "access.db", self.clock)
        self.passwords = Passwords(CHEAP)
        self.audit_log = AuditLog(folder / "audit.db", self.clock)
        self.catalogue = Catalogue(CatalogueStore(folder / "catalogue.db"))
        self.blobs = EmbeddedBlobStore(folder / "blobs")
        self.replays = Replays(folder / "replays.db")
        self.windows = MaintenanceStore(folder / "maintenance.db")
        self.query_processes = QueryProcesses(memory_bytes=1 << 30)
        self.fleet = KnownFleet()
        self.directory_cache = DirectoryCache(folder / "directory.db", rows_max=10_000)
        self.third_party = SimulatedService(SimulatedMapping([], 1), self.clock)
        ages = DirectoryLimits(at_once=1)
        api = SimulatedDirectoryApi(self.third_party, self.clock)
        asking = Asking(api, self.directory_cache, self.clock, ages)
        self.directory = CachedDirectory(self.directory_cache, asking, self.clock, ages)
        self.proves = False
        self.lease = self.commits.acquire(0)
        self.services = self._services(rates, parse_limits or ParseLimits(), bodies_max, uploads_max)
        self.app = create_app(
            self.services, limits=limits, pages=web.routes(self.services), missing=web.missing(self.services)
        )
        self.keys: dict[str, dict[Role, str]] = {}
        self.access.bootstrap_admin()
        self.access.create_tenant(FOREIGN, created_by="test")
        for tenant in (OWN, FOREIGN):
            self._make_keys(tenant)

    def client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        """A client of the application itself, without a socket."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = options.pop("headers", {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        return httpx.AsyncClient(
            transport=transport, base_url="http://tocsin.test", headers=headers, **options
        )

    def key(self, role: Role = Role.ADMIN, tenant: str = OWN) -> str:
        """The token of a role in a tenant."""
        return self.keys[tenant][role]

    def person(
        self,
        name: str,
        *roles: Role,
        tenant: str = OWN,
        display_name: str = "",
        technician: str | None = None,
        password: str = PASSWORD,
    ) -> str:
        """Let somebody in, a technician unless told otherwise, with a password of their own; the id."""
        new = NewPerson(
            tenant=tenant,
            name=name,
            display_name=display_name or name.capitalize(),
            roles=roles or (Role.TECHNICIAN,),
            technician=technician,
        )
        made = self.access.people.create(
            new,
            password_hash=self.passwords.hash(password),
            one_time_until_ms=None,
            created_by="test",
            tell=lambda _: None,
        )
        return made.person_id

    def sign_in(self, name: str, password: str = PASSWORD) -> dict[str, str]:
        """The headers of a browser in which somebody is signed in, with the token that changes need."""
        place = Place("127.0.0.1", "a browser of the tests")
        cookie = self.services.sessions.by_password(name, password, place).result(60).cookie
        csrf = self.services.sessions.find(cookie).csrf
        return {"Cookie": f"{SESSION_COOKIE}={cookie}", CSRF_HEADER: csrf}

    def invited(self, name: str, *roles: Role, tenant: str = OWN) -> dict[str, str]:
        """As `sign_in`, with a one-time password; whoever is there already gets another one."""
        found = self.access.people.with_hash(tenant, name)
        person_id = self.person(name, *roles, tenant=tenant) if found is None else found[0].person_id
        self.access.people.set_password(
            tenant,
            person_id,
            self.passwords.hash(PASSWORD),
            one_time_until_ms=self.clock.now_ms() + 1000,
            revision=None,
            tell=lambda _: None,
        )
        return self.sign_in(f"{tenant}/{name}")

    def own_key(self, name: str, *scopes: Scope, tenant: str = OWN) -> tuple[str, str]:
        """The id and the token of a key that a person has made."""
        found = self.access.people.with_hash(tenant, name)
        assert found is not None
        key, token = self.access.keys.create(
            tenant,
            found[0].person_id,
            name="phone",
            scopes=scopes,
            expires_ms=self.clock.now_ms() + 86_400_000,
            tell=lambda _: None,
        )
        return key.key_id, token

    def gateway(self, *devices: str, tenant: str = OWN) -> str:
        """A new token that speaks for these devices."""
        new = NewCredential(tenant=tenant, kind=CredentialKind.GATEWAY, name="gateway", devices=devices)
        return self.access.create(new, created_by="test")[1]

    def commit_episode(self, device: str, tenant: str = OWN, **changed: Any) -> int:
        """Commit an episode of a device; the position it has led to."""
        episode = episode_of(device, tenant, **changed)
        position = self.commits.positions()[0] + 1
        self.commits.commit(
            [Commit(0, self.lease.epoch, position - 1, position, Totals(), episodes=[episode])]
        )
        return position

    def find_anomaly(self, device: str, tenant: str = OWN, **changed: Any) -> str:
        """Commit an episode of a device, fold it, and make it known everywhere; the anomaly's id."""
        position = self.commit_episode(device, tenant, **changed)
        rows = self.commits.outbox(self.inbox.position())
        folded = self.inbox.fold(rows, self.clock.now_ms())
        self.fleet.add(tenant, device)
        self.abnormal.append([Findings(0, position, [reading_of(device, tenant, position)])])
        return folded[0].id

    def responsible(self, technician: str, *devices: str, location: str | None = None) -> None:
        """The directory of OWN says now that these are the technician's devices, and where they stand."""
        now_ms = self.clock.now_ms()
        entries = [Entry(device, technician, location) for device in devices]
        self.directory_cache.keep_list(technician, entries, now_ms, now_ms + 900_000, now_ms + 900_000)

    def maintain(self, device: str, tenant: str = OWN, *, why: str = "new bearing", number: int = 1) -> str:
        """Have a device in maintenance for an hour from now on; the window's id, another for each number."""
        now_ms = self.clock.now_ms()
        wanted = Wanted(
            covers=Covers.DEVICE, name=device, from_ms=now_ms, until_ms=now_ms + 3_600_000, why=why
        )
        made = MaintenanceWindow(
            id=f"mw_{tenant}_{device}_{number}",
            tenant=tenant,
            wanted=wanted,
            actor="test",
            key="",
            created_ms=now_ms,
            members=(device,),
        )
        return self.windows.add(made)[0].id

    def close(self) -> None:
        """Close every store."""
        self.query_processes.close()
        self.services.ingest.close()
        self.passwords.close()
        self.services.dumps.close()
        for store in (
            self.log,
            self.commits,
            self.inbox,
            self.lake,
            self.abnormal,
            self.access,
            self.audit_log,
            self.catalogue,
            self.replays,
            self.windows,
            self.directory,
        ):
            store.close()
        self.meters.close()

    def dictionaries(self, tenant: str) -> dict[str, str]:
        """Stands where the runtime stands: those in the log."""
        own = [each for each in self.log.read(0, 0) if each.tenant == tenant]
        decisions = [decode_control(each.payload) for each in own if each.kind is RecordKind.CONTROL]
        return {each.application: each.sha256 for each in decisions if isinstance(each, DictionaryTaken)}

    def explain(self, tenant: str, episode_id: str) -> tuple[Episode, Proof]:
        """Stands where the runtime stands: there are no records behind these episodes, unless `proves`."""
        episode = self.commits.episode(tenant, episode_id)
        if episode is None:
            raise NotFoundError("There is no such episode.")
        if self.proves:
            return episode, Proof(True, 1234, ())
        return episode, prove(episode, Events(tenant, np.zeros(0, np.int64), events_of([])))

    def _make_keys(self, tenant: str) -> None:
        self.keys[tenant] = {Role.DEVICE: self.gateway("pump-7", "fan 1/2", tenant=tenant)}
        for role in set(Role) - {Role.DEVICE}:
            new = NewCredential(tenant=tenant, kind=CredentialKind.API_KEY, name=role.value, roles=(role,))
            self.keys[tenant][role] = self.access.create(new, created_by="test")[1]

    def _services(
        self, rates: RateLimits, parse_limits: ParseLimits, bodies_max: int, uploads_max: int
    ) -> Services:
        audit = AuditTrail(self.audit_log, self.clock, self.meters)
        ingest = Ingest(
            log=self.log,
            catalogue=self.catalogue,
            clock=self.clock,
            meters=self.meters,
            tracing=self.tracing,
            config=IngestConfig(),
            parse_limits=parse_limits,
            bodies_max=bodies_max,
        )
        lasting = Lasting(self.commits, self.fleet, self.clock)
        sight = OwnDevices({OWN: self.directory})
        mapping = DeviceMapping({OWN: self.directory}, sight)
        colleagues = Colleagues(self.access.people)
        lists = threads.semaphore(LISTS_AT_ONCE)
        anomalies = Anomalies(self.inbox, lasting, sight, lists)
        episodes = Episodes(self.commits, sight)
        actions = Actions(self.inbox, audit, self.clock, self.meters, self.access.holder, colleagues, sight)
        dumps = Dumps(
            log=self.log,
            blobs=self.blobs,
            clock=self.clock,
            meters=self.meters,
            limits=ArchiveLimits(),
            uploads_max=uploads_max,
        )
        return Services(
            clock=self.clock,
            meters=self.meters,
            tracing=self.tracing,
            entrance=Entrance(self.access, RateLimiter(rates, self.clock)),
            audit=audit,
            credentials=Credentials(self.access, audit),
            tenants=Tenants(self.access, audit),
            people=People(self.access.people, self.passwords, audit, self.clock),
            ingest=ingest,
            dumps=dumps,
            uploads=Uploads(dumps, self.blobs, self.clock, per_device_max=4),
            kept_dumps=KeptDumps(self.blobs, audit, sight),
            device_dumps=DeviceDumps(self.fleet, sight),
            anomalies=anomalies,
            actions=actions,
            colleagues=colleagues,
            episodes=episodes,
            dead_letters=DeadLetters(self.log, ingest, self.replays, audit, self.clock, self.access.holder),
            devices=Devices(self.fleet, self.inbox, lasting, sight),
            mapping=mapping,
            technicians=Technicians(mapping, self.inbox, lasting, lists),
            dictionaries=Dictionaries(
                self.log, self.blobs, self, anomalies, self.commits, actions, audit, self.clock
            ),
            feedback=Feedbacks(self.log, anomalies, self.commits, actions, self.fleet),
            maintenance=self._maintenances(audit, sight),
            quarantines=Quarantines(self.log, self.fleet, audit, self.clock),
            lasting=lasting,
            series=SeriesCharts(self.fleet, self.fleet, sight),
            short=ShortQuestions(self.abnormal, self.clock, sight),
            sight=sight,
            own_keys=OwnKeys(self.access, audit, self.clock),
            digest=DigestReport(self.fleet),
            queries=Queries(self._query),
            proofs=Proofs(self, episodes),
            health=Health(log=self.log, commits=self.commits, lake=self.lake, inbox=self.inbox, probes={}),
            sessions=Sessions(self.access, self.passwords, audit, self.clock),
            stream=ChangeStream(self.inbox, listeners_max=4, poll_s=0.02),
        )

    def _maintenances(self, audit: AuditTrail, sight: OwnDevices) -> Maintenances:
        directories = {OWN: self.directory}
        return Maintenances(self.log, self.windows, self.fleet, directories, audit, self.clock, sight)

    def _query(self, sql: str, *, tenant: str, rows_max: int, skip_damaged: bool) -> bytes:
        limits = QueryLimits(rows_max=rows_max)
        room = room_of(
            self.lake, self.log, tenant, tail_bytes_max=limits.tail_bytes_max, skip_damaged=skip_damaged
        )
        return self.query_processes.json(room, sql, limits)


async def cut_off(
    world: World, method: str, path: str, begun: bytes, token: str, **headers: str
) -> tuple[int, bytes]:
    """Status and body of the answer to a request that breaks off behind the beginning of its body."""
    given = {"authorization": f"Bearer {token}"} | {name.replace("_", "-"): headers[name] for name in headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("tocsin.test", 80),
    }  # fmt: skip
    pieces = [{"type": "http.request", "body": begun, "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await world.app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def episode_of(device: str, tenant: str = OWN, **changed: Any) -> Episode:
    """An open episode of a device's temperature, a few minutes old."""
    values: dict[str, Any] = {
        "id": f"{tenant}-{device}-{changed.get('started_ms', 0)}",
        "tenant": tenant,
        "application": "pumps",
        "version": "1.0",
        "device": device,
        "parameter": "temperature",
        "detector": "seasonal",
        "reason": "above",
        "severity": Severity.WARNING,
        "started_ms": NOW_MS - 600_000,
        "opened_ms": NOW_MS - 300_000,
        "end_ms": None,
        "last_abnormal_ms": NOW_MS,
        "peak_ms": NOW_MS,
        "readings": 11,
        "value": 93.2,
        "expected": 78.0,
        "lower": 74.9,
        "upper": 81.1,
        "score": 1.8,
        "explanation": f"temperature 93.2 °C of {device} is 12.1 °C above the 81.1 °C limit",
    }
    return Episode(**(values | changed))


def told_template(template: str) -> dict[str, Any]:
    """What makes an episode one that tells of a new template."""
    name = DumpName(epoch=0, sequence=1, sha256="0" * 64)
    dumps = DumpEvidence(
        first=name,
        last=name,
        peak=name,
        count=1,
        version="1",
        sentence="it is new",
        facts={"template": template},
        findings_sha256="",
    )
    evidence = evidence_without_readings(NOW_MS, NOW_MS, partition=0, before_offset=0, dumps=dumps)
    return {"detector": "logs", "reason": "new_template", "evidence": evidence}


def reading_of(device: str, tenant: str, offset: int, ts: int = NOW_MS) -> AbnormalReading:
    """An abnormal reading of now."""
    return AbnormalReading(
        tenant=tenant,
        application="pumps",
        device=device,
        parameter="temperature",
        ts=ts,
        value=93.2,
        expected=78.0,
        lower=74.9,
        upper=81.1,
        score=1.8,
        detector="seasonal",
        partition=0,
        offset=offset,
    )


def lines(*events: dict[str, Any]) -> bytes:
    """Events as NDJSON."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def event(device: str = "pump-7", minute: int = 0, **values: Any) -> dict[str, Any]:
    """One event, some minutes after NOW_MS."""
    return {"device": device, "ts": NOW_MS + minute * 60_000, **(values or {"temperature": 20.1})}
