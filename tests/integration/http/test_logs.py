"""What senders of log lines are told, and what is kept: NDJSON and OpenTelemetry."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import zstandard
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.http_kit import FOREIGN, GENEROUS, NDJSON, NOW_MS, OWN, World
from tocsin.access.principal import Role
from tocsin.api.limits import RequestLimits
from tocsin.log_lines import LogLine, decode_line
from tocsin.model import Flag
from tocsin.payloads import decode_events

pytestmark = pytest.mark.anyio

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def line(text: str = "closed", **fields: Any) -> bytes:
    named = {"device": "press-3", "component": "door", "time": NOW_MS, "text": text} | fields
    return json.dumps({name: value for name, value in named.items() if value is not None}).encode() + b"\n"


async def send(world: World, body: bytes, token: str | None = None, **headers: str) -> httpx.Response:
    """POST a body of NDJSON as an operator, or with another token or type."""
    given = NDJSON | {name.replace("_", "-"): value for name, value in headers.items()}
    async with world.client(token or world.key(Role.OPERATOR)) as client:
        return await client.post("/v1/logs", content=body, headers=given)


def stored(world: World, tenant: str = OWN) -> list[tuple[str, int, LogLine]]:
    """Device, time and line of every log line in the log."""
    found = []
    for partition in range(world.log.partitions):
        for record in world.log.read(partition, 0):
            batch = decode_events(record.payload)
            assert (batch.flags & int(Flag.LOG_LINE)).all()
            if record.tenant == tenant:
                texts = [decode_line(text.encode()) for text in batch.text.tolist()]
                found += list(zip(batch.device.tolist(), batch.ts.tolist(), texts, strict=True))
    return found


async def test_accepted_lines_are_in_the_log(world: World) -> None:
    """With everything that was sent; a text may be empty, or of several lines."""
    body = line() + line("", level="warn", rack=7) + line("a\n  at b", time="2026-11-22T10:00:00.250Z")
    answer = await send(world, body)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
    assert stored(world) == [
        ("press-3", NOW_MS, LogLine("door", "closed")),
        ("press-3", NOW_MS, LogLine("door", "", "warn", {"rack": 7})),
        ("press-3", NOW_MS + 250, LogLine("door", "a\n  at b")),
    ]


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (line(device=None), "missing_field", "device"),
        (line(component=None), "missing_field", "component"),
        (line(component=""), "missing_field", "component"),
        (line(time=None), "missing_field", "time"),
        (line(time="yesterday"), "invalid_timestamp", "time"),
        (line(time="2026-11-22T10:00:00"), "invalid_timestamp", "time"),
        (line(time=1.5), "invalid_timestamp", "time"),
        (b'{"device":"d","component":"c","time":1}\n', "missing_field", "text"),
        (b'{"device":"d","component":"c","time":1,"text":7}\n', "invalid_type", "text"),
        (b'{"device":"d","component":7,"time":1,"text":""}\n', "invalid_type", "component"),
        (b'{"device":"d","device":"e","component":"c","time":1,"text":""}\n', "duplicate_key", "device"),
        (
            b'{"device":"d","\\u0064evice":"e","component":"c","time":1,"text":""}\n',
            "duplicate_key",
            "device",
        ),
        (line(component="c" * 257), "name_too_long", "component"),
        (line(level="l" * 33), "name_too_long", "level"),
        (b"nonsense\n", "invalid_json", ""),
        (b'"text"\n', "not_an_object", ""),
        (line().replace(b"closed", b"\xff"), "invalid_utf8", ""),
        (line("x" * (256 << 10)), "line_too_long", ""),
        (line().rstrip(b"}\n"), "truncated_line", ""),
    ],
)
async def test_a_bad_line_among_good_ones(world: World, bad: bytes, code: str, field: str) -> None:
    """Told with its number, code, field and a remedy for lines, and kept; the good one is taken."""
    answer = await send(world, line() + bad)
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected"]) == (200, 1, 1)
    (error,) = told["errors"]
    assert (error["line"], error["code"]) == (2, code)
    assert error["field"] == (field if code != "truncated_line" else error["field"])
    assert "`ts`" not in error["detail"]
    (letter,) = world.log.dead_letters(OWN)
    assert (letter.letter.form, letter.letter.body) == (
        "log_line",
        bad.rstrip(b"\n")[: len(letter.letter.body)],
    )


async def test_a_retry_gets_the_first_answer(world: World) -> None:
    """And changes nothing; another body under the same key is a conflict."""
    body = line() + b"nonsense\n"
    first = await send(world, body, Idempotency_Key="k")
    again = await send(world, body, Idempotency_Key="k")
    other = await send(world, line("opened"), Idempotency_Key="k")
    assert (first.content, again.headers["Tocsin-Repeated"]) == (again.content, "true")
    assert other.status_code == 409
    assert len(stored(world)) == 1


async def test_packed_bodies_are_read(world: World) -> None:
    """gzip and zstd, as with events."""
    for name, packed in (("gzip", gzip.compress(line())), ("zstd", zstandard.compress(line()))):
        assert (await send(world, packed, Content_Encoding=name)).status_code == 200
    assert len(stored(world)) == 2


async def test_a_device_token_speaks_for_its_devices_alone(world: World) -> None:
    """A line of another device refuses the body; no tenant sees another's lines."""
    assert (await send(world, line(device="p"), world.gateway("p"))).status_code == 200
    assert (await send(world, line(device="p") + line(), world.gateway("p"))).status_code == 403
    assert len(stored(world)) == 1
    assert stored(world, FOREIGN) == []


