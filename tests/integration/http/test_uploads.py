"""/v1/dumps: a dump in pieces, by tus 1.0.0, whatever breaks off."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import threading
import zipfile
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.dump_kit import good_archive
from tests.http_kit import FOREIGN, NOW_MS, World
from tests.integration.http.test_dumps import kept, logged
from tocsin.access.principal import Role
from tocsin.api.server import HttpServer
from tocsin.client import Destination, DumpSender, find_dumps
from tocsin.config.sections import HttpConfig
from tocsin.services import uploads
from tocsin.services.dumps import DumpReceipt
from tocsin.services.uploads import Uploads

pytestmark = pytest.mark.anyio

ARCHIVE: Final = good_archive()
SHA256: Final = hashlib.sha256(ARCHIVE).hexdigest()
PLACE: Final = f"/v1/dumps/pump-7/1/{SHA256}"
TUS: Final = {"Tus-Resumable": "1.0.0"}
PIECE: Final = {"Content-Type": "application/offset+octet-stream"}


def metadata(**given: str) -> str:
    """As Upload-Metadata says it."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in given.items())


def announcement(body: bytes = ARCHIVE, *, device: str = "pump-7", **more: str) -> dict[str, str]:
    """The headers of a POST."""
    given = {"device": device, "sequence": "1", "sha256": hashlib.sha256(body).hexdigest()} | more
    return TUS | {"Upload-Length": str(len(body)), "Upload-Metadata": metadata(**given)}


class Device:
    """A client that speaks tus; `body` is what it wants to send."""

    def __init__(self, http: httpx.AsyncClient, body: bytes = ARCHIVE) -> None:
        self.http = http
        self.body = body
        self.place = f"/v1/dumps/pump-7/1/{hashlib.sha256(body).hexdigest()}"

    async def announce(self, **more: str) -> httpx.Response:
        return await self.http.post("/v1/dumps", headers=announcement(self.body, **more))

    async def send(self, start: int, end: int | None = None, **headers: str) -> httpx.Response:
        given = TUS | PIECE | {"Upload-Offset": str(start)}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.patch(self.place, content=self.body[start:end], headers=given)

    async def offset(self) -> int:
        answer = await self.http.head(self.place, headers=TUS)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["upload-length"] == str(len(self.body))
        return int(answer.headers["upload-offset"])


@pytest.fixture
async def device(world: World) -> AsyncIterator[Device]:
    async with world.client(world.key(Role.DEVICE)) as http:
        yield Device(http)


async def test_a_dump_may_come_in_pieces(world: World, device: Device) -> None:
    """Announced, sent in three requests, decided about with the last; the log has all that was said."""
    answer = await device.announce(application="presses", collected_from="2026-11-22T09:30:00Z")
    assert (answer.status_code, answer.headers["location"]) == (201, PLACE)
    assert answer.headers["upload-offset"] == "0"
    assert answer.headers["upload-expires"] == "Sun, 29 Nov 2026 10:00:00 GMT"
    for start, end in ((0, 50), (50, 51), (51, None)):
        assert logged(world) == []
        answer = await device.send(start, end)
        assert answer.status_code == 204
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert answer.headers["upload-offset"] == str(end or len(ARCHIVE))
    assert answer.headers["tocsin-outcome"] == "accepted"
    assert kept(world, SHA256) == ARCHIVE
    (record,) = logged(world)
    assert (record.device, record.sequence, record.sha256, record.outcome) == (
        "pump-7",
        1,
        SHA256,
        "accepted",
    )
    assert (record.application, record.collected_from_ms) == ("presses", NOW_MS - 1_800_000)
    assert world.blobs.notes() == {}


async def test_an_epoch_is_part_of_the_address(world: World, device: Device) -> None:
    """The same body with the same number in another epoch is another upload."""
    await device.announce()
    await device.send(0)
    answer = await device.announce(epoch="3")
    assert (answer.headers["location"], answer.headers["upload-offset"]) == (f"{PLACE}?epoch=3", "0")
    device.place = answer.headers["location"]
    await device.send(0, 50)
    assert await device.offset() == 50
    assert (await device.send(50)).headers["tocsin-outcome"] == "accepted"
    assert [(record.epoch, record.sequence) for record in logged(world)] == [(0, 1), (3, 1)]
    assert (await device.announce(epoch="none")).json()["field"] == "Upload-Metadata"


