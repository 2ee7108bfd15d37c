"""Every operation × role × tenant: the status follows the permission table, and nothing leaks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from tests.dump_kit import content_digest, good_archive
from tests.http_kit import FOREIGN, NDJSON, NOW_MS, OWN, PASSWORD, World, event, lines, told_template
from tests.integration.http.test_dumps import logged
from tests.integration.http.test_uploads import PIECE, TUS, announcement
from tocsin.access.permissions import TABLE, Permission
from tocsin.access.principal import Role, Scope
from tocsin.inbox.action import Action, ActionKind, Target
from tocsin.processing.dump_places import place_dumps
from tocsin.services.sessions import CSRF_HEADER
from tocsin.templates.dictionary import dictionary_of

pytestmark = pytest.mark.anyio

MARKER: Final = "marker-of-the-first-tenant"
TECHNICIAN: Final = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
DEVICE: Final = f"{MARKER}/1 %2F"
LOG_LINE: Final = b'{"device":"pump-7","component":"door","time":1795341600000,"text":"closed"}'
PUBLIC: Final = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
NEEDS: Final = {
    ("POST", "/v1/events"): Permission.INGEST,
    ("POST", "/v1/logs"): Permission.INGEST,
    ("GET", "/v1/anomalies"): Permission.READ,
    ("GET", "/v1/anomalies/changes"): Permission.READ,
    ("GET", "/v1/anomalies/{anomaly_id}"): Permission.READ,
    ("GET", "/v1/anomalies/{anomaly_id}/history"): Permission.READ,
    ("POST", "/v1/anomalies/{anomaly_id}/{action}"): Permission.HANDLE,
    ("POST", "/v1/anomalies/{anomaly_id}/expected"): Permission.HANDLE,
    ("POST", "/v1/anomalies/{anomaly_id}/feedback"): Permission.HANDLE,
    ("POST", "/v1/anomalies/{anomaly_id}/feedback/preview"): Permission.HANDLE,
    ("GET", "/v1/dictionary"): Permission.READ,
    ("PUT", "/v1/dictionary"): Permission.OPERATE,
    ("POST", "/v1/anomalies/actions"): Permission.HANDLE,
    ("POST", "/v1/actions/{action_sequence}/undo"): Permission.HANDLE,
    ("GET", "/v1/episodes"): Permission.READ,
    ("GET", "/v1/episodes/{episode_id}"): Permission.READ,
    ("GET", "/v1/episodes/{episode_id}/revisions"): Permission.READ,
    ("GET", "/v1/episodes/{episode_id}/proof"): Permission.READ,
    ("GET", "/v1/devices"): Permission.READ,
    ("GET", "/v1/devices/{device}"): Permission.READ,
    ("GET", "/v1/devices/{device}/series"): Permission.READ,
    ("GET", "/v1/devices/{device}/series/{parameter}"): Permission.READ,
    ("GET", "/v1/maintenance"): Permission.READ,
    ("POST", "/v1/maintenance"): Permission.HANDLE,
    ("GET", "/v1/maintenance/{window_id}"): Permission.READ,
    ("PATCH", "/v1/maintenance/{window_id}"): Permission.HANDLE,
    ("POST", "/v1/maintenance/{window_id}/end"): Permission.HANDLE,
    ("POST", "/v1/devices/{device}/quarantine"): Permission.OPERATE,
    ("DELETE", "/v1/devices/{device}/quarantine"): Permission.OPERATE,
    ("PUT", "/v1/devices/{device}/dumps/{sequence}"): Permission.INGEST,
    ("GET", "/v1/devices/{device}/dumps"): Permission.READ,
    ("GET", "/v1/devices/{device}/dumps/{sequence}"): Permission.READ,
    ("GET", "/v1/devices/{device}/dumps/{sequence}/archive"): Permission.OPERATE,
    ("OPTIONS", "/v1/dumps"): Permission.INGEST,
    ("POST", "/v1/dumps"): Permission.INGEST,
    ("HEAD", "/v1/dumps/{device}/{sequence}/{sha256}"): Permission.INGEST,
    ("PATCH", "/v1/dumps/{device}/{sequence}/{sha256}"): Permission.INGEST,
    ("DELETE", "/v1/dumps/{device}/{sequence}/{sha256}"): Permission.INGEST,
    ("GET", "/v1/technicians/{technician_id}/devices"): Permission.READ,
    ("GET", "/v1/technicians/{technician_id}/anomalies"): Permission.READ,
    ("GET", "/v1/technicians/{technician_id}/changes"): Permission.READ,
    ("GET", "/v1/locations"): Permission.READ,
    ("GET", "/v1/locations/{location}/devices"): Permission.READ,
    ("GET", "/v1/stream"): Permission.READ,
    ("GET", "/api/latest_anomalies"): Permission.READ,
    ("GET", "/api/outliers_count"): Permission.READ,
    ("GET", "/v1/digest"): Permission.OPERATE,
    ("GET", "/v1/dead-letters"): Permission.OPERATE,
    ("GET", "/v1/dead-letters/{letter_id}"): Permission.OPERATE,
    ("GET", "/v1/dead-letters/{letter_id}/body"): Permission.OPERATE,
    ("POST", "/v1/dead-letters/{letter_id}/replay"): Permission.OPERATE,
    ("POST", "/v1/query"): Permission.OPERATE,
    ("GET", "/v1/credentials"): Permission.ADMINISTER,
    ("POST", "/v1/credentials"): Permission.ADMINISTER,
    ("DELETE", "/v1/credentials/{key_id}"): Permission.ADMINISTER,
    ("GET", "/v1/people"): Permission.ADMINISTER,
    ("POST", "/v1/people"): Permission.ADMINISTER,
    ("GET", "/v1/people/{person_id}"): Permission.ADMINISTER,
    ("PATCH", "/v1/people/{person_id}"): Permission.ADMINISTER,
    ("POST", "/v1/people/{person_id}/one-time-password"): Permission.ADMINISTER,
    ("GET", "/v1/people/{person_id}/keys"): Permission.ADMINISTER,
    ("DELETE", "/v1/people/{person_id}/keys/{key_id}"): Permission.ADMINISTER,
    ("GET", "/v1/tenants"): Permission.ADMINISTER,
    ("POST", "/v1/tenants"): Permission.ADMINISTER,
    ("GET", "/v1/audit"): Permission.ADMINISTER,
}
ANYBODYS: Final = {
    ("GET", "/v1/me"),
    ("POST", "/v1/me/password"),
    ("GET", "/v1/me/sessions"),
    ("DELETE", "/v1/me/sessions/{session_id}"),
    ("GET", "/v1/me/keys"),
    ("POST", "/v1/me/keys"),
    ("DELETE", "/v1/me/keys/{key_id}"),
}
"""Whoever is let in at all may ask these, of the own self."""

READING: Final = {"GET", "HEAD", "OPTIONS"}
CHANGING: Final = sorted(each for each in set(NEEDS) | ANYBODYS if each[0] not in READING)
PEOPLES_ROLES: Final = [role for role in Role if role is not Role.DEVICE]
DUMP: Final = good_archive()
DICTIONARY: Final = dictionary_of([("fan <*> stopped", 3)]).to_json()
GUIDS: Final = {Role.TECHNICIAN: TECHNICIAN}
UPLOAD: Final = f"/v1/dumps/pump-7/9/{hashlib.sha256(DUMP).hexdigest()}"
WHEN: Final = {"from": str(NOW_MS), "to": str(NOW_MS + 3_600_000)}
HTTP_CODES: Final = {401: "unauthenticated", 403: "forbidden"}
STREAM: Final = ("GET", "/v1/stream")  # never ends, so only its refusals are asked for here


@dataclass
class Populated:
    """A world in which the first tenant has one of everything, all of it marked.

    `browsers[tenant][role]` are the headers of somebody with that role who is signed in.
    """

    world: World
    ids: dict[str, str]
    browsers: dict[str, dict[Role, dict[str, str]]]


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Populated]:
    world = World(Path(tmp_path_factory.mktemp("permissions")))
    anomaly = world.find_anomaly(DEVICE)
    told = world.find_anomaly("press-1", **told_template(MARKER))
    world.fleet.add(OWN, "pump-7")
    world.responsible(TECHNICIAN, DEVICE, "press-1", "pump-7", location=MARKER)
    resolved = Action(
        kind=ActionKind.RESOLVE, tenant=OWN, actor="m", at_ms=0, targets=(Target(id=anomaly),), note=MARKER
    )
    world.inbox.act(resolved)
    browsers: dict[str, dict[Role, dict[str, str]]] = {OWN: {}, FOREIGN: {}}
    for tenant, of_tenant in browsers.items():
        for role in PEOPLES_ROLES:
            world.person(role.value, role, tenant=tenant, technician=GUIDS.get(role))
            of_tenant[role] = world.sign_in(f"{tenant}/{role.value}")
    maria = world.person("maria", display_name=MARKER)
    yield Populated(
        world,
        {
            "anomaly_id": anomaly,
            "action": "comment",
            "told_id": told,
            "action_sequence": "1",
            "episode_id": world.inbox.anomaly(OWN, anomaly).episodes[0],  # type: ignore[union-attr]
            "device": DEVICE,
            "technician_id": TECHNICIAN,
            "location": MARKER,
            "parameter": "temperature",
            "letter_id": "1",
            "sequence": "1",
            "key_id": world.access.credentials(OWN)[0].key_id,
            "person_id": maria,
            "own_key": world.own_key("maria", Scope.READ)[0],
            "session_id": "0123456789abcdef",
            "window_id": world.maintain(DEVICE, why=MARKER),
            "ended_id": world.maintain(DEVICE, why=MARKER, number=2),
        },
        browsers,
    )
    world.close()


@pytest.fixture(autouse=True)
async def _sent(populated: Populated) -> None:
    """One good event and one dead letter of the first tenant, the marker in both; again changes nothing."""
    body = lines(event(DEVICE)) + MARKER.encode() + b"\n"
    key = {"Idempotency-Key": "populate"}
    async with populated.world.client(populated.world.key(Role.OPERATOR)) as client:
        answer = await client.post("/v1/events", content=body, headers=NDJSON | key)
        sent = await client.put(
            "/v1/devices/pump-7/dumps/1", content=DUMP, headers={"Content-Digest": content_digest(DUMP)}
        )
        assert sent.status_code in {200, 201}
        populated.world.fleet.placed[OWN, "pump-7"] = place_dumps(logged(populated.world))
        await client.delete(UPLOAD, headers=TUS)
        announced = await client.post("/v1/dumps", headers=announcement(sequence="9"))
        assert (announced.status_code, announced.headers["location"]) == (201, UPLOAD)
    assert answer.status_code == 200


async def ask(
    populated: Populated,
    operation: tuple[str, str],
    token: str | None,
    browser: Mapping[str, str] = MappingProxyType({}),
) -> httpx.Response:
    """The operation with valid arguments that name what the first tenant has."""
    method, template = operation
    path = template.replace("{device}/dumps", "pump-7/dumps")  # a device token speaks for it
    path = path.replace("{device}/quarantine", "pump-7/quarantine")  # refusals are in the asker's audit log
    path = path.replace("{anomaly_id}/expected", "{told_id}/expected")
    path = path.replace("{window_id}/end", "{ended_id}/end")  # what is over can't be changed
    path = path.replace("/keys/{key_id}", f"/keys/{populated.ids['own_key']}")
    path = UPLOAD if path.startswith("/v1/dumps/") else path
    for name, value in populated.ids.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    bodies: dict[str, dict[str, Any]] = {
        "/v1/events": {"content": lines(event()), "headers": NDJSON},
        "/v1/logs": {"content": LOG_LINE, "headers": NDJSON},
        "/api/outliers_count": {"params": {"time_range": "4h"}},
        "/v1/query": {"json": {"sql": "SELECT * FROM readings"}},
        "/v1/maintenance": {"json": {"device": DEVICE, "why": MARKER} | WHEN},
        "/v1/maintenance/{window_id}": {"json": {"why": MARKER}, "headers": {"If-Match": "*"}},
        "/v1/maintenance/{window_id}/end": {"headers": {"If-Match": "*"}},
        "/v1/devices/{device}/quarantine": {"json": {"reason": MARKER}},
        "/v1/anomalies/{anomaly_id}/{action}": {"json": {"note": MARKER}},
        "/v1/anomalies/{anomaly_id}/feedback/preview": {"json": {"kind": "false_alarm"}},
        "/v1/anomalies/{anomaly_id}/feedback": {
            "json": {"kind": "false_alarm", "note": MARKER},
            "headers": {"If-Match": "*"},
        },
        "/v1/anomalies/actions": {
            "json": {
                "action": "comment",
                "note": "it hums",
                "anomalies": [{"id": populated.ids["anomaly_id"]}],
            }
        },
        "/v1/me/password": {"json": {"current": PASSWORD, "new": "another one, as long"}},
        "/v1/me/keys": {"json": {"name": "phone", "scopes": ["read"]}},
        "/v1/people": {"json": {"name": f"p{time.time_ns()}", "display_name": "P", "roles": ["viewer"]}},
        "/v1/people/{person_id}": {"json": {"display_name": MARKER}, "headers": {"If-Match": "*"}},
        "/v1/tenants": {"json": {"name": f"t{time.time_ns()}"}},
        "/v1/credentials": {"json": {"kind": "api_key", "name": "new", "roles": ["viewer"]}},
    }
    if template == "/v1/dictionary" and method == "PUT":
        bodies[template] = {"content": DICTIONARY}
    elif method == "PUT":
        path = path.removesuffix("1") + "2"  # the first is there already
        bodies[template] = {"content": DUMP, "headers": {"Content-Digest": content_digest(DUMP)}}
    if "/v1/dumps" in template and not template.startswith("/v1/devices"):
        headers = announcement(sequence="10") | PIECE | {"Upload-Offset": "0"} | dict(browser)
        content = DUMP[:5] if method == "PATCH" else None
        async with populated.world.client(token) as client:
            return await client.request(method, path, headers=headers, content=content)
    given = method in {"POST", "PUT", "PATCH"} or template.startswith("/api")
    options = bodies.get(template, {}) if given else {}
    options["headers"] = options.get("headers", {}) | dict(browser)
    async with populated.world.client(token) as client:
        return await client.request(method, path, **options)


def refusal(answer: httpx.Response, operation: tuple[str, str]) -> tuple[int, str]:
    """Status and code; the answer to HEAD has no body."""
    code = HTTP_CODES[answer.status_code] if operation[0] == "HEAD" else answer.json()["code"]
    return answer.status_code, code


def operations(world: World) -> set[tuple[str, str]]:
    paths = world.app.openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def test_every_operation_is_in_the_table(populated: Populated) -> None:
    """A new operation needs a permission here before it passes."""
    assert operations(populated.world) == set(NEEDS) | PUBLIC | ANYBODYS


@pytest.mark.parametrize("operation", sorted(set(NEEDS) | ANYBODYS), ids=" ".join)
async def test_no_credential(populated: Populated, operation: tuple[str, str]) -> None:
    """Without a credential, or with one that nobody holds, it is 401 and says how to sign in."""
    for token in (None, "nonsense", "tcs_0123456789abcdef_" + "x" * 43):
        answer = await ask(populated, operation, token)
        assert refusal(answer, operation) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("operation", sorted(NEEDS), ids=" ".join)
async def test_roles_follow_the_table(populated: Populated, operation: tuple[str, str], role: Role) -> None:
    """A role without the permission gets 403, one with it gets what it asked for."""
    allowed = NEEDS[operation] in TABLE[role]
    if operation == STREAM and allowed:
        return
    if operation == ("DELETE", "/v1/credentials/{key_id}") and allowed:
        return  # would end the credential under test; revoking has a test of its own
    answer = await ask(populated, operation, populated.world.key(role))
    require_answer(answer, operation, allowed=allowed)


def require_answer(answer: httpx.Response, operation: tuple[str, str], *, allowed: bool) -> None:
    """What was asked for, or the refusal of who may not."""
    if allowed:
        assert answer.status_code in {200, 201, 204} or (
            operation[1].endswith("/replay") and answer.status_code == 400
        ), answer.text
    else:
        assert refusal(answer, operation) == (403, "forbidden")


@pytest.mark.parametrize("role", PEOPLES_ROLES)
@pytest.mark.parametrize("operation", sorted(NEEDS), ids=" ".join)
async def test_people_who_are_signed_in_follow_the_same_table(
    populated: Populated, operation: tuple[str, str], role: Role
) -> None:
    """By cookie and token against forged requests, somebody may do what the same role of a key may."""
    allowed = NEEDS[operation] in TABLE[role]
    if allowed and operation in {STREAM, ("DELETE", "/v1/credentials/{key_id}")}:
        return
    answer = await ask(populated, operation, None, populated.browsers[OWN][role])
    require_answer(answer, operation, allowed=allowed)


@pytest.mark.parametrize("role", PEOPLES_ROLES)
@pytest.mark.parametrize("operation", CHANGING, ids=" ".join)
async def test_a_cookie_alone_changes_nothing(
    populated: Populated, operation: tuple[str, str], role: Role
) -> None:
    """A browser sends its cookie whoever wrote the page: every change needs the token besides."""
    cookie = {"Cookie": populated.browsers[OWN][role]["Cookie"]}
    for forged in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: populated.browsers[FOREIGN][role][CSRF_HEADER]}):
        answer = await ask(populated, operation, None, cookie | forged)
        assert refusal(answer, operation) == (403, "forbidden")
        assert CSRF_HEADER in answer.text


@pytest.mark.parametrize("operation", sorted(set(NEEDS) | ANYBODYS), ids=" ".join)
async def test_a_one_time_password_is_good_for_a_password_alone(
    populated: Populated, operation: tuple[str, str]
) -> None:
    """Whoever has not chosen one yet is told to, whatever else is asked for."""
    invited = populated.world.invited("admin-to-be", Role.ADMIN)
    answer = await ask(populated, operation, None, invited)
    if operation == ("GET", "/v1/me"):
        assert (answer.json()["must_change_password"], answer.json()["permissions"]) == (True, [])
    elif operation == ("POST", "/v1/me/password"):
        assert answer.status_code == 204
    elif operation[0] == "HEAD":
        assert answer.status_code == 403
    else:
        assert refusal(answer, operation) == (403, "password_change_required")


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_may_ask_who_they_are(populated: Populated, role: Role) -> None:
    """The permissions that are told are those of the table, for keys and for people."""
    may = sorted(permission.value for permission in TABLE[role])
    for tenant in (OWN, FOREIGN):
        told = (await ask(populated, ("GET", "/v1/me"), populated.world.key(role, tenant))).json()
        assert (told["tenant"], told["roles"], told["permissions"]) == (tenant, [role.value], may)
        if role in PEOPLES_ROLES:
            told = (await ask(populated, ("GET", "/v1/me"), None, populated.browsers[tenant][role])).json()
            assert (told["tenant"], told["permissions"], told["id"]) == (tenant, may, told["person"])


@pytest.mark.parametrize("role", PEOPLES_ROLES)
async def test_nobody_ends_the_sessions_of_another(populated: Populated, role: Role) -> None:
    """Neither a colleague's, nor another tenant's, whatever the role; the own one can be ended."""
    world = populated.world
    own = world.sign_in(f"{OWN}/{role.value}")
    sessions = (await ask(populated, ("GET", "/v1/me/sessions"), None, own)).json()["sessions"]
    mine = next(each["id"] for each in sessions if each["current"])
    strangers = [
        *(populated.browsers[OWN][other] for other in PEOPLES_ROLES if other is not role),
        *populated.browsers[FOREIGN].values(),
    ]
    async with world.client() as client:
        for stranger in strangers:
            answer = await client.delete(f"/v1/me/sessions/{mine}", headers=stranger)
            assert answer.status_code == 404
            assert mine not in (await client.get("/v1/me/sessions", headers=stranger)).text
        keys = {"Authorization": f"Bearer {world.key()}"}
        assert (await client.delete(f"/v1/me/sessions/{mine}", headers=keys)).status_code == 404
        assert (await client.get("/v1/me", headers=own)).status_code == 200
        assert (await client.delete(f"/v1/me/sessions/{mine}", headers=own)).status_code == 204
        assert (await client.get("/v1/me", headers=own)).status_code == 401


async def test_a_key_has_no_password(populated: Populated) -> None:
    """Only a person who is signed in changes one."""
    for role in Role:
        answer = await ask(populated, ("POST", "/v1/me/password"), populated.world.key(role))
        assert refusal(answer, ("POST", "")) == (403, "forbidden")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("operation", sorted(set(NEEDS) - {STREAM}), ids=" ".join)
async def test_nothing_leaks_to_another_tenant(
    populated: Populated, operation: tuple[str, str], role: Role
) -> None:
    """Another tenant sees nothing of the first, whatever ids it knows and whatever role it has."""
    answers = [await ask(populated, operation, populated.world.key(role, FOREIGN))]
    if role in PEOPLES_ROLES:
        answers.append(await ask(populated, operation, None, populated.browsers[FOREIGN][role]))
    for answer in answers:
        require_nothing_told(answer, operation, role)


def require_nothing_told(answer: httpx.Response, operation: tuple[str, str], role: Role) -> None:
    """As if there was nothing."""
    assert MARKER not in answer.text
    named = "{" in operation[1] or operation == ("POST", "/v1/maintenance")  # names one in its body
    if NEEDS[operation] not in TABLE[role] or operation == ("POST", "/v1/tenants"):
        assert answer.status_code == 403
    elif named and operation[0] != "PUT":  # a dump of a device of its own, that has the same name
        assert answer.status_code == 404
    else:
        assert answer.status_code in {200, 201, 204}


async def test_own_tenant_sees_its_data(populated: Populated) -> None:
    """The marker is where it belongs, or the test above would prove nothing."""
    for path in (
        "/v1/anomalies",
        "/v1/anomalies/changes",
        "/v1/episodes",
        "/v1/devices",
        "/v1/technicians/{technician_id}/devices",
        "/v1/technicians/{technician_id}/changes",
        "/v1/locations",
        "/v1/locations/{location}/devices",
        "/api/latest_anomalies",
    ):
        assert MARKER in (await ask(populated, ("GET", path), populated.world.key(Role.VIEWER))).text
    asked = await ask(populated, ("POST", "/v1/query"), populated.world.key(Role.OPERATOR))
    assert MARKER in asked.text
    body = await ask(populated, ("GET", "/v1/dead-letters/{letter_id}/body"), populated.world.key())
    assert body.content == MARKER.encode()


async def test_a_foreign_tenants_admin_sees_its_own_name_only(populated: Populated) -> None:
    """Only those who run the installation see which tenants there are."""
    own = await ask(populated, ("GET", "/v1/tenants"), populated.world.key())
    foreign = await ask(populated, ("GET", "/v1/tenants"), populated.world.key(Role.ADMIN, FOREIGN))
    assert {OWN, FOREIGN} <= set(own.json()["tenants"])
    assert foreign.json()["tenants"] == [FOREIGN]
