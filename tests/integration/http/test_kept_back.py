"""What maintenance windows kept back: listed by window, page by page, for those whom it concerns."""

from __future__ import annotations

from typing import Final

import pytest

from tests.http_kit import OWN, World
from tocsin.access.principal import Role

pytestmark = pytest.mark.anyio

TECHNICIAN: Final = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


async def kept_back(world: World, **wanted: str) -> tuple[list[str], str | None]:
    async with world.client(world.key(Role.VIEWER)) as client:
        page = (await client.get("/v1/episodes", params=wanted)).json()
    return [each["device"] for each in page["episodes"]], page["next"]


async def test_what_a_window_kept_back_is_listed(world: World) -> None:
    """By window, or whatever any of them keeps back; what was told is listed apart."""
    for device, window in (("pump-1", "mw_1"), ("pump-2", ""), ("pump-3", "mw_2"), ("pump-4", "mw_1")):
        world.commit_episode(device, suppressed=window)
    assert await kept_back(world, window="mw_1") == (["pump-1", "pump-4"], None)
    assert await kept_back(world, suppressed="true") == (["pump-1", "pump-3", "pump-4"], None)
    assert await kept_back(world, suppressed="false") == (["pump-2"], None)
    assert await kept_back(world, window="mw_1", suppressed="false") == ([], None)
    found, cursor = await kept_back(world, window="mw_1", limit="1")
    assert found == ["pump-1"]
    assert await kept_back(world, window="mw_1", limit="1", cursor=str(cursor)) == (["pump-4"], None)


async def test_a_page_looks_at_so_many_episodes_and_says_where_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few of them a window kept back: nobody waits for a million."""
    monkeypatch.setattr("tocsin.services.episodes.LOOKED_AT_MAX", 2)
    for number in range(5):
        world.commit_episode(f"pump-{number}", suppressed="mw_1" if number == 4 else "")
    found, pages = list[str](), 0
    devices, cursor = await kept_back(world, window="mw_1")
    while True:
        found, pages = found + devices, pages + 1
        if cursor is None:
            break
        devices, cursor = await kept_back(world, window="mw_1", cursor=cursor)
    assert (found, pages) == (["pump-4"], 3)


async def test_technicians_see_what_was_kept_back_at_their_own_devices(world: World) -> None:
    """Of a window of a whole hall too."""
    for device in ("pump-7", "pump-9"):
        world.fleet.add(OWN, device)
        world.commit_episode(device, suppressed="mw_1")
    world.responsible(TECHNICIAN, "pump-7")
    world.person("maria", Role.TECHNICIAN, technician=TECHNICIAN)
    async with world.client(headers=world.sign_in("maria")) as client:
        page = (await client.get("/v1/episodes", params={"window": "mw_1"})).json()
    assert [each["device"] for each in page["episodes"]] == ["pump-7"]