async def test_bytes_may_come_with_the_announcement(world: World, device: Device) -> None:
    """All of them, or the first; a repeated announcement says how far it is, and ignores them."""
    first = await device.http.post("/v1/dumps", headers=announcement() | PIECE, content=ARCHIVE[:50])
    assert (first.status_code, first.headers["upload-offset"]) == (201, "50")
    again = await device.http.post("/v1/dumps", headers=announcement() | PIECE, content=ARCHIVE)
    assert (again.status_code, again.headers["upload-offset"]) == (201, "50")
    other = good_archive({"b.log": b"b\n"})
    headers = announcement(other, sequence="2") | PIECE
    whole = await device.http.post("/v1/dumps", headers=headers, content=other)
    assert (whole.headers["upload-offset"], whole.headers["tocsin-outcome"]) == (str(len(other)), "accepted")
    assert [record.sequence for record in logged(world)] == [2]


async def test_an_answer_that_was_lost_is_given_again(device: Device) -> None:
    """By HEAD, by a last piece of nothing, by announcing it, however often."""
    await device.announce()
    await device.send(0)
    for _ in range(2):
        assert await device.offset() == len(ARCHIVE)
        nothing, announced = await device.send(len(ARCHIVE)), await device.announce()
        assert (nothing.status_code, announced.status_code) == (204, 201)
        assert {each.headers["tocsin-outcome"] for each in (nothing, announced)} == {"duplicate"}
        assert announced.headers["upload-offset"] == str(len(ARCHIVE))
        assert (await device.send(3)).status_code == 409


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "POST", "DELETE"])
async def test_who_asks_while_the_last_piece_is_proved_hears_the_outcome(
    world: World, device: Device, method: str
) -> None:
    """A dump that is being accepted is never unknown, though its upload ends meanwhile."""
    held, go = threading.Event(), threading.Event()
    settle = world.services.dumps.settle

    def holding(*given: Any) -> DumpReceipt:
        held.set()
        go.wait()
        return settle(*given)

    world.services.dumps.settle = holding  # type: ignore[assignment, method-assign]
    await device.announce()
    last = asyncio.create_task(device.send(0))
    await asyncio.to_thread(held.wait)
    headers = announcement() if method == "POST" else TUS | PIECE | {"Upload-Offset": str(len(ARCHIVE))}
    url = "/v1/dumps" if method == "POST" else device.place
    (upload,) = world.services.uploads._open.values()
    first = upload.superseded
    asking = asyncio.create_task(device.http.request(method, url, headers=headers))
    while upload.superseded is first:
        await asyncio.sleep(0.001)
    go.set()
    asked, ended = await asking, await last
    assert (ended.status_code, ended.headers["tocsin-outcome"]) == (204, "accepted")
    assert asked.status_code == {"HEAD": 200, "PATCH": 204, "POST": 201, "DELETE": 409}[method]
    assert asked.headers.get("tocsin-outcome") == (None if method == "DELETE" else "duplicate")
    assert len(logged(world)) == 1


async def test_a_piece_goes_where_the_upload_ends(device: Device) -> None:
    """Anywhere else it is a 409 that says where, and nothing of it is kept."""
    await device.announce()
    await device.send(0, 50)
    for start in (0, 49, 51):
        answer = await device.send(start)
        assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch")
        assert "has 50" in answer.json()["detail"]
    assert await device.offset() == 50
    assert (await device.send(50)).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_piece_that_was_altered_is_not_kept(device: Device, algorithm: str) -> None:
    """460 with nothing of it kept, and the right bytes are taken."""
    await device.announce()
    digest = hashlib.new(algorithm, ARCHIVE[:50], usedforsecurity=False).digest()
    header = f"{algorithm} {base64.b64encode(digest).decode()}"
    answer = await device.send(0, 51, upload_checksum=header)
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_mismatch")
    assert await device.offset() == 0
    assert (await device.send(0, 50, upload_checksum=header)).headers["upload-offset"] == "50"
    assert (await device.send(50)).headers["tocsin-outcome"] == "accepted"


