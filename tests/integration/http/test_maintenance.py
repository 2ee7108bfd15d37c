"""Maintenance windows, as people ask for them: kept, logged, ended, seen by whom they concern."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

import httpx
import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_quarantine import decisions
from tocsin.access.principal import Role
from tocsin.control import MaintenanceSet
from tocsin.errors import StorageUnavailableError
from tocsin.log.abstract import Append, Appended
from tocsin.processing.maintenance import KEPT_MAX
from tocsin.services.actions import NAME_CHARACTERS_MAX as KEY_CHARACTERS_MAX
from tocsin.services.devices import Device
from tocsin.services.maintenance import HORIZON_MS, OF_A_DEVICE_MAX
from tocsin.services.maintenance_window import DAYS, Changes, MaintenanceWindow

pytestmark = pytest.mark.anyio

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
TECHNICIAN: Final = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
WHEN: Final = {"from": str(NOW_MS), "to": str(NOW_MS + HOUR_MS), "why": "new bearing"}
NIGHT: Final[dict[str, Any]] = {
    "days": ["monday"],
    "from": "22:00",
    "to": "02:00",
    "timezone": "Europe/Berlin",
}
NIGHTS: Final[dict[str, Any]] = {"from": str(NOW_MS), "weekly": NIGHT}


async def ask(
    world: World, body: Mapping[str, Any], role: Role = Role.OPERATOR, key: str = ""
) -> httpx.Response:
    async with world.client(world.key(role), headers={"Idempotency-Key": key}) as client:
        return await client.post("/v1/maintenance", json=dict(body))


async def end(world: World, window_id: str, **headers: str) -> httpx.Response:
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        return await client.post(f"/v1/maintenance/{window_id}/end", headers=headers)


def logged(world: World) -> list[MaintenanceSet]:
    return [each for each in decisions(world) if isinstance(each, MaintenanceSet)]


async def test_a_window_is_kept_logged_and_noted(world: World) -> None:
    """What holds is in the log of the device's partition, who asked for it in the audit log."""
    world.fleet.add(OWN, "pump-7")
    made = await ask(world, {"device": "pump-7", **WHEN}, Role.TECHNICIAN)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    told = made.json()
    assert (told["device"], told["location"], told["devices"], told["state"]) == ("pump-7", None, 1, "holds")
    assert logged(world) == [
        MaintenanceSet(
            tenant=OWN,
            window=told["id"],
            revision=1,
            effective_ms=NOW_MS,
            devices=("pump-7",),
            spans=((NOW_MS, NOW_MS + HOUR_MS),),
            no_alert=True,
        )
    ]
    async with world.client(world.key(Role.VIEWER)) as client:
        assert (await client.get(f"/v1/maintenance/{told['id']}")).json() == told
        assert (await client.get("/v1/maintenance")).json() == {"windows": [told], "next": None}
    noted = [stored.entry.action for stored in world.audit_log.entries(OWN, before=None, limit=10)]
    assert noted[0] == "maintenance.begin"


@pytest.mark.parametrize(
    ("asked", "effects"),
    [
        ({"no_learn": True}, (True, True)),
        ({"no_learn": True, "no_alert": False}, (False, True)),
        ({"no_learn": False}, (True, False)),
    ],
)
async def test_a_window_keeps_back_alarms_or_learning_or_both(
    world: World, asked: dict[str, bool], effects: tuple[bool, bool]
) -> None:
    """What was asked for is answered, and logged for the device."""
    world.fleet.add(OWN, "pump-7")
    told = (await ask(world, {"device": "pump-7", **WHEN, **asked})).json()
    assert (told["no_alert"], told["no_learn"]) == effects
    assert [(each.no_alert, each.no_learn) for each in logged(world)] == [effects]


async def test_the_same_key_makes_one_window(world: World) -> None:
    """A phone that heard no answer asks again; with another wish it is told so."""
    world.fleet.add(OWN, "pump-7")
    first = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    again = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    other = await ask(world, {"device": "pump-7", **WHEN, "why": "oil"}, key="k")
    assert again.json() == first.json()
    assert again.headers["tocsin-repeated"] == "true"
    assert (other.status_code, other.json()["field"]) == (409, "Idempotency-Key")
    assert len(logged(world)) == 1


