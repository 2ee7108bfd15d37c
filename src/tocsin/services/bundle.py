"""All use cases together, as the ways in get them from bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.clock import Clock
from tocsin.observability.meters import Meters
from tocsin.observability.tracing import Tracing
from tocsin.services.actions import Actions
from tocsin.services.anomalies import Anomalies
from tocsin.services.audit import AuditTrail
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
from tocsin.services.health import Health
from tocsin.services.ingest import Ingest
from tocsin.services.kept_dumps import KeptDumps
from tocsin.services.lasting import Lasting
from tocsin.services.maintenance import Maintenances
from tocsin.services.mapping import DeviceMapping
from tocsin.services.own_devices import OwnDevices
from tocsin.services.own_keys import OwnKeys
from tocsin.services.people import People
from tocsin.services.proofs import Proofs
from tocsin.services.quarantines import Quarantines
from tocsin.services.query import Queries
from tocsin.services.series import SeriesCharts
from tocsin.services.sessions import Sessions
from tocsin.services.short import ShortQuestions
from tocsin.services.stream import ChangeStream
from tocsin.services.technicians import Technicians
from tocsin.services.uploads import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the API and the pages may call; all of it is thread-safe except `stream`."""

    clock: Clock
    meters: Meters
    tracing: Tracing
    entrance: Entrance
    audit: AuditTrail
    credentials: Credentials
    tenants: Tenants
    people: People
    colleagues: Colleagues
    ingest: Ingest
    dumps: Dumps
    uploads: Uploads
    kept_dumps: KeptDumps
    device_dumps: DeviceDumps
    anomalies: Anomalies
    actions: Actions
    episodes: Episodes
    dead_letters: DeadLetters
    devices: Devices
    mapping: DeviceMapping
    technicians: Technicians
    dictionaries: Dictionaries
    feedback: Feedbacks
    maintenance: Maintenances
    quarantines: Quarantines
    lasting: Lasting
    series: SeriesCharts
    short: ShortQuestions
    sight: OwnDevices
    own_keys: OwnKeys
    digest: DigestReport
    queries: Queries
    proofs: Proofs
    health: Health
    sessions: Sessions
    stream: ChangeStream
