"""Lists, single objects, charts and the short questions."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import xxhash

from tests.http_kit import FOREIGN, GENEROUS, NDJSON, NOW_MS, OWN, World, event, lines, reading_of
from tests.lake_kit import events, record, steady
from tocsin.access.principal import Role
from tocsin.access.rate_limit import RateLimits
from tocsin.api.cursor import encode_cursor
from tocsin.api.limits import RequestLimits
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.errors import StorageUnavailableError
from tocsin.ingest.parsing.csv_rows import parse_csv
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.lake.upkeep import check
from tocsin.log.abstract import Append, DeadLetter
from tocsin.model import Severity
from tocsin.observability.logging import configure_logging
from tocsin.processing.dump_places import place_dumps
from tocsin.scores.abstract import Findings
from tocsin.services.dumps import SEQUENCE_MAX
from tocsin.services.health import disk_probe

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


async def get(world: World, path: str, /, role: Role = Role.OPERATOR, **params: Any) -> Any:
    """The JSON of a GET that must succeed."""
    async with world.client(world.key(role)) as client:
        answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def keep(world: World, refused: list[tuple[str, bytes]]) -> None:
    """Dead letters with these codes and bytes, numbered from 1."""
    letters = [DeadLetter(OWN, NOW_MS, "http", 2, code, "", "", body) for code, body in refused]
    world.log.submit(Append(OWN, NOW_MS, [], letters)).result()


def made_up(payload: bytes) -> str:
    """A cursor that nobody gave, with the checksum that anybody can make."""
    check = xxhash.xxh3_64_digest(payload + OWN.encode())
    return base64.urlsafe_b64encode(payload + check).rstrip(b"=").decode()


async def all_pages(world: World, path: str, name: str, limit: int) -> list[Any]:
    """Every entry of a list, page by page."""
    found: list[Any] = []
    params: dict[str, Any] = {"limit": limit}
    while True:
        page = await get(world, path, Role.ADMIN, **params)
        assert len(page[name]) <= limit
        found += page[name]
        if page["next"] is None:
            return found
        params["cursor"] = page["next"]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_together_are_the_whole_list(world: World, limit: int) -> None:
    """Whatever the size of a page, every entry comes once and in order."""
    anomalies = [world.find_anomaly(f"pump-{n}") for n in range(5)]
    async with world.client(world.key(Role.OPERATOR)) as client:
        await client.post("/v1/events", content=b"bad\n" * 5, headers=NDJSON)
    found = await all_pages(world, "/v1/anomalies", "anomalies", limit)
    assert [each["id"] for each in found] == anomalies[::-1]
    devices = await all_pages(world, "/v1/devices", "devices", limit)
    assert [each["device"] for each in devices] == [f"pump-{n}" for n in range(5)]
    assert len(await all_pages(world, "/v1/episodes", "episodes", limit)) == 5
    letters = await all_pages(world, "/v1/dead-letters", "dead_letters", limit)
    assert [each["line"] for each in letters] == [1, 2, 3, 4, 5]
    credentials = await all_pages(world, "/v1/credentials", "credentials", limit)
    assert len({each["key_id"] for each in credentials}) == len(credentials) == 6


@pytest.mark.parametrize("letter", ["\x01", '"', "\\", "\N{COLLISION SYMBOL}"])
async def test_pages_go_on_behind_the_longest_names(world: World, letter: str) -> None:
    """Whatever 256 characters a device is called by, its list and that of its dumps take what they gave."""
    names = [letter * 255 + end for end in "abc"]
    for name in names:
        world.fleet.add(OWN, name)
    found = await all_pages(world, "/v1/devices", "devices", 1)
    assert [each["device"] for each in found] == names
    dumps = [
        DumpReceived(
            tenant=OWN,
            device=names[1],
            epoch=SEQUENCE_MAX,
            sequence=SEQUENCE_MAX - left,
            sha256="f" * 64,
            size_bytes=1,
            outcome=DumpOutcome.QUARANTINED,
        )
        for left in (2, 1, 0)
    ]
    world.fleet.placed[OWN, names[1]] = place_dumps(dumps)
    path = f"/v1/devices/{quote(names[1], safe='')}/dumps"
    listed = await all_pages(world, path, "dumps", 1)
    assert [each["sequence"] for each in listed] == [dump.sequence for dump in dumps]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "ö",
        "AAAA",
        "x" * 3000,
        encode_cursor("devices", "a"),
        encode_cursor("anomalies", "a"),
        made_up(b"no cursor"),
        made_up(b"\x92\xa9anomalies\xa1\xff"),
    ],
)
async def test_made_up_cursors_are_refused(shared: World, cursor: str) -> None:
    """Only a cursor that this list has given is taken; anything else is 400, never a wrong page."""
    async with shared.client(shared.key(Role.VIEWER)) as client:
        answer = await client.get("/v1/anomalies", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


async def test_anomalies_are_filtered(world: World) -> None:
    """Filters narrow the list down, all of them together."""
    critical = world.find_anomaly("pump-1", severity=Severity.CRITICAL)
    cleared = world.find_anomaly("pump-2", end_ms=NOW_MS)
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({"severity": "critical"}, [critical]),
        ({"condition": "cleared"}, [cleared]),
        ({"device": "pump-1", "condition": "active"}, [critical]),
        ({"device": "pump-1", "condition": "cleared"}, []),
        ({"parameter": "humidity"}, []),
        ({"from": "2026-11-22T10:00:01Z", "condition": "cleared"}, []),
        ({"to": str(NOW_MS - HOUR_MS)}, []),
    ]
    for params, expected in filters:
        found = await get(world, "/v1/anomalies", **params)
        assert [each["id"] for each in found["anomalies"]] == expected, params


async def test_etag_spares_what_has_not_changed(world: World) -> None:
    """A reader that has the newest version gets 304; after a change it gets the new one."""
    anomaly = world.find_anomaly("pump-7")
    async with world.client(world.key(Role.VIEWER)) as client:
        etag = (await client.get(f"/v1/anomalies/{anomaly}")).headers["etag"]
        headers = {"If-None-Match": f'"other", {etag}'}
        assert (await client.get(f"/v1/anomalies/{anomaly}", headers=headers)).status_code == 304
        world.find_anomaly("pump-7", end_ms=NOW_MS)
        again = await client.get(f"/v1/anomalies/{anomaly}", headers=headers)
    assert (again.status_code, again.json()["condition"]) == (200, "cleared")
    history = await get(world, f"/v1/anomalies/{anomaly}/history")
    assert [change["kind"] for change in history["changes"]] == ["opened", "cleared"]


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "ü pump", "?x=1#y", "100%", "..", "a\\b", "\x01", "%00"])
async def test_any_name_survives_an_address(shared: World, name: str) -> None:
    """A device is found under its name, percent-encoded, whatever characters it has."""
    shared.fleet.add("default", name, [name])
    path = f"/v1/devices/{quote(name, safe='').replace('.', '%2E')}"
    assert (await get(shared, path))["device"] == name
    chart = await get(shared, f"{path}/series/{quote(name, safe='').replace('.', '%2E')}")
    assert (chart["device"], chart["parameter"]) == (name, name)


async def test_chart_is_thinned_and_keeps_its_peaks(world: World) -> None:
    """A chart has at most the points asked for, and the highest reading is one of them."""
    world.fleet.add("default", "pump-7")
    path = "/v1/devices/pump-7/series/temperature"
    whole = await get(world, path, points=5000)
    thin = await get(world, path, points=50)
    assert (whole["readings"], len(whole["points"])) == (1440, 1440)
    assert len(thin["points"]) <= 50
    assert max(p["value"] for p in thin["points"]) == max(p["value"] for p in whole["points"])
    assert whole["points"][0]["expected"] is None


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-22T10:00:00"}, "from"),
        ({"from": "2026-11-22"}, "from"),
        ({"from": "5", "to": "5"}, "to"),
        ({"from": "0", "to": "9" * 14}, "to"),
        ({"points": "1"}, "points"),
        ({"points": "many"}, "points"),
    ],
)
async def test_wrong_span_of_a_chart(shared: World, params: dict[str, str], field: str) -> None:
    """A span that can't be meant is refused with the parameter at fault."""
    shared.fleet.add("default", "pump-7")
    async with shared.client(shared.key(Role.VIEWER)) as client:
        answer = await client.get("/v1/devices/pump-7/series/temperature", params=params)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_latest_anomalies_are_ten_readings(world: World) -> None:
    """The short list holds the ten newest abnormal readings, newest first."""
    readings = [reading_of("pump-7", "default", n, NOW_MS - n * 1000) for n in range(15)]
    world.abnormal.append([Findings(1, 15, readings)])
    found = await get(world, "/api/latest_anomalies")
    assert len(found) == 10
    assert found[0]["ts"] == "2026-11-22T10:00:00.000Z"
    assert [each["ts"] for each in found] == sorted((each["ts"] for each in found), reverse=True)


