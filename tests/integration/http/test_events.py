"""What senders are told, and what is kept."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from concurrent.futures import Future

import httpx
import pytest
import zstandard
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.http_kit import FOREIGN, NDJSON, NOW_MS, OWN, World, event, lines
from tocsin.access.principal import Role
from tocsin.api.limits import RequestLimits
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.log.abstract import Append, Appended
from tocsin.observability.tracing import Tracing
from tocsin.payloads import decode_events

pytestmark = pytest.mark.anyio


async def send(world: World, body: bytes, token: str | None = None, **headers: str) -> httpx.Response:
    """POST a body of NDJSON as an operator, or with another token."""
    async with world.client(token or world.key(Role.OPERATOR)) as client:
        return await client.post("/v1/events", content=body, headers=NDJSON | headers)


def stored(world: World) -> list[tuple[str, int]]:
    """Device and time of every event in the log."""
    found = []
    for partition in range(world.log.partitions):
        for record in world.log.read(partition, 0):
            batch = decode_events(record.payload)
            found += list(zip(batch.device.tolist(), batch.ts.tolist(), strict=True))
    return sorted(found)


async def test_accepted_events_are_in_the_log(world: World) -> None:
    """A 200 means that every accepted event can be read from the log, in its device's partition."""
    answer = await send(world, lines(event(minute=0), event("fan 1/2", minute=1), event(minute=2)))
    assert answer.status_code == 200
    assert answer.json() == {
        "received": 3,
        "accepted": 3,
        "rejected": 0,
        "repeated": 0,
        "errors": [],
        "errors_left_out": 0,
        "dead_letters_left_out": 0,
        "warnings": [],
        "warnings_left_out": 0,
    }
    minute = 60_000
    assert stored(world) == [
        ("fan 1/2", NOW_MS + minute),
        ("pump-7", NOW_MS),
        ("pump-7", NOW_MS + 2 * minute),
    ]


async def test_bad_line_among_good_ones(world: World) -> None:
    """Good lines are taken, the bad one is told with line, code and remedy, and becomes a dead letter."""
    answer = await send(world, lines(event()) + b"{nonsense\n" + lines(event(minute=1)))
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected"]) == (200, 2, 1)
    assert (told["errors"][0]["line"], told["errors"][0]["code"]) == (2, "invalid_json")
    assert [letter.letter.body for letter in world.log.dead_letters(OWN)] == [b"{nonsense"]


async def test_dead_letters_of_a_body_are_bounded(world: World) -> None:
    """Of a body full of bad lines the first 1,000 are kept; the answer and a metric say how many are not."""
    answer = await send(world, b"nonsense\n" * 2_500 + lines(event()))
    told = answer.json()
    assert (told["received"], told["accepted"], told["rejected"]) == (2_501, 1, 2_500)
    assert told["dead_letters_left_out"] == 1_500
    kept = world.log.dead_letters(OWN, limit=10_000)
    assert [stored.letter.line for stored in kept] == list(range(1, 1_001))
    metrics = world.services.meters.render_prometheus().decode()
    assert "tocsin_ingest_dead_letters_left_out_total 1500.0" in metrics


async def test_all_lines_bad(world: World) -> None:
    """A body without a good line is a 400 problem with the same errors, and its lines are kept."""
    answer = await send(world, b"nonsense\n[1]\n")
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["code"], problem["status"], problem["received"]) == ("invalid_input", 400, 2)
    assert [error["line"] for error in problem["errors"]] == [1, 2]
    assert len(world.log.dead_letters(OWN)) == 2


BAD_LINES = {
    "truncated_line": b'{"device":"pump-7","ts":',
    "invalid_utf8": b'{"device":"pump-7","ts":1,"a":"\xff"}\n',
    "number_not_finite": b'{"device":"pump-7","ts":1,"a":1e999}\n',
    "number_out_of_range": b'{"device":"pump-7","ts":1,"a":9007199254740993}\n',
    "duplicate_key": b'{"device":"pump-7","ts":1,"a":1,"a":2}\n',
    "too_deep": b'{"device":"pump-7","ts":1,"a":' + b"[" * 40 + b"]" * 40 + b"}\n",
    "line_too_long": b'{"device":"pump-7","ts":1,"a":"' + b"x" * (300 << 10) + b'"}\n',
    "name_too_long": b'{"device":"' + b"x" * 257 + b'","ts":1,"a":1}\n',
    "missing_field": b'{"ts":1,"a":1}\n',
    "invalid_timestamp": b'{"device":"pump-7","ts":"yesterday"}\n',
}


@pytest.mark.parametrize("code", BAD_LINES)
async def test_every_bad_line_is_answered_as_written(world: World, code: str) -> None:
    """Each row of the table of bad input gets its code, while the good line before it is accepted."""
    answer = await send(world, lines(event()) + BAD_LINES[code])
    told = answer.json()
    assert (answer.status_code, told["accepted"]) == (200, 1)
    assert [(error["line"], error["code"]) for error in told["errors"]] == [(2, code)]
    assert world.log.dead_letters(OWN)[0].letter.code == code


