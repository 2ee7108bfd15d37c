"""The loop of a simulated server."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from types import coroutine
from typing import Any

from proof.simulation.loop import SimulatedLoop
from proof.simulation.scheduler import Scheduler
from proof.simulation.trace import Trace


class OfADeadProcess(ThreadPoolExecutor):
    """Whose threads are gone: nobody can ask it for anything any more."""

    asked = 0

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.asked += 1


def test_a_loop_whose_process_died_before_it_ran_is_let_go_of_without_a_word() -> None:
    """It was closed when the memory was looked through, wherever that was: in the middle of another test."""
    executor = OfADeadProcess(1)
    SimulatedLoop(Scheduler(random.Random(1), Trace(), switching=0.0), executor)
    assert executor.asked == 0


@coroutine
def once() -> Generator[None]:
    """Waits for somebody who never comes."""
    yield


async def endless(number: int, ended: list[int]) -> None:
    """Says when it is unwound."""
    try:
        await once()
    finally:
        ended.append(number)


def begun(number: int, ended: list[int]) -> Coroutine[Any, Any, None]:
    """One that already waits, as in a loop that runs."""
    work = endless(number, ended)
    work.send(None)
    return work


def loop_of_nobody() -> SimulatedLoop:
    """A loop whose process has died."""
    return SimulatedLoop(Scheduler(random.Random(1), Trace(), switching=0.0), OfADeadProcess(1))


def test_tasks_of_a_dead_process_are_unwound_in_the_order_in_which_they_were_made() -> None:
    """In a set they would stand by where they lie in memory, which is otherwise in another run."""
    loop, ended = loop_of_nobody(), list[int]()
    tasks = [loop.create_task(begun(number, ended)) for number in range(200)]
    loop.forget()
    assert ended == list(range(len(tasks)))


def test_a_set_of_tasks_has_the_same_order_wherever_they_lie_in_memory() -> None:
    """Libraries keep tasks in sets, and cancel one after another as they stand there."""
    orders = []
    for room in (0, 1000):
        loop, kept = loop_of_nobody(), [bytearray(room) for _ in range(room)]
        tasks = [loop.create_task(begun(number, [])) for number in range(200)]
        orders.append([tasks.index(task) for task in {*reversed(tasks)}])
        loop.forget()
        del kept
    assert orders[0] == orders[1]
