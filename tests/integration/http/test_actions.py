"""Acting on anomalies over HTTP: what is answered, and that nobody overwrites anybody."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.http_kit import FOREIGN, NOW_MS, OWN, World, cut_off
from tocsin.access.principal import Role

pytestmark = pytest.mark.anyio


async def act(
    client: httpx.AsyncClient, anomaly: str, action: str, body: Any = None, **headers: str
) -> httpx.Response:
    """The answer to one action; header names with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(f"/v1/anomalies/{anomaly}/{action}", json=body, headers=named)


async def test_an_action_is_answered_with_the_new_version(world: World) -> None:
    """The answer names the action, who did it and the new ETag, with which the next action is done."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        etag = (await client.get(f"/v1/anomalies/{anomaly}")).headers["etag"]
        done = await act(client, anomaly, "acknowledge", {"note": "on my way"}, if_match=etag)
        assert (done.status_code, done.headers["etag"]) == (200, '"2"')
        said = done.json()
        assert (said["action"], said["kind"], said["done"], said["left"]) == (
            1,
            "acknowledge",
            [{"id": anomaly, "version": 2}],
            [],
        )
        resolved = await act(client, anomaly, "resolve", {"note": "replaced"}, if_match=done.headers["etag"])
        assert resolved.status_code == 200
        now = (await client.get(f"/v1/anomalies/{anomaly}")).json()
        assert (now["handling"], now["version"]) == ("resolved", 3)
        assert now["seen_at"] == "2026-11-22T10:00:00.000Z"
        history = (await client.get(f"/v1/anomalies/{anomaly}/history")).json()["changes"]
    assert [(each["kind"], each["action"]) for each in history] == [
        ("opened", None),
        ("acknowledged", 1),
        ("resolved", 2),
    ]
    assert history[2]["actor"] == said["actor"] != "tocsin"
    assert [each["actor_name"] for each in history] == ["tocsin", "technician", "technician"]


async def test_the_second_of_two_is_told_what_the_first_did(world: World) -> None:
    """412 with the changes since; nothing is overwritten. With the new ETag it goes on."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await act(client, anomaly, "resolve", {"note": "done"}, if_match='"1"')
        late = await act(client, anomaly, "snooze", {"until": "2026-11-23T06:00:00Z"}, if_match='"1"')
        assert (late.status_code, late.headers["etag"]) == (412, '"2"')
        problem = late.json()
        assert (problem["code"], problem["version"]) == ("precondition_failed", 2)
        assert [(each["kind"], each["detail"]) for each in problem["changes"]] == [("resolved", "done")]
        assert "(resolved by technician)" in problem["detail"], "by the name that people call them"
        assert (await act(client, anomaly, "reopen", if_match=late.headers["etag"])).status_code == 200


async def test_a_retry_gets_the_first_answer_byte_for_byte(world: World) -> None:
    """With the same Idempotency-Key, whatever has happened since; another action under it is a 409."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await act(client, anomaly, "acknowledge", if_match='"1"', idempotency_key="k1")
        await act(client, anomaly, "resolve", if_match="*")
        world.clock.advance_to(NOW_MS + 60_000)
        again = await act(client, anomaly, "acknowledge", if_match='"1"', idempotency_key="k1")
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["tocsin-repeated"] == "true"
        assert again.headers["etag"] == first.headers["etag"]
        other = await act(client, anomaly, "resolve", if_match="*", idempotency_key="k1")
        assert (other.status_code, other.json()["field"]) == (409, "Idempotency-Key")


async def test_a_retry_of_a_snooze_that_is_over_gets_the_first_answer(world: World) -> None:
    """Its time was ahead when it was done; a new one until then is refused."""
    anomaly = world.find_anomaly("pump-7")
    until = {"until": "2026-11-22T10:00:30Z"}
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await act(client, anomaly, "snooze", until, if_match="*", idempotency_key="k1")
        world.clock.advance_to(NOW_MS + 60_000)
        again = await act(client, anomaly, "snooze", until, if_match="*", idempotency_key="k1")
        anew = await act(client, anomaly, "snooze", until, if_match="*", idempotency_key="k2")
    assert (first.status_code, again.status_code, anew.status_code) == (200, 200, 400)
    assert again.content == first.content
    assert "is over" in anew.json()["detail"]


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "resolve", "reopen", "assign"])
async def test_what_may_overwrite_others_needs_a_version(world: World, action: str) -> None:
    """428 without If-Match."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await act(client, anomaly, action)
        assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("snooze", None, "until"),
        ("snooze", {"until": "tomorrow"}, "until"),
        ("snooze", {"until": "-999999999999999"}, "until"),
        ("snooze", {"until": "0001-01-01T00:00:00+10:00"}, "until"),
        ("snooze", {"until": "2028-11-22T10:00:00Z"}, "until"),
        ("snooze", {"until": "2026-11-22T10:00:00Z"}, "until"),
        ("resolve", {"until": "2026-11-22T11:00:00Z"}, "until"),
        ("resolve", {"assignee": "tom"}, "assignee"),
        ("assign", {"assignee": " "}, "assignee"),
        ("comment", {"note": " "}, "note"),
        ("comment", {"note": "a\u0000b"}, "note"),
        ("comment", {"note": "x" * 4001}, "note"),
        ("wake", None, "action"),
        ("delete", None, "action"),
    ],
)
async def test_bad_requests_name_the_field(world: World, action: str, body: Any, field: str) -> None:
    """400, and nothing is done."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await act(client, anomaly, action, body, if_match="*")
        assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text
    assert world.inbox.actions(0) == []


@pytest.mark.parametrize("etag", ["1", 'W/"1"', '"x"', "", '"1", "2"'])
async def test_if_match_is_an_etag(world: World, etag: str) -> None:
    """Anything that is no ETag of an anomaly is a 400, never taken for a match."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        assert (await act(client, anomaly, "resolve", if_match=etag)).status_code == 400


