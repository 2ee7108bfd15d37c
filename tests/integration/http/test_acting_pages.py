"""Acting on the pages: forms that can't be forged, that tell of a collision, and that may be sent twice."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_pages import NASTY, signed_in
from tocsin.access.person import PersonChange
from tocsin.access.principal import Role
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import Action, ActionKind, Handling, Target

pytestmark = pytest.mark.anyio


async def fields(client: httpx.AsyncClient, anomaly: str) -> dict[str, str]:
    """The hidden fields of the page's first form."""
    page = (await client.get(f"/anomalies/{anomaly}")).text
    form = page[page.index("<form", page.index('id="handling"')) :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[: form.index("</form>")]))


def stored(world: World, anomaly: str) -> Anomaly:
    found = world.inbox.anomaly(OWN, anomaly)
    assert found is not None
    return found


async def test_looking_at_the_page_is_seeing(world: World) -> None:
    """A technician who opens the page has seen the anomaly; a viewer and the API have not."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world) as viewer, world.client(world.key(Role.TECHNICIAN)) as program:
        await viewer.get(f"/anomalies/{anomaly}")
        await program.get(f"/v1/anomalies/{anomaly}")
    assert stored(world, anomaly).seen_at_ms is None
    async with signed_in(world, Role.TECHNICIAN) as client:
        assert "seen" in (await client.get(f"/anomalies/{anomaly}")).text
    assert stored(world, anomaly).seen_at_ms == NOW_MS


async def test_what_was_merged_says_where_it_is(world: World) -> None:
    """Its episodes are those of the other one: they are kept, and what it was is said there."""
    far: dict[str, Any] = {"started_ms": NOW_MS - 90_000_000, "end_ms": NOW_MS - 89_000_000}
    one, other = world.find_anomaly("pump-7", id="e1"), world.find_anomaly("pump-7", id="e2", **far)
    names = {"anomalies": [{"id": other}]}
    async with signed_in(world, Role.TECHNICIAN) as client, world.client(world.key(Role.OPERATOR)) as program:
        await program.post(f"/v1/anomalies/{one}/merge", json=names, headers={"If-Match": "*"})
        page = (await client.get(f"/anomalies/{other}")).text
        feedback = (await client.get(f"/anomalies/{other}/feedback")).text
    assert f'<strong>Merged into</strong>: <span class="said">{one}' in page
    assert "are not kept any more" not in page
    assert page.count(f'href="/anomalies/{one}"') == 2
    assert "Nothing that could be said of it" not in feedback
    assert f'href="/anomalies/{one}/feedback"' in feedback


async def test_a_form_does_what_it_says(world: World) -> None:
    """Acknowledge with a note, snooze, assign, resolve: each leads back to the page, which tells it."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        for said, handling in (
            ({"action": "acknowledge", "note": "on\r\nmy way " + NASTY}, Handling.ACKNOWLEDGED),
            ({"action": "assign", "assignee": "tom"}, Handling.ACKNOWLEDGED),
            ({"action": "snooze", "hours": "4", "since": str(NOW_MS)}, Handling.SNOOZED),
            ({"action": "resolve", "note": "bearing replaced"}, Handling.RESOLVED),
        ):
            answer = await client.post(f"/anomalies/{anomaly}", data=await fields(client, anomaly) | said)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/anomalies/{anomaly}#handling")
            assert stored(world, anomaly).handling is handling
        page = (await client.get(f"/anomalies/{anomaly}")).text
    assert stored(world, anomaly).assignee == "tom"
    for told in (
        "Acknowledged",
        "on\nmy way",
        "Snoozed",
        "22 Nov 2026, 14:00 UTC",
        "to tom",
        "bearing replaced",
    ):
        assert told in page
    assert "<script>alert" not in page


