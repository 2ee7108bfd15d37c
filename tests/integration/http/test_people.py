"""People over HTTP and by `tocsin people`: let in, changed, given a new password."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.http_kit import FOREIGN, World
from tests.integration.http.test_server import serving
from tocsin.access.principal import Role
from tocsin.cli.app import main
from tocsin.services.people import ONE_TIME_MS

pytestmark = pytest.mark.anyio

GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
MARIA = {"name": "Maria", "display_name": "Maria Rossi", "roles": ["technician"], "technician": GUID}


async def test_an_admin_lets_somebody_in(world: World) -> None:
    """The answer holds a one-time password that is nowhere else: not in the list, not in the audit log."""
    async with world.client(world.key()) as client:
        made = await client.post("/v1/people", json=MARIA)
        assert made.status_code == 201, made.text
        person, password = made.json()["person"], made.json()["one_time_password"]
        assert (person["name"], person["must_change_password"], person["version"]) == ("maria", True, 1)
        listed = await client.get("/v1/people", params={"name": "MARIA"})
        assert listed.json()["people"] == [person]
        audit = await client.get("/v1/audit")
    entry = audit.json()["entries"][0]
    assert (entry["action"], entry["object"], entry["outcome"]) == ("person.create", person["id"], "allowed")
    assert password not in listed.text + audit.text
    found = world.access.people.with_hash("default", "maria")
    assert found is not None
    assert world.passwords.proves(password, found[1])
    assert found[0].one_time_until_ms == world.clock.now_ms() + ONE_TIME_MS


async def test_what_is_wrong_is_told_with_its_field(world: World) -> None:
    """In the sentence too: it is what programs show."""
    async with world.client(world.key()) as client:
        answer = (await client.post("/v1/people", json={**MARIA, "technician": "123"})).json()
        assert (answer["code"], answer["field"]) == ("invalid_input", "technician")
        assert answer["detail"].startswith("technician: "), answer
        answer = (await client.get("/v1/people", params={"limit": "many"})).json()
        assert (answer["field"], answer["detail"][:7]) == ("limit", "limit: ")
        headers = {"Content-Type": "application/json"}
        broken = (await client.post("/v1/people", content=b'{"name": ', headers=headers)).json()
        assert (broken["code"], broken["detail"]) == ("invalid_input", "JSON decode error")


async def test_nobody_but_an_admin_learns_who_there_is(world: World) -> None:
    """Not by name either, which would tell roles and technicians one after another."""
    world.person("maria")
    for role in (Role.VIEWER, Role.TECHNICIAN, Role.OPERATOR):
        async with world.client(world.key(role)) as client:
            for asked in ({}, {"name": "maria"}, {"name": "nobody"}):
                assert (await client.get("/v1/people", params=asked)).status_code == 403


async def test_two_admins_don_t_overwrite_each_other(world: World) -> None:
    """A change needs the version that was read; the slower of two is told to read again."""
    path = f"/v1/people/{world.person('maria')}"
    async with world.client(world.key()) as client:
        etag = (await client.get(path)).headers["etag"]
        assert (await client.patch(path, json={"disabled": True})).json()["code"] == "precondition_required"
        first = await client.patch(path, json={"roles": ["viewer"]}, headers={"If-Match": etag})
        assert (first.status_code, first.json()["roles"], first.headers["etag"]) == (200, ["viewer"], '"2"')
        late = await client.patch(path, json={"disabled": True}, headers={"If-Match": etag})
        assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
        odd = await client.patch(path, json={"disabled": True}, headers={"If-Match": "2"})
        assert (odd.status_code, odd.json()["field"]) == (400, "If-Match")
        assert not (await client.get(path)).json()["disabled"]


async def test_a_forgotten_password_is_replaced_by_a_one_time_password(world: World) -> None:
    """The old one ends with it."""
    person_id = world.person("maria", password="the old one of maria")
    async with world.client(world.key()) as client:
        invited = await client.post(f"/v1/people/{person_id}/one-time-password")
        assert invited.status_code == 200
    _, kept = world.access.people.with_hash("default", "maria") or (None, "")
    assert world.passwords.proves(invited.json()["one_time_password"], kept)
    assert not world.passwords.proves("the old one of maria", kept)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"roles": []}, 400),
        ({"roles": ["device"]}, 400),
        ({"roles": ["king"]}, 400),
        ({"technician": "maria"}, 400),
        ({"technician": "x" * 36}, 400),
        ({"name": "a b"}, 400),
        ({"password": "mine"}, 400),
        ({"name": "taken"}, 409),
    ],
)
async def test_wrong_wishes_are_refused(world: World, wanted: dict[str, Any], status: int) -> None:
    """With the reason; nobody sets another's password, and nobody was let in."""
    world.person("taken")
    async with world.client(world.key()) as client:
        assert (await client.post("/v1/people", json=MARIA | wanted)).status_code == status
        assert [each["name"] for each in (await client.get("/v1/people")).json()["people"]] == ["taken"]