async def test_changes_since_a_sequence(world: World) -> None:
    """A client that remembers `last` hears of everything once, in order, and of no other tenant."""
    anomaly = world.find_anomaly("pump-7")
    world.find_anomaly("theirs", FOREIGN)
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = (await client.get("/v1/anomalies/changes?limit=1")).json()
        assert [each["kind"] for each in first["changes"]] == ["opened"]
        await act(client, anomaly, "comment", {"note": "it hums"})
        then = (await client.get(f"/v1/anomalies/changes?after={first['last']}")).json()
        assert [(each["kind"], each["detail"]) for each in then["changes"]] == [("commented", "it hums")]
        quiet = (await client.get(f"/v1/anomalies/changes?after={then['last']}")).json()
        assert quiet == {"changes": [], "last": then["last"]}


async def test_what_is_done_is_in_the_audit_log(world: World) -> None:
    """Who, what and to which anomaly, durable when it is answered; that somebody looked is not."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await act(client, anomaly, "seen")
        done = (await act(client, anomaly, "resolve", if_match="*")).json()
    entries = [stored.entry for stored in world.audit_log.entries(OWN)]
    found = [each for each in entries if "anomaly" in each.action]
    assert [(each.action, each.object, each.actor, each.address) for each in found] == [
        ("anomaly.resolve", anomaly, done["actor"], "127.0.0.1")
    ]


async def test_lists_by_what_people_did(world: World) -> None:
    """Unresolved, unseen and by assignee."""
    one, other = world.find_anomaly("pump-7"), world.find_anomaly("pump-8")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await act(client, one, "resolve", if_match="*")
        await act(client, other, "assign", {"assignee": "tom"}, if_match="*")
        world.find_anomaly("pump-9")
        for filters, devices in (
            ("unresolved=true", ["pump-9", "pump-8"]),
            ("unresolved=false", ["pump-7"]),
            ("seen=false", ["pump-9"]),
            ("assignee=tom", ["pump-8"]),
        ):
            found = (await client.get(f"/v1/anomalies?{filters}")).json()["anomalies"]
            assert [each["device"] for each in found] == devices


async def test_many_at_once_and_undone(world: World) -> None:
    """What has changed is left and told; the rest is done, once, and an undo gives it back."""
    ids = [world.find_anomaly(f"pump-{number}") for number in range(3)]
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await act(client, ids[1], "acknowledge", if_match="*")
        body = {
            "action": "resolve",
            "note": "hall 3 was without power",
            "anomalies": [{"id": each, "version": 1} for each in ids] + [{"id": "an_none"}],
        }
        headers = {"Idempotency-Key": "many"}
        done = await client.post("/v1/anomalies/actions", json=body, headers=headers)
        said = done.json()
        assert [each["id"] for each in said["done"]] == [ids[0], ids[2]]
        assert [(each["id"], each["code"]) for each in said["left"]] == [
            (ids[1], "precondition_failed"),
            ("an_none", "not_found"),
        ]
        again = await client.post("/v1/anomalies/actions", json=body, headers=headers)
        assert (again.content, again.headers["tocsin-repeated"]) == (done.content, "true")

        undone = await client.post(f"/v1/actions/{said['action']}/undo", json={"note": "wrong hall"})
        assert [each["id"] for each in undone.json()["done"]] == [ids[0], ids[2]]
        page = (await client.get("/v1/anomalies?handling=open")).json()["anomalies"]
        assert {each["id"] for each in page} == {ids[0], ids[2]}
        assert (await client.post("/v1/actions/99/undo")).status_code == 404
        comment = (await act(client, ids[0], "comment", {"note": "x"})).json()
        assert (await client.post(f"/v1/actions/{comment['action']}/undo")).status_code == 409


async def test_an_action_of_another_tenant_is_not_undone(world: World) -> None:
    """Numbers of actions are known to nobody else, and guessing them helps nobody."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        done = (await act(client, anomaly, "resolve", if_match="*")).json()
    async with world.client(world.key(Role.ADMIN, FOREIGN)) as stranger:
        assert (await stranger.post(f"/v1/actions/{done['action']}/undo")).status_code == 404