async def test_a_dead_letter_is_sent_again_as_a_line(world: World) -> None:
    """Not as an event, though it could be one; it is refused again for the same reason."""
    await send(world, line() + line(time="never", ts=NOW_MS, a=1))
    async with world.client(world.key(Role.OPERATOR)) as client:
        answer = await client.post("/v1/dead-letters/1/replay")
    assert answer.json()["errors"][0]["field"] == "time"


async def test_a_line_of_a_device_too_many_is_kept_as_it_was_sent(world: World) -> None:
    """So that it can be sent again once there is room."""
    limits = world.catalogue._limits
    object.__setattr__(limits, "devices", 1)
    answer = await send(world, line() + line("opened", device="press-4", level="INFO", rack=7))
    assert answer.json()["errors"][0]["code"] == "cardinality_limit"
    (letter,) = world.log.dead_letters(OWN)
    sent = line("opened", device="press-4", level="INFO", rack=7)
    assert json.loads(letter.letter.body) == json.loads(sent)
    assert letter.letter.form == "log_line"


async def test_a_clock_that_is_ahead_is_told(world: World) -> None:
    """The line is taken, with a warning that names its field."""
    answer = await send(world, line(time=NOW_MS + 86_400_000))
    assert [(each["code"], each["field"]) for each in answer.json()["warnings"]] == [("clock_skew", "time")]


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


RECORD: dict[str, Any] = {
    "timeUnixNano": str(NOW_MS * 1_000_000 + 250),
    "severityNumber": 13,
    "body": {"stringValue": "torque near its limit"},
    "attributes": [{"key": "torque", "value": {"doubleValue": 41.5}}],
    "traceId": "5b8efff798038103d269b633813fc60c",
}