async def test_a_dump_that_was_altered_begins_anew(world: World, device: Device) -> None:
    """The last piece is a 422, nothing is kept, and the dump may be announced again."""
    await device.announce()
    await device.send(0, len(ARCHIVE) - 1)
    device.body = ARCHIVE[:-1] + b"x"
    answer = await device.send(len(ARCHIVE) - 1)
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert (logged(world), world.blobs.verify(), world.blobs.notes()) == ([], [], {})
    device.body = ARCHIVE
    assert (await device.send(0)).status_code == 404
    await device.announce()
    assert (await device.send(0)).headers["tocsin-outcome"] == "accepted"


async def test_conflicts_and_bad_archives_are_kept_and_told(world: World, device: Device) -> None:
    """422 with the code, by HEAD too; the upload is complete, so that nobody sends it again and again."""
    await device.announce()
    await device.send(0)
    for body, code, sequence in ((good_archive({"b": b"b"}), "dump_conflict", 1), (b"x", "zip_malformed", 2)):
        other = Device(device.http, body)
        other.place = other.place.replace("/1/", f"/{sequence}/")
        await other.announce(sequence=str(sequence))
        answer = await other.send(0)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.headers["upload-offset"] == str(len(body))
        found = await other.http.head(other.place, headers=TUS)
        assert found.headers["tocsin-outcome"] == ("conflict" if sequence == 1 else "quarantined")
        assert kept(world, hashlib.sha256(body).hexdigest()) == body
    assert len(logged(world)) == 3


async def test_what_came_is_there_after_a_restart(world: World, device: Device) -> None:
    """Another process goes on where the first was, if only the last answer was lost too."""
    await device.announce()
    await device.send(0, 70)
    services = world.services
    for _ in range(2):
        services.uploads.close()
        again = Uploads(services.dumps, world.blobs, world.clock)
        object.__setattr__(services, "uploads", again)
        assert await device.offset() == 70
    assert (await device.send(70)).headers["tocsin-outcome"] == "accepted"


async def test_a_piece_that_breaks_off_leaves_what_came(device: Device) -> None:
    """And a newer request takes the upload over from one whose connection is dead without anybody knowing."""
    await device.announce()
    stuck = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield ARCHIVE[:60]
        stuck.set()
        await asyncio.sleep(60)

    headers = TUS | PIECE | {"Upload-Offset": "0"}
    sending = asyncio.create_task(device.http.patch(device.place, content=hanging(), headers=headers))
    await stuck.wait()
    assert await device.offset() == 60
    assert (await sending).status_code == 409
    assert (await device.send(60)).headers["tocsin-outcome"] == "accepted"


async def test_an_upload_may_be_ended(world: World, device: Device) -> None:
    """Then it is unknown; a complete one is kept."""
    await device.announce()
    await device.send(0, 50)
    ended = await device.http.delete(device.place, headers=TUS)
    assert (ended.status_code, world.blobs.notes()) == (204, {})
    for answer in (await device.send(50), await device.http.delete(device.place, headers=TUS)):
        assert answer.status_code == 404
    await device.announce()
    await device.send(0)
    assert (await device.http.delete(device.place, headers=TUS)).status_code == 409


async def test_an_unfinished_upload_expires(world: World, device: Device) -> None:
    """It is unknown then, and its bytes go with the next sweep, asked for or not."""
    await device.announce()
    await device.send(0, 50)
    await device.announce(sequence="2")
    world.clock.advance_to(NOW_MS + 7 * 86_400_000)
    assert (await device.send(50)).status_code == 404
    assert len(world.blobs.notes()) == 1
    world.clock.advance_to(NOW_MS + 8 * 86_400_000)
    world.services.uploads.expire()
    assert world.blobs.notes() == {}
    assert (await device.announce()).headers["upload-offset"] == "0"


