"""Dictionaries of templates, as operators take them over and technicians teach them."""

from __future__ import annotations

import httpx
import pytest

from tests.http_kit import FOREIGN, OWN, World, cut_off, told_template
from tocsin.access.principal import Role
from tocsin.control import DictionaryTaken, decode_control
from tocsin.log.abstract import RecordKind
from tocsin.services.dictionaries import TEMPLATES_MAX
from tocsin.templates.dictionary import Dictionary, dictionary_of, parse_dictionary

pytestmark = pytest.mark.anyio

PRESSES = {"application": "presses"}


def decisions(world: World) -> list[list[DictionaryTaken]]:
    """Those of each partition."""
    found = [
        [
            decode_control(each.payload)
            for each in world.log.read(partition, 0)
            if each.kind is RecordKind.CONTROL
        ]
        for partition in range(world.log.partitions)
    ]
    return [[each for each in part if isinstance(each, DictionaryTaken)] for part in found]


def actions(world: World) -> list[str]:
    return [stored.entry.action for stored in world.audit_log.entries(OWN, before=None, limit=10)]


async def in_force(client: httpx.AsyncClient, application: str = "presses") -> Dictionary:
    answer = await client.get("/v1/dictionary", params={"application": application})
    assert answer.status_code == 200
    return parse_dictionary(answer.content, "the answer")


async def test_what_is_taken_over_is_decided_in_every_partition(world: World) -> None:
    """Wherever the application's devices are; the blob is there before, and the audit log says who did it."""
    known = dictionary_of([("fan <*> stopped", 3), ("door closed", 9)])
    async with world.client(world.key(Role.OPERATOR)) as client:
        empty = await in_force(client)
        first = await client.put("/v1/dictionary", params=PRESSES, content=known.to_json())
        again = await client.put("/v1/dictionary", params=PRESSES, content=known.to_json())
        assert await in_force(client) == known
        assert await in_force(client, "doors") == empty == dictionary_of((), partial=True)
    assert first.json() == {
        "application": "presses",
        "version": known.version,
        "templates": 2,
        "new": ["door closed", "fan <*> stopped"],
        "vanished": [],
    }
    assert (again.json()["new"], again.json()["vanished"]) == ([], [])
    found = decisions(world)
    assert [len(part) for part in found] == [1] * world.log.partitions
    assert (found[0][0].application, found[0][0].version) == ("presses", known.version)
    with world.blobs.open(found[0][0].sha256) as blob:
        assert blob.read(0, blob.size) == known.to_json()
    assert actions(world)[0] == "dictionary.take_over"


async def test_what_is_expected_is_taught(world: World) -> None:
    """On top of what is in force; twice is once, and taking another over says what goes."""
    anomaly = world.find_anomaly("press-1", application="presses", **told_template("fuse <*> is blown"))
    known = dictionary_of([("fan <*> stopped", 3)])
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await client.post(f"/v1/anomalies/{anomaly}/expected")
        again = await client.post(f"/v1/anomalies/{anomaly}/expected")
        history = (await client.get(f"/v1/anomalies/{anomaly}/history")).json()["changes"]
        taught = await in_force(client)
    async with world.client(world.key(Role.OPERATOR)) as client:
        taken = await client.put("/v1/dictionary", params=PRESSES, content=known.to_json())
        third = await client.post(f"/v1/anomalies/{anomaly}/expected")
        both = await in_force(client)
    assert first.json()["new"] == ["fuse <*> is blown"]
    assert again.json()["new"] == []
    assert [each["detail"] for each in history if each["kind"].startswith("comment")] == [
        "expected from now on in presses; fuse <*> is blown"
    ]
    assert taught == dictionary_of([("fuse <*> is blown", 0)], partial=True)
    assert taken.json()["vanished"] == third.json()["new"] == ["fuse <*> is blown"]
    assert both == dictionary_of([("fan <*> stopped", 3), ("fuse <*> is blown", 0)])
    assert [len(part) for part in decisions(world)] == [3] * world.log.partitions
    assert "anomaly.expected" in actions(world)


async def test_what_is_no_new_template_can_not_be_expected(world: World) -> None:
    """A reading that is too high is no line; nobody is told of what belongs to another tenant."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(f"/v1/anomalies/{anomaly}/expected")
        missing = await client.post("/v1/anomalies/nothing/expected")
    assert (answer.status_code, answer.json()["field"]) == (400, "anomaly")
    assert "no new template" in answer.json()["detail"]
    assert missing.status_code == 404
    told = world.find_anomaly("press-1", FOREIGN, **told_template("x"))
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        assert (await client.post(f"/v1/anomalies/{told}/expected")).status_code == 404
    assert decisions(world) == [[]] * world.log.partitions


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "no whole dictionary"),
        (b"[1]", "no whole dictionary"),
        (b"\xff", "no whole dictionary"),
        (dictionary_of([("a", 1)]).to_json().replace(b'"a"', b'"b"'), "not those of its templates"),
        (dictionary_of([("", 1)]).to_json(), "1 to 2000 characters"),
        (dictionary_of([("x" * 2001, 1)]).to_json(), "1 to 2000 characters"),
        (dictionary_of([(f"t{n}", 1) for n in range(TEMPLATES_MAX + 1)]).to_json(), "at most 5000"),
    ],
)
async def test_what_is_no_dictionary_is_refused(world: World, body: bytes, word: str) -> None:
    """With the reason, and nothing is logged."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        answer = await client.put("/v1/dictionary", params=PRESSES, content=body)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert decisions(world) == [[]] * world.log.partitions


async def test_a_dictionary_that_is_cut_off_is_sent_again(world: World) -> None:
    """408, and nothing is logged."""
    begun = dictionary_of([("a", 1)]).to_json()[:9]
    status, body = await cut_off(world, "PUT", "/v1/dictionary", begun, world.key(Role.OPERATOR))
    assert (status, b"cut off" in body) == (408, True)
    assert decisions(world) == [[]] * world.log.partitions