async def test_a_window_is_ended_by_whoever_has_read_it(world: World) -> None:
    """It needs the version; once ended it stays ended, whoever asks again."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    assert (await end(world, window_id)).status_code == 428
    assert (await end(world, window_id, **{"If-Match": '"7"'})).status_code == 412
    world.clock.sleep(60)
    ended = await end(world, window_id, **{"If-Match": '"1"'})
    again = await end(world, window_id, **{"If-Match": '"1"'})
    assert (ended.status_code, ended.headers["etag"], ended.json()["state"]) == (200, '"2"', "over")
    assert again.json() == ended.json()
    last = logged(world)[-1]
    assert (last.spans, last.effective_ms, last.revision) == ((), NOW_MS + 60_000, 2)


async def change(
    world: World, window_id: str, role: Role = Role.TECHNICIAN, match: str = "*", **changes: Any
) -> httpx.Response:
    async with world.client(world.key(role), headers={"If-Match": match} if match else {}) as client:
        return await client.patch(f"/v1/maintenance/{window_id}", json=changes)


async def test_a_window_is_changed_by_whoever_has_read_it(world: World) -> None:
    """Its end, its reason and what it keeps back, from then on; the same again changes nothing."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    assert (await change(world, window_id, match="", why="oil")).status_code == 428
    assert (await change(world, window_id, match='"7"', why="oil")).status_code == 412
    world.clock.sleep(60)
    later = str(NOW_MS + 2 * HOUR_MS)
    wanted: dict[str, Any] = {"to": later, "why": "oil", "no_learn": True}
    changed = await change(world, window_id, match='"1"', **wanted)
    again = await change(world, window_id, match='"1"', **wanted)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["why"], changed.json()["no_alert"], changed.json()["no_learn"]) == (
        "oil",
        True,
        True,
    )
    assert again.json() == changed.json()
    first, last = logged(world)
    assert (first.no_learn, last.no_learn, last.revision) == (False, True, 2)
    assert (last.spans, last.effective_ms) == (((NOW_MS, NOW_MS + 2 * HOUR_MS),), NOW_MS + 60_000)
    noted = [stored.entry.action for stored in world.audit_log.entries(OWN, before=None, limit=10)]
    assert noted[0] == "maintenance.change"


async def test_the_key_of_a_changed_window_is_still_its_key(world: World) -> None:
    """A phone that asks again gets the window as it is now."""
    world.fleet.add(OWN, "pump-7")
    first = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    changed = await change(world, first.json()["id"], why="oil")
    again = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    assert (again.status_code, again.json()) == (201, changed.json())


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"to": None}, 400, "to"),
        ({"to": str(NOW_MS - 1)}, 400, "to"),
        ({"no_alert": False}, 400, "no_alert"),
        ({"why": "x" * 4001}, 400, "why"),
        ({"device": "pump-8"}, 400, "device"),
    ],
)
async def test_changes_that_make_no_sense_are_refused(
    world: World, changes: dict[str, Any], status: int, field: str
) -> None:
    """With the field; the window stays as it was."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    answer = await change(world, window_id, **changes)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert len(logged(world)) == 1


async def test_what_is_over_can_not_be_changed(world: World) -> None:
    """409: begin another one. Nor are windows of many devices changed by technicians."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    many = (await ask(world, {"application": "pumps", **WHEN})).json()["id"]
    assert (await change(world, many, why="oil")).status_code == 403
    assert (await change(world, many, Role.OPERATOR, why="oil")).status_code == 200
    world.clock.sleep(2 * 3600)
    assert (await change(world, window_id, why="oil")).status_code == 409


