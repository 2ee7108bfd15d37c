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


def test_places_that_come_free_at_once_are_all_given() -> None:
    """Whoever looks first though it is not its turn is not forgotten once its turn has come."""
    for _ in range(30):
        places = InTurn(2)
        places.__enter__()
        places.__enter__()
        workers = [threading.Thread(target=_enter, args=(places,), daemon=True) for _ in range(2)]
        for worker in workers:
            worker.start()
        while places.waiting < len(workers):
            time.sleep(0.001)
        with places._changed:  # nobody looks before both are free
            places.__exit__(None, None, None)
            places.__exit__(None, None, None)
        for worker in workers:
            worker.join(60)
        assert places.waiting == 0


def _enter(places: InTurn) -> None:
    places.__enter__()
