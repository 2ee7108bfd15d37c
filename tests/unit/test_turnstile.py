"""Turns of telemetry: a crowd waits, whoever comes beside it hardly does, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.turnstile import STRANGERS, Turnstile

ALONE, SHARED = 8, 2
TENANTS = ["a", "b", "c", STRANGERS]


def played(play: Callable[[Turnstile], Coroutine[Any, Any, None]]) -> None:
    """Play it on a new turnstile, in a loop of its own."""
    asyncio.run(play(Turnstile(ALONE, SHARED)))


async def enter(turnstile: Turnstile, tenant: str, holder: str) -> None:
    """Come, and wait if need be."""
    if not turnstile.enter_now(tenant):
        await turnstile.enter(tenant, holder)


async def rounds(count: int = 3) -> None:
    """Let all that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_crowd_that_came_before_keeps_another_tenant_waiting_for_nobody() -> None:
    """A thousand of one tenant wait; one of another begins at once, and few of the crowd work beside it."""

    async def play(turnstile: Turnstile) -> None:
        working = 0

        async def come(device: str) -> None:
            nonlocal working
            await enter(turnstile, "crowd", device)
            working += 1

        crowd = [asyncio.create_task(come(f"device-{number}")) for number in range(1000)]
        await rounds()
        assert working == ALONE
        assert turnstile.enter_now("calm")
        for _ in range(100):
            turnstile.leave("crowd")
            await rounds()
        assert working == 100 + SHARED
        for each in crowd:
            each.cancel()

    played(play)


def test_a_tenant_that_is_alone_has_all_places() -> None:
    """Once nobody else has come for long, all places are its own; one that comes takes them away again."""

    async def play(turnstile: Turnstile) -> None:
        for _ in range(300):
            assert turnstile.enter_now("alone")
            turnstile.leave("alone")
        assert [turnstile.enter_now("alone") for _ in range(ALONE + 1)] == [True] * ALONE + [False]
        for _ in range(ALONE):
            turnstile.leave("alone")
        assert turnstile.enter_now("other")
        assert [turnstile.enter_now("alone") for _ in range(SHARED + 1)] == [True] * SHARED + [False]

    played(play)


def test_strangers_end_nobodys_being_alone() -> None:
    """A fleet whose credentials are not known yet is not taken for neighbours of its own."""

    async def play(turnstile: Turnstile) -> None:
        for number in range(600):
            tenant = STRANGERS if number % 2 else "alone"
            assert turnstile.enter_now(tenant)
            turnstile.leave(tenant)
        assert all(turnstile.enter_now("alone") for _ in range(ALONE))

    played(play)


def test_credentials_of_a_tenant_take_turns() -> None:
    """One that has a hundred waiting lets another of the same tenant begin next."""

    async def play(turnstile: Turnstile) -> None:
        begun: list[str] = []

        async def come(holder: str) -> None:
            await enter(turnstile, "a", holder)
            begun.append(holder)

        for _ in range(SHARED):
            assert turnstile.enter_now("a")
        tasks = [asyncio.create_task(come("greedy")) for _ in range(100)]
        await rounds()
        tasks.append(asyncio.create_task(come("modest")))
        await rounds()
        for _ in range(2):
            turnstile.leave("a")
            await rounds()
        assert "modest" in begun
        for each in tasks:
            each.cancel()

    played(play)


def test_who_goes_away_in_the_moment_of_its_turn_takes_no_place_along() -> None:
    """Its turn was given, and it never began: the next one has it."""

    async def play(turnstile: Turnstile) -> None:
        for _ in range(SHARED):
            assert turnstile.enter_now("a")
        gone = asyncio.create_task(enter(turnstile, "a", "gone"))
        await rounds()
        turnstile.leave("a")
        gone.cancel()
        await rounds()
        assert gone.cancelled()
        assert turnstile.enter_now("a")

    played(play)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "leave", "cancel", "both"]), st.sampled_from(TENANTS), st.integers(0, 99)
    ),
    max_size=120,
)


@given(STEPS)
def test_places_are_never_lost_nor_exceeded(steps: list[tuple[str, str, int]]) -> None:
    """Whoever comes, leaves or is cancelled, also in the moment of its turn: at last all places are free."""

    async def play(turnstile: Turnstile) -> None:
        working = Counter[str]()

        async def come(tenant: str, holder: str) -> None:
            await enter(turnstile, tenant, holder)
            working[tenant] += 1

        tasks: list[asyncio.Task[None]] = []
        for step, tenant, number in steps:
            if step == "come":
                tasks.append(asyncio.create_task(come(tenant, str(number % 3))))
                await asyncio.sleep(0)
            if step in {"leave", "both"} and working[tenant]:
                working[tenant] -= 1
                turnstile.leave(tenant)
            if step in {"cancel", "both"} and tasks:
                tasks[number % len(tasks)].cancel()
            if number % 2:
                await rounds()
            assert working.total() <= 2 * ALONE
        for task in tasks:
            task.cancel()
        await rounds()
        for tenant in working.elements():
            turnstile.leave(tenant)
        for tenant in TENANTS:
            assert all(turnstile.enter_now(tenant) for _ in range(SHARED)), f"{tenant} has lost a place"
            for _ in range(SHARED):
                turnstile.leave(tenant)
        for _ in range(300):
            assert turnstile.enter_now("alone")
            turnstile.leave("alone")
        assert all(turnstile.enter_now("alone") for _ in range(ALONE))

    played(play)