async def test_the_second_of_two_keeps_what_she_wrote(world: World) -> None:
    """Two have the page open: the second is told what the first did, and nothing was done."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as one, signed_in(world, Role.OPERATOR) as other:
        first, second = await fields(one, anomaly), await fields(other, anomaly)
        await one.post(f"/anomalies/{anomaly}", data=first | {"action": "resolve", "note": "replaced"})
        late = await other.post(
            f"/anomalies/{anomaly}", data=second | {"action": "acknowledge", "note": "I go"}
        )
        assert late.status_code == 412
        assert "Nothing was done" in late.text
        assert "resolved by technician" in late.text
        assert "(replaced)" in late.text
        assert ">I go</textarea>" in late.text
        assert stored(world, anomaly).handling is Handling.RESOLVED


async def test_a_form_that_is_sent_twice_acts_once(world: World) -> None:
    """A second tap on the button changes nothing."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, anomaly) | {"action": "comment", "note": "it hums"}
        for _ in range(2):
            assert (await client.post(f"/anomalies/{anomaly}", data=form)).status_code == 303
    kinds = [change.kind for change in world.inbox.history(OWN, anomaly)]
    assert kinds == ["opened", "seen", "commented"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"csrf": "guess"}, 403),
        ({"csrf": ""}, 403),
        ({"version": "x"}, 400),
        ({"version": ""}, 400),
        ({"action": "wake"}, 400),
        ({"action": "delete"}, 400),
        ({"action": "snooze", "hours": "5"}, 400),
        ({"action": "snooze", "hours": "4", "since": "now"}, 400),
        ({"action": "comment", "note": " "}, 400),
        ({"action": "comment", "note": "x" * 4001}, 400),
        ({"action": "comment", "note": "x" * 70_000}, 403),
    ],
)
async def test_forms_that_are_none_of_the_pages_do_nothing(
    world: World, changed: dict[str, str], status: int
) -> None:
    """Forged, broken or too large: an error page, and the anomaly stays as it is."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, anomaly) | {"action": "resolve"} | changed
        assert (await client.post(f"/anomalies/{anomaly}", data=form)).status_code == status
        assert (await client.post("/anomalies/an_none", data=form)).status_code in {status, 404}
    assert [action.action.kind for action in world.inbox.actions(0)] == ["seen"]


async def test_a_snooze_from_a_page_that_was_left_open_is_asked_for_again(world: World) -> None:
    """An hour that is over already helps nobody; the page that says so counts from now. What was done is
    done: its form sent again says nothing of this."""
    anomaly = world.find_anomaly("pump-7")
    snooze = {"action": "snooze", "hours": "1"}
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, anomaly) | snooze | {"since": str(NOW_MS)}
        world.clock.advance_to(NOW_MS + 2 * 3_600_000)
        answer = await client.post(f"/anomalies/{anomaly}", data=form)
        assert (answer.status_code, stored(world, anomaly).handling) == (400, Handling.OPEN)
        assert "older than the snooze is long" in answer.text
        assert f'name="since" value="{world.clock.now_ms()}"' in answer.text
        form |= {"since": str(world.clock.now_ms())}
        first = await client.post(f"/anomalies/{anomaly}", data=form)
        world.clock.advance_to(NOW_MS + 4 * 3_600_000)
        again = await client.post(f"/anomalies/{anomaly}", data=form)
        assert (first.status_code, again.status_code) == (303, 303)


async def test_work_is_offered_to_those_who_can_see_to_it(world: World) -> None:
    """Not to who only reads, and not to who has left; nobody can be named who has."""
    anomaly = world.find_anomaly("pump-7")
    world.person("anna")
    world.person("vera", Role.VIEWER)
    left = world.person("leo")
    change = PersonChange(disabled=True)
    world.access.people.change(OWN, left, change, revision=None, tell=lambda _: None)
    async with signed_in(world, Role.OPERATOR) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
        assert re.findall(r'<option value="(\w+)">', page.partition("colleagues")[2]) == ["anna"]
        for name in ("vera", "leo"):
            form = await fields(client, anomaly) | {"action": "assign", "assignee": name}
            answer = await client.post(f"/anomalies/{anomaly}", data=form)
            assert (answer.status_code, "does not act on anomalies" in answer.text) == (400, True)
    assert stored(world, anomaly).assignee is None


async def test_a_viewer_is_offered_nothing_and_may_do_nothing(world: World) -> None:
    """No form on the page; a form made by hand is refused."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
        assert 'name="action"' not in page
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        form = {"csrf": csrf[1], "version": "1", "action": "resolve"}
        assert (await client.post(f"/anomalies/{anomaly}", data=form)).status_code == 403
    assert stored(world, anomaly).handling is Handling.OPEN


