"""What rounds make of maintenance windows, also while somebody changes them."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread

import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_maintenance import HOUR_MS, NIGHTS, TECHNICIAN, WHEN, ask, change, logged
from tocsin.access.principal import Role
from tocsin.log.abstract import Append, Appended
from tocsin.services import maintenance
from tocsin.services.maintenance_window import Changes

pytestmark = pytest.mark.anyio


async def test_the_last_device_of_a_location_leaves_its_window_as_any_other(world: World) -> None:
    """It stayed in maintenance for as long as the window lasts, wherever it went. Who asks again is told."""
    world.fleet.add(OWN, "pump-1")
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    made = await ask(world, {"location": "hall 3", **WHEN}, key="k")
    world.responsible(TECHNICIAN, "pump-1", location="hall 4")
    world.clock.sleep(60)
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, made.json()["id"]).members == ()
    assert [each.spans for each in logged(world)][-1] == ()
    again = await ask(world, {"location": "hall 3", **WHEN}, key="k")
    assert (again.status_code, again.json()["id"], again.json()["devices"]) == (201, made.json()["id"], 0)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    world.clock.sleep(60)
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, made.json()["id"]).members == ("pump-1",)


async def test_of_changes_at_once_the_last_is_logged_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that begins while a change is logged waits for it, or what nobody reads any more would hold."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    submit, other = world.log.submit, Thread(target=world.services.maintenance.refresh)

    def meanwhile(append: Append) -> Future[Appended]:
        monkeypatch.undo()
        world.windows.change(OWN, window_id, Changes(no_learn=True), revision=None, at_ms=NOW_MS)
        other.start()
        other.join(0.3)
        return submit(append)

    monkeypatch.setattr(world.log, "submit", meanwhile)
    await change(world, window_id, why="oil")
    other.join()
    assert [each.revision for each in logged(world)] == [1, 2, 3]


async def test_who_joins_an_application_is_in_its_window_within_an_hour_however_often_that_is_changed(
    world: World,
) -> None:
    """Somebody who puts its end off again and again, or asks again, has not looked who runs it."""
    world.fleet.add(OWN, "pump-1")
    pumps = {"application": "pumps", "from": str(NOW_MS), "to": str(NOW_MS + 5 * HOUR_MS)}
    window_id = (await ask(world, pumps, key="k")).json()["id"]
    world.services.maintenance.refresh()
    world.clock.sleep(3000)
    assert (await change(world, window_id, Role.OPERATOR, why="oil")).status_code == 200
    assert (await ask(world, pumps, key="k")).status_code == 201
    world.fleet.add(OWN, "pump-2")
    world.clock.sleep(660)
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, window_id).members == ("pump-1", "pump-2")


async def test_an_application_that_outgrows_its_window_leaves_it_those_it_has(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What repeats was logged no further, so that it held for nobody after two weeks, and nobody was told."""
    monkeypatch.setattr(maintenance, "MEMBERS_MAX", 1)
    world.fleet.add(OWN, "pump-1")
    pumps = {"application": "pumps", **NIGHTS}
    first = (await ask(world, pumps, key="k")).json()
    world.fleet.add(OWN, "pump-2")
    assert (await ask(world, pumps)).status_code == 400
    world.clock.sleep(10 * 86_400)
    world.services.maintenance.refresh()
    assert logged(world)[-1].devices == ("pump-1",)
    assert logged(world)[-1].spans[-1][0] > NOW_MS + maintenance.HORIZON_MS
    again = await ask(world, pumps, key="k")
    assert (again.status_code, again.json()["id"], again.json()["devices"]) == (201, first["id"], 1)
