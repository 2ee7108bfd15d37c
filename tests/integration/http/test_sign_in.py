"""Signing in by name and password: what a browser sees, and what a stranger can't find out."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress

import httpx
import pytest

from tests.http_kit import CHEAP, FOREIGN, OWN, PASSWORD, World
from tests.integration.http.test_pages import page_csrf
from tocsin.access.passwords import HashCost, Passwords
from tocsin.access.person import PersonChange
from tocsin.access.principal import Role
from tocsin.errors import (
    BackpressureError,
    CorruptError,
    NotFoundError,
    RateLimitedError,
    StorageFullError,
    TocsinError,
    UnauthenticatedError,
)
from tocsin.services.sessions import (
    CSRF_HEADER,
    OF_A_NAME,
    OF_A_NAME_THERE,
    OF_A_NETWORK,
    OF_THE_OWN,
    SESSION_COOKIE,
    Place,
)
from tocsin.threads import Future

pytestmark = pytest.mark.anyio

NEW = "a valve and two pumps"
GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


async def enter(
    client: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: str
) -> httpx.Response:
    return await client.post("/login", data={"name": name, "password": password} | more)


async def test_a_technician_signs_in_and_is_who_she_is(world: World) -> None:
    """By any spelling of the name, to where she wanted to go; the pages show her name."""
    person = world.person(
        "maria", display_name="Maria Rossi", technician="6f9619ff-8b86-d011-b42d-00c04fc964ff"
    )
    async with world.client() as client:
        answer = await enter(client, " MARIA", next="/inbox")
        assert (answer.status_code, answer.headers["location"]) == (303, "/inbox")
        assert "Maria Rossi" in (await client.get("/inbox")).text
        me = (await client.get("/v1/me")).json()
    assert (me["person"], me["name"], me["roles"]) == (person, "Maria Rossi", ["technician"])
    assert me["technician"] == GUID
    found = world.access.people.one(OWN, person)
    assert found is not None
    assert found.signed_in_ms == world.clock.now_ms()


async def test_the_same_name_in_another_tenant_is_somebody_else(world: World) -> None:
    """`tenant/name`; the name alone is of the first tenant."""
    own, foreign = world.person("maria"), world.person("maria", tenant=FOREIGN, password=NEW)
    for name, password, expected in (
        ("maria", PASSWORD, own),
        (f"{OWN}/maria", PASSWORD, own),
        (f"{FOREIGN}/maria", NEW, foreign),
    ):
        async with world.client() as client:
            await enter(client, name, password)
            assert (await client.get("/v1/me")).json()["person"] == expected
    async with world.client() as client:
        assert (await enter(client, "maria", NEW)).status_code == 401


async def test_a_stranger_does_not_learn_who_there_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password, nobody, a disabled person, an unknown tenant: one answer, after one hash each."""
    world.person("maria")
    gone = world.person("gone")
    change = PersonChange(disabled=True)
    world.access.people.change(OWN, gone, change, revision=None, tell=lambda _: None)
    hashed: list[str | None] = []
    proves = Passwords.proves

    def counted(self: Passwords, given: str, kept: str | None) -> bool:
        hashed.append(given)
        return proves(self, given, kept)

    monkeypatch.setattr(Passwords, "proves", counted)
    answers = []
    for name in ("maria", "nobody", "gone", "nowhere/maria", "../maria", "x" * 1000, "\ud800"):
        async with world.client() as client:
            password = PASSWORD if name == "gone" else "not the password"
            answer = await enter(client, name.encode("utf-8", "replace").decode(), password)
            assert SESSION_COOKIE not in answer.headers.get("set-cookie", "")
            answers.append((answer.status_code, re.sub(r'value="[^"]*"', "", answer.text)))
    assert answers == [(401, answers[0][1])] * len(answers)
    assert len(hashed) == len(answers)


async def test_attempts_are_limited_whether_there_is_such_a_name_or_not(world: World) -> None:
    """Then not even the right password is looked at; after a while it is again."""
    world.person("maria")
    for name in ("maria", "nobody"):
        async with world.client() as client:
            for _ in range(OF_A_NAME_THERE.burst):
                assert (await enter(client, name, "wrong")).status_code == 401
            refused = await enter(client, name)
            assert (refused.status_code, "Too many attempts" in refused.text) == (429, True)
    world.clock.sleep(OF_A_NAME_THERE.refill_s)
    async with world.client() as client:
        assert (await enter(client, "maria")).status_code == 303


