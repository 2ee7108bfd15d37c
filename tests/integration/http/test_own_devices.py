"""Technicians see the devices that the directory says are theirs now, and of others what does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.http_kit import FOREIGN, NOW_MS, OWN, World
from tocsin.access.people import principal_of
from tocsin.access.person import PersonChange
from tocsin.access.principal import Role
from tocsin.api.names import iso
from tocsin.directory.abstract import Entry
from tocsin.errors import NotFoundError
from tocsin.inbox.action import Action, ActionKind, Target
from tocsin.simulate.directory.faults import DirectoryFault, always
from tocsin.web.pages import PAST_MAX

pytestmark = pytest.mark.anyio

ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
BORIS = "0e5b9c1a-4d2f-4c53-9d59-2d0f3f1f7a10"
HARD_S = 7 * 86_400
LISTS = {
    "/v1/anomalies": "anomalies",
    "/v1/anomalies/changes": "changes",
    "/v1/episodes": "episodes",
    "/v1/devices": "devices",
    "/v1/locations": "locations",
    f"/v1/technicians/{ANNA}/anomalies": "anomalies",
    f"/v1/technicians/{ANNA}/devices": "devices",
    f"/v1/technicians/{ANNA}/changes": "changes",
}
PAGES = ("/fleet", "/live", "/inbox", "/inbox/live", "/locations", f"/technicians/{ANNA}")


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Anna has the devices a and b, Boris has c; each device has an anomaly."""
    world = make_world()
    world.responsible(ANNA, "a", "b", location="hall 1")
    world.responsible(BORIS, "c", location="hall 2")
    for device in "abc":
        world.find_anomaly(device)
    world.person("anna", technician=ANNA)
    return world


async def asked(world: World, who: dict[str, str], path: str, **params: Any) -> httpx.Response:
    async with world.client(headers=who) as client:
        return await client.get(path, params=params)


async def sent(world: World, who: dict[str, str], path: str, **options: Any) -> httpx.Response:
    headers = who | options.pop("headers", {})
    async with world.client(headers=headers) as client:
        return await client.post(path, **options)


def anomalies(world: World) -> dict[str, str]:
    """The id of each device's anomaly."""
    changes = world.inbox.changes(0, tenant=OWN)
    found = [world.inbox.anomaly(OWN, change.anomaly_id) for change in changes]
    return {each.device: each.id for each in found if each is not None}


async def test_lists_hold_the_own_devices_alone(world: World) -> None:
    """Whatever the filter, page by page, and the pages for people too."""
    anna = world.sign_in("anna")
    assert "<h1>Devices</h1>" in (await asked(world, anna, "/fleet")).text  # as the bar calls the page
    other = anomalies(world)["c"]
    for path, name in LISTS.items():
        cursor: dict[str, Any] = {}
        told = []
        for _ in range(9):
            answer = (await asked(world, anna, path, limit=1, **cursor)).json()
            told += answer[name]
            after = answer["last"] if name == "changes" else answer["next"]
            if after is None or cursor.get("after") == after:
                break
            cursor = {"after" if name == "changes" else "cursor": after}
        assert len(told) == (1 if name == "locations" else 2), path
        assert other not in str(told)
        assert "hall 2" not in str(told)
    for filters in ({"device": "c"}, {"severity": "warning", "device": "c"}, {"seen": False, "device": "c"}):
        assert (await asked(world, anna, "/v1/anomalies", **filters)).json()["anomalies"] == []
    assert (await asked(world, anna, "/v1/episodes", device="c")).json()["episodes"] == []
    filtered = (await asked(world, anna, "/v1/anomalies", condition="active")).json()["anomalies"]
    assert [each["device"] for each in filtered] == ["b", "a"]
    for path in PAGES:
        page = await asked(world, anna, path)
        assert page.status_code == 200
        assert other not in page.text
        assert "temperature 93.2 °C of c" not in page.text


