"""Maintenance on pages: begun and ended by forms, shown where it holds."""

from __future__ import annotations

import re
from typing import Final

import httpx
import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_maintenance import logged
from tests.integration.http.test_pages import NASTY, signed_in
from tocsin.access.principal import Role

pytestmark = pytest.mark.anyio

HOUR_MS: Final = 3_600_000


async def fields(client: httpx.AsyncClient, form: str = "begin") -> dict[str, str]:
    """The hidden fields of the form that does so."""
    page = (await client.get("/maintenance")).text
    forms = re.findall(r'<form method="post" action="/maintenance">(.*?)</form>', page, re.DOTALL)
    found = [dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', each)) for each in forms]
    return next(each for each in found if each["do"] == form)


async def begin(client: httpx.AsyncClient, **said: str) -> httpx.Response:
    local = {"from": "2026-11-22T10:00", "to": "2026-11-22T12:00", "zone": "UTC"}
    wanted = {"covers": "device", "name": "pump-7", **local, "why": "oil " + NASTY}
    return await client.post("/maintenance", data=await fields(client) | wanted | said)


async def test_a_window_is_begun_shown_and_ended(world: World) -> None:
    """The device's and the anomaly's page say that nobody is alerted, until it is ended."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        begun = await begin(client)
        pages = [(await client.get(path)).text for path in ("/devices/pump-7", f"/anomalies/{anomaly}")]
        ended = await client.post("/maintenance", data=await fields(client, "end"))
        after = (await client.get("/devices/pump-7")).text
    assert (begun.status_code, begun.headers["location"]) == (303, "/maintenance")
    assert ended.status_code == 303
    for text in pages:
        assert "nobody is alerted" in text
        assert "<script>alert" not in text
    assert "nobody is alerted" not in after
    assert 'href="/maintenance?device=pump-7"' in after
    first, last = logged(world)
    assert (first.devices, last.spans) == (("pump-7",), ())


async def test_pages_say_what_a_window_keeps_back(world: World) -> None:
    """Alarms, learning, or both, as the form asked for it."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        for keeps, told in (
            ("both", "nobody is alerted, nothing is learnt"),
            ("learning", "nothing is learnt"),
        ):
            assert (await begin(client, keeps=keeps)).status_code == 303
            text = (await client.get("/devices/pump-7")).text
            assert f": {told}." in text
            await client.post("/maintenance", data=await fields(client, "end"))
        assert (await begin(client, keeps="dust")).status_code == 400
    begun = [each for each in logged(world) if each.spans]
    assert [(each.no_alert, each.no_learn) for each in begun] == [(True, True), (False, True)]


async def test_a_window_is_changed_by_its_form(world: World) -> None:
    """Its end in UTC, what it keeps back, and why; what makes no sense is said."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        await begin(client)
        wanted = {"to": "2026-11-22T13:00", "keeps": "both", "why": "new bearing"}
        changed = await client.post("/maintenance", data=await fields(client, "change") | wanted)
        shown = (await client.get("/maintenance")).text
        stale = await client.post("/maintenance", data=await fields(client, "change") | wanted | {"to": ""})
    assert changed.status_code == 303
    assert "new bearing" in shown
    assert 'value="2026-11-22T13:00"' in shown
    assert (stale.status_code, "Say until when" in stale.text) == (400, True)
    assert [each.no_learn for each in logged(world)] == [False, True]


@pytest.mark.parametrize(
    ("to", "zone", "begun"),
    [
        ("9999-12-31T23:59", "America/New_York", False),
        ("9999-12-31T23:59", "UTC", True),
        ("9998-12-31T23:59", "America/New_York", True),
    ],
)
async def test_the_end_of_the_calendar_breaks_no_page(world: World, to: str, zone: str, begun: bool) -> None:
    """A moment that has no date in UTC is refused; the last ones that have one are shown to everybody."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        answer = await begin(client, to=to, zone=zone, sunday="1", daily_from="11:30", daily_to="11:45")
        assert answer.status_code == (303 if begun else 400)
        assert (await client.get("/maintenance")).status_code == 200
        assert (await client.get("/devices/pump-7")).status_code == 200