async def test_lone_surrogate_is_a_line_error(world: World) -> None:
    """Half a surrogate pair is no text."""
    answer = await send(world, lines(event()) + b'{"device":"pump-7","ts":1,"a":"\\ud800"}\n')
    assert [error["code"] for error in answer.json()["errors"]] == ["invalid_utf8"]


async def test_parameter_that_changes_type(world: World) -> None:
    """20 followed by 20.1 is no change of type; text after numbers is."""
    body = lines(event(a=20), event(minute=1, a=20.1), event(minute=2, a="warm"), event(minute=3, note="ok"))
    told = (await send(world, body)).json()
    assert [(error["line"], error["code"], error["field"]) for error in told["errors"]] == [
        (3, "schema_mismatch", "a")
    ]


async def test_far_future_is_accepted_with_a_warning(world: World) -> None:
    """A wrong clock is told, not punished; other devices' lines carry no warning."""
    told = (await send(world, lines(event(), event("fan 1/2", minute=600)))).json()
    assert told["accepted"] == 2
    assert [(warning["line"], warning["code"]) for warning in told["warnings"]] == [(2, "clock_skew")]


async def test_seconds_where_milliseconds_belong_are_accepted_with_a_warning(world: World) -> None:
    """Else nobody learns why what was accepted shows up nowhere; the warnings are counted like others."""
    body = lines(event(), *({"device": "pump-7", "ts": 1_763_800_000 + n, "x": 1} for n in range(150)))
    told = (await send(world, body)).json()
    assert told["accepted"] == 151
    assert {(warning["code"], warning["field"]) for warning in told["warnings"]} == {("seconds_sent", "ts")}
    assert (len(told["warnings"]), told["warnings_left_out"]) == (100, 50)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_compressed_bodies(world: World, encoding: str) -> None:
    """gzip and zstd bodies are read like plain ones."""
    plain = lines(event())
    packed = gzip.compress(plain) if encoding == "gzip" else zstandard.compress(plain)
    answer = await send(world, packed, **{"Content-Encoding": encoding})
    assert answer.json()["accepted"] == 1


