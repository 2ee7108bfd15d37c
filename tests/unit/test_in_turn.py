"""Places in turn: who has just given one back waits behind those who came before."""

from __future__ import annotations

import threading
import time

from tocsin.runtimes.embedded.in_turn import InTurn


def test_who_asks_again_comes_behind_who_waits() -> None:
    """One place, and two that want it over and over."""
    places, order = InTurn(1), []

    def other() -> None:
        with places:
            order.append("other")

    for _ in range(20):
        with places:
            thread = threading.Thread(target=other)
            thread.start()
            while not places.waiting:
                time.sleep(0.001)
        with places:
            order.append("again")
        thread.join()
    assert order == ["other", "again"] * 20


def test_as_many_work_at_once_as_there_are_places() -> None:
    """Neither fewer nor more, whoever comes."""
    places, lock, within = InTurn(3), threading.Lock(), []
    together = threading.Barrier(3)

    def work() -> None:
        with places:
            with lock:
                within.append(+1)
                assert sum(within) <= 3
            together.wait(60)  # nobody goes on before three are here
            with lock:
                within.append(-1)

    workers = [threading.Thread(target=work) for _ in range(9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (len(within), sum(within), places.waiting) == (18, 0, 0)
