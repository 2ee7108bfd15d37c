"""Technicians, their devices and locations: from what the directory said, however it is now."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.http_kit import FOREIGN, NOW_MS, OWN, World
from tocsin.access.principal import Role
from tocsin.api.names import iso
from tocsin.inbox.action import Action, ActionKind, Target
from tocsin.simulate.directory.faults import DirectoryFault, Trouble, always

pytestmark = pytest.mark.anyio

ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
BORIS = "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10"
SOFT_S = 900
HARD_S = 7 * 86_400


async def asked(world: World, path: str, tenant: str = OWN, **params: Any) -> httpx.Response:
    async with world.client(world.key(Role.VIEWER, tenant)) as client:
        return await client.get(path, params=params)


async def pages(world: World, path: str, name: str) -> list[Any]:
    """Every entry, two at a time."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await asked(world, path, limit=2, **cursor)).json()
        assert len(page[name]) <= 2
        found += page[name]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_a_technicians_devices_come_page_by_page(world: World) -> None:
    """Each once, by name, with where it stands and when that was said."""
    names = ["a", "fan 1/2", "pump-7", "ä", "\N{COLLISION SYMBOL}" * 256]
    world.responsible(ANNA, *names, location="hall 3/north")
    world.responsible(BORIS, "pump-8")
    path = f"/v1/technicians/{ANNA.upper()}/devices"
    found = await pages(world, path, "devices")
    assert [each["device"] for each in found] == sorted(names)
    assert found[0] == {
        "device": "a",
        "technician": ANNA,
        "location": "hall 3/north",
        "as_of": iso(NOW_MS),
        "state": "fresh",
    }
    place = quote("hall 3/north", safe="")
    assert await pages(world, f"/v1/locations/{place}/devices", "devices") == found


async def test_locations_count_their_devices(world: World) -> None:
    """By name; devices that stand nowhere are in none."""
    for number in range(5):
        world.responsible(
            str(uuid.UUID(int=number)),
            *(f"{number}-{n}" for n in range(number + 1)),
            location=f"hall {number}",
        )
    world.responsible(ANNA, "on its way")
    found = await pages(world, "/v1/locations", "locations")
    assert [(each["location"], each["devices"]) for each in found] == [(f"hall {n}", n + 1) for n in range(5)]
    assert {(each["as_of"], each["state"]) for each in found} == {(iso(NOW_MS), "fresh")}


@pytest.mark.parametrize(("age_s", "state"), [(0, "fresh"), (SOFT_S + 1, "stale"), (HARD_S + 1, "unknown")])
async def test_answers_say_how_old_they_are(world: World, age_s: int, state: str) -> None:
    """Nothing is refused while the directory is down; what is too old to count is no longer told."""
    world.third_party.trouble = always(DirectoryFault.ERROR)
    world.responsible(ANNA, "pump-7", location="hall 3")
    world.clock.sleep(age_s)
    for path in (f"/v1/technicians/{ANNA}/devices", "/v1/locations/hall 3/devices"):
        world.directory.round()
        answer = await asked(world, path)
        assert answer.status_code == 200
        page = answer.json()
        assert page["state"] == state
        assert [each["state"] for each in page["devices"]] == ([] if state == "unknown" else [state])