async def test_outliers_are_counted_up_to_now_or_a_moment(world: World) -> None:
    """The range ends now, or at `at`; its beginning is left out, its end is in."""
    stamps = [NOW_MS, NOW_MS - 5 * 60_000, NOW_MS - HOUR_MS, NOW_MS + 1000]
    readings = [reading_of("pump-7", "default", n, ts) for n, ts in enumerate(stamps)]
    world.abnormal.append([Findings(1, 15, readings)])
    ranges: list[tuple[dict[str, Any], int]] = [
        ({"time_range": "5m"}, 1),
        ({"time_range": "6m"}, 2),
        ({"time_range": "2h"}, 3),
        ({"time_range": "30d", "at": "2026-11-22T09:00:00Z"}, 1),
        ({"time_range": "30d", "at": str(NOW_MS + 1000)}, 4),
    ]
    for params, expected in ranges:
        assert (await get(world, "/api/outliers_count", **params))["outliers_count"] == expected, params


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5s", "5w", "0m", "-5m", "1.5h", "5 m", "5M", "٥m", "9999999d", "5m\n"]
)
async def test_any_other_time_range_is_400(shared: World, text: str) -> None:
    """Only a positive whole number of minutes, hours or days is a time range."""
    async with shared.client(shared.key(Role.VIEWER)) as client:
        answer = await client.get("/api/outliers_count", params={"time_range": text})
    assert (answer.status_code, answer.json()["field"]) == (400, "time_range")


