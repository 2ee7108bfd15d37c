"""Feedback on anomalies, as technicians give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.http_kit import NOW_MS, OWN, World, episode_of, told_template
from tests.share_kit import Held, check_share
from tocsin.access.principal import Role
from tocsin.control import LIMIT_FACTORS, FeedbackGiven, FeedbackKind, SeriesName, decode_control
from tocsin.inbox.action import Target
from tocsin.log.abstract import RecordKind
from tocsin.model import FeedbackActed
from tocsin.services.feedback import PREVIEWS_MAX
from tocsin.services.series import MovedLimit
from tocsin.sharding import partition_of, shard_of

pytestmark = pytest.mark.anyio

SAID = {"confirmed": "confirmed, so", "expected": "expected, so", "new_normal": "a new normal, so"}
ANY = {"If-Match": "*"}
FALSE_ALARM = {"kind": "false_alarm", "note": "the door was open"}
SERIES = SeriesName(application="pumps", parameter="temperature", detector="seasonal")


def given(world: World) -> list[tuple[int, FeedbackGiven]]:
    """What is in the log, with its partition."""
    found = [
        (partition, decode_control(record.payload))
        for partition in range(world.log.partitions)
        for record in world.log.read(partition, 0)
        if record.kind is RecordKind.CONTROL
    ]
    return [(partition, each) for partition, each in found if isinstance(each, FeedbackGiven)]


async def test_a_false_alarm_is_an_action_and_a_record_of_the_log(world: World) -> None:
    """In the device's partition, naming the series of the anomaly; the history and the audit log have it."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=ANY)
        history = (await client.get(f"/v1/anomalies/{anomaly}/history")).json()["changes"]
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["kind"], told["feedback"]) == ("feedback", "false_alarm")
    assert told["series"] == [{"application": "pumps", "parameter": "temperature", "detector": "seasonal"}]
    assert answer.headers["ETag"] == f'"{told["done"][0]["version"]}"'
    ((partition, record),) = given(world)
    assert partition == partition_of(shard_of(OWN, "pump-7"), world.log.partitions)
    assert record == FeedbackGiven(
        tenant=OWN,
        device="pump-7",
        kind=FeedbackKind.FALSE_ALARM,
        series=(SERIES,),
        anomaly=anomaly,
        action=told["action"],
        at_ms=NOW_MS,
    )
    assert history[-1]["detail"] == "false alarm, so limits are raised: the door was open"
    noted = world.audit_log.entries(OWN, before=None, limit=1)
    assert [(each.entry.action, each.entry.object) for each in noted] == [("anomaly.feedback", anomaly)]


async def test_a_retry_gets_the_first_answer_and_is_logged_once(world: World) -> None:
    """A phone that heard nothing may ask again, also when the anomaly has grown; the action is known, and
    stands in the log once: what could move no limit when it was said moves none when it is asked again."""
    anomaly = world.find_anomaly("pump-7")
    headers = ANY | {"Idempotency-Key": "k1"}
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=headers)
        world.find_anomaly("pump-7", started_ms=NOW_MS, parameter="humidity")
        again = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=headers)
        other = {"kind": "withdrawn"}
        refused = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=other, headers=headers)
    assert (first.status_code, again.status_code, refused.status_code) == (200, 200, 409)
    assert again.content == first.content
    assert again.headers["Tocsin-Repeated"] == "true"
    ((_, record),) = given(world)
    assert record.action == first.json()["action"]


async def test_a_retry_gets_the_first_answer_when_nothing_is_left_to_raise(world: World) -> None:
    """What the feedback was about was split off meanwhile; it was given all the same."""
    anomaly = world.find_anomaly("pump-7")
    world.find_anomaly("pump-7", started_ms=NOW_MS, parameter="", detector="health", reason="silent")
    headers = ANY | {"Idempotency-Key": "k1"}
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=headers)
        *_, oldest = (await client.get(f"/v1/anomalies/{anomaly}")).json()["episodes"]
        about = {"episodes": [oldest]}
        split = await client.post(f"/v1/anomalies/{anomaly}/split", json=about, headers=ANY)
        again = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=headers)
        fresh = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=ANY)
    assert (first.status_code, split.status_code, again.status_code) == (200, 200, 200), again.text
    assert again.content == first.content
    assert fresh.status_code == 400