async def test_what_was_ended_is_over_whatever_the_clock_says_since(world: World) -> None:
    """A clock that is set back makes nobody's end undone: it is shown as over, and can't be changed."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    world.clock.sleep(60)
    ended = (await end(world, window_id, **{"If-Match": "*"})).json()
    world.clock.advance_to(NOW_MS + 1000)
    assert (await change(world, window_id, why="oil")).status_code == 409
    async with world.client(world.key(Role.VIEWER)) as client:
        assert (await client.get(f"/v1/maintenance/{window_id}")).json() == ended
        assert ended["state"] == "over"


async def test_what_is_over_can_not_be_ended(world: World) -> None:
    """Its time is up: 409, and nothing is logged."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    world.clock.sleep(2 * 3600)
    assert (await end(world, window_id, **{"If-Match": "*"})).status_code == 409
    assert len(logged(world)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"device": "pump-7", "location": "hall 3", **WHEN}, "device"),
        (WHEN, "device"),
        ({"device": "pump-7", "from": str(NOW_MS)}, "to"),
        ({"device": "pump-7", "from": str(NOW_MS), "to": str(NOW_MS)}, "to"),
        ({"device": "pump-7", "from": str(NOW_MS - HOUR_MS), "to": str(NOW_MS - 1)}, "to"),
        ({"device": "pump-7", "from": str(NOW_MS - 31 * DAY_MS), "to": str(NOW_MS + 1)}, "from"),
        ({"device": "pump-7", "from": str(NOW_MS), "to": str(NOW_MS + 367 * DAY_MS)}, "to"),
        ({"device": "pump-7", "from": "soon", "to": "later"}, "from"),
        ({"device": "pump-7", **WHEN, "no_alert": False}, "no_alert"),
        ({"device": "pump-7", **NIGHTS, "weekly": NIGHT | {"days": ["mon"]}}, "weekly.days"),
        ({"device": "pump-7", **NIGHTS, "weekly": NIGHT | {"to": "24:00"}}, "weekly.to"),
        ({"device": "pump-7", **NIGHTS, "weekly": NIGHT | {"timezone": "Mars"}}, "timezone"),
    ],
)
async def test_a_window_that_makes_no_sense_is_refused(
    world: World, body: dict[str, Any], field: str
) -> None:
    """400, with the field; nothing is kept."""
    world.fleet.add(OWN, "pump-7")
    answer = await ask(world, body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert logged(world) == []


@pytest.mark.parametrize("body", [{"device": "pump-8"}, {"location": "hall 9"}, {"application": "none"}])
async def test_what_nobody_knows_is_not_in_maintenance(world: World, body: dict[str, str]) -> None:
    """A mistyped name is told instead of being logged."""
    answer = await ask(world, body | WHEN)
    assert answer.status_code == 404
    assert logged(world) == []


@pytest.mark.parametrize("covers", ["location", "application"])
async def test_windows_of_many_devices_are_for_operators(world: World, covers: str) -> None:
    """They reach devices of colleagues."""
    answer = await ask(world, {covers: "pumps", **WHEN}, Role.TECHNICIAN)
    assert answer.status_code == 403


async def test_a_location_is_the_devices_that_stand_there_now(world: World) -> None:
    """Who comes is in maintenance from the next round on, who goes is not any more."""
    for name in ("pump-1", "pump-2", "pump-3"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", "pump-2", location="hall 3")
    made = await ask(world, {"location": "hall 3", **WHEN})
    assert made.json()["devices"] == 2
    world.responsible(TECHNICIAN, "pump-2", location="hall 4")
    world.responsible(TECHNICIAN, "pump-3", location="hall 3")
    world.clock.sleep(60)
    world.services.maintenance.refresh()
    window = world.windows.one(OWN, made.json()["id"])
    assert window.members == ("pump-1", "pump-3")
    latest = {name: each.spans for each in logged(world) for name in each.devices}
    assert [bool(latest[name]) for name in ("pump-1", "pump-2", "pump-3")] == [True, False, True]


async def test_where_a_device_went_is_not_known_while_nobody_can_say_it_stays(world: World) -> None:
    """What the directory said of it is too old to count, or was lost; of its neighbour it said it again."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", "pump-2", location="hall 3")
    wanted = {"location": "hall 3", **WHEN, "to": str(NOW_MS + 9 * DAY_MS)}
    made = await ask(world, wanted, key="k")
    world.clock.sleep(8 * 86_400)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, made.json()["id"]).members == ("pump-1", "pump-2")
    assert (await ask(world, wanted, key="k")).json()["devices"] == 2
    assert all(each.spans for each in logged(world))
    world.responsible(TECHNICIAN, "pump-2", location="hall 4")
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, made.json()["id"]).members == ("pump-1",)


async def test_many_windows_of_one_location_cost_a_round_one_look_at_its_devices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a thousand of them made slows nobody else down."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", "pump-2", location="hall 3")
    for _ in range(5):
        await ask(world, {"location": "hall 3", **WHEN})
    looks: list[str] = []
    device = world.fleet.device

    def look(tenant: str, name: str) -> Device | None:
        looks.append(name)
        return device(tenant, name)

    monkeypatch.setattr(world.fleet, "device", look)
    world.services.maintenance.refresh()
    assert looks == ["pump-1", "pump-2"]


async def test_an_application_is_its_devices(world: World) -> None:
    """As their newest records name it; who comes later joins within an hour."""
    world.fleet.add(OWN, "pump-1")
    made = await ask(world, {"application": "pumps", **WHEN, "to": str(NOW_MS + 3 * HOUR_MS)})
    assert made.json()["devices"] == 1
    world.fleet.add(OWN, "pump-2")
    for minutes, members in ((59, ("pump-1",)), (1, ("pump-1", "pump-2"))):
        world.clock.sleep(minutes * 60)
        world.services.maintenance.refresh()
        assert world.windows.one(OWN, made.json()["id"]).members == members


async def test_windows_are_listed_page_by_page_to_the_oldest(world: World) -> None:
    """Each once, the newest first, whatever size a page has; also of those that somebody sees alone."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    world.person("maria", technician=TECHNICIAN)
    names = ["pump-1", "pump-2", "pump-1", "pump-2", "pump-1"]
    made = [(await ask(world, {"device": name, **WHEN})).json()["id"] for name in names]
    async with world.client(world.key(Role.VIEWER)) as client:
        assert await listed(client) == made[::-1]
    async with world.client(headers=world.sign_in("maria")) as client:
        assert await listed(client) == made[::-2]


async def listed(client: httpx.AsyncClient) -> list[str]:
    """The ids of all windows, by pages of two."""
    found, query = list[str](), {"limit": "2"}
    while True:
        page = (await client.get("/v1/maintenance", params=query)).json()
        assert len(page["windows"]) <= 2
        found += [each["id"] for each in page["windows"]]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


async def test_days_come_back_in_the_order_of_the_week(world: World) -> None:
    """However they were written."""
    world.fleet.add(OWN, "pump-7")
    days = ["Sunday", "monday", "FRIDAY"]
    made = await ask(world, {"device": "pump-7", **NIGHTS, "weekly": NIGHT | {"days": days}})
    assert made.json()["weekly"]["days"] == ["monday", "friday", "sunday"]


async def test_what_repeats_is_logged_some_weeks_ahead_and_then_further(world: World) -> None:
    """Each night once, in UTC; another round logs more only when half of it has passed."""
    world.fleet.add(OWN, "pump-7")
    made = await ask(world, {"device": "pump-7", **NIGHTS})
    assert made.json()["to_at"] is None
    assert made.json()["weekly"] == NIGHTS["weekly"]
    (first,) = logged(world)
    assert [below - begin for begin, below in first.spans] == [4 * HOUR_MS] * 2
    world.services.maintenance.refresh()
    assert len(logged(world)) == 1
    world.clock.sleep(8 * 86_400)
    world.services.maintenance.refresh()
    assert logged(world)[-1].spans[-1][0] > first.spans[-1][0]
    assert logged(world)[-1].spans[-1][0] < NOW_MS + 8 * DAY_MS + HORIZON_MS


@pytest.mark.parametrize(
    "when", [NIGHTS, {"from": str(NOW_MS + 20 * DAY_MS), "to": str(NOW_MS + 21 * DAY_MS)}]
)
async def test_rounds_that_log_nothing_do_not_keep_later_ones_from_it(
    world: World, when: dict[str, Any]
) -> None:
    """What was looked at each hour for three weeks holds in the fourth, be it repeated or far ahead."""
    world.fleet.add(OWN, "pump-7")
    await ask(world, {"device": "pump-7", **when})
    for _ in range(20 * 12):
        world.clock.sleep(2 * 3600)
        world.services.maintenance.refresh()
    assert max(below for each in logged(world) for _, below in each.spans) > NOW_MS + 20 * DAY_MS


async def test_a_round_that_had_read_a_window_before_its_end_logs_nothing_behind_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would hold on, with nobody to end it again."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **NIGHTS})).json()["id"]
    read = world.windows.unsettled(after=0, limit=10)
    world.clock.sleep(8 * 86_400)
    await end(world, window_id, **{"If-Match": "*"})
    monkeypatch.setattr(world.windows, "unsettled", lambda *, after, limit: [] if after else read)
    world.services.maintenance.refresh()
    assert (logged(world)[-1].revision, logged(world)[-1].spans) == (2, ())


async def test_who_changes_a_window_is_not_told_what_the_log_does_not_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else changes it while the first change is logged; that one is not logged yet."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    submit = world.log.submit

    def meanwhile(append: Append) -> Future[Appended]:
        monkeypatch.undo()
        world.windows.change(OWN, window_id, Changes(no_learn=True), revision=None, at_ms=NOW_MS)
        return submit(append)

    monkeypatch.setattr(world.log, "submit", meanwhile)
    told = (await change(world, window_id, why="oil")).json()
    assert (told["version"], told["why"], told["no_learn"]) == (2, "oil", False)
    assert logged(world)[-1].revision == 2
    world.services.maintenance.refresh()
    assert (logged(world)[-1].revision, logged(world)[-1].no_learn) == (3, True)


async def test_whoever_joins_while_a_window_is_changed_stays_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round comes between what was read for the change and what is logged of it."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    window_id = (await ask(world, {"location": "hall 3", **WHEN})).json()["id"]
    change_kept = world.windows.change

    def meanwhile(*args: Any, **named: Any) -> MaintenanceWindow:
        told = change_kept(*args, **named)
        world.responsible(TECHNICIAN, "pump-1", "pump-2", location="hall 3")
        world.services.maintenance.refresh()
        return told

    monkeypatch.setattr(world.windows, "change", meanwhile)
    told = await change(world, window_id, Role.OPERATOR, to=str(NOW_MS + 2 * HOUR_MS))
    assert told.json()["devices"] == 2
    latest = {name: each.spans for each in logged(world) for name in each.devices}
    assert latest["pump-2"] == ((NOW_MS, NOW_MS + 2 * HOUR_MS),)


async def test_a_round_that_had_read_a_window_before_somebody_joined_lets_nobody_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same key came again meanwhile, and with it the devices as they were known by then."""
    world.fleet.add(OWN, "pump-1")
    await ask(world, {"application": "pumps", **WHEN}, key="k")
    read = world.windows.unsettled(after=0, limit=10)
    world.fleet.add(OWN, "pump-2")
    joined = await ask(world, {"application": "pumps", **WHEN}, key="k")
    assert joined.json()["devices"] == 2
    monkeypatch.setattr(world.windows, "unsettled", lambda *, after, limit: [] if after else read)
    world.services.maintenance.refresh()
    assert world.windows.one(OWN, joined.json()["id"]).members == ("pump-1", "pump-2")


async def test_what_was_ended_while_a_round_logged_it_is_logged_by_the_next_one(world: World) -> None:
    """The round notes what it has logged, which is not the window as it is now."""
    world.fleet.add(OWN, "pump-7")
    window_id = (await ask(world, {"device": "pump-7", **WHEN})).json()["id"]
    read = world.windows.one(OWN, window_id)
    world.windows.end(OWN, window_id, revision=None, at_ms=NOW_MS, actor="maria")
    world.windows.logged(read, settled=True)
    world.services.maintenance.refresh()
    assert (logged(world)[-1].revision, logged(world)[-1].spans) == (2, ())


async def test_what_the_log_refused_is_logged_by_the_next_round(world: World) -> None:
    """The answer is an error; the window is kept, and so is what it says."""
    world.fleet.add(OWN, "pump-7")
    submit = world.log.submit

    def refuse(*_: object) -> None:
        raise StorageUnavailableError("the disk is away")

    world.log.submit = refuse  # type: ignore[method-assign, assignment]
    refused = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    world.log.submit = submit  # type: ignore[method-assign]
    assert refused.status_code == 503
    assert logged(world) == []
    world.services.maintenance.refresh()
    assert [each.devices for each in logged(world)] == [("pump-7",)]
    again = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    assert again.headers["tocsin-repeated"] == "true"


async def test_a_key_has_a_length(world: World) -> None:
    """As those of actions: it is kept, and whoever sends a book of one is told."""
    world.fleet.add(OWN, "pump-7")
    kept = await ask(world, {"device": "pump-7", **WHEN}, key="k" * KEY_CHARACTERS_MAX)
    refused = await ask(world, {"device": "pump-7", **WHEN}, key="k" * (KEY_CHARACTERS_MAX + 1))
    assert (kept.status_code, refused.status_code) == (201, 400)
    assert refused.json()["field"] == "Idempotency-Key"


async def test_a_key_is_answered_as_before_when_the_window_is_over(world: World) -> None:
    """A phone that was away for long hears what became of its window, not that it can't be made."""
    world.fleet.add(OWN, "pump-7")
    first = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    world.clock.sleep(40 * 86_400)
    again = await ask(world, {"device": "pump-7", **WHEN}, key="k")
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["tocsin-repeated"] == "true"
    assert again.json()["state"] == "over"


async def test_a_device_has_room_for_every_span_of_its_windows(world: World) -> None:
    """One more would push out spans that hold now; it is refused until one is ended."""
    world.fleet.add(OWN, "pump-7")
    days = {"days": list(DAYS), "from": "22:00", "to": "02:00"}
    made = [
        await ask(world, {"device": "pump-7", "from": str(NOW_MS - 29 * DAY_MS), "weekly": days})
        for _ in range(OF_A_DEVICE_MAX)
    ]
    assert {each.status_code for each in made} == {201}
    assert sum(len(each.spans) for each in logged(world)) >= OF_A_DEVICE_MAX * 14
    ahead = [[span for span in each.spans if span[1] > NOW_MS] for each in logged(world)]
    assert sum(map(len, ahead)) <= KEPT_MAX
    refused = await ask(world, {"device": "pump-7", **WHEN})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "pump-7" in refused.json()["detail"]
    await end(world, made[0].json()["id"], **{"If-Match": "*"})
    assert (await ask(world, {"device": "pump-7", **WHEN})).status_code == 201


async def test_technicians_have_their_own_devices_in_maintenance(world: World) -> None:
    """Another's device is one that does not exist, and so are its windows."""
    for name in ("pump-1", "pump-2"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    world.person("maria", technician=TECHNICIAN)
    others = (await ask(world, {"device": "pump-2", **WHEN})).json()["id"]
    async with world.client(headers=world.sign_in("maria")) as client:
        own = await client.post("/v1/maintenance", json={"device": "pump-1", **WHEN})
        foreign = await client.post("/v1/maintenance", json={"device": "pump-2", **WHEN})
        seen = await client.get("/v1/maintenance")
        hidden = await client.get(f"/v1/maintenance/{others}")
    assert (own.status_code, foreign.status_code, hidden.status_code) == (201, 404, 404)
    assert [each["id"] for each in seen.json()["windows"]] == [own.json()["id"]]


async def test_of_a_location_technicians_see_how_many_of_their_own_devices_are_covered(world: World) -> None:
    """How many others stand there is not theirs to know: in the list, by itself, and on pages."""
    for name in ("pump-1", "pump-2", "pump-3"):
        world.fleet.add(OWN, name)
    world.responsible(TECHNICIAN, "pump-1", location="hall 3")
    world.responsible(TECHNICIAN.replace("6f", "7f"), "pump-2", "pump-3", location="hall 3")
    world.person("maria", technician=TECHNICIAN)
    made = (await ask(world, {"location": "hall 3", **WHEN})).json()
    assert made["devices"] == 3
    async with world.client(headers=world.sign_in("maria")) as client:
        (listed,) = (await client.get("/v1/maintenance")).json()["windows"]
        one = (await client.get(f"/v1/maintenance/{made['id']}")).json()
        pages = [(await client.get(path)).text for path in ("/maintenance", "/devices/pump-1")]
    assert (listed["devices"], one["devices"]) == (1, 1)
    for page in pages:
        assert "hall 3, 1 device<" in page


async def test_windows_that_are_not_over_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each tenant: the next one is refused until one is ended."""
    monkeypatch.setattr("tocsin.services.maintenance.WINDOWS_MAX", 1)
    world.fleet.add(OWN, "pump-7")
    made = await ask(world, {"device": "pump-7", **WHEN})
    assert (await ask(world, {"device": "pump-7", **WHEN})).status_code == 409
    await end(world, made.json()["id"], **{"If-Match": "*"})
    assert (await ask(world, {"device": "pump-7", **WHEN})).status_code == 201