async def test_short_answers_count_the_own_devices_alone(world: World) -> None:
    """The newest readings and their number."""
    anna = world.sign_in("anna")
    latest = (await asked(world, anna, "/api/latest_anomalies")).json()
    assert {each["device"] for each in latest} == {"a", "b"}
    for time_range in ("1m", "30d"):
        params = {"time_range": time_range, "at": iso(NOW_MS)}
        assert (await asked(world, anna, "/api/outliers_count", **params)).json()["outliers_count"] == 2
        viewer = {"Authorization": f"Bearer {world.key(Role.VIEWER)}"}
        assert (await asked(world, viewer, "/api/outliers_count", **params)).json()["outliers_count"] == 3


async def test_changes_elsewhere_move_nothing(world: World) -> None:
    """Neither the number to go on after, nor a page that is read again."""
    anna = world.sign_in("anna")
    before = (await asked(world, anna, "/v1/anomalies/changes")).json()
    world.inbox.act(
        Action(
            kind=ActionKind.COMMENT, tenant=OWN, actor="m", at_ms=0,
            targets=(Target(id=anomalies(world)["c"]),), note="it hums",
        )
    )  # fmt: skip
    assert (await asked(world, anna, "/v1/anomalies/changes")).json() == before
    after = (await asked(world, anna, "/v1/anomalies/changes", after=before["last"])).json()
    assert after == {"changes": [], "last": before["last"]}


async def test_actions_know_no_others(world: World) -> None:
    """One, many, merged and undone: what is another's is answered as what nobody has."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    for action in ("comment", "acknowledge", "resolve"):
        path = f"/v1/anomalies/{{}}/{action}"
        options: dict[str, Any] = {"json": {"note": "x"}, "headers": {"If-Match": "*"}}
        other = await sent(world, anna, path.format(ids["c"]), **options)
        nobody = await sent(world, anna, path.format("an_none"), **options)
        assert (other.status_code, other.json()["detail"]) == (404, nobody.json()["detail"])
    merged = await sent(
        world,
        anna,
        f"/v1/anomalies/{ids['a']}/merge",
        json={"anomalies": [{"id": ids["c"]}]},
        headers={"If-Match": "*"},
    )
    assert merged.status_code == 404
    many = {"action": "resolve", "anomalies": [{"id": ids["a"]}, {"id": ids["c"]}, {"id": "an_none"}]}
    answer = (await sent(world, anna, "/v1/anomalies/actions", json=many)).json()
    assert [each["id"] for each in answer["done"]] == [ids["a"]]
    other, nobody = answer["left"]
    assert other == nobody | {"id": ids["c"]}
    for device, status in (("a", 200), ("c", 404)):
        done = world.inbox.act(
            Action(
                kind=ActionKind.REOPEN if device == "a" else ActionKind.RESOLVE,
                tenant=OWN, actor="m", at_ms=1, targets=(Target(id=ids[device]),),
            )
        )  # fmt: skip
        undone = await sent(world, anna, f"/v1/actions/{done.sequence}/undo")
        assert undone.status_code == status, undone.text
    assert (await sent(world, anna, "/v1/actions/999/undo")).json()["detail"] == undone.json()["detail"]
    untouched = world.inbox.anomaly(OWN, ids["c"])
    assert untouched is not None
    assert untouched.handling == "resolved"  # by the one who may, and not given back


async def test_what_shows_in_a_device_s_data_is_for_who_sees_it(world: World) -> None:
    """Also where nothing else has looked before."""
    found = world.access.people.with_hash(OWN, "anna")
    assert found is not None
    anna, devices = principal_of(found[0]), world.services.devices
    assert [each.device for each in devices.active_anomalies(anna, "a")] == ["a"]
    with pytest.raises(NotFoundError, match="or it is not one that you see"):
        devices.active_anomalies(anna, "c")


async def test_a_page_offers_no_undo_of_what_was_done_elsewhere_too(world: World) -> None:
    """It would be refused, and how many others it was done to is not hers to know."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    for devices, kind, offered in (("ab", ActionKind.ACKNOWLEDGE, True), ("ac", ActionKind.RESOLVE, False)):
        targets = tuple(Target(id=ids[device]) for device in devices)
        world.inbox.act(Action(kind=kind, tenant=OWN, actor="m", at_ms=0, targets=targets))
        page = (await asked(world, anna, f"/anomalies/{ids['a']}")).text
        assert ('value="undo"' in page) is offered


