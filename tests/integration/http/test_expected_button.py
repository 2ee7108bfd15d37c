"""Saying on an anomaly's page that its new lines are expected: one button, which teaches the dictionary."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.http_kit import World, told_template
from tests.integration.http.test_dictionary import in_force
from tests.integration.http.test_pages import signed_in
from tocsin.access.principal import Role
from tocsin.templates.dictionary import dictionary_of

pytestmark = pytest.mark.anyio

BUTTON = 'value="expected"'
TEXT = "fuse <*> & <script>"


async def hidden(client: httpx.AsyncClient, anomaly: str) -> dict[str, str]:
    """The hidden fields of the form with the button."""
    page = (await client.get(f"/anomalies/{anomaly}")).text
    form = page[: page.index(BUTTON)].rpartition("<form")[2]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


async def test_the_button_teaches_the_dictionary_once(world: World) -> None:
    """It leads back to the page, which offers it no more and tells it in the history; twice is once."""
    anomaly = world.find_anomaly("press-1", application="presses", **told_template(TEXT))
    async with signed_in(world, Role.TECHNICIAN) as client:
        form = await hidden(client, anomaly)
        shown = (await client.get(f"/anomalies/{anomaly}")).text
        said = await client.post(f"/anomalies/{anomaly}", data=form | {"action": "expected"})
        again = await client.post(f"/anomalies/{anomaly}", data=form | {"action": "expected"})
        page = (await client.get(f"/anomalies/{anomaly}")).text
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        assert await in_force(client) == dictionary_of([(TEXT, 0)], partial=True)
    assert "<code>fuse &lt;*&gt; &amp; &lt;script&gt;</code>" in shown
    assert (said.status_code, said.headers["location"]) == (303, f"/anomalies/{anomaly}#handling")
    assert again.status_code == 303
    assert BUTTON not in page
    assert page.count("expected from now on in presses") == 1


async def test_it_stands_where_something_can_be_expected_by_whoever_may(world: World) -> None:
    """Not on readings, not for those who only read; and a form of another page does nothing."""
    readings = world.find_anomaly("pump-7")
    told = world.find_anomaly("press-1", application="presses", **told_template("fuse <*> is blown"))
    async with signed_in(world, Role.TECHNICIAN) as client:
        assert BUTTON not in (await client.get(f"/anomalies/{readings}")).text
        form = await hidden(client, told)
        forged = await client.post(f"/anomalies/{told}", data=form | {"csrf": "x", "action": "expected"})
        wrong = await client.post(f"/anomalies/{readings}", data=form | {"action": "expected"})
    async with signed_in(world, Role.VIEWER) as client:
        assert BUTTON not in (await client.get(f"/anomalies/{told}")).text
    assert forged.status_code == 403
    assert wrong.status_code == 400
    assert "tells of no new template" in wrong.text
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        assert await in_force(client) == dictionary_of((), partial=True)
