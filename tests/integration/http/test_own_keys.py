"""Keys that people make: at most their own rights, and dead as soon as the person may no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.http_kit import NDJSON, NOW_MS, OWN, World, event, lines
from tests.integration.http.test_server import serving
from tocsin.access.permissions import SCOPES, TABLE, Permission
from tocsin.access.person import PersonChange
from tocsin.access.person_keys import KEYS_MAX, LIFETIME_MS_MAX
from tocsin.access.principal import Role, Scope
from tocsin.access.rate_limit import RateLimits
from tocsin.api.names import iso
from tocsin.cli.app import main

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
BORIS = "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10"


async def made(world: World, who: dict[str, str], **wanted: Any) -> httpx.Response:
    async with world.client(headers=who) as client:
        return await client.post("/v1/me/keys", json={"name": "phone", "scopes": ["read"]} | wanted)


async def status(world: World, token: str, path: str = "/v1/anomalies") -> int:
    async with world.client(token) as client:
        return (await client.get(path)).status_code


async def test_a_key_does_what_its_scopes_and_its_person_may(world: World) -> None:
    """Each scope with each role: both have to allow it, and nothing else is."""
    anomaly = world.find_anomaly("pump-7")
    for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER):
        world.person(role.value, role)
        for scope in Scope:
            _, token = world.own_key(role.value, scope)
            may = SCOPES[scope] & TABLE[role]
            async with world.client(token) as client:
                me = (await client.get("/v1/me")).json()
                assert me["permissions"] == sorted(may)
                assert me["person"] is not None
                answers = {
                    Permission.READ: await client.get("/v1/anomalies"),
                    Permission.HANDLE: await client.post(
                        f"/v1/anomalies/{anomaly}/comment", json={"note": "it hums"}
                    ),
                    Permission.INGEST: await client.post(
                        "/v1/events", content=lines(event()), headers=NDJSON
                    ),
                    Permission.OPERATE: await client.get("/v1/digest"),
                    Permission.ADMINISTER: await client.get("/v1/credentials"),
                }
            for permission, answer in answers.items():
                assert answer.status_code == (200 if permission in may else 403), (role, scope, permission)


async def test_nobody_gives_a_key_more_than_the_own_rights(world: World) -> None:
    """A scope that the person has not is refused; what can't be a key says what is wrong with it."""
    world.person("vera", Role.VIEWER)
    vera = world.sign_in("vera")
    for scope in ("act", "ingest"):
        refused = await made(world, vera, scopes=[scope])
        assert (refused.status_code, refused.json()["field"]) == (400, "scopes")
    for wrong, field in (
        ({"scopes": []}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "line\nfeed"}, "name"),
        ({"expires_at": iso(NOW_MS)}, "expires_at"),
        ({"expires_at": iso(NOW_MS + LIFETIME_MS_MAX + 1)}, "expires_at"),
    ):
        answer = await made(world, vera, **wrong)
        assert (answer.status_code, field in answer.text) == (400, True)
    longest = await made(world, vera, expires_at=iso(NOW_MS + LIFETIME_MS_MAX), scopes=["read", "read"])
    assert longest.json()["key"]["scopes"] == ["read"]
    for _ in range(KEYS_MAX - 1):
        assert (await made(world, vera)).status_code == 201
    assert (await made(world, vera)).status_code == 409


async def test_no_key_makes_tells_or_ends_another(world: World) -> None:
    """Whoever gets hold of one can't make it last, and nobody reaches another's."""
    world.person("anna", Role.OPERATOR)
    world.person("boris", Role.OPERATOR)
    key_id, token = world.own_key("anna", Scope.ACT)
    for who in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Bearer {world.key(Role.ADMIN)}"},
    ):
        assert (await made(world, who)).status_code == 403
        async with world.client(headers=who) as client:
            assert (await client.get("/v1/me/keys")).status_code == 403
            assert (await client.delete(f"/v1/me/keys/{key_id}")).status_code == 403
    async with world.client(headers=world.sign_in("boris")) as client:
        assert (await client.get("/v1/me/keys")).json()["keys"] == []
        assert (await client.delete(f"/v1/me/keys/{key_id}")).status_code == 404
    async with world.client() as client:
        entered = await client.post("/login", data={"key": token, "next": "/"})
        assert entered.status_code == 403
    assert await status(world, token) == 200


