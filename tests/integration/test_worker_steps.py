"""How a partition's records are cut into steps."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_recovery import send, stores_in
from tests.kit import events_of, fleet
from tocsin.control import Control, Correct, Tick, encode_control
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.runtime import Stores
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