class Sending:
    """A PATCH of the whole archive that waits behind its first 60 bytes until `go` is set."""

    def __init__(self, device: Device) -> None:
        self.stuck, self.go = asyncio.Event(), asyncio.Event()
        headers = TUS | PIECE | {"Upload-Offset": "0"}
        patch = device.http.patch(device.place, content=self._pieces(), headers=headers)
        self.answer = asyncio.create_task(patch)

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield ARCHIVE[:60]
        self.stuck.set()
        await self.go.wait()
        yield ARCHIVE[60:]


@pytest.mark.parametrize("asks", ["HEAD", "POST", "PATCH", "DELETE"])
async def test_an_upload_that_expires_under_a_piece_is_forgotten_in_its_turn(
    world: World, device: Device, asks: str
) -> None:
    """Who asks then hears that it is unknown, and so does who was sending; a new announcement begins anew."""
    await device.announce()
    sending = Sending(device)
    await sending.stuck.wait()
    world.clock.advance_to(NOW_MS + 7 * 86_400_000)
    if asks == "POST":
        again = await device.announce()
        assert (again.status_code, again.headers["upload-offset"]) == (201, "0")
    else:
        headers = TUS | PIECE | {"Upload-Offset": "60"}
        asked = await device.http.request(asks, device.place, headers=headers)
        assert asked.status_code == 404
        assert world.blobs.notes() == {}
    sending.go.set()
    assert (await sending.answer).status_code == 404
    await device.announce()
    assert (await device.send(0)).headers["tocsin-outcome"] == "accepted"


@pytest.mark.parametrize("opens", ["stage", "staged"])
async def test_who_announces_at_the_same_time_opens_the_bytes_once(
    world: World, device: Device, monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    """A new upload and one that nobody had in hand: a second opening would cut off what is not synced yet."""
    if opens == "staged":
        await device.announce()
        world.services.uploads.close()
    began, go, open_ = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()], count()
    really = getattr(world.blobs, opens)

    def opening(*given: Any) -> Any:
        number = min(next(open_), 1)
        began[number].set()
        go[number].wait()
        return really(*given)

    monkeypatch.setattr(world.blobs, opens, opening)
    monkeypatch.setattr("tocsin.services.dumps.WRITE_BYTES", 60)
    first = asyncio.create_task(device.announce())
    await asyncio.to_thread(began[0].wait)
    second = asyncio.create_task(device.announce())
    await asyncio.to_thread(began[1].wait, 0.1)  # in vain, since it waits for the first
    go[0].set()
    assert (await first).status_code == 201
    sending = Sending(device)
    await sending.stuck.wait()
    (upload,) = world.services.uploads._open.values()
    while upload.staged.size < 60:
        await asyncio.sleep(0.001)
    go[1].set()
    assert (await second).status_code == 201
    sending.go.set()
    await sending.answer
    await device.send(await device.offset())
    with world.blobs.open(SHA256) as blob:
        assert blob.read(0, blob.size) == ARCHIVE
    assert next(open_) == 1


