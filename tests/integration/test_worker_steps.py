"""How a partition's records are cut into steps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.test_recovery import running, send, stores_in
from tests.kit import START_MS, events_of, fleet
from tocsin.control import Control, Correct, FeedbackGiven, FeedbackKind, Tick, encode_control
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.runtime import Pace, Stores
from tocsin.runtimes.embedded.worker import Worker


def steps(stores: Stores, worker: Worker) -> list[tuple[int, list[str]]]:
    """Take all steps; the position after each, and the devices that it corrected."""
    taken = []
    with worker.lock:
        while found := worker.step():
            commit, output = found
            stores.commits.commit([commit])
            worker.committed(commit)
            worker.keep()
            taken.append((commit.position, [correction.device for correction in output.corrections]))
    return taken


def test_a_step_has_one_correction_at_most(tmp_path: Path) -> None:
    """It holds all that its devices ever sent, judged anew, until that is stored; recovery does the same."""
    with stores_in(tmp_path) as stores:
        send(stores, events_of(fleet(5, devices=12, steps=50)))
        worker = Worker(0, stores.log, stores.lake, stores.commits, DeviceHistory(stores.log, stores.lake))
        steps(stores, worker)
        tenant, end = worker.state.tenants["t"], worker.state.position
        names = [tenant.names.name(number) for number in range(4)]
        decisions: list[Control] = [
            Correct(tenant="t", devices=tuple(names[:2])),
            Tick(now_ms=1),
            Correct(tenant="t", devices=tuple(names[2:])),
            Tick(now_ms=2),
        ]
        parts = [Part(0, RecordKind.CONTROL, 1, encode_control(decision)) for decision in decisions]
        stores.log.submit(Append("t", 0, parts)).result(20)
        assert steps(stores, worker) == [(end + 1, names[:2]), (end + 3, names[2:]), (end + 4, [])]
        again = Worker(0, stores.log, stores.lake, stores.commits, DeviceHistory(stores.log, stores.lake))
        recovered = [position for position, _ in again.recover(None)]
        assert [position for position in recovered if position > end] == [end + 1, end + 3, end + 4]


def test_feedback_that_may_correct_ends_a_step_too(tmp_path: Path) -> None:
    """Much of it at once, as after a standstill, would hold the past of all its devices."""
    with stores_in(tmp_path) as stores:
        send(stores, events_of(fleet(5, devices=2, steps=50)))
        worker = Worker(0, stores.log, stores.lake, stores.commits, DeviceHistory(stores.log, stores.lake))
        steps(stores, worker)
        end = worker.state.position
        said = [
            FeedbackGiven(
                tenant="t",
                device="pump-0",
                kind=FeedbackKind.CONFIRMED,
                series=(),
                anomaly="an_1",
                action=number,
                at_ms=START_MS,
            )
            for number in (1, 2)
        ]
        parts = [Part(0, RecordKind.CONTROL, 1, encode_control(each)) for each in said]
        stores.log.submit(Append("t", 0, parts)).result(20)
        assert [position for position, _ in steps(stores, worker)] == [end + 1, end + 2]


def test_corrections_that_wait_are_taken_without_a_rest_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading behind two hundred of them would wait for as many rests."""
    rests: list[float] = []

    def rest_after(self: Pace, took_s: float) -> float:
        rests.append(took_s)
        return 0.05

    with stores_in(tmp_path) as stores:
        parts = [
            Part(0, RecordKind.CONTROL, 1, encode_control(Correct(tenant="t", devices=("pump-0",))))
            for _ in range(200)
        ]
        stores.log.submit(Append("t", 0, parts)).result(20)
        send(stores, events_of([("pump-0", START_MS, {"temperature": 20.0})]))
        monkeypatch.setattr(Pace, "rest_after", rest_after)
        pace = Pace(tick_s=3600, correction_s=3600, checkpoint_s=3600)
        with running(stores, pace) as runtime:
            while not runtime.caught_up():
                time.sleep(0.01)
    assert len(rests) < 20
