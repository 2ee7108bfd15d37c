"""Every operation and page × role × whose object it is: what is not seen is answered as what nobody has.

A new operation or page breaks the first test until it has a case here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from starlette.routing import Route

from tests.dump_kit import content_digest, good_archive
from tests.http_kit import FOREIGN, OWN, World, told_template
from tests.integration.http.test_dumps import logged
from tests.integration.http.test_permissions import ANYBODYS, NEEDS, PEOPLES_ROLES, PUBLIC, operations
from tocsin import web
from tocsin.access.permissions import TABLE, Permission
from tocsin.access.principal import Role
from tocsin.inbox.action import Action, ActionKind, Target
from tocsin.processing.dump_places import place_dumps
from tocsin.services.sessions import CSRF_HEADER

pytestmark = pytest.mark.anyio


class Owner(StrEnum):
    """Whose device the object belongs to, as one who is asking sees it."""

    MINE = "mine"
    COLLEAGUES = "colleagues"
    FOREIGN = "foreign"
    NOBODYS = "nobodys"


@dataclass(frozen=True)
class Named:
    """Names an object in its address: own ones are found, all others are as the one that nobody has."""

    send: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """Tells of many: of those that are seen, and of nothing else."""

    send: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Apart:
    """Has no object of a device in it that who reads may not know; the reason, or the test that looks."""

    why: str


Case = Named | Listed | Apart
_SENDS: Final = Apart(
    "takes in what the credential may send, by names of its own tenant; nobody who is limited sends"
)
_WHOLE: Final = Apart("is of the whole tenant, for roles that see all of it")
_ACCESS: Final = Apart("is about people and credentials")
_ANY: Final = {"headers": {"If-Match": "*"}}
CASES: Final[dict[tuple[str, str], Case]] = {
    ("POST", "/v1/events"): _SENDS,
    ("POST", "/v1/logs"): _SENDS,
    ("PUT", "/v1/devices/{device}/dumps/{sequence}"): _SENDS,
    ("OPTIONS", "/v1/dumps"): _SENDS,
    ("POST", "/v1/dumps"): _SENDS,
    ("HEAD", "/v1/dumps/{device}/{sequence}/{sha256}"): _SENDS,
    ("PATCH", "/v1/dumps/{device}/{sequence}/{sha256}"): _SENDS,
    ("DELETE", "/v1/dumps/{device}/{sequence}/{sha256}"): _SENDS,
    ("GET", "/v1/anomalies"): Listed(),
    ("GET", "/v1/anomalies/changes"): Listed(),
    ("GET", "/v1/anomalies/{anomaly_id}"): Named(),
    ("GET", "/v1/anomalies/{anomaly_id}/history"): Named(),
    ("POST", "/v1/anomalies/{anomaly_id}/{action}"): Named({"json": {"note": "it hums"}}),
    ("POST", "/v1/anomalies/{anomaly_id}/expected"): Named(),
    ("POST", "/v1/anomalies/{anomaly_id}/feedback"): Named({"json": {"kind": "false_alarm"}} | _ANY),
    ("POST", "/v1/anomalies/{anomaly_id}/feedback/preview"): Named({"json": {"kind": "false_alarm"}}),
    ("POST", "/v1/anomalies/actions"): Apart("see test_one_action_on_many_anomalies"),
    ("POST", "/v1/actions/{action_sequence}/undo"): Named(),
    ("GET", "/v1/dictionary"): Apart("is of an application, not of a device"),
    ("PUT", "/v1/dictionary"): _WHOLE,
    ("GET", "/v1/episodes"): Listed(),
    ("GET", "/v1/episodes/{episode_id}"): Named(),
    ("GET", "/v1/episodes/{episode_id}/revisions"): Named(),
    ("GET", "/v1/episodes/{episode_id}/proof"): Named(),
    ("GET", "/v1/maintenance"): Listed(),
    ("POST", "/v1/maintenance"): Apart("names the device in its body: see test_maintenance.py"),
    ("GET", "/v1/maintenance/{window_id}"): Named(),
    ("PATCH", "/v1/maintenance/{window_id}"): Named(_ANY | {"json": {"why": "oil"}}),
    ("POST", "/v1/maintenance/{window_id}/end"): Named(_ANY),
    ("GET", "/v1/devices"): Listed(),
    ("GET", "/v1/devices/{device}"): Named(),
    ("GET", "/v1/devices/{device}/series"): Named(),
    ("GET", "/v1/devices/{device}/series/{parameter}"): Named(),
    ("POST", "/v1/devices/{device}/quarantine"): Named({"json": {"reason": "r"}}),
    ("DELETE", "/v1/devices/{device}/quarantine"): Named(),
    ("GET", "/v1/devices/{device}/dumps"): Named(),
    ("GET", "/v1/devices/{device}/dumps/{sequence}"): Named(),
    ("GET", "/v1/devices/{device}/dumps/{sequence}/archive"): Named(),
    ("GET", "/v1/technicians/{technician_id}/devices"): Named(),
    ("GET", "/v1/technicians/{technician_id}/anomalies"): Named(),
    ("GET", "/v1/technicians/{technician_id}/changes"): Named(),
    ("GET", "/v1/locations"): Listed(),
    ("GET", "/v1/locations/{location}/devices"): Named(),
    ("GET", "/v1/stream"): Apart("never ends: see test_server.py, as it is heard over a socket"),
    ("GET", "/api/latest_anomalies"): Listed(),
    ("GET", "/api/outliers_count"): Apart("is a number: see test_the_count_is_of_what_is_seen"),
    ("GET", "/v1/digest"): _WHOLE,
    ("GET", "/v1/dead-letters"): _WHOLE,
    ("GET", "/v1/dead-letters/{letter_id}"): _WHOLE,
    ("GET", "/v1/dead-letters/{letter_id}/body"): _WHOLE,
    ("POST", "/v1/dead-letters/{letter_id}/replay"): _WHOLE,
    ("POST", "/v1/query"): _WHOLE,
    ("GET", "/v1/audit"): _WHOLE,
    ("GET", "/v1/credentials"): _ACCESS,
    ("POST", "/v1/credentials"): _ACCESS,
    ("DELETE", "/v1/credentials/{key_id}"): _ACCESS,
    ("GET", "/v1/people"): _ACCESS,
    ("POST", "/v1/people"): _ACCESS,
    ("GET", "/v1/people/{person_id}"): _ACCESS,
    ("PATCH", "/v1/people/{person_id}"): _ACCESS,
    ("POST", "/v1/people/{person_id}/one-time-password"): _ACCESS,
    ("GET", "/v1/people/{person_id}/keys"): _ACCESS,
    ("DELETE", "/v1/people/{person_id}/keys/{key_id}"): _ACCESS,
    ("GET", "/v1/tenants"): _ACCESS,
    ("POST", "/v1/tenants"): _ACCESS,
    **dict.fromkeys(PUBLIC | ANYBODYS, _ACCESS),
}
_OWN_SELF: Final = Apart("is about who looks, or about nothing of a tenant")
PAGES: Final[dict[tuple[str, str], Case]] = {
    ("GET", "/"): Listed(),
    ("GET", "/fleet"): Listed(),
    ("GET", "/live"): Listed(),
    ("GET", "/inbox"): Listed(),
    ("GET", "/inbox/live"): Listed(),
    ("GET", "/anomalies/{anomaly_id}"): Named(),
    ("GET", "/anomalies/{anomaly_id}/live"): Named(),
    ("POST", "/anomalies/{anomaly_id}"): Named({"data": {"action": "comment", "note": "x", "version": "1"}}),
    ("GET", "/anomalies/{anomaly_id}/feedback"): Named(),
    ("POST", "/anomalies/{anomaly_id}/feedback"): Named({"data": {"kind": "false_alarm", "do": "preview"}}),
    ("GET", "/anomalies/{anomaly_id}/proof/{episode_id}"): Named(),
    ("GET", "/devices/{device}"): Named(),
    ("GET", "/technicians/{technician_id}"): Named(),
    ("GET", "/technicians/{technician_id}/live"): Named(),
    ("GET", "/locations"): Listed(),
    ("GET", "/locations/{location}"): Named(),
    ("GET", "/maintenance"): Listed(),
    ("POST", "/maintenance"): Apart("names window or device in its form: see test_maintenance_pages.py"),
    ("GET", "/health"): _OWN_SELF,
    ("GET", "/account"): _OWN_SELF,
    ("POST", "/account/password"): _OWN_SELF,
    ("POST", "/account/sessions"): _OWN_SELF,
    ("POST", "/account/keys"): _OWN_SELF,
    ("POST", "/account/keys/revoke"): _OWN_SELF,
    ("GET", "/login"): _OWN_SELF,
    ("POST", "/login"): _OWN_SELF,
    ("POST", "/logout"): _OWN_SELF,
    ("GET", "/static/{name}"): _OWN_SELF,
}
NAMED: Final = sorted(each for each, case in (CASES | PAGES).items() if isinstance(case, Named))
LISTED: Final = sorted(each for each, case in (CASES | PAGES).items() if isinstance(case, Listed))
TECHNICIANS: Final = {
    Owner.MINE: "6f9619ff-8b86-4011-b42d-00c04fc964ff",
    Owner.COLLEAGUES: "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10",
    Owner.FOREIGN: "22222222-2222-4222-8222-222222222222",
    Owner.NOBODYS: "33333333-3333-4333-8333-333333333333",
}
EXISTING: Final = (Owner.MINE, Owner.COLLEAGUES, Owner.FOREIGN)
DUMP: Final = good_archive()


def tenant_of(owner: Owner) -> str:
    return FOREIGN if owner is Owner.FOREIGN else OWN


def device_of(owner: Owner) -> str:
    """Never part of another word, so that it shows in an answer only if it is told."""
    return f"device-of-{owner}"


def sees(role: Role, owner: Owner) -> bool:
    """The law: the tenant, or the own devices."""
    return owner is Owner.MINE or (owner is Owner.COLLEAGUES and role is not Role.TECHNICIAN)


@dataclass
class Objects:
    """One of everything for each owner but nobody; somebody signed in of each role."""

    world: World
    ids: dict[Owner, dict[str, str]]
    browsers: dict[Role, dict[str, str]]

    def names(self, owner: Owner, path: str) -> dict[str, str]:
        """What the address names; an action is made anew, since it is undone once."""
        names = dict(self.ids[owner])
        if path.endswith("/expected"):
            names["anomaly_id"] = names["told_id"]
        if "{action_sequence}" in path:
            names["action_sequence"] = "999999999" if owner is Owner.NOBODYS else self._act(owner)
        return names

    def _act(self, owner: Owner) -> str:
        target = Target(id=self.ids[owner]["anomaly_id"])
        kinds = (ActionKind.RESOLVE, ActionKind.REOPEN)
        for kind in kinds:
            action = Action(kind=kind, tenant=tenant_of(owner), actor="m", at_ms=0, targets=(target,))
            recorded = self.world.inbox.act(action)
            if recorded.sequence:
                return str(recorded.sequence)
        raise AssertionError(owner)

    async def ask(self, operation: tuple[str, str], role: Role, owner: Owner = Owner.MINE) -> httpx.Response:
        method, template = operation
        path = template
        for name, value in self.names(owner, template).items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        assert "{" not in path
        case = (CASES | PAGES)[operation]
        send: dict[str, Any] = {} if isinstance(case, Apart) else dict(case.send)
        headers = self.browsers[role] | send.pop("headers", {})
        if "data" in send:
            send["data"] = send["data"] | {"csrf": headers[CSRF_HEADER], "key": f"{role}{owner}"}
        async with self.world.client(headers=headers) as client:
            answer = await client.request(method, path, **send)
            if isinstance(case, Listed) and answer.status_code == 303:
                answer = await client.get(answer.headers["location"])  # a technician's first page is another
            return answer


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    world = World(Path(tmp_path_factory.mktemp("objects")))
    ids: dict[Owner, dict[str, str]] = {}
    for owner in EXISTING:
        tenant, device = tenant_of(owner), device_of(owner)
        anomaly = world.find_anomaly(device, tenant)
        told = world.find_anomaly(
            device, tenant, started_ms=1, last_abnormal_ms=2, end_ms=3, **told_template(device)
        )
        found = world.inbox.anomaly(tenant, anomaly)
        assert found is not None
        ids[owner] = {"anomaly_id": anomaly, "told_id": told, "episode_id": found.episodes[0]}
        ids[owner]["window_id"] = world.maintain(device, tenant)
        if tenant == OWN:
            world.responsible(TECHNICIANS[owner], device, location=f"hall of {device}")
    nobodys = {"anomaly_id": "an_none", "told_id": "an_none", "episode_id": "none", "window_id": "mw_none"}
    ids[Owner.NOBODYS] = nobodys
    now_ms = world.clock.now_ms()
    for owner in (Owner.FOREIGN, Owner.NOBODYS):
        world.directory_cache.forget_technician(TECHNICIANS[owner], now_ms, now_ms)
    for owner in Owner:
        ids[owner] |= {
            "device": device_of(owner),
            "technician_id": TECHNICIANS[owner],
            "location": f"hall of {device_of(owner)}",
            "parameter": "temperature",
            "sequence": "1",
            "action": "comment",
        }
    for role in PEOPLES_ROLES:
        world.person(role.value, role, technician=TECHNICIANS[Owner.MINE])
    browsers: dict[Role, dict[str, str]] = {role: world.sign_in(role.value) for role in PEOPLES_ROLES}
    yield Objects(world, ids, browsers)
    world.close()


@pytest.fixture(autouse=True)
async def _dumps(objects: Objects) -> None:
    """A dump of each device, in order; again changes nothing."""
    for owner in EXISTING:
        tenant, device = tenant_of(owner), device_of(owner)
        if (tenant, device) in objects.world.fleet.placed:
            continue
        async with objects.world.client(objects.world.key(Role.ADMIN, tenant)) as client:
            digest = {"Content-Digest": content_digest(DUMP)}
            sent = await client.put(f"/v1/devices/{device}/dumps/1", content=DUMP, headers=digest)
            assert sent.status_code == 201
        own = [each for each in logged(objects.world) if (each.tenant, each.device) == (tenant, device)]
        objects.world.fleet.placed[tenant, device] = place_dumps(own)


def pages(world: World) -> set[tuple[str, str]]:
    """Method and address of every page there is."""
    routes = [route for route in web.routes(world.services) if isinstance(route, Route)]
    return {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}


async def test_every_operation_and_page_has_a_case(objects: Objects) -> None:
    """A new one is refused here until it is said what of it whom concerns."""
    assert operations(objects.world) == set(CASES)
    assert pages(objects.world) == set(PAGES)


async def test_what_names_an_object_is_asked_for_others(objects: Objects) -> None:
    """Whoever reads or handles can't be told to look apart where an address names an object of a device."""
    of_devices = re.compile(
        r"\{(anomaly_id|episode_id|device|technician_id|location|action_sequence|window_id)\}"
    )
    for operation, case in (CASES | PAGES).items():
        if of_devices.search(operation[1]) and NEEDS.get(operation) is not Permission.INGEST:
            assert isinstance(case, Named), operation


