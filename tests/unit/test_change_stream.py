"""Live views follow the inbox's log: everything once, in order, for any pace of listener and writer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.http_kit import World
from tocsin.errors import BackpressureError, RateLimitedError
from tocsin.inbox.abstract import Change
from tocsin.services.stream import ChangeStream


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def all_changes(world: World, after: int, limit: int) -> list[Change]:
    """What the tenant hears."""
    return world.inbox.changes(after, tenant="default", limit=limit)


async def collect(world: World, after: int, count: int, *, pause_s: float = 0.0) -> list[int]:
    """Sequences from the stream until there are `count`."""
    found: list[int] = []
    read = partial(all_changes, world)
    async for page in world.services.stream.follow(read, after, idle_s=5):
        found += [change.sequence for change in page]
        await asyncio.sleep(pause_s)
        if len(found) >= count:
            break
    return found


def test_slow_and_fast_listeners_hear_the_same(world: World) -> None:
    """While anomalies are found in another thread, each listener gets every change once and in order."""

    async def listen() -> list[list[int]]:
        writer = threading.Thread(target=lambda: [world.find_anomaly(f"pump-{n}") for n in range(30)])
        writer.start()
        found = await asyncio.gather(*(collect(world, 0, 30, pause_s=pause) for pause in (0, 0.01, 0.05)))
        writer.join()
        return list(found)

    for heard in asyncio.run(listen()):
        assert heard == [change.sequence for change in world.inbox.changes(0)]
        assert len(heard) == 30


def test_nothing_happens_is_told_too(world: World) -> None:
    """An empty page comes after the idle time, so that a heartbeat can be sent."""

    async def first_page() -> list[object]:
        async for page in world.services.stream.follow(partial(all_changes, world), 0, idle_s=0.05):
            return list(page)
        return ["ended"]

    assert asyncio.run(first_page()) == []


def test_a_listener_ahead_of_the_log_keeps_nothing_from_anybody(world: World) -> None:
    """Whatever sequence a client says it has reached, all hear of the next change at once."""

    async def listen() -> list[list[int]]:
        ahead = asyncio.create_task(collect(world, 10**15, 1))
        await asyncio.sleep(0.2)
        other = asyncio.create_task(collect(world, 0, 1))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(world.find_anomaly, "pump-1")
        return list(await asyncio.wait_for(asyncio.gather(ahead, other), 4))

    assert asyncio.run(listen()) == [[1], [1]]


def test_what_is_left_out_shows_in_nothing(world: World) -> None:
    """However much changes that a listener does not hear of, empty pages come when they would have come."""

    async def listen() -> list[list[Change]]:
        read = lambda after, limit: list[Change]()  # noqa: E731 - hears of nothing
        following = world.services.stream.follow(read, 0, idle_s=0.3)
        stop = threading.Event()

        def busy() -> None:
            number = 0
            while not stop.wait(0.02):
                number += 1
                world.find_anomaly(f"pump-{number}")

        writer = threading.Thread(target=busy)
        writer.start()
        try:
            return [await asyncio.wait_for(anext(following), 10) for _ in range(3)]
        finally:
            stop.set()
            writer.join()

    assert asyncio.run(listen()) == [[], [], []]


def test_empty_pages_come_though_something_changes_during_every_look(world: World) -> None:
    """Whoever looks slowly in a busy fleet hears a heartbeat: proxies cut off what is silent."""
    stream = world.services.stream

    async def listen() -> list[Change]:
        loop, looks = asyncio.get_running_loop(), count(1)

        def read(after: int, limit: int) -> list[Change]:
            loop.call_soon_threadsafe(stream._wake)
            time.sleep(0.01)
            if next(looks) > 200:
                raise AssertionError("no empty page came")
            return []

        return await anext(stream.follow(read, 0, idle_s=0.05))

    assert asyncio.run(listen()) == []


def test_what_was_left_out_is_not_looked_at_again(world: World) -> None:
    """A listener who hears of little would else have all of it read at every change."""
    for number in range(3):
        world.find_anomaly(f"pump-{number}")
    asked: list[int] = []

    def read(after: int, limit: int) -> list[Change]:
        asked.append(after)
        return []

    async def listen() -> None:
        following = world.services.stream.follow(read, 0, idle_s=0.02)
        for _ in range(2):
            assert await anext(following) == []

    asyncio.run(listen())
    assert (asked[0], set(asked[1:])) == (0, {world.inbox.last_change()})


def test_an_empty_page_comes_so_long_after_the_last_page_of_any_kind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so long after the one before it: whoever has just heard something needs no heartbeat."""
    world.find_anomaly("pump-7")
    stream, now_s = world.services.stream, [0.0]
    monkeypatch.setattr(ChangeStream, "_now_s", lambda *_: now_s[0])

    async def listen() -> list[list[Change]]:
        loop = asyncio.get_running_loop()

        def read(after: int, limit: int) -> list[Change]:
            now_s[0] += 9
            if after:
                loop.call_soon_threadsafe(stream.close)
            return all_changes(world, after, limit)

        return [page async for page in stream.follow(read, 0, idle_s=10)]

    assert [len(page) for page in asyncio.run(listen())] == [1]


def test_closing_ends_all_listeners(world: World) -> None:
    """Listeners that wait are woken and end."""

    async def close_soon() -> list[list[int]]:
        stream = world.services.stream
        listeners = [asyncio.create_task(collect(world, 0, 1)) for _ in range(3)]
        await asyncio.sleep(0.05)
        stream.close()
        return await asyncio.wait_for(asyncio.gather(*listeners), 2)

    assert asyncio.run(close_soon()) == [[], [], []]
    with pytest.raises(BackpressureError):
        world.services.stream.enter("default")


def test_one_tenant_leaves_places_for_others(world: World) -> None:
    """One tenant alone gets three quarters of the live views, then 429; others get in until all are taken."""
    stream = ChangeStream(world.inbox, listeners_max=8)
    for _ in range(6):
        stream.enter("greedy")
    with pytest.raises(RateLimitedError):
        stream.enter("greedy")
    for tenant in ("modest", "other"):
        stream.enter(tenant)
    with pytest.raises(BackpressureError):
        stream.enter("late")
    stream.leave("greedy")
    stream.enter("late")
    assert stream.listeners == 8