def held_unstage(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on what takes a staged file away sets the first event and waits for the second."""
    held, go = threading.Event(), threading.Event()
    unstage = world.blobs.unstage

    def holding(name: str) -> None:
        held.set()
        go.wait()
        unstage(name)

    monkeypatch.setattr(world.blobs, "unstage", holding)
    return held, go


async def test_who_asks_while_an_upload_is_ended_does_not_keep_it_in_hand(
    world: World, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for the next one of that name, whose bytes would go into a file that is gone."""
    await device.announce()
    await device.send(0, 50)
    held, go = held_unstage(world, monkeypatch)
    ending = asyncio.create_task(device.http.delete(device.place, headers=TUS))
    await asyncio.to_thread(held.wait)
    asking = asyncio.create_task(device.http.head(device.place, headers=TUS))
    done, _ = await asyncio.wait([asking], timeout=0.1)
    go.set()
    assert ((await ending).status_code, (await asking).status_code, len(done)) == (204, 404, 0)
    await device.announce()
    assert (await device.send(0)).headers["tocsin-outcome"] == "accepted"
    with world.blobs.open(SHA256) as blob:
        assert blob.read(0, blob.size) == ARCHIVE


@pytest.mark.parametrize("days", [7, 9])
async def test_a_piece_that_began_in_time_may_end_later(world: World, device: Device, days: int) -> None:
    """The sweep passes over what a request still has, though the clock may have jumped beyond all margins."""
    await device.announce()
    sending = Sending(device)
    await sending.stuck.wait()
    world.clock.advance_to(NOW_MS + days * 86_400_000)
    await asyncio.to_thread(world.services.uploads.expire)
    sending.go.set()
    answer = await sending.answer
    assert (answer.status_code, answer.headers["tocsin-outcome"]) == (204, "accepted")
    assert kept(world, SHA256) == ARCHIVE
    assert world.blobs.notes() == {}


@pytest.mark.parametrize("opened", [False, True])
async def test_the_sweep_passes_over_what_a_piece_goes_to(
    world: World, device: Device, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    """From when the request asks for it on, also while its bytes are read again."""
    await device.announce()
    await device.send(0, 50)
    monkeypatch.setattr(uploads, "_EXPIRY_MARGIN_MS", -8 * 86_400_000)
    if not opened:
        world.services.uploads.close()
    held, go = threading.Event(), threading.Event()
    name = "_append" if opened else "_reopen"
    really = getattr(world.services.uploads, name)

    def sweeping(*given: Any) -> Any:
        held.set()
        if opened:
            world.services.uploads.expire()
        else:
            go.wait()
        return really(*given)

    monkeypatch.setattr(world.services.uploads, name, sweeping)
    sending = asyncio.create_task(device.send(50))
    await asyncio.to_thread(held.wait)
    await asyncio.to_thread(world.services.uploads.expire)
    go.set()
    answer = await sending
    assert (answer.status_code, answer.headers["tocsin-outcome"]) == (204, "accepted")
    await asyncio.to_thread(world.services.uploads.expire)
    assert not world.services.uploads._held


@pytest.mark.parametrize("asks", ["HEAD", "POST", "PATCH", "DELETE"])
async def test_who_asks_while_an_upload_is_swept_hears_that_it_is_unknown(
    world: World, device: Device, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    """And a new announcement begins anew: the sweep takes nothing of it away."""
    await device.announce()
    await device.send(0, 50)
    monkeypatch.setattr(uploads, "_EXPIRY_MARGIN_MS", -8 * 86_400_000)
    held, go = held_unstage(world, monkeypatch)
    sweep = asyncio.create_task(asyncio.to_thread(world.services.uploads.expire))
    await asyncio.to_thread(held.wait)
    url = "/v1/dumps" if asks == "POST" else device.place
    headers = announcement() if asks == "POST" else TUS | PIECE | {"Upload-Offset": "50"}
    asking = asyncio.create_task(device.http.request(asks, url, headers=headers))
    done, _ = await asyncio.wait([asking], timeout=0.1)
    go.set()
    await sweep
    assert ((await asking).status_code, len(done)) == (201 if asks == "POST" else 404, 0)
    await device.announce()
    assert (await device.send(0)).headers["tocsin-outcome"] == "accepted"
    assert kept(world, SHA256) == ARCHIVE


async def test_a_device_has_few_unfinished_uploads(device: Device) -> None:
    """More than its bound is a 429, until one is finished or ended."""
    for sequence in range(1, 5):
        assert (await device.announce(sequence=str(sequence))).status_code == 201
    refused = await device.announce(sequence="5")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3600")
    await device.http.delete(device.place, headers=TUS)
    assert (await device.announce(sequence="5")).status_code == 201


async def test_others_see_and_change_nothing(world: World, device: Device) -> None:
    """Neither another device nor another tenant, whose upload of the same name is one of its own."""
    await device.announce()
    await device.send(0, 50)
    strange = announcement(device="pump-8")
    assert (await device.http.post("/v1/dumps", headers=strange)).status_code == 403
    async with world.client(world.key(Role.DEVICE, FOREIGN)) as http:
        foreign = Device(http)
        assert (await foreign.send(50)).status_code == 404
        assert (await foreign.announce()).headers["upload-offset"] == "0"
    assert await device.offset() == 50


@pytest.mark.parametrize(
    ("method", "headers", "status", "field"),
    [
        pytest.param("POST", {"Tus-Resumable": "0.2"}, 412, "Tus-Resumable", id="version"),
        pytest.param("POST", {"Upload-Length": "-1"}, 400, "Upload-Length", id="length"),
        pytest.param("POST", {"Upload-Length": "0"}, 400, "Upload-Length", id="nothing"),
        pytest.param("POST", {"Upload-Length": str(2 << 30)}, 413, None, id="too long"),
        pytest.param("POST", {"Upload-Metadata": "device &"}, 400, "Upload-Metadata", id="no base64"),
        pytest.param(
            "POST", {"Upload-Metadata": metadata(device="pump-7")}, 400, "Upload-Metadata", id="lacks"
        ),
        pytest.param(
            "POST",
            {"Upload-Metadata": b"device \xc3\xa9"},
            400,
            "Upload-Metadata",
            id="metadata beyond ASCII",
        ),
        pytest.param(
            "PATCH", {"Upload-Checksum": b"sha1 \xc3\xa9"}, 400, "Upload-Checksum", id="checksum beyond ASCII"
        ),
        pytest.param("PATCH", {"Content-Type": "text/plain"}, 415, None, id="type"),
        pytest.param("PATCH", {"Upload-Offset": "x"}, 400, "Upload-Offset", id="offset"),
        pytest.param("PATCH", {"Upload-Checksum": "crc32 AA=="}, 400, "Upload-Checksum", id="algorithm"),
    ],
)
async def test_what_is_no_tus_is_refused(
    device: Device, method: str, headers: dict[str, str | bytes], status: int, field: str | None
) -> None:
    """With the header at fault, and always with the version that is spoken."""
    await device.announce()
    sent: dict[str, str | bytes] = {**announcement(), **PIECE, "Upload-Offset": "0", **headers}
    given = [
        (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in sent.items()
    ]
    url = "/v1/dumps" if method == "POST" else device.place
    answer = await device.http.request(method, url, headers=given, content=b"x")
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert await device.offset() == 0


async def test_more_than_was_announced_is_refused(device: Device) -> None:
    """413, and the upload is as long as it was."""
    await device.announce()
    device.body = ARCHIVE + b"x"
    assert (await device.send(0)).status_code == 413
    device.body = ARCHIVE
    assert (await device.send(await device.offset())).headers["tocsin-outcome"] == "accepted"


async def test_it_says_what_it_speaks(device: Device) -> None:
    """Versions, extensions and bounds, so that any client of tus finds its way; methods may be overridden."""
    said = (await device.http.options("/v1/dumps")).headers
    assert (said["tus-version"], said["tus-max-size"]) == ("1.0.0", str(1 << 30))
    assert said["tus-extension"].split(",") == [
        "creation",
        "creation-with-upload",
        "checksum",
        "expiration",
        "termination",
    ]
    await device.announce()
    headers = TUS | PIECE | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert (await device.http.post(device.place, headers=headers, content=ARCHIVE)).status_code == 204


def test_the_client_sends_large_dumps_in_pieces(world: World, tmp_path: Path) -> None:
    """And hears the same outcomes as for small ones, once as a duplicate too."""
    server = HttpServer(world.app, HttpConfig(port=0), world.services.stream, stop_s=1)
    server.start()
    try:
        for number, members in ((1, 9), (2, 1)):
            body = good_archive({"a.log": random.Random(number).randbytes(members << 20)}, zipfile.ZIP_STORED)
            (tmp_path / f"{number}.zip").write_bytes(body if number == 1 else body[:-9].ljust(9 << 20, b"x"))
        dumps = find_dumps(tmp_path, "pump-7")
        destination = Destination(url=server.url, token=world.key(Role.DEVICE))
        first = DumpSender(destination, application="presses").send(dumps)
        again = DumpSender(destination).send(dumps)
        (tmp_path / "1.zip").rename(tmp_path / "7-1.zip")
        anew = DumpSender(destination).send(find_dumps(tmp_path, "pump-7")[1:])
    finally:
        server.stop()
    assert (anew["accepted"], logged(world)[-1].epoch) == (1, 7)
    assert (first["accepted"], first["quarantined"]) == (1, 1)
    assert (again["duplicate"], again["quarantined"]) == (1, 1)
    assert [record.application for record in logged(world)] == ["presses", "presses", ""]