async def test_a_network_has_so_many_attempts_whatever_the_names(world: World) -> None:
    """One password for many names is guessing, too; success counts for nothing."""
    world.person("maria")
    async with world.client() as client:
        for _ in range(3):
            assert (await enter(client, "maria")).status_code == 303
        for number in range(OF_A_NETWORK.burst):
            assert (await enter(client, f"name-{number}", "wrong")).status_code == 401
        assert (await enter(client, "maria")).status_code == 429


async def test_a_name_has_so_many_attempts_wherever_they_come_from(world: World) -> None:
    """Else whoever has many addresses could try passwords without end. Other names are not concerned."""
    world.person("maria")
    world.person("tom")
    sessions = world.services.sessions
    for number in range(OF_A_NAME.burst):
        with pytest.raises(UnauthenticatedError):
            sessions.by_password("maria", "wrong", Place(f"192.0.2.{number}", "")).result(30)
    with pytest.raises(RateLimitedError):
        sessions.by_password("maria", PASSWORD, Place("198.51.100.1", ""))
    assert sessions.by_password("tom", PASSWORD, Place("198.51.100.1", "")).result(30).cookie
    world.clock.sleep(OF_A_NAME.refill_s)
    assert sessions.by_password("maria", PASSWORD, Place("198.51.100.1", "")).result(30).cookie


async def test_who_found_no_place_has_not_failed(world: World) -> None:
    """Else a crowd at the door would lock out those who have waited in it."""
    world.person("maria")
    end = threading.Event()
    taken: list[Future[bool]] = []
    with suppress(BackpressureError):
        while len(taken) < 1000:
            taken.append(world.passwords.submit(str(len(taken)), lambda: end.wait(30)))
    async with world.client() as client:
        crowded = [(await enter(client, "maria")).status_code for _ in range(OF_A_NAME_THERE.burst + 1)]
        end.set()
        assert all(each.result(30) for each in taken)
        answer = await enter(client, "maria")
    assert crowded == [503] * len(crowded)
    assert answer.status_code == 303


async def test_a_crowd_at_the_door_is_a_page_for_who_changes_the_password(world: World) -> None:
    """It says to come again; a browser has nothing of a problem in JSON."""
    world.person("maria")
    end = threading.Event()
    taken: list[Future[bool]] = []
    async with world.client() as client:
        await enter(client, "maria")
        form = {"csrf": page_csrf((await client.get("/account")).text)}
        with suppress(BackpressureError):
            while len(taken) < 1000:
                taken.append(world.passwords.submit(str(len(taken)), lambda: end.wait(30)))
        form |= {"current": PASSWORD, "new": NEW, "again": NEW}
        crowded = await client.post("/account/password", data=form)
        end.set()
        assert all(each.result(30) for each in taken)
        assert (crowded.status_code, crowded.headers["content-type"][:9]) == (503, "text/html")
        assert (await client.post("/account/password", data=form)).status_code == 303