async def test_merge_and_split(world: World) -> None:
    """Two become one with all episodes, and episodes of one an anomaly of their own."""
    one = world.find_anomaly("pump-7", id="e1")
    far: dict[str, Any] = {
        "started_ms": NOW_MS - 90_000_000,
        "end_ms": NOW_MS - 89_000_000,
        "parameter": "pressure",
    }
    other = world.find_anomaly("pump-7", id="e2", **far)
    assert one != other
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        merged = await act(client, one, "merge", {"anomalies": [{"id": other, "version": 1}]}, if_match='"1"')
        assert [each["id"] for each in merged.json()["done"]] == [one, other]
        gone = (await client.get(f"/v1/anomalies/{other}")).json()
        assert (gone["merged_into"], gone["episodes"]) == (one, [])
        assert [each["id"] for each in (await client.get("/v1/anomalies")).json()["anomalies"]] == [one]
        late = await act(client, other, "resolve", if_match="*")
        assert (late.status_code, one in late.json()["detail"]) == (409, True)
        split = await act(client, one, "split", {"episodes": ["e2"]}, if_match=merged.headers["etag"])
        (left, new) = split.json()["done"]
        assert left["id"] == one
        assert (await client.get(f"/v1/anomalies/{new['id']}")).json()["episodes"] == ["e2"]


async def test_a_merge_that_can_not_be_names_the_one_that_stands_in_its_way(world: World) -> None:
    """Also where it is not the one that is acted on: 412 with what has happened to it, 404, or why not."""
    far: dict[str, Any] = {"started_ms": NOW_MS - 90_000_000, "end_ms": NOW_MS - 89_000_000}
    one, other = world.find_anomaly("pump-7", id="e1"), world.find_anomaly("pump-7", id="e2", **far)
    elsewhere = world.find_anomaly("pump-8", id="e3")
    assert one != other
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await act(client, other, "acknowledge", if_match="*")
        late = await act(client, one, "merge", {"anomalies": [{"id": other, "version": 1}]}, if_match='"1"')
        problem = late.json()
        assert (late.status_code, problem["field"], problem["version"]) == (412, "anomalies", 2)
        (change,) = problem["changes"]
        assert (change["anomaly_id"], change["kind"]) == (other, "acknowledged")
        assert (other in problem["detail"], "etag" in late.headers) == (True, False)
        names = [{"id": other}, {"id": "an_none"}]
        unknown = await act(client, one, "merge", {"anomalies": names}, if_match="*")
        assert (unknown.status_code, "an_none" in unknown.json()["detail"]) == (404, True)
        apart = await act(client, one, "merge", {"anomalies": [{"id": elsewhere}]}, if_match="*")
        assert (apart.status_code, "one device" in apart.json()["detail"]) == (409, True)
        await act(client, one, "merge", {"anomalies": [{"id": other}]}, if_match="*")
        twice = await act(client, elsewhere, "merge", {"anomalies": [{"id": other}]}, if_match="*")
        assert (twice.status_code, twice.json()["detail"].startswith(other)) == (409, True)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("merge", {}, "anomalies"),
        ("merge", {"anomalies": [{"id": "OWN"}]}, "anomalies"),
        ("resolve", {"anomalies": [{"id": "an_x"}]}, "anomalies"),
        ("resolve", {"episodes": ["e1"]}, "episodes"),
        ("split", {}, "episodes"),
    ],
)
async def test_a_merge_names_others_and_a_split_episodes(
    world: World, path: str, body: dict[str, Any], field: str
) -> None:
    """400 where they are missing, or where they don't belong."""
    anomaly = world.find_anomaly("pump-7")
    for each in body.get("anomalies", []):
        each["id"] = each["id"].replace("OWN", anomaly)
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await act(client, anomaly, path, body, if_match="*")
        assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text
        many = {"action": "merge", "anomalies": [{"id": anomaly}]}
        assert (await client.post("/v1/anomalies/actions", json=many)).status_code == 400


async def test_a_body_that_is_cut_off_is_no_bad_request(world: World) -> None:
    """408: whoever still listens asks again, and nothing was done."""
    anomaly = world.find_anomaly("pump-7")
    path, token = f"/v1/anomalies/{anomaly}/resolve", world.key(Role.TECHNICIAN)
    kind = {"content_type": "application/json", "if_match": "*"}
    status, _ = await cut_off(world, "POST", path, b'{"note":', token, **kind)
    assert status == 408
    assert world.inbox.actions(0) == []