async def test_dead_letter_is_replayed_once_it_fits(world: World) -> None:
    """A line that is fine now is accepted, marked, and not taken again; one that is not stays as it is."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        await client.post("/v1/events", content=lines(event(a=1)), headers=NDJSON)
        await client.post("/v1/events", content=lines(event(minute=1, a="text")), headers=NDJSON)
        letter = (await client.get("/v1/dead-letters")).json()["dead_letters"][0]
        again = await client.post(f"/v1/dead-letters/{letter['id']}/replay")
        assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "schema_mismatch")
        assert len((await client.get("/v1/dead-letters")).json()["dead_letters"]) == 1
        await client.post("/v1/events", content=b'{"device":"p","ts":1,"a":\n', headers=NDJSON)
        body = await client.get("/v1/dead-letters/2/body")
        assert body.content == b'{"device":"p","ts":1,"a":'
    assert world.log.dead_letter("default", 2) is not None


async def test_a_refused_row_of_a_csv_is_replayed_under_its_header(world: World) -> None:
    """Once the limit is raised that it broke it is accepted; before, its own reason is told again."""
    body = b"device,ts,temperature\npump-number-seven,1700000000000,21.5\npump-8,1700000000000,nan\n"
    errors = parse_csv(body, ParseLimits(name_characters=11)).errors
    errors += parse_csv(body.replace(b"pump-number-seven", b"p" * 300), ParseLimits()).errors
    keep(world, [(error.code, error.body) for error in errors])
    async with world.client(world.key(Role.OPERATOR)) as client:
        answers = [await client.post(f"/v1/dead-letters/{number}/replay") for number in (1, 2, 3, 4)]
    told = [(answer.status_code, [error["code"] for error in answer.json()["errors"]]) for answer in answers]
    assert told == [
        (200, []),
        (400, ["number_not_finite"]),
        (400, ["name_too_long"]),
        (400, ["number_not_finite"]),
    ]


async def test_a_row_without_its_header_says_what_to_do(world: World) -> None:
    """It is no JSON, and is not said to be bad JSON; nothing is lost."""
    keep(
        world, [("invalid_csv", b"p,1,1,2"), ("number_not_finite", b"p,1,nan"), ("invalid_json", b"nonsense")]
    )
    async with world.client(world.key(Role.OPERATOR)) as client:
        for number in (1, 2):
            answer = await client.post(f"/v1/dead-letters/{number}/replay")
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert "put its header line above it, and send it as text/csv" in answer.json()["detail"]
        answer = await client.post("/v1/dead-letters/3/replay")
        assert answer.json()["errors"][0]["code"] == "invalid_json"
        assert (await client.get("/v1/dead-letters/1/body")).content == b"p,1,1,2"


async def test_replayed_letter_is_marked(make_world: Callable[..., World]) -> None:
    """After the reason is gone, a replay accepts the line; a second one is a conflict."""
    world = make_world()
    token = world.gateway("pump-7")
    async with world.client(token) as client:
        await client.post("/v1/events", content=lines(event(a=1)) + b"nonsense\n", headers=NDJSON)
    world.replays.mark("default", 1, NOW_MS)
    listed = await get(world, "/v1/dead-letters/1")
    assert listed["replayed_at"] == "2026-11-22T10:00:00.000Z"
    async with world.client(world.key(Role.OPERATOR)) as client:
        assert (await client.post("/v1/dead-letters/1/replay")).status_code == 409


async def test_credential_from_making_to_its_end(world: World) -> None:
    """A made credential works at once, is listed without its secret, and ends when revoked."""
    async with world.client(world.key(Role.ADMIN)) as client:
        wanted = {"kind": "device", "name": "pump 9", "devices": ["pump-9"]}
        made = (await client.post("/v1/credentials", json=wanted)).json()
        token, key_id = made["token"], made["credential"]["key_id"]
        assert token not in (await client.get("/v1/credentials")).text
        async with world.client(token) as device:
            sent = await device.post("/v1/events", content=lines(event("pump-9")), headers=NDJSON)
            assert sent.status_code == 200
            assert (await client.delete(f"/v1/credentials/{key_id}")).status_code == 204
            sent = await device.post("/v1/events", content=lines(event("pump-9")), headers=NDJSON)
            assert sent.status_code == 401
        own = world.key(Role.ADMIN).split("_")[1]
        assert (await client.delete(f"/v1/credentials/{own}")).status_code == 409
        audit = (await client.get("/v1/audit")).json()["entries"]
    actions = [entry["action"] for entry in audit if entry["outcome"] == "allowed"]
    assert actions == ["credential.revoke", "credential.create"]


async def test_a_credential_that_ends_while_its_body_comes_does_nothing_more(world: World) -> None:
    """A body may take half a minute: whether its sender may still come in is asked when it is there."""
    key = world.key(Role.ADMIN)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"kind": "device", "name": "pump 9", '
        world.access.revoke(OWN, key.split("_")[1])
        yield b'"devices": ["pump-9"]}'

    async with world.client(key, headers={"Content-Type": "application/json"}) as client:
        assert (await client.post("/v1/credentials", content=body())).status_code == 401
    assert "pump 9" not in {each.name for each in world.access.credentials(OWN)}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "api_key", "name": "x"}, "roles"),
        ({"kind": "api_key", "name": "x", "roles": ["emperor"]}, "roles.0"),
        ({"kind": "device", "name": "x", "devices": ["a", "b"]}, "devices"),
        ({"kind": "device", "name": "", "devices": ["a"]}, "name"),
        ({"kind": "api_key", "name": "x", "roles": ["viewer"], "tenant": "other"}, "tenant"),
        (
            {"kind": "api_key", "name": "x", "roles": ["viewer"], "expires_at": "2020-01-01T00:00:00Z"},
            "expires_ms",
        ),
    ],
)
async def test_wrong_wishes_for_a_credential(shared: World, body: dict[str, Any], field: str) -> None:
    """What is wrong is named; nothing is made."""
    async with shared.client(shared.key(Role.ADMIN)) as client:
        answer = await client.post("/v1/credentials", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_query_over_a_damaged_file(world: World) -> None:
    """A file that is known to be damaged is an error, or is left out where that is asked."""
    world.lake.append([record(0, events(steady(3)), tenant=OWN)])
    path = world.lake.snapshot().path("events", world.lake.snapshot().files["events"][0])
    path.write_bytes(path.read_bytes()[:-1])
    list(check(world.lake.snapshot()))
    async with world.client(world.key(Role.OPERATOR)) as client:
        asked = {"sql": "SELECT count(*) FROM events"}
        refused = await client.post("/v1/query", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (500, "corrupt")
        answer = await client.post("/v1/query", json=asked | {"skip_damaged": True})
        assert answer.json()["rows"] == [[0]]


async def test_query_answers_small_tables(world: World) -> None:
    """Accepted readings can be asked for at once; what is no SELECT is refused."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        await client.post("/v1/events", content=lines(event(), event(minute=1)), headers=NDJSON)
        sql = "SELECT device, count(*) AS n, max(ts) AS newest FROM readings GROUP BY device"
        answer = await client.post("/v1/query", json={"sql": sql})
        assert answer.json()["rows"] == [["pump-7", 2, "2026-11-22T10:01:00+00:00"]]
        for wrong in ("DROP TABLE readings", "SELECT", "SELECT 1; SELECT 2", "SELECT * FROM '/etc/passwd'"):
            answer = await client.post("/v1/query", json={"sql": wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), wrong


async def test_a_value_that_json_can_not_say_is_named(world: World) -> None:
    """A moment outside Python's calendar is a mistake of the question, not of the server."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        answer = await client.post("/v1/query", json={"sql": "SELECT 'infinity'::TIMESTAMP AS always"})
    assert answer.status_code == 400
    assert "always" in answer.json()["detail"]


async def test_no_tenant_takes_every_place_for_queries(world: World) -> None:
    """Of four places a tenant gets two alone; a third is refused, another tenant still comes in."""
    queries = world.services.queries
    async with world.client(world.key(Role.OPERATOR)) as client:
        with queries._places.one(OWN), queries._places.one(OWN):
            refused = await client.post("/v1/query", json={"sql": "SELECT 1"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            other = {"Authorization": f"Bearer {world.key(Role.OPERATOR, FOREIGN)}"}
            assert (
                await client.post("/v1/query", json={"sql": "SELECT 1"}, headers=other)
            ).status_code == 200
        for _ in range(3):
            assert (await client.post("/v1/query", json={"sql": "SELECT 1"})).status_code == 200


async def test_framework_answers_are_problems_too(world: World) -> None:
    """Unknown paths, methods and malformed JSON are told in the same shape as everything else."""
    async with world.client(world.key(Role.ADMIN)) as client:
        unknown = await client.get("/v1/nothing")
        method = await client.put("/v1/credentials")
        history = await client.post("/v1/anomalies/an_1/history")
        json_ = await client.post("/v1/query", content=b"{", headers={"Content-Type": "application/json"})
    for answer, status, code in (
        (unknown, 404, "not_found"),
        (method, 405, "method_not_allowed"),
        (history, 405, "method_not_allowed"),
        (json_, 400, "invalid_input"),
    ):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)
    assert method.headers["allow"] == "GET, POST"
    assert history.headers["allow"] == "GET"


async def test_bodies_that_are_no_events_are_small(shared: World) -> None:
    """A query of megabytes is refused before it is read, declared or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    async with shared.client(shared.key(Role.OPERATOR)) as client:
        declared = await client.post("/v1/query", content=b" " * 3_000_000, headers=headers)
        chunked = await client.post("/v1/query", content=chunks(), headers=headers)
    for answer in (declared, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_bugs_tell_nothing(world: World) -> None:
    """An unexpected exception is a 500 problem without inner facts, with the security headers."""
    world.inbox.close()
    world.services.anomalies._inbox = None  # type: ignore[assignment]
    async with world.client(world.key(Role.VIEWER)) as client:
        answer = await client.get("/v1/anomalies")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "NoneType" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_share_of_a_credential_is_bounded(make_world: Callable[..., World]) -> None:
    """Beyond its share a credential gets 429 with Retry-After; others go on."""
    rates = RateLimits(requests_per_s=1, requests_burst=2, bytes_per_s=1e9, bytes_burst=1e9)
    world = make_world(rates=rates)
    async with world.client(world.key(Role.VIEWER)) as client:
        statuses = [(await client.get("/v1/anomalies")).status_code for _ in range(3)]
        refused = await client.get("/v1/anomalies")
    assert statuses == [200, 200, 429]
    assert int(refused.headers["retry-after"]) >= 1
    assert (await get(world, "/v1/anomalies"))["anomalies"] == []


async def test_lines_that_are_refused_use_up_a_share_of_their_own(make_world: Callable[..., World]) -> None:
    """Whoever sends nothing but what is refused gets 429 before its next body is looked at; others go on."""
    world = make_world(rates=replace(GENEROUS, refused_per_s=1, refused_burst=10))
    async with world.client(world.key(Role.OPERATOR)) as client:
        bodies = [b"nonsense\n" * 20 + lines(event()), lines(event())]
        first, second = [await client.post("/v1/events", content=each, headers=NDJSON) for each in bodies]
    assert (first.status_code, second.status_code) == (200, 429)
    assert 10 <= int(second.headers["retry-after"]) <= 12
    async with world.client(world.key(Role.DEVICE)) as client:
        assert (await client.post("/v1/events", content=lines(event()), headers=NDJSON)).status_code == 200


async def test_bytes_without_a_declared_length_count_too(make_world: Callable[..., World]) -> None:
    """A chunked body uses up the share of bytes like any other."""
    world = make_world(
        rates=RateLimits(requests_per_s=1e6, requests_burst=1e6, bytes_per_s=10, bytes_burst=100)
    )

    async def chunks() -> AsyncIterator[bytes]:
        for minute in range(10):
            yield lines(event(minute=minute))

    async with world.client(world.key(Role.OPERATOR)) as client:
        first = await client.post("/v1/events", content=chunks(), headers=NDJSON)
        second = await client.post("/v1/events", content=chunks(), headers=NDJSON)
    assert (first.status_code, second.status_code) == (200, 429)


async def test_bytes_in_flight_are_bounded(make_world: Callable[..., World]) -> None:
    """A body for which there is no room is refused at once, and the room is given back afterwards."""
    world = make_world(limits=RequestLimits(bytes_in_flight_max=1000))
    async with world.client(world.key(Role.OPERATOR)) as client:
        for _ in range(3):
            fits = await client.post("/v1/events", content=lines(event()), headers=NDJSON)
            assert fits.status_code == 200
            refused = await client.post("/v1/events", content=b"\n" * 2000, headers=NDJSON)
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)


async def test_readiness_says_which_check_fails(world: World) -> None:
    """A part that can't work makes the process not ready; the answer names it and no tenant's data."""

    def broken() -> str:
        raise StorageUnavailableError("the data folder can't be written")

    async with world.client() as client:
        assert (await client.get("/readyz")).json()["ready"] is True
        world.services.health._probes["disk"] = broken
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        failing = [check for check in answer.json()["checks"] if not check["ok"]]
        assert [check["name"] for check in failing] == ["disk"]
        assert (await client.get("/healthz")).status_code == 200


async def test_a_cursor_is_of_one_tenant(world: World) -> None:
    """Another tenant's cursor is refused like one that was made up, on every list that has one."""
    for tenant in (OWN, FOREIGN):
        for n in range(3):
            world.find_anomaly(f"{tenant}-{n}", tenant)
    foreign = {"Authorization": f"Bearer {world.key(Role.ADMIN, FOREIGN)}"}
    async with world.client(world.key(Role.ADMIN)) as client:
        for path in ("/v1/anomalies", "/v1/devices", "/v1/episodes", "/v1/credentials"):
            cursor = (await client.get(path, params={"limit": 1})).json()["next"]
            assert cursor is not None
            assert (await client.get(path, params={"cursor": cursor})).status_code == 200
            refused = await client.get(path, params={"cursor": cursor}, headers=foreign)
            assert (refused.status_code, refused.json()["field"]) == (400, "cursor")


async def test_not_being_ready_is_one_line_in_the_log(world: World) -> None:
    """However often it is asked, the log gets one line at the beginning and one at the end, no traceback."""

    def broken() -> str:
        raise StorageUnavailableError("the data folder can't be written")

    stream = io.StringIO()
    configure_logging("info", "json", stream)
    async with world.client() as client:
        world.services.health._probes["disk"] = broken
        for _ in range(3):
            await client.get("/readyz")
        world.services.health._probes["disk"] = lambda: "fine"
        await client.get("/readyz")
    configure_logging("warning", "json")
    found = [json.loads(line) for line in stream.getvalue().splitlines() if "health" in line]
    assert [line["event"] for line in found] == ["not_ready", "ready_again"]
    assert "exception" not in found[0]


async def test_metrics_name_routes_not_devices(world: World) -> None:
    """Requests are counted by route template, so that names can't make new series."""
    world.fleet.add("default", "pump-7")
    await get(world, "/v1/devices/pump-7")
    async with world.client() as client:
        await client.get("/nowhere/pump-7")
        text = (await client.get("/metrics")).text
    assert 'route="/v1/devices/{device}"' in text
    assert 'route="unmatched"' in text
    assert "pump-7" not in text


def test_disk_probe_wants_a_folder_that_can_be_written(tmp_path: Path) -> None:
    """A folder that is gone fails, one with room is fine."""
    assert "free" in disk_probe(tmp_path)()
    with pytest.raises(StorageUnavailableError):
        disk_probe(tmp_path / "gone")()