async def test_a_repeat_of_what_was_hers_gets_the_first_answer(world: World) -> None:
    """A phone that asks again after the device has moved is told what it did; nothing is done anew."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    body = {"action": "comment", "note": "x", "anomalies": [{"id": ids["a"]}, {"id": ids["b"]}]}
    options: dict[str, Any] = {"json": body, "headers": {"Idempotency-Key": "k"}}
    first = await sent(world, anna, "/v1/anomalies/actions", **options)
    world.responsible(BORIS, "b", "c")
    again = await sent(world, anna, "/v1/anomalies/actions", **options)
    assert (again.status_code, again.text) == (200, first.text)
    assert again.headers["Tocsin-Repeated"] == "true"


async def test_work_is_given_to_who_sees_it(world: World) -> None:
    """A technician would never see what is assigned to her at another's device; of such she hears nothing."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    admin, any_version = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}, {"If-Match": "*"}
    wanted: dict[str, Any] = {"json": {"assignee": "Anna"}, "headers": any_version}
    other = await sent(world, admin, f"/v1/anomalies/{ids['c']}/assign", **wanted)
    assert (other.status_code, other.json()["code"]) == (409, "not_responsible")
    assert "c is not theirs" in other.json()["detail"]
    many = {"action": "assign", "assignee": "anna", "anomalies": [{"id": ids["a"]}, {"id": ids["c"]}]}
    assert (await sent(world, admin, "/v1/anomalies/actions", json=many)).status_code == 409
    assert (await sent(world, anna, f"/v1/anomalies/{ids['c']}/assign", **wanted)).status_code == 404
    assert {each.assignee for each in map(partial(world.inbox.anomaly, OWN), ids.values()) if each} == {None}
    assert (await sent(world, admin, f"/v1/anomalies/{ids['a']}/assign", **wanted)).status_code == 200


async def test_work_can_be_given_before_the_directory_has_spoken(make_world: Callable[..., World]) -> None:
    """While nobody knows whose devices these are; to who is nobody in the directory it can't."""
    world = make_world()
    world.responsible(BORIS, "c")
    world.find_anomaly("d")
    world.person("anna", technician=ANNA)
    world.person("nobody", technician=None)
    admin, (anomaly,) = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}, anomalies(world).values()
    for name, status in (("anna", 200), ("nobody", 409)):
        options: dict[str, Any] = {"json": {"assignee": name}, "headers": {"If-Match": "*"}}
        answer = await sent(world, admin, f"/v1/anomalies/{anomaly}/assign", **options)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("change", ["moved", "disabled"])
async def test_an_assignment_that_is_asked_again_gets_the_first_answer(world: World, change: str) -> None:
    """Though by now nothing could be given to that person: it was done."""
    admin, anomaly = {"Authorization": f"Bearer {world.key(Role.ADMIN)}"}, anomalies(world)["a"]
    headers = {"If-Match": "*", "Idempotency-Key": "k"}
    options: dict[str, Any] = {"json": {"assignee": "anna"}, "headers": headers}
    first = await sent(world, admin, f"/v1/anomalies/{anomaly}/assign", **options)
    if change == "moved":
        world.responsible(BORIS, "a")
    else:
        person = world.access.people.page(OWN, limit=9)[0].person_id
        world.access.people.change(
            OWN, person, PersonChange(disabled=True), revision=None, tell=lambda _: None
        )
    again = await sent(world, admin, f"/v1/anomalies/{anomaly}/assign", **options)
    assert (again.status_code, again.text) == (first.status_code, first.text) == (200, first.text)
    options["headers"] = {"If-Match": "*", "Idempotency-Key": "another"}
    assert (await sent(world, admin, f"/v1/anomalies/{anomaly}/assign", **options)).status_code in {400, 409}