@pytest.mark.parametrize("role", PEOPLES_ROLES)
@pytest.mark.parametrize("operation", NAMED, ids=" ".join)
async def test_what_is_not_seen_is_answered_as_what_nobody_has(
    objects: Objects, operation: tuple[str, str], role: Role
) -> None:
    """The same status, and for programs the same bytes; what is seen has another answer."""
    is_form = operation[0] == "POST" or operation[1].endswith("/feedback")
    needed = NEEDS.get(operation, Permission.HANDLE if is_form else Permission.READ)
    nobodys = await objects.ask(operation, role, Owner.NOBODYS)
    for owner in EXISTING:
        answer = await objects.ask(operation, role, owner)
        if needed not in TABLE[role]:
            assert answer.status_code in {403, 404}
            assert owner is not Owner.COLLEAGUES or device_of(owner) not in answer.text
        elif sees(role, owner):
            assert answer.status_code in {200, 303}, answer.text
            assert answer.text != nobodys.text or answer.status_code == 303
        else:
            assert answer.status_code == nobodys.status_code
            assert answer.status_code == 404 or "location" in operation[1]
            if operation in CASES:
                assert answer.text == nobodys.text


@pytest.mark.parametrize("role", PEOPLES_ROLES)
@pytest.mark.parametrize("operation", LISTED, ids=" ".join)
async def test_lists_tell_of_what_is_seen_alone(
    objects: Objects, operation: tuple[str, str], role: Role
) -> None:
    """Everything that is seen is there, and no name or id of anything else."""
    text = (await objects.ask(operation, role)).text
    for owner in EXISTING:
        told = [name for name in (device_of(owner), objects.ids[owner]["anomaly_id"]) if name in text]
        assert bool(told) is sees(role, owner), (owner, told)