async def test_an_end_that_was_not_touched_stays_to_the_millisecond(world: World) -> None:
    """The form knows minutes alone; who changes the reason in the last minute does not end the window."""
    world.fleet.add(OWN, "pump-7")
    body = {"device": "pump-7", "from": str(NOW_MS), "to": str(NOW_MS + HOUR_MS + 30_500)}
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        window_id = (await client.post("/v1/maintenance", json=body)).json()["id"]
    world.clock.sleep(3_610)
    async with signed_in(world, Role.TECHNICIAN) as client:
        shown = {"to": "2026-11-22T11:00", "keeps": "alarms", "why": "new bearing"}
        changed = await client.post("/maintenance", data=await fields(client, "change") | shown)
    assert changed.status_code == 303
    wanted = world.windows.one(OWN, window_id).wanted
    assert (wanted.until_ms, wanted.why) == (NOW_MS + HOUR_MS + 30_500, "new bearing")


async def test_a_device_s_page_lists_what_is_not_over(world: World) -> None:
    """From the moment of its end on, whether a round has noted that or not."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        await begin(client)
        for seconds, listed in ((7_199, True), (1, False)):
            world.clock.sleep(seconds)
            page = (await client.get("/devices/pump-7")).text
            assert ('id="maintenance"' in page) is listed


async def test_a_page_shows_what_a_window_kept_back(world: World) -> None:
    """With its sentences, linked from the window; another window's episodes are not there."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        await begin(client)
        window = logged(world)[0].window
        empty = (await client.get(f"/maintenance?window={window}")).text
        world.commit_episode("pump-7", suppressed=window, explanation="too hot " + NASTY)
        world.commit_episode("pump-7", started_ms=NOW_MS, suppressed="mw_other", explanation="too cold")
        linked = (await client.get("/maintenance")).text
        shown = (await client.get(f"/maintenance?window={window}")).text
        unknown = await client.get("/maintenance?window=mw_none")
    assert f'href="/maintenance?window={window}"' in linked
    assert "Kept back by this window" in empty
    assert "too hot" in shown
    assert "too hot" not in empty + linked
    assert "too cold" not in shown
    assert "<script>alert" not in shown
    assert unknown.status_code == 404


async def test_times_of_the_form_are_of_its_zone(world: World) -> None:
    """Days of the week are those of the zone too."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        said = {"zone": "Europe/Berlin", "sunday": "1", "daily_from": "11:30", "daily_to": "11:45"}
        assert (await begin(client, **said)).status_code == 303
        shown = (await client.get("/maintenance")).text
    assert "each Sunday, 11:30 to 11:45 Europe/Berlin" in shown
    assert logged(world)[0].effective_ms == 1_795_338_000_000
    assert logged(world)[0].spans == ((1_795_343_400_000, 1_795_344_300_000),)


@pytest.mark.parametrize(
    ("said", "mistake"),
    [
        ({"name": "pump-8"}, "No device of this name has sent anything yet"),
        ({"from": "soon"}, "Give date and time."),
        ({"to": "2026-11-22T09:00"}, "The end must come after the beginning."),
        ({"to": ""}, "Say until when"),
        ({"zone": "Mars"}, "there is no time zone"),
        ({"covers": "planet"}, "Say what is worked on."),
        ({"monday": "1", "daily_from": "late"}, "A time of day is such as 22:00."),
    ],
)
async def test_what_can_not_be_done_is_said_in_the_form(
    world: World, said: dict[str, str], mistake: str
) -> None:
    """What was filled in stays, and nothing is logged."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        answer = await begin(client, **said)
    assert answer.status_code in {400, 404}
    assert mistake in answer.text
    assert "oil &lt;" in answer.text
    assert logged(world) == []


async def test_a_form_from_elsewhere_does_nothing(world: World) -> None:
    """It needs the token that only these pages have."""
    world.fleet.add(OWN, "pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        assert (await begin(client, csrf="x")).status_code == 403
    assert logged(world) == []


async def test_who_only_looks_has_no_form(world: World) -> None:
    """A viewer sees what is in maintenance, and can't begin or end any."""
    world.fleet.add(OWN, "pump-7")
    world.maintain("pump-7")
    async with signed_in(world, Role.VIEWER) as client:
        page = (await client.get("/maintenance")).text
    assert "pump-7" in page
    assert 'action="/maintenance"' not in page
    assert NOW_MS + HOUR_MS > NOW_MS