async def test_body_too_large(make_world: Callable[..., World]) -> None:
    """A body over the limit is a 413 and an audit entry, declared or not, also after decompression."""
    world = make_world(
        limits=RequestLimits(events_bytes_max=50_000), parse_limits=ParseLimits(body_bytes=50_000)
    )

    async def chunks() -> object:
        for _ in range(10):
            yield b"x" * 10_000

    large = b"x" * 100_000
    async with world.client(world.key(Role.OPERATOR)) as client:
        declared = await client.post("/v1/events", content=large, headers=NDJSON)
        chunked = await client.post("/v1/events", content=chunks(), headers=NDJSON)  # type: ignore[arg-type]
        packed = gzip.compress(large)
        bomb = await client.post("/v1/events", content=packed, headers=NDJSON | {"Content-Encoding": "gzip"})
    for answer in (declared, chunked, bomb):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    world.audit_log.flush()
    assert [stored.entry.detail for stored in world.audit_log.entries(OWN)] == ["too_large"] * 3


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "application/x-python-pickle"}, {"Content-Encoding": "br"}]
)
async def test_wrong_type_or_encoding(world: World, headers: dict[str, str]) -> None:
    """What is not read is a 415 and an audit entry, never a guess."""
    answer = await send(world, lines(event()), **headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    world.audit_log.flush()
    assert [stored.entry.detail for stored in world.audit_log.entries(OWN)] == ["unsupported_media_type"]


async def test_foreign_device_refuses_the_whole_body(world: World) -> None:
    """A token that names another device gets 403, nothing of the body is kept, and the audit log knows."""
    token = world.gateway("pump-7")
    answer = await send(world, lines(event(), event("pump-8")), token)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "may not speak for 'pump-8'" in answer.json()["detail"]
    assert stored(world) == []
    assert world.log.dead_letters(OWN) == []
    world.audit_log.flush()
    assert [stored.entry.object for stored in world.audit_log.entries(OWN)] == ["/v1/events"]


async def test_tenant_comes_from_the_credential(world: World) -> None:
    """Whatever a body says, its records belong to the tenant of the credential."""
    token = world.key(Role.OPERATOR, FOREIGN)
    await send(world, lines(event(tenant=OWN, temperature=1.0)), token)
    records = [record for partition in range(4) for record in world.log.read(partition, 0)]
    assert [record.tenant for record in records] == [FOREIGN]


async def test_retry_gets_the_first_answer(world: World) -> None:
    """The same producer and sequence again changes nothing and gets the same bytes, marked as repeated."""
    headers = {"Tocsin-Producer": "gw", "Tocsin-Sequence": "1"}
    body = lines(event()) + b"nonsense\n"
    first = await send(world, body, **headers)
    again = await send(world, body, **headers)
    assert again.content == first.content
    assert again.headers["tocsin-repeated"] == "true"
    assert "tocsin-repeated" not in first.headers
    assert len(stored(world)) == 1
    assert len(world.log.dead_letters(OWN)) == 1


async def test_retry_of_a_refused_body_is_refused_the_same(world: World) -> None:
    """Also a 400 is remembered, status and all."""
    first = await send(world, b"nonsense\n", **{"Idempotency-Key": "k"})
    again = await send(world, b"nonsense\n", **{"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (400, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["tocsin-repeated"] == "true"


async def test_same_key_with_another_body(world: World) -> None:
    """Reusing a key for another body is a conflict, and the second body is not kept."""
    await send(world, lines(event()), **{"Idempotency-Key": "k"})
    answer = await send(world, lines(event(minute=1)), **{"Idempotency-Key": "k"})
    assert answer.status_code == 409
    assert len(stored(world)) == 1


async def test_keys_of_two_credentials_do_not_meet(world: World) -> None:
    """Idempotency keys belong to the credential, so nobody hears another's answers."""
    body = lines(event())
    await send(world, body, **{"Idempotency-Key": "k"})
    answer = await send(world, body, world.key(Role.ADMIN), **{"Idempotency-Key": "k"})
    assert "tocsin-repeated" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Tocsin-Producer": "gw"},
        {"Tocsin-Sequence": "1"},
        {"Tocsin-Producer": "gw", "Tocsin-Sequence": "x" * 300},
        {"Idempotency-Key": "k", "Tocsin-Producer": "gw", "Tocsin-Sequence": "1"},
    ],
)
async def test_half_an_idempotency_key(shared: World, headers: dict[str, str]) -> None:
    """A key that can't be honoured is refused instead of being ignored."""
    assert (await send(shared, lines(event()), **headers)).status_code == 400


async def test_empty_body(world: World) -> None:
    """Nothing sent is nothing received, not an error."""
    told = (await send(world, b"")).json()
    assert (told["received"], told["accepted"]) == (0, 0)


async def test_too_many_bodies_are_refused_at_once(make_world: Callable[..., World]) -> None:
    """Beyond the bound a body gets 503 with Retry-After and nothing is kept."""
    world = make_world(bodies_max=1)
    with world.services.ingest._place():
        answer = await send(world, lines(event()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert stored(world) == []


async def test_a_sender_that_leaves_keeps_its_place_until_the_work_ends(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are refused while its body is worked on, and what it sent is counted as accepted in the end."""
    world = make_world(bodies_max=1)
    going_on, may_end = threading.Event(), threading.Event()
    submit = world.log.submit

    def slowly(append: Append) -> Future[Appended]:
        going_on.set()
        may_end.wait(20)
        return submit(append)

    monkeypatch.setattr(world.log, "submit", slowly)
    leaving = asyncio.create_task(send(world, lines(event())))
    await asyncio.to_thread(going_on.wait, 20)
    leaving.cancel()
    await asyncio.sleep(0)
    assert (await send(world, lines(event(minute=1)))).status_code == 503
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await send(world, lines(event(minute=2)))).status_code == 200
    assert 'tocsin_ingest_lines_total{outcome="accepted"} 2.0' in world.meters.render_prometheus().decode()


async def test_conservation_on_the_metrics(world: World) -> None:
    """received = accepted + rejected + repeated, after good, bad and repeated lines."""
    body = lines(event()) + b"nonsense\n"
    for _ in range(2):
        await send(world, body, **{"Idempotency-Key": "k"})
    await send(world, b"nonsense\n")
    text = world.meters.render_prometheus().decode()
    values = {
        outcome: float(text.split(f'tocsin_ingest_lines_total{{outcome="{outcome}"}} ')[1].split("\n")[0])
        for outcome in ("received", "accepted", "rejected", "repeated")
    }
    assert values == {"received": 5, "accepted": 1, "rejected": 2, "repeated": 2}


async def test_many_errors_are_counted_not_listed(world: World) -> None:
    """An answer stays small however many lines are bad."""
    problem = (await send(world, b"nonsense\n" * 150)).json()
    assert (len(problem["errors"]), problem["errors_left_out"], problem["rejected"]) == (100, 50, 150)


async def test_a_mistake_after_parsing_is_answered(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in what follows a body's way to the log ends the request; it would wait for ever otherwise."""
    tracing = Tracing()
    monkeypatch.setattr(tracing, "begin", lambda _: 1 // 0)
    answer = await send(make_world(tracing=tracing), lines(event()))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


async def test_trace_of_a_request_holds_its_steps(make_world: Callable[..., World]) -> None:
    """Parsing and appending lie inside the request's span, in the trace that the sender began."""
    exporter = InMemorySpanExporter()
    world = make_world(tracing=Tracing(processors=[SimpleSpanProcessor(exporter)]))
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    await send(world, lines(event()), traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"request", "parse", "append"}
    request = spans["request"].context
    assert request is not None
    assert f"{request.trace_id:032x}" == trace_id
    for name in ("parse", "append"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == request.span_id
