"""Saying on a page what an anomaly was: shown before it is saved, without a script, and never by forgery."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import httpx
import pytest

from tests.http_kit import NOW_MS, OWN, World, episode_of
from tests.integration.http.test_feedback import acted, given
from tests.integration.http.test_pages import NASTY, signed_in
from tocsin.access.principal import Role
from tocsin.control import FeedbackKind
from tocsin.services.series import MovedLimit
from tocsin.web.pages import CHARTS_MAX

pytestmark = pytest.mark.anyio

LATER_MS: Final = NOW_MS + 30 * 86_400_000


async def fields(client: httpx.AsyncClient, anomaly: str) -> dict[str, str]:
    """The hidden fields of the form."""
    page = (await client.get(f"/anomalies/{anomaly}/feedback")).text
    form = page[page.index(f'action="/anomalies/{anomaly}/feedback"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[: form.index("</form>")]))


async def test_what_an_answer_would_change_is_shown_before_it_is_saved(world: World) -> None:
    """The preview keeps what was chosen and written, and saves nothing; saving leads back to the anomaly."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.previewed = [episode_of("pump-7")]
    path = f"/anomalies/{anomaly}/feedback"
    said = {"kind": "expected", "note": "each Monday " + NASTY}
    async with signed_in(world, Role.TECHNICIAN) as client:
        linked = (await client.get(f"/anomalies/{anomaly}")).text
        form = await fields(client, anomaly)
        shown = await client.post(path, data=form | said | {"do": "preview"})
        assert given(world) == []
        saved = await client.post(path, data=form | said | {"do": "save"})
        again = await client.post(path, data=form | said | {"do": "save"})
        page = (await client.get(f"/anomalies/{anomaly}")).text
    assert f'href="{path}"' in linked
    assert shown.status_code == 200
    for told in (
        "1 episode of these series, with this answer 0",
        "Would vanish: 1",
        "Nothing has been saved",
    ):
        assert told in shown.text
    assert f'formaction="{path}#preview"' in shown.text  # else a phone shows the top of the page as before
    assert 'id="preview"' in shown.text
    assert re.search(r'value="expected" required checked', shown.text)
    assert "each Monday" in shown.text
    assert "<script>alert" not in shown.text
    assert (saved.status_code, saved.headers["location"]) == (303, f"/anomalies/{anomaly}#history")
    assert again.status_code == 303
    assert {each.kind for _, each in given(world)} == {FeedbackKind.EXPECTED}
    assert len({each.action for _, each in given(world)}) == 1
    assert "expected, so what is abnormal at these hours" in page


async def test_lines_of_a_note_stay_lines_in_the_form(world: World) -> None:
    """What is shown again is what was written, or saving after a preview would keep something else."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.previewed = []
    note = "first line\nsecond line"
    async with signed_in(world, Role.TECHNICIAN) as client:
        for path, said in (
            (f"/anomalies/{anomaly}/feedback", {"kind": "expected", "do": "preview"}),
            (f"/anomalies/{anomaly}", {"action": "snooze", "hours": "0"}),
        ):
            form = await fields(client, anomaly)
            shown = await client.post(path, data=form | said | {"note": note})
            assert f">{note}</textarea>" in shown.text


async def test_only_what_would_change_something_is_offered(world: World) -> None:
    """A stuck value can't be confirmed, a silence can't be anything; nor is such a page linked."""
    stuck = world.find_anomaly("pump-7", detector="health", reason="stuck")
    silent = world.find_anomaly("pump-8", detector="health", reason="silent", parameter="")
    async with signed_in(world, Role.TECHNICIAN) as client:
        page = (await client.get(f"/anomalies/{stuck}/feedback")).text
        nothing = (await client.get(f"/anomalies/{silent}/feedback")).text
        linking = [(await client.get(f"/anomalies/{each}")).text for each in (stuck, silent)]
    assert re.findall(r'name="kind" value="(\w+)"', page) == ["false_alarm", "new_normal"]
    assert ['/feedback"' in each for each in linking] == [True, False]
    assert "<form method" not in nothing[nothing.index("<h1>") :]


@pytest.mark.parametrize(
    ("said", "offered"),
    [
        ([], False),
        ([("", 1)], True),
        ([("", 1), ("", 0)], False),
        ([("confirmed", 0)], True),
        ([("new_normal", 0), ("", 1), ("", 0)], True),
    ],
)
async def test_an_answer_is_offered_to_be_taken_back_where_one_was_given(
    world: World, said: Sequence[tuple[str, int]], offered: bool
) -> None:
    """By the detector that found it: what was said of another one's findings is not the anomaly's."""
    anomaly = world.find_anomaly("pump-7")
    by_health = world.find_anomaly("pump-8", detector="health", reason="stuck")
    world.fleet.moved = [acted(kind, steps=steps) for kind, steps in said]
    async with signed_in(world, Role.TECHNICIAN) as client:
        pages = [(await client.get(f"/anomalies/{each}/feedback")).text for each in (anomaly, by_health)]
    assert ['value="withdrawn"' in page for page in pages] == [offered, False]


@pytest.mark.parametrize(("steps", "offered"), [(2, True), (3, False)])
async def test_a_false_alarm_is_offered_as_long_as_limits_go_up(
    world: World, steps: int, offered: bool
) -> None:
    """Three times, for the detector that found it: what another one has been told does not count."""
    anomaly = world.find_anomaly("pump-7")
    by_health = world.find_anomaly("pump-8", detector="health", reason="stuck")
    world.fleet.moved = [acted("", steps=each) for each in range(1, steps + 1)]
    async with signed_in(world, Role.TECHNICIAN) as client:
        pages = [(await client.get(f"/anomalies/{each}/feedback")).text for each in (anomaly, by_health)]
    assert ['value="false_alarm"' in page for page in pages] == [offered, True]


async def test_a_forged_or_empty_form_changes_nothing(world: World) -> None:
    """Without the session's own word, without an answer, and by who may only look."""
    anomaly = world.find_anomaly("pump-7")
    path = f"/anomalies/{anomaly}/feedback"
    async with signed_in(world, Role.TECHNICIAN) as client, signed_in(world) as viewer:
        form = await fields(client, anomaly)
        forged = await client.post(path, data=form | {"csrf": "x", "kind": "false_alarm", "do": "save"})
        empty = await client.post(path, data=form | {"do": "save"})
        refused = await viewer.get(path)
    assert (forged.status_code, empty.status_code, refused.status_code) == (403, 400, 403)
    assert "Say what it was." in empty.text
    assert given(world) == []


