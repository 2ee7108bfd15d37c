"""PUT /v1/devices/{device}/dumps/{sequence}: every answer, and what is kept behind it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.dump_kit import Hostile, Part, content_digest, good_archive, nested_quotes, overlapping
from tests.http_kit import NOW_MS, OWN, World
from tocsin.access.principal import Role
from tocsin.access.rate_limit import RateLimits
from tocsin.api.cursor import encode_cursor
from tocsin.api.limits import RequestLimits
from tocsin.api.server import HttpServer
from tocsin.config.sections import HttpConfig
from tocsin.control import DumpReceived, decode_control
from tocsin.log.abstract import RecordKind
from tocsin.processing.dump_places import place_dumps

pytestmark = pytest.mark.anyio
ARCHIVE = good_archive()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
URL = "/v1/devices/pump-7/dumps/1"


async def put(
    world: World, body: bytes = ARCHIVE, url: str = URL, *, token: str | None = None, **headers: str
) -> httpx.Response:
    """Send a dump, as the device unless another token is given."""
    given = {"content-digest": content_digest(body)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with world.client(token or world.key(Role.DEVICE)) as client:
        return await client.put(url, content=body, headers=given)


def logged(world: World) -> list[DumpReceived]:
    """Every dump in the log."""
    return [
        control
        for partition in range(world.log.partitions)
        for record in world.log.read(partition, 0)
        if record.kind is RecordKind.CONTROL
        and isinstance(control := decode_control(record.payload), DumpReceived)
    ]


def kept(world: World, sha256: str) -> bytes:
    with world.blobs.open(sha256) as blob:
        return blob.read(0, blob.size)


async def test_a_dump_is_kept_whole_and_logged_once(world: World) -> None:
    """The answer says what is in it; the log has one record with all that the device said."""
    collected = "collected_from=2026-11-22T09:30:00Z&collected_to=1795341600000"
    url = f"{URL}?application=presses&version=2.1&{collected}"
    answer = await put(world, url=url)
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "device": "pump-7",
            "epoch": 0,
            "sequence": 1,
            "sha256": SHA256,
            "size_bytes": len(ARCHIVE),
            "members": 2,
            "unpacked_bytes": 86,
        },
    )
    assert kept(world, SHA256) == ARCHIVE
    (record,) = logged(world)
    assert (record.tenant, record.device, record.sequence, record.sha256) == (OWN, "pump-7", 1, SHA256)
    assert (record.outcome, record.application, record.version) == ("accepted", "presses", "2.1")
    assert (record.collected_from_ms, record.collected_to_ms) == (1_795_339_800_000, 1_795_341_600_000)


async def test_the_same_dump_again_changes_nothing(world: World) -> None:
    """It gets the first answer, and says so; after more than a day too."""
    first = await put(world)
    again = await put(world)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (again.headers["tocsin-repeated"], "tocsin-repeated" in first.headers) == ("true", False)
    assert len(logged(world)) == 1
    world.clock.advance_to(NOW_MS + 25 * 3_600_000)
    assert (await put(world)).json() == first.json()
    assert len(logged(world)) == 1


async def test_another_body_with_the_same_sequence_is_a_conflict(world: World) -> None:
    """The first stays the valid one; both are kept raw, and the log tells of both."""
    await put(world)
    other = good_archive({"other.log": b"x\n"})
    for _ in range(2):
        answer = await put(world, other)
        assert (answer.status_code, answer.json()["code"]) == (409, "dump_conflict")
    assert kept(world, hashlib.sha256(other).hexdigest()) == other
    assert [record.outcome.value for record in logged(world)] == ["accepted", "conflict"]
    assert (await put(world)).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(good_archive({"z": bytes(5 << 20)}), "zip_limit", id="bomb"),
        pytest.param(overlapping(), "zip_malformed", id="overlap"),
        pytest.param(nested_quotes(), "zip_malformed", id="quotes"),
        pytest.param(Hostile([Part(local_name=b"b")]).build(), "zip_malformed", id="header mismatch"),
        pytest.param(ARCHIVE + b"x", "zip_malformed", id="trailing data"),
        pytest.param(ARCHIVE[:-9], "zip_malformed", id="truncated"),
        pytest.param(Hostile([Part(crc=1)]).build(), "zip_malformed", id="bad CRC"),
        pytest.param(Hostile([Part(name=b"../x")]).build(), "zip_path", id="leaves its folder"),
        pytest.param(Hostile([Part(name=b"/x")]).build(), "zip_path", id="absolute"),
        pytest.param(Hostile([Part(name=b"a\0b")]).build(), "zip_path", id="NUL"),
        pytest.param(
            Hostile([Part(made_by=3 << 8, attributes=0o120777 << 16)]).build(), "zip_path", id="symlink"
        ),
        pytest.param(Hostile([Part(flags=1)]).build(), "zip_encrypted", id="encrypted"),
        pytest.param(Hostile([Part(method=12)]).build(), "zip_unsupported", id="method"),
    ],
)
async def test_a_bad_archive_is_quarantined_with_its_reason(shared: World, body: bytes, code: str) -> None:
    """422 with the code, again for a repeat; the raw bytes are kept, the log has the reason."""
    before = logged(shared)
    url = f"/v1/devices/pump-7/dumps/{len(before) + 1}"
    for _ in range(2):
        answer = await put(shared, body, url)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    sha256 = hashlib.sha256(body).hexdigest()
    assert kept(shared, sha256) == body
    (record,) = [each for each in logged(shared) if each not in before]
    assert (record.outcome, record.code, record.detail) == ("quarantined", code, answer.json()["detail"])


async def test_what_was_altered_on_the_way_is_not_kept(world: World) -> None:
    """422, nothing in the log, and the sequence is free for the right bytes."""
    altered = ARCHIVE[:-1] + b"x"
    answer = await put(world, altered, content_digest=content_digest(ARCHIVE))
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert logged(world) == []
    assert world.blobs.verify() == []
    assert (await put(world)).status_code == 201


def test_a_body_that_breaks_off_leaves_nothing(world: World) -> None:
    """The sender goes away in the middle: no blob, no record, no file, and its place is free again."""
    server = HttpServer(world.app, HttpConfig(port=0), world.services.stream, stop_s=1)
    server.start()
    try:
        head = (
            f"PUT {URL} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.key(Role.DEVICE)}\r\n"
            f"Content-Digest: {content_digest(ARCHIVE)}\r\nContent-Length: {len(ARCHIVE)}\r\n\r\n"
        )
        with socket.create_connection((server.host, server.port)) as sender:
            sender.sendall(head.encode() + ARCHIVE[:50])
            _until(lambda: world.services.dumps.uploads == 1)
        _until(lambda: world.services.dumps.uploads == 0)
        _until(lambda: list((world.folder / "blobs" / "incoming").iterdir()) == [])
    finally:
        server.stop()
    assert (logged(world), world.blobs.verify()) == ([], [])
    assert not list((world.folder / "blobs").glob("??/*"))


def _until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; far longer than it takes."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"url": "/v1/devices/pump-8/dumps/1"}, 403, "forbidden"),
        ({"url": "/v1/devices/pump-7/dumps/0"}, 400, "invalid_input"),
        ({"url": "/v1/devices/pump-7/dumps/x"}, 400, "invalid_input"),
        ({"url": f"/v1/devices/pump-7/dumps/{2**53 + 1}"}, 400, "invalid_input"),
        ({"url": f"{URL}?collected_from=yesterday"}, 400, "invalid_input"),
        ({"url": f"{URL}?version={'v' * 257}"}, 400, "invalid_input"),
        ({"content_digest": "md5=:AAAA:"}, 400, "invalid_input"),
        ({"content_digest": "sha-256=:AAAA:"}, 400, "invalid_input"),
        ({"content_digest": "sha-256=:A:"}, 400, "invalid_input"),
        ({"content_type": "text/plain"}, 415, "unsupported_media_type"),
        ({"content_encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"token": "nobody"}, 401, "unauthenticated"),
    ],
)
async def test_what_is_wrong_with_a_request_is_told(
    shared: World, changed: dict[str, Any], status: int, code: str
) -> None:
    """Each with its code, before anything is kept; who may not is in the audit log."""
    before = logged(shared)
    answer = await put(shared, **changed)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert logged(shared) == before
    if status == 403:
        shared.audit_log.flush()
        assert any(entry.entry.action == "http.put" for entry in shared.audit_log.entries(OWN))


async def test_names_of_any_kind_have_dumps(world: World) -> None:
    """A slash and a space in a device's name, percent-encoded."""
    answer = await put(world, url="/v1/devices/fan%201%2F2/dumps/9007199254740992")
    assert (answer.status_code, answer.json()["device"]) == (201, "fan 1/2")