async def test_two_people_do_not_overwrite_each_other(world: World) -> None:
    """Refused without If-Match, and with the version of before somebody's resolve; nothing is logged."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        etag = (await client.get(f"/v1/anomalies/{anomaly}")).headers["ETag"]
        missing = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM)
        await client.post(f"/v1/anomalies/{anomaly}/resolve", headers=ANY)
        stale = await client.post(
            f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers={"If-Match": etag}
        )
    assert (missing.status_code, stale.status_code) == (428, 412)
    assert given(world) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"detector": "health", "reason": "silent", "parameter": ""},
        {"detector": "health", "reason": "missing"},
        {"detector": "health", "reason": "out_of_range"},
        told_template("it is new"),
    ],
    ids=["silent", "missing", "out of range", "a log line"],
)
async def test_what_no_limit_found_can_not_be_raised(world: World, changed: dict[str, Any]) -> None:
    """It is said why, instead of an answer that promises what does not come."""
    anomaly = world.find_anomaly("pump-7", **changed)
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=ANY)
        missing = await client.post("/v1/anomalies/nothing/feedback", json=FALSE_ALARM, headers=ANY)
    assert (answer.status_code, missing.status_code) == (400, 404)
    assert "No limit" in answer.json()["detail"]
    assert given(world) == []


async def test_a_series_shows_what_feedback_did_to_its_limits(world: World) -> None:
    """Since when, how much, and on which anomaly it was given."""
    world.fleet.add(OWN, "pump-7")
    moved = FeedbackActed(
        from_ms=NOW_MS, steps=2, steps_before=1, anomaly="an_1", action=7, at_ms=NOW_MS + 60_000
    )
    world.fleet.moved = [MovedLimit("pumps", "seasonal", 2.25, moved)]
    async with world.client(world.key(Role.VIEWER)) as client:
        answer = await client.get("/v1/devices/pump-7/series/temperature")
    assert answer.json()["limits"] == [
        {
            "detector": "seasonal",
            "application": "pumps",
            "kind": "false_alarm",
            "acts_from": "2026-11-22T10:00:00.000Z",
            "acts_until": None,
            "hours": [],
            "factor": 2.25,
            "given_at": "2026-11-22T10:01:00.000Z",
            "anomaly": "an_1",
            "action": 7,
        }
    ]


async def test_a_preview_tells_what_would_vanish_and_changes_nothing(world: World) -> None:
    """Over the last 30 days of the device; neither the log nor the anomaly has anything of it."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.previewed = [episode_of("pump-7")]
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(f"/v1/anomalies/{anomaly}/feedback/preview", json={"kind": "false_alarm"})
        missing = await client.post("/v1/anomalies/nothing/feedback/preview", json={"kind": "false_alarm"})
        version = (await client.get(f"/v1/anomalies/{anomaly}")).json()["version"]
    told = answer.json()
    assert (answer.status_code, missing.status_code) == (200, 404)
    assert (told["from_at"], told["to_at"]) == ("2026-10-23T10:00:00.000Z", "2026-11-22T10:00:00.000Z")
    assert (told["episodes_without"], told["episodes_with"], told["appearing"]) == (1, 0, [])
    assert [each["parameter"] for each in told["vanishing"]] == ["temperature"]
    assert version == 1
    assert given(world) == []


async def test_a_body_without_its_type_is_told_what_is_missing(world: World) -> None:
    """As programs and people at a shell forget it; nothing is done."""
    path = f"/v1/anomalies/{world.find_anomaly('pump-7')}/feedback"
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        for headers in (ANY, ANY | {"Content-Type": "text/plain"}):
            told = (await client.post(path, content=b'{"kind":"false_alarm"}', headers=headers)).json()
            assert (told["status"], told["field"]) == (400, "Content-Type")
            assert "application/json" in told["detail"]
        listed = await client.post(path, content=b"[]", headers=ANY | {"Content-Type": "application/json"})
    assert (listed.status_code, "Content-Type" in listed.text) == (400, False)
    assert given(world) == []


async def test_previews_of_a_tenant_leave_the_threads_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes long, so of many at once most are refused, not kept waiting; later they are answered."""
    path = f"/v1/anomalies/{world.find_anomaly('pump-7')}/feedback/preview"
    held = Held(monkeypatch, world.fleet, "preview")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await check_share(lambda: client.post(path, json={"kind": "false_alarm"}), held, PREVIEWS_MAX // 2)


@pytest.mark.parametrize("kind", ["confirmed", "expected", "new_normal"])
async def test_other_kinds_say_when_the_anomaly_was_abnormal_where_that_counts(
    world: World, kind: str
) -> None:
    """The record has the spans, so that a replay asks nobody; the answer and the history name the kind."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(f"/v1/anomalies/{anomaly}/feedback", json={"kind": kind}, headers=ANY)
        history = (await client.get(f"/v1/anomalies/{anomaly}/history")).json()["changes"]
    assert (answer.status_code, answer.json()["feedback"]) == (200, kind)
    ((_, record),) = given(world)
    episode = episode_of("pump-7")
    spans = () if kind == "new_normal" else ((episode.started_ms, episode.last_abnormal_ms),)
    assert (record.kind, record.spans) == (FeedbackKind(kind), spans)
    assert history[-1]["detail"].startswith(SAID[kind])