async def test_a_damaged_person_is_told_to_the_log_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who signs in hears that stored data could not be used, and not what lies where."""

    def damaged(*_: object) -> None:
        raise CorruptError("access.db: person person_1 does not match its hash")

    monkeypatch.setattr(world.access.people, "with_hash", damaged)
    async with world.client() as client:
        answer = await enter(client, "maria")
    assert (answer.status_code, answer.headers["content-type"][:9]) == (500, "text/html")
    assert "access.db" not in answer.text
    assert "page_failed" in caplog.text


@pytest.mark.parametrize(
    ("fails", "status"), [(NotFoundError("it has ended"), 303), (StorageFullError("the disk is full"), 507)]
)
async def test_signing_out_is_answered_by_a_page_whatever_happens(
    world: World, monkeypatch: pytest.MonkeyPatch, fails: TocsinError, status: int
) -> None:
    """Who is out already, by a second tap, is out; on a full disk a page says that she is not."""
    world.person("maria")

    def end(*_: object) -> None:
        raise fails

    async with world.client() as client:
        await enter(client, "maria")
        form = {"csrf": page_csrf((await client.get("/account")).text)}
        monkeypatch.setattr(world.access.sessions, "end", end)
        answer = await client.post("/logout", data=form)
    assert (answer.status_code, "json" in answer.headers.get("content-type", "")) == (status, False)


async def test_somebody_who_is_signed_in_names_the_password_a_few_times(world: World) -> None:
    """The same bound holds for how many are looked at together, so that others get to sign in."""
    world.person("maria")
    async with world.client() as client:
        await enter(client, "maria")
        headers = {CSRF_HEADER: page_csrf((await client.get("/account")).text)}
        body = {"current": "x", "new": NEW}
        codes = [
            (await client.post("/v1/me/password", json=body, headers=headers)).status_code
            for _ in range(OF_THE_OWN.burst + 1)
        ]
        assert codes == [400] * OF_THE_OWN.burst + [429]
        world.clock.sleep(OF_THE_OWN.refill_s)
        right = body | {"current": PASSWORD}
        assert (await client.post("/v1/me/password", json=right, headers=headers)).status_code == 204


async def test_attempts_are_in_the_audit_log_without_what_was_typed(world: World) -> None:
    """Admins see who was tried and from where; a password typed for a name is nowhere."""
    person = world.person("maria")
    async with world.client() as client:
        await enter(client, "maria", "wrong")
        await enter(client, "my secret password", "wrong")
        await enter(client, "maria")
    world.audit_log.flush()
    entries = [stored.entry for stored in world.audit_log.entries(OWN, nobodys=True)]
    started = [entry for entry in entries if entry.action == "session.start"]
    told = [(e.tenant, e.object, e.outcome) for e in started]
    assert told == [(OWN, person, "allowed"), ("", "", "denied"), (OWN, person, "denied")]
    assert {entry.address for entry in started} == {"127.0.0.1"}
    assert "secret" not in repr(entries)


async def test_a_one_time_password_leads_to_one_of_the_own(world: World) -> None:
    """Nothing else is open before; then she goes on to where she wanted, and the old one is worth nothing."""
    async with world.client(world.key()) as admin:
        wanted = {"name": "maria", "display_name": "Maria", "roles": ["operator"]}
        invited = (await admin.post("/v1/people", json=wanted)).json()["one_time_password"]
    async with world.client() as client:
        entered = await enter(client, "maria", invited, next="/inbox")
        assert entered.headers["location"] == "/account?next=%2Finbox"
        elsewhere = await client.get("/inbox")
        assert (elsewhere.status_code, elsewhere.headers["location"]) == (303, "/account?next=/inbox")
        account = (await client.get("/account?next=/inbox")).text
        assert "one-time password" in account
        assert 'autocomplete="username" value="maria"' in account  # what a password manager is to keep
        form = {"csrf": page_csrf(account), "next": "/inbox", "current": invited}
        for wrong, reason in (
            ({"new": NEW, "again": NEW + "x"}, "not the same"),
            ({"new": "short", "again": "short"}, "12 to 128"),
            ({"new": invited, "again": invited}, "another one"),
            ({"new": NEW, "again": NEW, "current": "wrong"}, "not the present password"),
        ):
            answer = await client.post("/account/password", data=form | wrong)
            assert (answer.status_code, reason in answer.text) == (400, True), reason
        changed = await client.post("/account/password", data=form | {"new": NEW, "again": NEW})
        assert (changed.status_code, changed.headers["location"]) == (303, "/inbox")
        assert (await client.get("/inbox")).status_code == 200
    async with world.client() as client:
        assert (await enter(client, "maria", invited)).status_code == 401
        assert (await enter(client, "maria", NEW)).status_code == 303


async def test_a_one_time_password_expires(world: World) -> None:
    """Who knows it is told so; it lets nobody in."""
    async with world.client(world.key()) as admin:
        invited = (await admin.post(f"/v1/people/{world.person('maria')}/one-time-password")).json()
    world.clock.sleep(7 * 86_400)
    async with world.client() as client:
        answer = await enter(client, "maria", invited["one_time_password"])
        assert (answer.status_code, "has expired" in answer.text) == (401, True)


async def test_another_password_ends_what_is_signed_in_elsewhere(world: World) -> None:
    """By the form and over JSON alike; the browser that asked stays."""
    world.person("maria")
    async with world.client() as here, world.client() as there:
        for client in (here, there):
            await enter(client, "maria")
        headers = {CSRF_HEADER: page_csrf((await here.get("/account")).text)}
        body = {"current": PASSWORD, "new": NEW}
        assert (await here.post("/v1/me/password", json=body)).status_code == 403
        wrong = await here.post("/v1/me/password", json=body | {"current": "x"}, headers=headers)
        assert (wrong.status_code, wrong.json()["field"]) == (400, "current")
        assert (await here.post("/v1/me/password", json=body, headers=headers)).status_code == 204
        assert (await here.get("/v1/me")).status_code == 200
        assert (await there.get("/v1/me")).status_code == 401


async def test_an_admin_s_change_acts_on_who_is_signed_in(world: World) -> None:
    """Another role at the next request; disabled, and it is over."""
    person = world.person("maria")
    async with world.client() as maria, world.client(world.key()) as admin:
        await enter(maria, "maria")
        path, any_version = f"/v1/people/{person}", {"If-Match": "*"}
        await admin.patch(path, json={"roles": ["viewer"]}, headers=any_version)
        assert (await maria.get("/v1/me")).json()["permissions"] == ["read"]
        await admin.patch(path, json={"disabled": True}, headers=any_version)
        assert (await maria.get("/v1/me")).status_code == 401
        assert (await enter(maria, "maria")).status_code == 401


async def test_an_admin_who_is_signed_in_can_t_lock_herself_out(world: World) -> None:
    """Neither disabled nor without the role; another admin can do that."""
    boss = world.person("boss", Role.ADMIN)
    headers = world.sign_in("boss") | {"If-Match": "*"}
    async with world.client() as client:
        wishes: tuple[Mapping[str, object], ...] = ({"disabled": True}, {"roles": ["viewer"]})
        for wanted in wishes:
            answer = await client.patch(f"/v1/people/{boss}", json=wanted, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        shown = await client.patch(f"/v1/people/{boss}", json={"display_name": "Boss B."}, headers=headers)
        assert shown.status_code == 200


async def test_the_own_sessions_are_shown_and_ended(world: World) -> None:
    """On the account's page: where, since when, with what; the other one ends at once."""
    world.person("maria")
    async with world.client() as here, world.client() as there:
        there.headers["User-Agent"] = "old phone"
        for client in (here, there):
            await enter(client, "maria")
        account = (await here.get("/account")).text
        assert "old phone" in account
        ended = re.search(r'name="session" value="([^"]+)"', account)
        assert ended is not None
        form = {"csrf": page_csrf(account), "session": ended[1]}
        assert (await here.post("/account/sessions", data=form | {"csrf": "guess"})).status_code == 403
        assert (await here.post("/account/sessions", data=form)).status_code == 303
        assert (await there.get("/v1/me")).status_code == 401
        assert (await here.post("/account/sessions", data=form)).status_code == 404