@pytest.mark.parametrize("role", PEOPLES_ROLES)
async def test_one_action_on_many_anomalies(objects: Objects, role: Role) -> None:
    """Those that are seen take it; all others are left in the words for what nobody has."""
    wanted = [{"id": objects.ids[owner]["anomaly_id"]} for owner in Owner]
    body = {"action": "comment", "note": "it hums", "anomalies": wanted}
    async with objects.world.client(headers=objects.browsers[role]) as client:
        answer = await client.post("/v1/anomalies/actions", json=body)
    if Permission.HANDLE not in TABLE[role]:
        assert answer.status_code == 403
        return
    left = {each["id"]: each for each in answer.json()["left"]}
    nobodys = left[objects.ids[Owner.NOBODYS]["anomaly_id"]]
    for owner in EXISTING:
        anomaly = objects.ids[owner]["anomaly_id"]
        assert left.get(anomaly) == (None if sees(role, owner) else nobodys | {"id": anomaly})


@pytest.mark.parametrize("role", PEOPLES_ROLES)
async def test_the_count_is_of_what_is_seen(objects: Objects, role: Role) -> None:
    """Each device has one reading at the same time."""
    async with objects.world.client(headers=objects.browsers[role]) as client:
        answer = await client.get("/api/outliers_count", params={"time_range": "30d"})
    assert answer.json()["outliers_count"] == sum(sees(role, owner) for owner in EXISTING)