async def test_a_device_that_moves_is_seen_by_whose_it_is(world: World) -> None:
    """At once, also while the directory is down since."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    world.person("boris", technician=BORIS)
    boris = world.sign_in("boris")
    world.third_party.trouble = always(DirectoryFault.ERROR)
    for who, seen in ((anna, True), (boris, False)):
        assert ((await asked(world, who, f"/v1/anomalies/{ids['a']}")).status_code == 200) is seen
    world.responsible(BORIS, "a", "c")
    world.responsible(ANNA, "b")
    for who, seen in ((anna, False), (boris, True)):
        assert ((await asked(world, who, f"/v1/anomalies/{ids['a']}")).status_code == 200) is seen
        listed = (await asked(world, who, "/v1/anomalies")).json()["anomalies"]
        assert (ids["a"] in {each["id"] for each in listed}) is seen


async def test_who_is_nobody_in_the_directory_is_told_so(world: World) -> None:
    """No GUID, and one that the directory does not know: refused in words, not with an empty list."""
    world.person("nobody")
    world.person("wrong", technician="00000000-0000-4000-8000-000000000000")
    world.directory_cache.forget_technician("00000000-0000-4000-8000-000000000000", NOW_MS, NOW_MS)
    for name in ("nobody", "wrong"):
        who = world.sign_in(name)
        for path in (*LISTS, "/api/latest_anomalies", f"/v1/anomalies/{anomalies(world)['a']}"):
            answer = await asked(world, who, path)
            told = (answer.status_code, answer.json()["code"])
            assert told == (
                (404, "not_found") if "technicians" in path and name == "wrong" else (403, "no_technician")
            )
        page = (await asked(world, who, "/inbox")).text
        assert "GUID" in page
        assert "Back to the inbox" not in page  # which would say the same
        assert (await asked(world, who, "/account")).status_code == 200
        assert '<a href="/account">Your account</a>' in page
        assert (await asked(world, who, "/v1/me")).json()["devices"] == "own"


async def test_a_link_that_leads_nowhere_does_not_lead_on_to_a_refusal(world: World) -> None:
    """Who has no GUID is refused the inbox, so nobody sends her there from a page that is not there."""
    world.person("nobody")
    page = (await asked(world, world.sign_in("nobody"), "/anomalies/none")).text
    assert "Back to the inbox" not in page
    assert '<a href="/account">Your account</a>' in page


async def test_nothing_is_shown_before_the_directory_has_spoken(world: World) -> None:
    """A down directory without a last word is 503 with Retry-After, and her list is asked for next."""
    newcomer = "11111111-1111-4111-8111-111111111111"
    world.person("new", technician=newcomer)
    who = world.sign_in("new")
    world.third_party.trouble = always(DirectoryFault.ERROR)
    for path in ("/v1/anomalies", "/v1/devices", "/v1/devices/a", "/api/latest_anomalies", "/v1/stream"):
        answer = await asked(world, who, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "mapping_unknown")
        assert int(answer.headers["Retry-After"]) > 0
    assert (await asked(world, who, "/v1/me")).json()["mapping"] == "unknown"
    world.responsible(newcomer, "c")
    assert [each["device"] for each in (await asked(world, who, "/v1/anomalies")).json()["anomalies"]] == [
        "c"
    ]
    world.responsible(newcomer)
    world.responsible(BORIS, "c")
    answer = await asked(world, who, "/v1/anomalies")
    assert (answer.status_code, answer.json()["anomalies"]) == (200, [])  # the directory has said: none


async def test_no_inbox_is_called_empty_before_all_own_devices_are_known(world: World) -> None:
    """The answer for one device comes before the list of all, and nothing is wrong with that one."""
    newcomer = "11111111-1111-4111-8111-111111111111"
    world.person("new", technician=newcomer)
    who = world.sign_in("new")
    world.directory_cache.keep_device(Entry("quiet", newcomer, None), NOW_MS, NOW_MS)
    assert "that are known to be yours so far" in (await asked(world, who, "/inbox")).text
    world.responsible(newcomer, "quiet")
    assert "Nothing is unresolved at your devices." in (await asked(world, who, "/inbox")).text


async def test_a_last_word_counts_as_long_as_it_may(world: World) -> None:
    """While the directory is down, with its age; then it is unknown."""
    world.third_party.trouble = always(DirectoryFault.ERROR)
    world.clock.sleep(3600)
    anna = world.sign_in("anna")
    assert len((await asked(world, anna, "/v1/anomalies")).json()["anomalies"]) == 2
    me = (await asked(world, anna, "/v1/me")).json()
    assert (me["devices"], me["mapping"], me["as_of"]) == ("own", "stale", iso(NOW_MS))
    world.clock.sleep(HARD_S)
    anna = world.sign_in("anna")
    assert (await asked(world, anna, "/v1/anomalies")).json()["code"] == "mapping_unknown"


async def test_others_see_what_they_saw(world: World) -> None:
    """Another role beside it, a program's key, and a tenant in which nobody could say whose a device is."""
    world.find_anomaly("d", FOREIGN)
    world.person("both", Role.TECHNICIAN, Role.OPERATOR, technician=ANNA)
    world.person("viewer", Role.VIEWER)
    world.person("far", tenant=FOREIGN)
    key = {"Authorization": f"Bearer {world.key(Role.TECHNICIAN)}"}
    for who, count in (
        (world.sign_in("both"), 3),
        (world.sign_in("viewer"), 3),
        (key, 3),
        (world.sign_in(f"{FOREIGN}/far"), 1),
    ):
        assert len((await asked(world, who, "/v1/anomalies")).json()["anomalies"]) == count
        assert (await asked(world, who, "/v1/me")).json()["devices"] == "all"