async def test_sequences_and_devices_and_tenants_are_apart(world: World) -> None:
    """The same bytes under another name are another dump, though they are one blob."""
    for url in (URL, "/v1/devices/pump-7/dumps/2", "/v1/devices/fan%201%2F2/dumps/1"):
        assert (await put(world, url=url)).status_code == 201
    assert (await put(world, token=world.key(Role.DEVICE, "other"))).status_code == 201
    assert len(logged(world)) == 4


async def test_a_device_that_begins_its_numbers_anew_says_so_by_an_epoch(world: World) -> None:
    """The same number in another epoch is another dump, with a body, a state and conflicts of its own."""
    again = good_archive({"again.log": b"x"})
    assert (await put(world)).status_code == 201
    sent = await put(world, again, f"{URL}?epoch=1")
    assert (sent.status_code, sent.json()["epoch"]) == (201, 1)
    assert (await put(world, again, f"{URL}?epoch=1")).status_code == 200
    assert (await put(world, url=f"{URL}?epoch=1")).status_code == 409
    assert (await put(world, url=f"{URL}?epoch=2")).status_code == 201
    assert (await read(world, "?epoch=1")).json()["sha256"] == hashlib.sha256(again).hexdigest()
    assert (await read(world, "/archive?epoch=1")).content == again
    assert (
        (await read(world, "")).json()["sha256"] == (await read(world, "?epoch=2")).json()["sha256"] == SHA256
    )
    assert (await read(world, "?epoch=3")).status_code == 404
    found = [(record.epoch, record.sequence, record.outcome) for record in logged(world)]
    assert found == [(0, 1, "accepted"), (1, 1, "accepted"), (1, 1, "conflict"), (2, 1, "accepted")]