async def test_keys_end_at_once(world: World) -> None:
    """Revoked by the person or an admin, disabled, in time, and while a one-time password is pending."""
    person = world.person("anna", Role.OPERATOR)
    anna = world.sign_in("anna")
    first, second, third = [(await made(world, anna)).json() for _ in range(3)]
    for each in (first, second, third):
        assert await status(world, each["token"]) == 200
    async with world.client(headers=anna) as client:
        assert (await client.delete(f"/v1/me/keys/{first['key']['id']}")).status_code == 204
        assert (await client.delete(f"/v1/me/keys/{first['key']['id']}")).status_code == 204
    async with world.client(world.key()) as admin:
        path = f"/v1/people/{person}/keys"
        assert (await admin.delete(f"{path}/{second['key']['id']}")).status_code == 204
        listed = (await admin.get(path)).json()["keys"]
        assert [each["revoked_at"] is not None for each in listed].count(True) == 2
        assert any(each["last_used_at"] for each in listed)
        assert "tcs_" not in str(listed)
    assert [await status(world, each["token"]) for each in (first, second, third)] == [401, 401, 200]
    change = world.access.people.change
    change(OWN, person, PersonChange(disabled=True), revision=None, tell=lambda _: None)
    assert await status(world, third["token"]) == 401
    change(OWN, person, PersonChange(disabled=False), revision=None, tell=lambda _: None)
    assert await status(world, third["token"]) == 200
    world.invited("anna")
    assert await status(world, third["token"]) == 403
    world.access.people.set_password(
        OWN, person, world.passwords.hash("x"), one_time_until_ms=None, revision=None, tell=lambda _: None
    )
    assert await status(world, third["token"]) == 200
    world.clock.sleep(91 * DAY_MS / 1000)
    assert await status(world, third["token"]) == 401


async def test_all_keys_of_a_person_have_one_share(make_world: Callable[..., World]) -> None:
    """Many keys get no more out of the server than one."""
    rates = RateLimits(requests_per_s=0.001, requests_burst=3, bytes_per_s=1e9, bytes_burst=1e9)
    world = make_world(rates=rates)
    world.person("anna", Role.OPERATOR)
    tokens = [world.own_key("anna", Scope.READ)[1] for _ in range(4)]
    assert [await status(world, token) for token in tokens] == [200, 200, 200, 429]


async def test_keys_follow_roles_and_technician_at_once(world: World) -> None:
    """What the person may no more, the key may no more; a technician's key sees her devices."""
    for device, technician in (("a", ANNA), ("b", BORIS)):
        world.find_anomaly(device)
        world.responsible(technician, device)
    person = world.person("anna", Role.OPERATOR)
    _, token = world.own_key("anna", Scope.READ, Scope.INGEST)

    async def seen() -> list[str]:
        async with world.client(token) as client:
            answer = await client.get("/v1/anomalies")
            return [each["device"] for each in answer.json()["anomalies"]]

    assert await seen() == ["b", "a"]
    for guid, devices in ((ANNA, ["a"]), (BORIS, ["b"])):
        change = PersonChange(roles=(Role.TECHNICIAN,), technician=guid)
        world.access.people.change(OWN, person, change, revision=None, tell=lambda _: None)
        assert await seen() == devices
    async with world.client(token) as client:
        assert (await client.post("/v1/events", content=lines(event()), headers=NDJSON)).status_code == 403