@pytest.mark.parametrize(
    "change",
    [PersonChange(roles=(Role.TECHNICIAN,)), PersonChange(roles=(Role.TECHNICIAN,), technician=ANNA)],
)
async def test_another_role_or_guid_acts_at_once(world: World, change: PersonChange) -> None:
    """In the browser that is signed in already."""
    person = world.person("both", Role.TECHNICIAN, Role.OPERATOR, technician=BORIS)
    who = world.sign_in("both")
    assert len((await asked(world, who, "/v1/anomalies")).json()["anomalies"]) == 3
    world.access.people.change(OWN, person, change, revision=None, tell=lambda _: None)
    devices = [each["device"] for each in (await asked(world, who, "/v1/anomalies")).json()["anomalies"]]
    assert devices == (["b", "a"] if change.technician == ANNA else ["c"])


async def test_names_of_others_are_no_objects(world: World) -> None:
    """Every address that names a device, anomaly, episode, place or technician answers as for none."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    episode = f"{OWN}-c-0"
    for path, other, nobody in (
        ("/v1/anomalies/{}", ids["c"], "an_none"),
        ("/v1/anomalies/{}/history", ids["c"], "an_none"),
        ("/v1/episodes/{}", episode, "none"),
        ("/v1/episodes/{}/revisions", episode, "none"),
        ("/v1/episodes/{}/proof", episode, "none"),
        ("/v1/devices/{}", "c", "none"),
        ("/v1/devices/{}/series", "c", "none"),
        ("/v1/devices/{}/series/temperature", "c", "none"),
        ("/v1/devices/{}/dumps", "c", "none"),
        ("/v1/devices/{}/dumps/1", "c", "none"),
        ("/v1/locations/{}/devices", "hall 2", "none"),
        ("/v1/technicians/{}/devices", BORIS, "none"),
        ("/v1/technicians/{}/anomalies", BORIS, "none"),
        ("/v1/technicians/{}/changes", BORIS, "none"),
        ("/devices/{}", "c", "none"),
        ("/anomalies/{}", ids["c"], "an_none"),
        ("/anomalies/{}/live", ids["c"], "an_none"),
        (f"/anomalies/{{}}/proof/{episode}", ids["c"], "an_none"),
        (f"/anomalies/{ids['a']}/proof/{{}}", episode, "none"),
        ("/technicians/{}", BORIS, "none"),
        ("/technicians/{}/live", BORIS, "none"),
        ("/locations/{}", "hall 2", "none"),
    ):
        answers = [await asked(world, anna, path.format(quote(name, safe=""))) for name in (other, nobody)]
        told = [(each.status_code, each.text) for each in answers]
        if path.startswith("/v1"):
            assert told[0] == told[1]
        assert told[0][0] == told[1][0] == (200 if "locations" in path else 404), path
        assert "93.2" not in told[0][1]


async def test_the_inbox_says_how_old_the_mapping_is_that_it_follows(world: World) -> None:
    """Also that it was not confirmed since; whoever sees everything needs no such word."""
    anna = world.sign_in("anna")
    assert "as the directory said" in (await asked(world, anna, "/inbox")).text
    world.clock.sleep(2 * 3600)
    for path in ("/inbox", "/inbox/live?show=mine"):
        page = (await asked(world, anna, path)).text
        assert "as the directory said" in page
        assert "not confirmed since" in page
        assert anomalies(world)["a"] in page
    viewer = {"Authorization": f"Bearer {world.key(Role.VIEWER)}"}
    assert "directory said" not in (await asked(world, viewer, "/inbox")).text


async def test_the_first_page_of_a_technician_is_her_inbox(world: World) -> None:
    """What is unresolved at her devices; views of all are for who sees all."""
    anna, ids = world.sign_in("anna"), anomalies(world)
    first = await asked(world, anna, "/")
    assert (first.status_code, first.headers["location"]) == (303, "/inbox")
    page = (await asked(world, anna, "/inbox")).text
    assert re.findall(r'id="a-(an_\w+)"', page) == [ids["b"], ids["a"]]
    assert re.findall(r"show=(\w+)", page)[0] == "mine"
    for view in ("all", "unresolved"):
        assert f"show={view}" not in page
        assert (await asked(world, anna, "/inbox", show=view)).status_code == 400
    world.person("viewer", Role.VIEWER)
    assert (await asked(world, world.sign_in("viewer"), "/")).status_code == 200


async def test_no_page_of_a_technician_leads_to_a_view_that_is_refused(world: World) -> None:
    """From a device with a long past, too."""
    anna = world.sign_in("anna")
    for week in range(PAST_MAX + 1):
        past_ms = NOW_MS - (PAST_MAX + 1 - week) * 7 * 86_400_000
        world.find_anomaly("a", started_ms=past_ms, last_abnormal_ms=past_ms, end_ms=past_ms)
    async with world.client(headers=anna) as client:
        for path in ("/devices/a", "/inbox?show=resolved&device=a"):
            page = (await client.get(path)).text
            links = [unescape(link) for link in re.findall(r'href="(/inbox\?[^"]+)"', page)]
            assert links
            for link in links:
                assert (await client.get(link)).status_code == 200, link


async def test_mine_is_what_is_assigned_and_what_is_at_my_devices(world: World) -> None:
    """Of somebody who sees all, each once; whoever sees less gets no device by an assignment."""
    world.person("both", Role.TECHNICIAN, Role.OPERATOR, technician=BORIS)
    ids, both = anomalies(world), world.sign_in("both")
    for name in ("both", "anna"):
        for device in "ac":
            action = Action(
                kind=ActionKind.ASSIGN, tenant=OWN, actor="m", at_ms=0, assignee=name,
                targets=(Target(id=ids[device]),),
            )  # fmt: skip
            world.inbox.act(action)
        signed = world.sign_in(name)
        page = (await asked(world, signed, "/inbox", show="mine")).text
        shown = re.findall(r'id="a-(an_\w+)"', page)
        assert shown == ([ids["c"], ids["a"]] if name == "both" else [ids["a"], ids["b"]])
    assert (
        ids["c"] in (await asked(world, both, "/inbox", show="mine")).text
    )  # at his device, assigned to her
    assert ids["a"] not in (await asked(world, both, "/inbox", show="mine")).text
    one = (await asked(world, both, "/inbox", show="mine", device="c")).text
    assert re.findall(r'id="a-(an_\w+)"', one) == [ids["c"]]