async def test_no_other_form_gives_feedback_that_says_nothing(world: World) -> None:
    """A form for actions that was changed by hand puts no answer into the history that nobody gave."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await fields(client, anomaly)
        answer = await client.post(f"/anomalies/{anomaly}", data=form | {"action": "feedback"})
    assert answer.status_code == 400
    assert "feedback" not in {change.kind for change in world.inbox.history(OWN, anomaly)}


async def test_the_second_of_two_is_told_what_the_first_did(world: World) -> None:
    """Nothing is saved over what she has not seen, and her note stays in the form."""
    anomaly = world.find_anomaly("pump-7")
    path = f"/anomalies/{anomaly}/feedback"
    async with signed_in(world, Role.TECHNICIAN) as one, signed_in(world, Role.OPERATOR) as other:
        late = await fields(other, anomaly)
        await one.post(path, data=await fields(one, anomaly) | {"kind": "confirmed", "do": "save"})
        answer = await other.post(path, data=late | {"kind": "false_alarm", "note": "I think", "do": "save"})
    assert answer.status_code == 412
    assert "feedback by technician" in answer.text
    assert ">I think</textarea>" in answer.text
    assert len(given(world)) == 1


async def test_pages_show_what_is_in_force(world: World) -> None:
    """On the device and the anomaly: what, since and until when; not what has ended or was undone."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.moved = [
        acted("confirmed", until_ms=NOW_MS - 1),
        acted("expected", until_ms=LATER_MS, hours=(6, 7)),
        acted("", steps=1),
        acted("", steps=2),
        acted("new_normal", steps=2),
    ]
    async with signed_in(world) as client:
        pages = [(await client.get(path)).text for path in ("/devices/pump-7", f"/anomalies/{anomaly}")]
    for page in pages:
        assert "What people said that is in force" in page
        assert "expected, so what is abnormal is learnt on Mondays 6:00 to 8:00" in page
        assert "until 22 Dec 2026" in page
        assert "limits 2.25 times as high" in page
        assert "the new normal, learnt anew" in page
        assert "confirmed, so" not in page
        assert "limits 1.5" not in page


async def test_a_page_asks_once_for_what_is_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for each parameter, of which a device may have a thousand: each look goes through them all."""
    world.fleet.add(OWN, "wide", [f"p{number}" for number in range(50)])
    asked: list[str] = []
    answer = world.fleet.moved_limits

    def counted(tenant: str, device: str) -> Mapping[str, Sequence[MovedLimit]]:
        asked.append(device)
        return answer(tenant, device)

    monkeypatch.setattr(world.fleet, "moved_limits", counted)
    async with signed_in(world) as client:
        assert (await client.get("/devices/wide")).status_code == 200
    assert len(asked) <= CHARTS_MAX + 1