async def test_what_a_key_does_bears_the_persons_name_and_the_audit_log_names_the_key(world: World) -> None:
    """Histories name people; who looks for a stolen key finds it."""
    person = world.person("anna", Role.OPERATOR)
    anomaly = world.find_anomaly("pump-7")
    key_id, token = world.own_key("anna", Scope.ACT)
    async with world.client(token) as client:
        await client.post(f"/v1/anomalies/{anomaly}/comment", json={"note": "it hums"})
        history = (await client.get(f"/v1/anomalies/{anomaly}/history")).json()["changes"]
    assert history[-1]["actor"] == person
    world.audit_log.flush()
    entries = [stored.entry for stored in world.audit_log.entries(OWN)]
    assert [each.actor for each in entries if each.action == "anomaly.comment"] == [key_id]


async def test_keys_are_made_and_revoked_on_the_page_of_the_account(world: World) -> None:
    """The token is shown once; only scopes that one has are offered; forms of others do nothing."""
    world.person("anna", Role.VIEWER)
    anna = world.sign_in("anna")
    csrf = anna["X-CSRF-Token"]
    async with world.client(headers=anna) as client:
        page = (await client.get("/account")).text
        assert 'name="read"' in page
        assert 'name="act"' not in page
        form = {"csrf": csrf, "name": "<b>phone", "read": "1", "days": "30"}
        shown = (await client.post("/account/keys", data=form)).text
        token = re.findall(r"tcs_[0-9a-f]{16}_[\w-]{43}", shown)[0]
        assert 'action="/account/keys#token"' in page  # on a phone the token lies below the first screen
        assert 'id="token"' in shown
        assert 'id="token"' not in page
        assert "&lt;b&gt;phone" in shown
        assert await status(world, token) == 200
        again = (await client.get("/account")).text
        assert token not in again
        for wrong, code in (
            ({"csrf": "x"}, 403),
            ({"days": "7"}, 400),
            ({"name": ""}, 400),
            ({"act": "1"}, 400),
        ):
            assert (await client.post("/account/keys", data=form | wrong)).status_code == code
        key = re.findall(r'name="key" value="(\w+)"', again)[0]
        assert (await client.post("/account/keys/revoke", data={"csrf": "x", "key": key})).status_code == 403
        ended = await client.post("/account/keys/revoke", data={"csrf": csrf, "key": key})
        assert ended.headers["location"] == "/account?done=key"
    assert await status(world, token) == 401


@pytest.mark.parametrize("form", ["keys", "keys/revoke", "sessions", "password"])
async def test_who_signs_in_again_for_a_form_of_the_account_comes_to_its_page(
    world: World, form: str
) -> None:
    """Its own address takes forms alone, and would show nothing."""
    async with world.client() as client:
        refused = await client.post(f"/account/{form}", data={"csrf": "x"})
    assert (refused.status_code, refused.headers["location"]) == (303, "/login?next=/account")


def test_an_admin_lists_and_ends_keys_by_a_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """By the name that the person signs in with; there is no way to make one for somebody else."""
    world.person("anna", Role.OPERATOR)
    key_id, _ = world.own_key("anna", Scope.ACT)
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key())
        assert main(["keys", "Anna", *at]) == 0
        assert f"{key_id} (phone): act; until " in capsys.readouterr().out
        assert main(["keys", "anna", "--revoke", key_id, *at]) == 0
        assert "; revoked " in capsys.readouterr().out
        assert main(["keys", "anna", "--revoke", "0" * 16, *at]) == 1
        assert main(["keys", "nobody", *at]) == 1


def test_the_stream_of_a_key_ends_while_a_one_time_password_is_pending(world: World) -> None:
    """As what else the key is asked for is refused then, though the stream was opened before."""
    world.person("anna", Role.OPERATOR)
    _, token = world.own_key("anna", Scope.READ)
    who = {"Authorization": f"Bearer {token}", "Last-Event-ID": "0"}
    world.find_anomaly("pump-1")
    with (
        serving(world) as server,
        httpx.stream("GET", server.url + "/v1/stream", headers=who, timeout=20) as response,
    ):
        told = response.iter_lines()
        next(line for line in told if line.startswith("id: "))
        world.invited("anna")
        world.find_anomaly("pump-2")
        assert next((line for line in told if line.startswith("id: ")), None) is None