async def test_the_inbox_has_views(world: World) -> None:
    """Each shows what it names, the live part the same; an unknown one is an error page."""
    one, other = world.find_anomaly("pump-1"), world.find_anomaly("pump-2")
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, one)
        await client.post(f"/anomalies/{one}", data=form | {"action": "resolve"})
        for show, shown in (
            ("unresolved", [other]),
            ("unseen", [other]),
            ("resolved", [one]),
            ("snoozed", []),
            ("all", [one, other]),
        ):
            for path in ("/inbox", "/inbox/live"):
                page = (await client.get(f"{path}?show={show}")).text
                assert re.findall(r'id="a-(an_\w+)"', page) == shown
        assert (await client.get("/inbox?show=nonsense")).status_code == 400
        assert (await client.get("/inbox?before=x")).status_code == 400
        assert "Unresolved" in (await client.get("/inbox")).text


async def test_the_page_counts_what_an_undo_would_give_back(world: World) -> None:
    """What an action was refused for is not undone with it."""
    one, other, refused = (world.find_anomaly(f"pump-{number}") for number in range(3))
    async with signed_in(world, Role.TECHNICIAN) as client:
        targets = (Target(id=one), Target(id=other), Target(id=refused, version=99))
        world.inbox.act(Action(kind=ActionKind.RESOLVE, tenant=OWN, actor="m", at_ms=0, targets=targets))
        assert "Undo resolve, of 2 anomalies" in (await client.get(f"/anomalies/{one}")).text


async def test_the_newest_action_can_be_undone_on_the_page(world: World) -> None:
    """The button is there while nothing else has happened; one that comes too late says so."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, anomaly)
        await client.post(f"/anomalies/{anomaly}", data=form | {"action": "resolve"})
        assert "Undo resolve" in (await client.get(f"/anomalies/{anomaly}")).text
        undo = await fields(client, anomaly) | {"action": "undo", "number": "2"}
        assert (await client.post(f"/anomalies/{anomaly}", data=undo)).status_code == 303
        assert stored(world, anomaly).handling is Handling.OPEN
        assert "Undo resolve" not in (await client.get(f"/anomalies/{anomaly}")).text
        late = await client.post(f"/anomalies/{anomaly}", data=undo | {"key": "another"})
        assert (late.status_code, "not undone" in late.text) == (409, True)
        for number in ("x", "99"):
            answer = await client.post(f"/anomalies/{anomaly}", data=undo | {"key": "k", "number": number})
            assert answer.status_code in {400, 404}


async def test_what_a_person_does_bears_her_name_and_what_is_hers_has_a_view(world: World) -> None:
    """The history names the person, an assignment means one by any spelling, and `Mine` lists hers alone."""
    person = world.person("maria", Role.TECHNICIAN, Role.OPERATOR, display_name="Maria Rossi")
    world.person("vera", Role.VIEWER)
    mine, other = world.find_anomaly("pump-1"), world.find_anomaly("pump-2")
    headers = world.sign_in("maria")
    async with world.client(headers=headers) as client, world.client(world.key()) as program:
        assert "Assign to me" in (await client.get(f"/anomalies/{mine}")).text
        body, any_version = {"assignee": " MARIA "}, {"If-Match": "*"}
        await program.post(f"/v1/anomalies/{mine}/assign", json=body, headers=any_version)
        assert stored(world, mine).assignee == "maria"
        await client.post(f"/v1/anomalies/{mine}/acknowledge", json={}, headers=any_version)
        history = (await client.get(f"/v1/anomalies/{mine}/history")).json()["changes"]
        assert history[-1]["actor"] == person
        shown = (await client.get(f"/anomalies/{mine}")).text
        assert shown.count("Maria Rossi") >= 2
        assert "Assign to me" not in shown
        listed = (await client.get("/inbox?show=mine")).text
        assert (mine in listed, other in listed) == (True, False)
        vera = await program.post(
            f"/v1/anomalies/{other}/assign", json={"assignee": "vera"}, headers=any_version
        )
        assert (vera.status_code, vera.json()["field"]) == (400, "assignee")
    async with signed_in(world, Role.TECHNICIAN) as by_key:
        assert "show=mine" not in (await by_key.get("/inbox")).text