async def test_a_dump_may_be_larger_than_what_is_held_in_memory(make_world: Callable[..., World]) -> None:
    """Its bytes go to the disk while they come; only a body over its own limit is refused."""
    limits = RequestLimits(
        events_bytes_max=1000, body_bytes_max=1000, bytes_in_flight_max=5000, dump_held_bytes=4000,
        dump_bytes_max=100_000,
    )  # fmt: skip
    world = make_world(limits=limits)
    large = good_archive({"a": bytes(range(256)) * 200}, method=0)
    assert (await put(world, large)).status_code == 201
    larger = good_archive({"a": bytes(range(256)) * 500}, method=0)
    answer = await put(world, larger, url="/v1/devices/pump-7/dumps/2")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert len(logged(world)) == 1


async def test_no_more_dumps_are_taken_than_there_are_places(make_world: Callable[..., World]) -> None:
    """503 with Retry-After at once; nothing was kept."""
    world = make_world(uploads_max=0)
    answer = await put(world)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert "retry-after" in answer.headers


async def test_a_sender_that_leaves_keeps_its_place_until_the_work_ends(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are refused while its dump is proved; the dump itself is kept."""
    world = make_world(uploads_max=1)
    going_on, may_end = threading.Event(), threading.Event()
    claimed = world.blobs.claimed

    def slowly(name: str) -> bytes | None:
        going_on.set()
        may_end.wait(20)
        return claimed(name)

    monkeypatch.setattr(world.blobs, "claimed", slowly)
    leaving = asyncio.create_task(put(world))
    await asyncio.to_thread(going_on.wait, 20)
    leaving.cancel()
    await asyncio.sleep(0)
    assert (await put(world, url="/v1/devices/pump-7/dumps/2")).status_code == 503
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await put(world, url="/v1/devices/pump-7/dumps/2")).status_code == 201
    assert [record.sequence for record in logged(world)] == [1, 2]


async def test_bytes_of_dumps_count_against_the_share(make_world: Callable[..., World]) -> None:
    """Declared or not: who has sent more than its share hears 429."""
    rates = RateLimits(requests_per_s=1e6, requests_burst=1e6, bytes_per_s=1, bytes_burst=10)
    world = make_world(rates=rates)

    async def pieces() -> AsyncIterator[bytes]:
        yield ARCHIVE

    async with world.client(world.key(Role.DEVICE)) as client:
        headers = {"Content-Digest": content_digest(ARCHIVE)}
        assert (await client.put(URL, content=pieces(), headers=headers)).status_code == 201
        assert (await client.put(URL, content=ARCHIVE, headers=headers)).status_code == 429


async def test_a_claim_without_a_record_is_logged_by_the_repeat(world: World) -> None:
    """A process that was killed between the two has acknowledged nothing; the sender comes again."""
    submit = world.log.submit

    def killed(*_: object) -> Any:
        raise RuntimeError("killed here")

    world.log.submit = killed  # type: ignore[assignment, method-assign]
    assert (await put(world)).status_code == 500
    world.log.submit = submit  # type: ignore[method-assign]
    assert logged(world) == []
    assert (await put(world)).status_code == 201
    assert len(logged(world)) == 1


async def read(world: World, path: str, role: Role = Role.OPERATOR) -> httpx.Response:
    async with world.client(world.key(role)) as client:
        return await client.get(f"{URL}{path}")


async def test_a_dump_without_its_hash_is_told_how_to_send_it(world: World) -> None:
    """With the name and form of the header; the reference says that it is required."""
    async with world.client(world.key(Role.DEVICE)) as client:
        answer = (await client.put(URL, content=ARCHIVE)).json()
        operation = world.app.openapi()["paths"]["/v1/devices/{device}/dumps/{sequence}"]["put"]
    assert (answer["status"], answer["field"]) == (400, "Content-Digest")
    assert "`Content-Digest: sha-256=:`" in answer["detail"]
    (described,) = [each for each in operation["parameters"] if each["name"].lower() == "content-digest"]
    assert described["required"]


async def test_a_devices_dumps_are_listed_in_pages_with_what_is_missing(world: World) -> None:
    """By epoch and number, to nobody of another tenant; a device without dumps is not found."""
    await put(world)
    await put(world, b"bad", f"{URL}2")
    await put(world, good_archive({"again.log": b"x"}), f"{URL}?epoch=1")
    world.fleet.placed[OWN, "pump-7"] = place_dumps(logged(world))
    async with world.client(world.key(Role.VIEWER)) as client:
        place = "/v1/devices/pump-7/dumps"
        first = (await client.get(place, params={"limit": 2})).json()
        rest = (await client.get(place, params={"limit": 2, "cursor": first["next"]})).json()
        other = await client.get("/v1/devices/fan%201%2F2/dumps", params={"cursor": first["next"]})
        assert other.status_code == 400
        assert (await client.get("/v1/devices/fan%201%2F2/dumps")).status_code == 404
    told = [(dump["epoch"], dump["sequence"], dump["state"], dump["code"]) for dump in first["dumps"]]
    assert told == [(0, 1, "ready", ""), (0, 12, "quarantined", "zip_malformed")]
    assert [(dump["epoch"], dump["sequence"]) for dump in rest["dumps"]] == [(1, 1)]
    assert first["missing"] == rest["missing"] == [{"epoch": 0, "first": 2, "last": 11, "given_up": False}]
    assert rest["next"] is None
    async with world.client(world.key(Role.VIEWER, "other")) as client:
        assert (await client.get(place)).status_code == 404


@pytest.mark.parametrize("inside", ["garbage", "[1]", '["0",1,"x"]', "[0,1.5,null]", "\x00", "[" * 300])
async def test_a_made_up_cursor_of_dumps_is_refused(world: World, inside: str) -> None:
    """Its checksum has no key, so that anybody can make one: what is in it is checked all the same."""
    await put(world)
    world.fleet.placed[OWN, "pump-7"] = place_dumps(logged(world))
    cursor = encode_cursor("dumps of pump-7", inside, tenant=OWN)
    async with world.client(world.key(Role.VIEWER)) as client:
        answer = await client.get("/v1/devices/pump-7/dumps", params={"cursor": cursor})
    assert (answer.status_code, answer.json().get("field")) == (400, "cursor")


async def test_what_became_of_a_dump_can_be_asked_for(world: World) -> None:
    """Nothing before it was acknowledged; then what was decided, a quarantine with its reason."""
    assert (await read(world, "")).status_code == 404
    sent = await put(world)
    assert (await read(world, "")).json() == sent.json() | {"outcome": "accepted", "code": "", "detail": ""}
    bad = await put(world, b"bad", url="/v1/devices/pump-7/dumps/11")
    asked = (await read(world, "1")).json()
    assert (asked["outcome"], asked["code"], asked["detail"]) == (
        "quarantined", "zip_malformed", bad.json()["detail"],
    )  # fmt: skip


async def test_an_operator_downloads_any_body_that_was_kept(world: World) -> None:
    """The valid one, one in quarantine, and by its hash one that lost; each download is in the audit log."""
    other = good_archive({"other.log": b"x"})
    for url, body in ((URL, ARCHIVE), (URL, other), (f"{URL}1", b"bad")):
        await put(world, body, url)
    lost = f"/archive?sha256={hashlib.sha256(other).hexdigest()}"
    for path, body in (("/archive", ARCHIVE), (lost, other), ("1/archive", b"bad")):
        answer = await read(world, path)
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-digest"] == content_digest(body)
        assert answer.headers["content-disposition"].startswith("attachment")
    actions = [entry.entry.action for entry in world.audit_log.entries(OWN)]
    assert actions.count("dump.download") == 3


@pytest.mark.parametrize("sha256", ["0" * 64, "nonsense", "../../x"])
async def test_a_body_that_was_not_sent_for_this_dump_is_not_found(world: World, sha256: str) -> None:
    """Not even if it is there for another dump, device or tenant: hashes are no keys to others' logs."""
    await put(world)
    foreign = good_archive({"foreign.log": b"secret"})
    await put(world, foreign, token=world.key(Role.DEVICE, "other"))
    for wanted in (sha256, hashlib.sha256(foreign).hexdigest()):
        assert (await read(world, f"/archive?sha256={wanted}")).status_code == 404


async def test_what_was_on_its_way_is_not_shown(world: World) -> None:
    """A claim without a record in the log was never acknowledged."""
    submit = world.log.submit

    def killed(*_: object) -> Any:
        raise RuntimeError("killed here")

    world.log.submit = killed  # type: ignore[assignment, method-assign]
    await put(world)
    world.log.submit = submit  # type: ignore[method-assign]
    assert (await read(world, "")).status_code == 404
    assert (await read(world, "/archive")).status_code == 404