async def test_the_list_goes_on_where_it_ended(world: World) -> None:
    """Page by page; the cursor is no other tenant's."""
    for name in ("ann", "bob", "cem"):
        world.person(name)
    async with world.client(world.key()) as client:
        page = (await client.get("/v1/people", params={"limit": 2})).json()
        rest = (await client.get("/v1/people", params={"cursor": page["next"]})).json()
        assert [each["name"] for each in page["people"] + rest["people"]] == ["ann", "bob", "cem"]
    async with world.client(world.key(Role.ADMIN, FOREIGN)) as client:
        assert (await client.get("/v1/people", params={"cursor": page["next"]})).status_code == 400
        assert (await client.get("/v1/people")).json()["people"] == []


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Exit code and result of `tocsin people`, by an admin."""
    with serving(world) as server:

        def command(*words: str) -> tuple[int, dict[str, Any]]:
            at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key())
            code = main(["people", *words, *at, "--json"])
            return code, json.loads(capsys.readouterr().out.splitlines()[-1])

        yield command


def test_the_command_lets_in_changes_and_lists(run: Run) -> None:
    """By the name that is typed to sign in."""
    code, made = run("Maria", "--add", "--role", "technician", "--technician", GUID)
    assert (code, made["person"]["technician"]) == (0, GUID)
    code, changed = run("maria", "--display-name", "Maria R.", "--role", "viewer", "--technician", "")
    assert (code, changed["roles"], changed["technician"]) == (0, ["viewer"], None)
    assert run("maria", "--disable")[1]["disabled"]
    assert not run("maria", "--enable")[1]["disabled"]
    code, invited = run("maria", "--one-time-password")
    assert (code, invited["one_time_password"] != made["one_time_password"]) == (0, True)
    assert run("maria")[1]["display_name"] == "Maria R."
    assert [each["name"] for each in run()[1]["people"]] == ["maria"]


def test_a_technician_without_a_guid_is_told_to_see_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """When it is forgotten, and not when she first signs in; not of who sees all devices by another role."""
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key())
        said = []
        for name, *words in (
            ("ann", "--role", "technician"),
            ("bob", "--role", "technician", "--role", "viewer"),
            ("cem", "--role", "technician", "--technician", GUID),
        ):
            assert main(["people", name, "--add", *words, *at]) == 0
            said.append("without --technician GUID" in capsys.readouterr().out)
    assert said == [True, False, False]


def test_the_command_says_what_is_wrong(run: Run) -> None:
    """2 for what makes no sense, 1 for who is not there."""
    for words in (
        ("--add",),
        ("maria", "--add"),
        ("maria", "--add", "--role", "viewer", "--disable"),
        ("maria", "--enable", "--disable"),
        ("maria", "--one-time-password", "--disable"),
        ("maria", "--add", "--role", "king"),
    ):
        assert run(*words)[0] == 2, words
    assert run("maria", "--disable")[0] == 1


def test_a_role_that_there_is_not_is_named_with_those_that_there_are(run: Run) -> None:
    """Before the server is asked."""
    code, said = run("maria", "--role", "boss")
    assert code == 2
    assert "no role boss" in json.dumps(said)
    assert "admin, operator, technician, viewer" in json.dumps(said)
