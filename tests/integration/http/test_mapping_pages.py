"""Pages of technicians and locations: from a place or device to whose it is and what is wrong with it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.http_kit import FOREIGN, OWN, World
from tests.integration.http.test_pages import NASTY, signed_in
from tocsin.inbox.action import Action, ActionKind, Target
from tocsin.simulate.directory.faults import DirectoryFault, always

pytestmark = pytest.mark.anyio

ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


async def test_a_technicians_page_shows_what_is_unresolved_at_her_devices(world: World) -> None:
    """With the devices, and without what others are responsible for or what is done."""
    world.responsible(ANNA, "pump-7", "pump-8", location="hall 3")
    open_, done, other = (world.find_anomaly(device) for device in ("pump-7", "pump-8", "fan"))
    targets = (Target(id=done),)
    world.inbox.act(Action(kind=ActionKind.RESOLVE, tenant=OWN, actor="m", at_ms=0, targets=targets))
    async with signed_in(world) as client:
        for path in (f"/technicians/{ANNA}", f"/technicians/{ANNA}/live"):
            shown = (await client.get(path)).text
            assert f"/anomalies/{open_}" in shown
            assert not any(f"/anomalies/{each}" in shown for each in (done, other))
        page = (await client.get(f"/technicians/{ANNA}")).text
        assert "/devices/pump-8" in page
        assert "as the directory said" in page


async def test_who_is_to_see_to_an_anomaly_is_named_on_a_technicians_page(world: World) -> None:
    """As in the inbox: by the name that people know, or as it was given."""
    world.responsible(ANNA, "pump-7", "pump-8")
    maria, nobody = (world.find_anomaly(device) for device in ("pump-7", "pump-8"))
    world.person("maria")
    for anomaly, assignee in ((maria, "maria"), (nobody, "the night shift")):
        targets = (Target(id=anomaly),)
        assigned = Action(
            kind=ActionKind.ASSIGN, tenant=OWN, actor="m", at_ms=0, targets=targets, assignee=assignee
        )
        world.inbox.act(assigned)
    async with signed_in(world) as client:
        for path in (f"/technicians/{ANNA}", f"/technicians/{ANNA}/live"):
            shown = (await client.get(path)).text
            assert "assigned to Maria" in shown
            assert "assigned to the night shift" in shown


async def test_older_ones_of_a_technician_are_a_page_further(world: World) -> None:
    """Fifty at a time; what the address says otherwise is refused."""
    world.responsible(ANNA, *(f"pump-{number}" for number in range(51)))
    oldest, *_ = (world.find_anomaly(f"pump-{number}") for number in range(51))
    async with signed_in(world) as client:
        first = (await client.get(f"/technicians/{ANNA}")).text
        assert f"/anomalies/{oldest}" not in first
        before = first.partition("?before=")[2].partition('"')[0]
        assert f"/anomalies/{oldest}" in (await client.get(f"/technicians/{ANNA}?before={before}")).text
        assert (await client.get(f"/technicians/{ANNA}?before=x")).status_code == 400


async def test_places_lead_to_devices_and_devices_to_whose_they_are(world: World) -> None:
    """Whatever a place is called, on a page it is text and in an address one segment."""
    world.responsible(ANNA, "pump-7", location=NASTY)
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world) as client:
        places = (await client.get("/locations")).text
        place = (await client.get(f"/locations/{quote(NASTY, safe='')}")).text
        device = (await client.get("/devices/pump-7")).text
    assert f"/locations/{quote(NASTY, safe='')}" in places
    for page in (places, place, device):
        assert "<script>alert" not in page
    assert f"/technicians/{ANNA}" in place
    assert f"/technicians/{ANNA}" in device


async def test_pages_say_that_the_mapping_is_old_and_that_it_is_unknown(world: World) -> None:
    """While the directory is down nothing is refused."""
    world.third_party.trouble = always(DirectoryFault.ERROR)
    world.responsible(ANNA, "pump-7", location="hall")
    world.clock.sleep(1000)
    world.directory.round()
    async with signed_in(world) as client:
        for path in (f"/technicians/{ANNA}", "/locations/hall"):
            assert "not confirmed since" in (await client.get(path)).text
        unknown = await client.get("/technicians/0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10")
        assert (unknown.status_code, "has not said yet" in unknown.text) == (200, True)
        assert (await client.get("/technicians/nobody")).status_code == 404


async def test_who_has_no_directory_is_not_shown_the_way(world: World) -> None:
    """And a tenant sees nothing of another's."""
    world.responsible(ANNA, "pump-7", location="hall 3")
    async with signed_in(world, tenant=FOREIGN) as client:
        assert 'href="/locations"' not in (await client.get("/")).text
        assert "No directory is connected" in (await client.get("/locations")).text
        assert (await client.get(f"/technicians/{ANNA}")).status_code == 404
        assert (await client.get("/locations/hall 3")).status_code == 404
    async with signed_in(world) as client:
        assert 'href="/locations"' in (await client.get("/")).text