@pytest.mark.parametrize("kind", ["confirmed", "expected"])
async def test_what_keeps_nothing_out_of_learning_can_not_be_confirmed(world: World, kind: str) -> None:
    """A stuck value is compared with the longest run alone; a new normal it can be."""
    anomaly = world.find_anomaly("pump-7", detector="health", reason="stuck")
    path = f"/v1/anomalies/{anomaly}/feedback"
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        refused = await client.post(path, json={"kind": kind}, headers=ANY)
        taken = await client.post(path, json={"kind": "new_normal"}, headers=ANY)
    assert (refused.status_code, taken.status_code) == (400, 200)
    assert "kept out of learning" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        ("false_alarm", [("", 1), ("", 2), ("", 3)], "as high as they get"),
        ("withdrawn", [], "nothing to take back"),
        ("withdrawn", [("", 1), ("", 0)], "nothing to take back"),
    ],
)
async def test_what_would_change_nothing_is_refused_with_the_reason(
    world: World, kind: str, said: Sequence[tuple[str, int]], told: str
) -> None:
    """Instead of an answer that promises what does not come; a preview says the same."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.moved = [acted(each, steps=steps) for each, steps in said]
    path = f"/v1/anomalies/{anomaly}/feedback"
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(path, json={"kind": kind}, headers=ANY)
        shown = await client.post(f"{path}/preview", json={"kind": kind})
        version = (await client.get(f"/v1/anomalies/{anomaly}")).json()["version"]
    assert (answer.status_code, shown.status_code, version) == (400, 400, 1)
    assert answer.json()["field"] == shown.json()["field"] == "kind"
    assert told in answer.json()["detail"]
    assert given(world) == []


async def test_a_preview_of_what_was_merged_is_refused_as_the_feedback_is(world: World) -> None:
    """Without episodes of its own it would have nothing to show, as if nothing could be changed."""
    far: dict[str, Any] = {"started_ms": NOW_MS - 90_000_000, "end_ms": NOW_MS - 89_000_000}
    one, other = world.find_anomaly("pump-7", id="e1"), world.find_anomaly("pump-7", id="e2", **far)
    path = f"/v1/anomalies/{other}/feedback"
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        await client.post(f"/v1/anomalies/{one}/merge", json={"anomalies": [{"id": other}]}, headers=ANY)
        answer = await client.post(path, json=FALSE_ALARM, headers=ANY)
        shown = await client.post(f"{path}/preview", json={"kind": "false_alarm"})
    assert (answer.status_code, shown.status_code) == (409, 409)
    assert one in shown.json()["detail"] == answer.json()["detail"]


async def test_a_retry_of_the_last_that_counted_is_answered_as_it_was(world: World) -> None:
    """Though by then it could change nothing any more."""
    path = f"/v1/anomalies/{world.find_anomaly('pump-7')}/feedback"
    world.fleet.moved = [acted("", steps=each) for each in (1, 2)]
    headers = ANY | {"Idempotency-Key": "k1"}
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        first = await client.post(path, json=FALSE_ALARM, headers=headers)
        world.fleet.moved.append(acted("", steps=3))
        again = await client.post(path, json=FALSE_ALARM, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content


async def test_a_retry_is_answered_that_waited_while_the_first_came_into_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait for a busy processor, and the one that the phone gave up goes first."""
    anomaly = world.find_anomaly("pump-7")
    token = world.key(Role.TECHNICIAN)

    def overtaken(tenant: str, device: str) -> bool:
        monkeypatch.setattr(world.fleet, "has_heard_all", lambda *_: True)
        world.services.feedback.give(
            world.services.entrance.by_token(token),
            anomaly,
            FeedbackKind.FALSE_ALARM,
            note="the door was open",
            target=Target(id=anomaly),
            key="k1",
        )
        world.fleet.moved = [acted("", steps=each) for each in (1, 2, 3)]
        return True

    monkeypatch.setattr(world.fleet, "has_heard_all", overtaken)
    async with world.client(token) as client:
        headers = ANY | {"Idempotency-Key": "k1"}
        answer = await client.post(f"/v1/anomalies/{anomaly}/feedback", json=FALSE_ALARM, headers=headers)
    assert (answer.status_code, answer.headers.get("Tocsin-Repeated")) == (200, "true"), answer.text
    assert len(given(world)) == 1


@pytest.mark.parametrize("kind", ["false_alarm", "withdrawn"])
async def test_what_may_change_something_is_taken_while_the_processor_is_behind(
    world: World, kind: str
) -> None:
    """What was said a moment ago and is not in force yet can be taken back, and be taken back in turn."""
    path = f"/v1/anomalies/{world.find_anomaly('pump-7')}/feedback"
    world.fleet.heard_all = False
    world.fleet.moved = [acted("", steps=3)] if kind == "false_alarm" else []
    async with world.client(world.key(Role.TECHNICIAN)) as client:
        answer = await client.post(path, json={"kind": kind}, headers=ANY)
    assert answer.status_code == 200, answer.text


def acted(kind: str, *, steps: int = 0, until_ms: int = 0, hours: tuple[int, ...] = ()) -> MovedLimit:
    """Feedback on the temperature of any device."""
    said = FeedbackActed(
        from_ms=NOW_MS,
        steps=steps,
        steps_before=max(steps - 1, 0),
        anomaly="an_1",
        action=7,
        at_ms=NOW_MS,
        kind=kind,
        until_ms=until_ms,
        hours=hours,
    )
    return MovedLimit("pumps", "seasonal", LIMIT_FACTORS[steps], said)