async def test_who_does_not_exist_is_not_found_and_who_could_not_be_asked_about_is_unknown(
    world: World,
) -> None:
    """An empty list never looks like an answer that was not given."""
    world.third_party.trouble = always(DirectoryFault.ERROR)
    path = f"/v1/technicians/{ANNA}/devices"
    for _ in range(2):
        page = (await asked(world, path)).json()
        assert (page["devices"], page["state"], page["as_of"]) == ([], "unknown", None)
        world.directory.round()
    world.third_party.trouble = Trouble()
    world.clock.sleep(600)
    world.directory.round()
    answer = await asked(world, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    requests = world.third_party.asked["technicians"]
    for _ in range(5):
        assert (await asked(world, path)).status_code == 404
        world.directory.round()
    assert world.third_party.asked["technicians"] == requests
    world.clock.sleep(SOFT_S + 1)
    assert (await asked(world, path)).status_code == 404
    world.directory.round()
    assert world.third_party.asked["technicians"] == requests + 1
    world.responsible(ANNA, "pump-7")
    assert (await asked(world, path)).json()["state"] == "fresh"


@pytest.mark.parametrize("name", ["anna", "%2e%2e", "6f9619ff-8b86-4011-b42d", ANNA + "x"])
async def test_an_id_that_is_no_guid_is_nobodys(world: World, name: str) -> None:
    """And the third party is never asked for it."""
    answer = await asked(world, f"/v1/technicians/{quote(name, safe='')}/devices")
    assert answer.status_code == 404
    world.directory.round()
    assert sum(world.third_party.asked.values()) == 0


async def test_a_location_that_was_never_named_is_unknown(world: World) -> None:
    """The directory has no question for locations, so nobody can say that there is none."""
    page = (await asked(world, "/v1/locations/nowhere/devices")).json()
    assert page == {"devices": [], "as_of": None, "state": "unknown", "next": None}


async def test_a_tenant_without_a_directory_is_told_so(world: World) -> None:
    """And sees nothing of the other tenant's."""
    world.responsible(ANNA, "pump-7", location="hall")
    for path in (f"/v1/technicians/{ANNA}/devices", "/v1/locations/hall/devices"):
        answer = await asked(world, path, FOREIGN)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_directory")
    assert (await asked(world, "/v1/locations", FOREIGN)).json() == {"locations": [], "next": None}


async def test_cursors_belong_to_their_list(world: World) -> None:
    """One of a location's devices starts no list of locations."""
    world.responsible(ANNA, "a", "b", location="hall")
    cursor = (await asked(world, "/v1/locations/hall/devices", limit=1)).json()["next"]
    answer = await asked(world, "/v1/locations", cursor=cursor)
    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


def resolve(world: World, *anomalies: str) -> None:
    targets = tuple(Target(id=anomaly) for anomaly in anomalies)
    world.inbox.act(Action(kind=ActionKind.RESOLVE, tenant=OWN, actor="m", at_ms=NOW_MS, targets=targets))


async def test_a_technician_gets_what_is_unresolved_at_her_devices(world: World) -> None:
    """Newest change first, page by page; nobody else's, and what is resolved only where all are wanted."""
    world.responsible(ANNA, "a", "b", "c")
    world.responsible(BORIS, "d")
    hers = [world.find_anomaly(device) for device in "abc"]
    foreign = world.find_anomaly("a", FOREIGN)
    other = world.find_anomaly("d")
    resolve(world, hers[1])
    path = f"/v1/technicians/{ANNA}/anomalies"
    answer = (await asked(world, path, state="unresolved")).json()
    assert [each["id"] for each in answer["anomalies"]] == [hers[2], hers[0]]
    assert (answer["as_of"], answer["mapping"], answer["complete"]) == (iso(NOW_MS), "fresh", True)
    everything = [each["id"] for each in (await asked(world, path, state="all")).json()["anomalies"]]
    assert everything == [hers[1], hers[2], hers[0]]
    assert {foreign, other}.isdisjoint(everything)
    paged = await pages(world, path, "anomalies")
    assert [each["id"] for each in paged] == [hers[2], hers[0]]
    assert (await asked(world, path, state="nonsense")).status_code == 400


async def test_anomalies_follow_the_mapping(world: World) -> None:
    """A device that moves takes its anomalies along, at once, and a dead directory refuses nobody."""
    world.responsible(ANNA, "a")
    world.responsible(BORIS, "b")
    moved = world.find_anomaly("a")
    world.third_party.trouble = always(DirectoryFault.CUT)
    world.responsible(BORIS, "a", "b")
    for technician, expected in ((ANNA, []), (BORIS, [moved])):
        answer = (await asked(world, f"/v1/technicians/{technician}/anomalies")).json()
        assert [each["id"] for each in answer["anomalies"]] == expected
    world.clock.sleep(SOFT_S + 1)
    world.directory.round()
    answer = (await asked(world, f"/v1/technicians/{BORIS}/anomalies")).json()
    assert ([each["id"] for each in answer["anomalies"]], answer["mapping"]) == ([moved], "stale")


async def test_changes_of_a_technician_are_those_of_the_tenant_at_her_devices(world: World) -> None:
    """Asked again and again from `last` on, each comes once; what happens elsewhere shows nowhere."""
    world.responsible(ANNA, "a", "c")
    found = [world.find_anomaly(device) for device in "abc"]
    resolve(world, found[0], found[1])
    path, after, told = f"/v1/technicians/{ANNA}/changes", 0, []
    while True:
        answer = (await asked(world, path, after=after, limit=1)).json()
        if answer["last"] == after:
            break
        assert len(answer["changes"]) <= 1
        told += answer["changes"]
        after = answer["last"]
    everything = (await asked(world, "/v1/anomalies/changes")).json()["changes"]
    assert told == [each for each in everything if each["anomaly_id"] != found[1]]
    assert after == told[-1]["sequence"] < everything[-1]["sequence"]
