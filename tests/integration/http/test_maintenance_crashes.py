"""Maintenance windows where a crash, a refusal or somebody else comes between: none holds unseen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_maintenance import HOUR_MS, TECHNICIAN, WHEN, ask, change, end, logged
from tocsin.access.principal import Role
from tocsin.directory.abstract import DeviceList, Freshness, Ownership
from tocsin.errors import StorageUnavailableError
from tocsin.log.abstract import Append, Appended

pytestmark = pytest.mark.anyio

HALL: Final = {"location": "hall 3", **WHEN}
PUMPS: Final = {"application": "pumps", **WHEN}


def refused(*_: object, **__: object) -> Any:
    """What a store answers while the disk is away."""
    raise StorageUnavailableError("the disk is away")


def latest(world: World) -> dict[str, tuple[tuple[int, int], ...]]:
    """By device, what the log said last of when its window holds."""
    return {name: each.spans for each in logged(world) for name in each.devices}


def behind_append(world: World, monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Have something happen once the next record of a window is durable."""
    submit = world.log.submit

    def meanwhile(append: Append) -> Future[Appended]:
        monkeypatch.undo()
        appended = submit(append)
        appended.result()
        then()
        return appended

    monkeypatch.setattr(world.log, "submit", meanwhile)


async def begin_before_another_comes(world: World) -> None:
    """A window of a hall with pump-1, to which pump-2 has come since."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    await ask(world, HALL)
    world.responsible(TECHNICIAN, "pump-1", "pump-2", location="hall 3")


async def test_a_window_that_was_logged_and_not_noted_ends_for_its_devices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who began it was answered an error, and ends it before the next round."""
    world.fleet.add(OWN, "pump-7")
    behind_append(world, monkeypatch, lambda: monkeypatch.setattr(world.windows, "logged", refused))
    assert (await ask(world, {"device": "pump-7", **WHEN})).status_code == 503
    monkeypatch.undo()
    assert latest(world) == {"pump-7": ((NOW_MS, NOW_MS + HOUR_MS),)}
    (window,) = world.windows.unsettled(after=0, limit=10)
    assert (await end(world, window.id, **{"If-Match": "*"})).status_code == 200
    assert latest(world) == {"pump-7": ()}


@pytest.mark.parametrize("body", [{"device": "pump-7", **WHEN}, PUMPS], ids=["device", "application"])
async def test_a_change_of_a_window_that_the_log_refused_holds_for_its_devices(
    world: World, monkeypatch: pytest.MonkeyPatch, body: dict[str, str]
) -> None:
    """It was answered 200, and held for nobody: an application's for an hour."""
    world.fleet.add(OWN, "pump-7")
    monkeypatch.setattr(world.log, "submit", refused)
    assert (await ask(world, body)).status_code == 503
    monkeypatch.undo()
    (window,) = world.windows.unsettled(after=0, limit=10)
    told = await change(world, window.id, Role.OPERATOR, to=str(NOW_MS + 2 * HOUR_MS))
    assert (told.status_code, told.json()["devices"]) == (200, 1)
    assert latest(world) == {"pump-7": ((NOW_MS, NOW_MS + 2 * HOUR_MS),)}


async def test_who_joined_where_it_was_not_noted_and_went_elsewhere_is_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing told of the window's record for it: it would have been silent as long as the window holds."""
    await begin_before_another_comes(world)
    behind_append(world, monkeypatch, lambda: monkeypatch.setattr(world.windows, "logged", refused))
    world.services.maintenance.refresh()
    monkeypatch.undo()
    assert latest(world)["pump-2"] == ((NOW_MS, NOW_MS + HOUR_MS),)
    world.responsible(TECHNICIAN, "pump-2", location="hall 4")
    world.services.maintenance.refresh()
    assert latest(world) == {"pump-1": ((NOW_MS, NOW_MS + HOUR_MS),), "pump-2": ()}


async def test_who_was_to_join_and_was_refused_by_the_log_joins_in_the_next_round(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was to join is noted before; that it has is not."""
    await begin_before_another_comes(world)
    monkeypatch.setattr(world.log, "submit", refused)
    world.services.maintenance.refresh()
    monkeypatch.undo()
    assert "pump-2" not in latest(world)
    world.services.maintenance.refresh()
    assert latest(world)["pump-2"] == ((NOW_MS, NOW_MS + HOUR_MS),)


async def test_a_key_that_comes_again_lets_nobody_go_who_joined_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round comes between what was read for the answer and what is logged of it; the next is in an hour."""
    world.fleet.add(OWN, "pump-1")
    await ask(world, PUMPS, key="k")
    add = world.windows.add

    def meanwhile(*args: Any) -> Any:
        world.fleet.add(OWN, "pump-2")
        world.clock.sleep(1800)
        world.clock.sleep(1800)
        world.services.maintenance.refresh()
        return add(*args)

    long = {**PUMPS, "to": str(NOW_MS + 5 * HOUR_MS)}
    await ask(world, long, key="l")
    monkeypatch.setattr(world.windows, "add", meanwhile)
    told = (await ask(world, long, key="l")).json()
    assert told["devices"] == 2
    assert latest(world)["pump-2"] == ((NOW_MS, NOW_MS + 5 * HOUR_MS),)


async def test_a_window_that_is_over_keeps_the_devices_it_had(world: World) -> None:
    """Whoever asks again under its key, or looks it up, is told whom it has covered."""
    world.fleet.add(OWN, "pump-1")
    first = (await ask(world, PUMPS, key="k")).json()
    world.clock.sleep(2 * 3600)
    world.fleet.add(OWN, "pump-2")
    count = len(logged(world))
    again = (await ask(world, PUMPS, key="k")).json()
    assert (again["id"], again["state"], again["devices"]) == (first["id"], "over", 1)
    assert len(logged(world)) == count


async def test_many_windows_of_one_location_ask_once_a_round_where_a_missing_device_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the directory can say nothing, all devices are missing in each of their windows."""
    world.fleet.add(OWN, "pump-1")
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    for _ in range(5):
        await ask(world, HALL)
    world.services.maintenance.refresh()
    nobody = DeviceList(devices=(), as_of_ms=None, freshness=Freshness.UNKNOWN, more=False)
    monkeypatch.setattr(world.directory, "devices_at", lambda *_, **__: nobody)
    asked: list[str] = []

    def ownership(device: str) -> Ownership:
        asked.append(device)
        return Ownership(device=device)

    monkeypatch.setattr(world.directory, "ownership", ownership)
    world.services.maintenance.refresh()
    assert asked == ["pump-1"]
    assert all(each.members == ("pump-1",) for each in world.windows.unsettled(after=0, limit=10))