async def test_a_hash_of_another_cost_is_made_anew_at_the_next_sign_in(world: World) -> None:
    """Without the person noticing, and without a new revision."""
    person = world.person("maria")
    older = Passwords(HashCost(passes=2, memory_kib=64))
    world.access.people.set_password(
        OWN, person, older.hash(PASSWORD), one_time_until_ms=None, revision=None, tell=lambda _: None
    )
    async with world.client() as client:
        assert (await enter(client, "maria")).status_code == 303
    found, kept = world.access.people.required(OWN, person)
    assert kept.startswith(f"$argon2id$v=19$m={CHEAP.memory_kib},t={CHEAP.passes},p=1$")
    assert found.revision == 2
    older.close()


async def test_a_page_of_another_site_signs_nobody_in(world: World) -> None:
    """Browsers say who asks, the older ones by Origin alone."""
    world.person("maria")
    async with world.client() as client:
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://elsewhere.test"},
            {"Origin": "http://[tocsin.test"},
        ):
            form = {"name": "maria", "password": PASSWORD}
            answer = await client.post("/login", data=form, headers=headers)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        for own in (
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # without a referrer, as our pages ask for
            {"Origin": "http://tocsin.test", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "http://tocsin.test"},
            {"Origin": "null"},
            {},
        ):
            assert (await client.post("/login", data=form, headers=own)).status_code == 303, own
