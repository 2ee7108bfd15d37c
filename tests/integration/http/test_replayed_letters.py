"""A dead letter is sent again as what it was sent as, whatever else its bytes could mean."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest
from httpx import Response

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_lists import keep
from tocsin.access.principal import Principal, Role
from tocsin.errors import ConflictError, StorageUnavailableError
from tocsin.ingest.parsing.line_error import LineForm
from tocsin.log.abstract import Append, DeadLetter
from tocsin.services.ingest import Delivery
from tocsin.services.receipt import Receipt

pytestmark = pytest.mark.anyio

VICTIM = b'{"device":"victim","ts":1700000000000,"a":666}'
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}


async def refused(world: World, body: bytes, headers: dict[str, str]) -> None:
    """A body of which a token for the device p sends one line, which is refused and kept."""
    async with world.client(world.gateway("p")) as client:
        answer = await client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == 400
    assert len(world.log.dead_letters(OWN)) == 1


async def replayed(world: World, number: int = 1) -> Response:
    """The answer to an operator who sends a dead letter again."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        return await client.post(f"/v1/dead-letters/{number}/replay")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"device":"p","ts":1700000000000,"a":NaN,"b":\n' + VICTIM + b"\n}]",
        b"[{\n" + VICTIM + b"\n}]",
        b"[[" + VICTIM + b"]]",
        b"[{,device,ts,a\n0,victim,1700000000000,666\n}]",
        b'["\\",device,ts,a\n0,victim,1700000000000,666\n"]',
        b'{"device":"p","ts":1700000000000,"a":NaN,"b":\n' + VICTIM + b"\n}",
    ],
)
async def test_an_element_of_an_array_is_sent_again_as_one(world: World, body: bytes) -> None:
    """Whatever else its lines could be read as, its sender was not allowed to send that."""
    await refused(world, body, JSON)
    answer = await replayed(world)
    assert (answer.status_code, answer.json()["accepted"]) == (400, 0)
    assert world.log.end(0) == 0
    assert world.replays.marked(OWN, 1, 1) == {}


async def test_an_element_of_several_lines_is_accepted_once_it_fits(
    make_world: Callable[..., World],
) -> None:
    """It is one line of the receipt, and its device is the one that it names."""
    world = make_world()
    body = b'{"device":"p",\n"ts":1700000000000,\n"b":{"a":1}}'
    letter = DeadLetter(OWN, NOW_MS, "http", 1, "too_deep", "", "", body, form=LineForm.ELEMENT)
    world.log.submit(Append(OWN, NOW_MS, [], [letter])).result()
    answer = await replayed(world)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert world.replays.marked(OWN, 1, 1) == {1: NOW_MS}


@pytest.mark.parametrize("row", [VICTIM + b",1,nan", b'{"device":"victim"', b"p,1,nan"])
async def test_a_row_without_its_header_is_known_by_how_it_was_kept(world: World, row: bytes) -> None:
    """Not by its first byte: as JSON it could name any device."""
    header = b"device,ts,a," + b",".join(b"column-%d" % number for number in range(1000))
    await refused(world, header + b"\n" + row + b"\n", CSV)
    answer = await replayed(world)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "put its header line above it" in answer.json()["detail"]
    assert world.log.end(0) == 0


async def test_a_letter_without_a_form_is_sent_again_only_where_its_bytes_are_certain(world: World) -> None:
    """Those that an older version kept."""
    keep(
        world,
        [
            ("number_not_finite", b'{"device":"p","ts":1,"b":\n' + VICTIM + b"\n}"),
            ("invalid_json", b"{\n" + VICTIM + b"\n}"),
            ("invalid_json", b"{,device,ts,a\n0,victim,1700000000000,666\n}"),
            ("number_not_finite", VICTIM),
        ],
    )
    for number in (1, 2, 3, 4):
        answer = await replayed(world, number)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "send it as what it is" in answer.json()["detail"]


async def test_a_letter_that_is_not_one_line_is_not_sent_again(world: World) -> None:
    """Nothing of it is taken, and it is not marked."""
    letter = DeadLetter(OWN, NOW_MS, "http", 1, "x", "", "", VICTIM + b"\n" + VICTIM, form=LineForm.LINE)
    world.log.submit(Append(OWN, NOW_MS, [], [letter])).result()
    answer = await replayed(world)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "would be sent as 2 lines" in answer.json()["detail"]
    assert world.log.end(0) == 0
    assert world.replays.marked(OWN, 1, 1) == {}


async def test_a_letter_is_sent_again_within_the_scope_of_its_sender(world: World) -> None:
    """Whose line was refused may have named a device that is not its own; revoking it does not widen that."""
    token = world.gateway("p")
    sender = world.access.authenticate(token).key_id
    letter = DeadLetter(OWN, NOW_MS, "http", 1, "x", "", "", VICTIM, form=LineForm.LINE, sender=sender)
    world.log.submit(Append(OWN, NOW_MS, [], [letter])).result()
    assert (await replayed(world)).status_code == 403
    world.access.revoke(OWN, sender)
    assert (await replayed(world)).status_code == 403
    assert world.log.end(0) == 0


async def test_a_letter_that_was_accepted_unmarked_is_not_taken_twice(world: World) -> None:
    """As when the process ended in between: asked again it is only marked."""
    keep(world, [("unknown", VICTIM)])
    with patch.object(world.replays, "mark", side_effect=StorageUnavailableError("the disk is away")):
        assert (await replayed(world)).status_code == 503
    again = await replayed(world)
    assert (again.status_code, again.json()["accepted"], again.headers["tocsin-repeated"]) == (200, 1, "true")
    assert sum(map(world.log.end, range(world.log.partitions))) == 1
    assert (await replayed(world)).status_code == 409


async def test_two_who_send_a_letter_again_send_it_once(world: World) -> None:
    """Whoever comes while it is sent waits, and is told that it was."""
    keep(world, [("unknown", VICTIM)])
    letters = world.services.dead_letters
    deliver_now = world.services.ingest.deliver_now

    def slowly(principal: Principal, delivery: Delivery) -> Receipt:
        time.sleep(0.2)  # the other one gets as far as it can
        return deliver_now(principal, delivery)

    def send(role: Role) -> str:
        try:
            return str(letters.replay(world.access.authenticate(world.key(role)), 1).status)
        except ConflictError as error:
            return error.code

    with patch.object(world.services.ingest, "deliver_now", side_effect=slowly), ThreadPoolExecutor() as both:
        assert sorted(both.map(send, (Role.OPERATOR, Role.ADMIN))) == ["200", "conflict"]
    assert sum(map(world.log.end, range(world.log.partitions))) == 1
