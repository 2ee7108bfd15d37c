"""The loop of a simulated server."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

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