def request(*records: dict[str, Any], device: str = "press-3") -> dict[str, Any]:
    attributes = [attribute("device.id", device), attribute("service.name", "drive")] if device else []
    attributes += [attribute("service.namespace", "cells"), attribute("service.version", "4.2")]
    scopes = [{"scope": {"name": "motion"}, "logRecords": list(records)}]
    return {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": scopes}]}


def protobuf(found: dict[str, Any]) -> bytes:
    """The same request as exporters send it."""
    message = ExportLogsServiceRequest()
    for resource in found["resourceLogs"]:
        logs = message.resource_logs.add()
        for each in resource["resource"]["attributes"]:
            logs.resource.attributes.add(key=each["key"]).value.string_value = each["value"]["stringValue"]
        scope = logs.scope_logs.add()
        scope.scope.name = "motion"
        for each in resource["scopeLogs"][0]["logRecords"]:
            record = scope.log_records.add(
                time_unix_nano=int(each.get("timeUnixNano", 0)),
                severity_number=each.get("severityNumber", 0),
                trace_id=bytes.fromhex(each.get("traceId", "")),
            )
            record.body.string_value = each["body"]["stringValue"]
            for pair in each.get("attributes", ()):
                record.attributes.add(key=pair["key"]).value.double_value = pair["value"]["doubleValue"]
    packed: bytes = message.SerializeToString()
    return packed


def told(answer: httpx.Response) -> str:
    """The message of a Status, read as exporters do."""
    if answer.headers["content-type"] == "application/x-protobuf":
        return str(Status.FromString(answer.content).message)
    assert answer.headers["content-type"] == "application/json"
    return str(answer.json()["message"])


async def test_records_of_opentelemetry_are_lines(world: World) -> None:
    """The same from protobuf and from JSON, with level, application and all that has no field of its own."""
    packed = await send(world, protobuf(request(RECORD)), **{"Content-Type": "application/x-protobuf"})
    plain = await send(world, json.dumps(request(RECORD)).encode(), **JSON)
    assert (packed.status_code, packed.content, packed.headers["content-type"]) == (
        200,
        b"",
        "application/x-protobuf",
    )
    assert (plain.status_code, plain.json()) == (200, {})
    first, second = stored(world)
    assert first == second
    assert first[:2] == ("press-3", NOW_MS)
    assert (first[2].component, first[2].text, first[2].level) == ("drive", "torque near its limit", "WARN")
    assert first[2].fields["attributes"] == {"torque": 41.5}
    assert first[2].fields["trace_id"] == RECORD["traceId"]
    assert first[2].fields["time_unix_nano"] == RECORD["timeUnixNano"]


async def test_records_that_are_refused_are_a_partial_success(world: World) -> None:
    """How many, and what to set; they are dead letters."""
    untimed = {"body": {"stringValue": "when?"}}
    answer = await send(
        world, protobuf(request(RECORD, untimed)), **{"Content-Type": "application/x-protobuf"}
    )
    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_log_records) == (200, 1)
    assert "record 2" in told.error_message
    assert "observed_time_unix_nano" in told.error_message
    nameless = await send(world, json.dumps(request(RECORD, device="")).encode(), **JSON)
    assert nameless.status_code == 400
    assert "device.id" in nameless.json()["message"]
    assert len(world.log.dead_letters(OWN)) == 2


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"arrayValue": {"values": [{"stringValue": "a"}]}}, '["a"]'),
        ({"kvlistValue": {"values": [{"key": "rack", "value": {"intValue": "7"}}]}}, '{"rack": 7}'),
        ({"intValue": "7"}, "7"),
        ({"boolValue": False}, "false"),
        ({"stringValue": ""}, "motion"),
        ({}, "motion"),
    ],
)
async def test_an_attribute_may_have_any_value(world: World, value: dict[str, Any], named: str) -> None:
    """What names a component is then told as JSON; where nothing is said the scope does."""
    found = request(RECORD)
    found["resourceLogs"][0]["resource"]["attributes"][1]["value"] = value
    answer = await send(world, json.dumps(found).encode(), **JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert [line.component for _, _, line in stored(world)] == [named]


async def test_a_record_counts_with_its_resource(world: World) -> None:
    """What is sent once and kept with each record is bounded as if it had been sent with each."""
    long = request(RECORD)
    long["resourceLogs"][0]["resource"]["attributes"].append(attribute("notes", "x" * (1 << 18)))
    answer = await send(world, json.dumps(long).encode(), **JSON)
    assert (answer.status_code, "with its resource" in answer.json()["message"]) == (400, True)
    assert len(world.log.dead_letters(OWN)[0].letter.body) == 4096
    many = request(*[{"timeUnixNano": "1"}] * 1000)
    many["resourceLogs"][0]["resource"]["attributes"].append(attribute("notes", "x" * 100_000))
    answer = await send(world, gzip.compress(json.dumps(many).encode()), content_encoding="gzip", **JSON)
    assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (413, "too_large")
    assert stored(world) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xff", PROTOBUF),
        (b"{}", JSON),
        (b"[]", JSON),
        (b"nonsense", JSON),
        (b'{"resourceLogs":7}', JSON),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}', JSON),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[7]}]}]}', JSON),
    ],
)
async def test_what_is_no_request_of_opentelemetry_is_refused_whole(
    world: World, body: bytes, kind: dict[str, str]
) -> None:
    """With a Status that says what was expected."""
    answer = await send(world, body, **kind)
    assert (answer.status_code, told(answer).partition(":")[0]) == (400, "invalid_input")


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_every_error_is_a_status_to_an_exporter(make_world: Callable[..., World], kind: Any) -> None:
    """Whoever finds it, in the request's own encoding, with the headers that say when to come again."""
    world = make_world(limits=RequestLimits(events_bytes_max=1000), rates=replace(GENEROUS, requests_burst=2))
    body = protobuf(request(RECORD)) if kind is PROTOBUF else json.dumps(request(RECORD)).encode()
    unknown = await send(world, body, "tsk_nobody", **kind)
    assert (unknown.status_code, told(unknown).partition(":")[0]) == (401, "unauthenticated")
    assert "www-authenticate" in unknown.headers
    assert unknown.headers["content-length"] == str(len(unknown.content))
    large = await send(world, b"x" * 1001, **kind)
    assert (large.status_code, told(large).partition(":")[0]) == (413, "too_large")
    await send(world, body, **kind)
    hasty = await send(world, body, **kind)
    assert (hasty.status_code, told(hasty).partition(":")[0]) == (429, "rate_limited")
    assert int(hasty.headers["retry-after"]) > 0
    plain = await send(world, b"x" * 1001)
    assert plain.headers["content-type"] == "application/problem+json"


async def test_other_types_are_not_read(world: World) -> None:
    """CSV is for events."""
    assert (await send(world, b"", **{"Content-Type": "text/csv"})).status_code == 415
