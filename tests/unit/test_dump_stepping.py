"""Who gets a worker, and when: fairness, long dumps, and how many workers there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.dump_detector_kit import install
from tests.dump_steps_kit import Bench, module
from tocsin import threads
from tocsin.clock import ManualClock
from tocsin.control import DumpReceived
from tocsin.dump_detectors.steps import StepDone, StepFailed, Stepper, Task
from tocsin.errors import StorageUnavailableError
from tocsin.runtimes.embedded.dump_crew import Crew
from tocsin.threads import Future

NOTHING = StepDone(findings=(), state=b"", state_version="1", state_sha256="", cpu_s=0.0, wall_s=0.0)


class HeldStepper(Stepper):
    """Ends a step when the test says so."""

    def __init__(self, held: list[tuple[Task, Future[StepDone | StepFailed]]]) -> None:
        self._held = held
        self.closed = False

    def run(self, task: Task) -> Future[StepDone | StepFailed]:
        future: Future[StepDone | StepFailed] = threads.future()
        self._held.append((task, future))
        return future

    def close(self) -> None:
        self.closed = True


class HeldBench(Bench):
    """Steps are under way until `end` is called."""

    def __init__(self, folder: Path, *, workers: int) -> None:
        self.held: list[tuple[Task, Future[StepDone | StepFailed]]] = []
        super().__init__(folder, workers=workers)

    def _made(self) -> Stepper:
        return HeldStepper(self.held)

    def under_way(self) -> list[str]:
        """The devices whose steps are."""
        return [task.device for task, _ in self.held]

    def end(self, device: str) -> None:
        """Let its step end, and the scheduler see that."""
        number = self.under_way().index(device)
        _, future = self.held.pop(number)
        future.set_result(NOTHING)
        self.stepping.round()


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, module())


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HeldBench]:
    made = HeldBench(tmp_path, workers=4)
    yield made
    made.close()


def long(dump: DumpReceived) -> DumpReceived:
    """The same, said to be large."""
    return msgspec.structs.replace(dump, size_bytes=100 << 20)


def test_no_more_steps_are_in_hand_than_there_are_workers(held: HeldBench) -> None:
    """However many dumps are ready; and of a device there is one."""
    for device in "abcdefgh":
        held.free(*(held.dump(number, device=device) for number in range(1, 4)))
    for _ in range(3):
        held.stepping.round()
    assert held.under_way() == list("abcd")
    held.end("b")
    assert held.under_way() == list("acde")


def test_long_dumps_hold_half_of_the_workers_at_most(held: HeldBench) -> None:
    """The other half goes on with short ones; when a long one ends, the next long one begins."""
    held.free(*(long(held.dump(1, device=f"long-{number}")) for number in range(8)))
    held.free(*(held.dump(1, device=f"short-{number}") for number in range(6)))
    for _ in range(3):
        held.stepping.round()
    assert sorted(name[:4] for name in held.under_way()) == ["long", "long", "shor", "shor"]
    for number in range(4):
        held.end(f"short-{number}")
        assert sorted(name[:4] for name in held.under_way()) == ["long", "long", "shor", "shor"]
    held.end("long-0")
    assert {"long-1", "long-2"} <= set(held.under_way())


def test_one_worker_takes_long_dumps_too(tmp_path: Path) -> None:
    """Half of one is one."""
    bench = HeldBench(tmp_path, workers=1)
    bench.free(long(bench.dump(1)))
    bench.stepping.round()
    assert bench.under_way() == ["press-3"]
    bench.close()


def test_more_long_dumps_than_may_wait_are_not_forgotten(tmp_path: Path) -> None:
    """What is not held in memory comes again in a later round."""
    bench = HeldBench(tmp_path, workers=2)
    names = [f"long-{number:03}" for number in range(80)]
    bench.free(*(long(bench.dump(1, device=name)) for name in names))
    seen = []
    bench.stepping.round()
    while bench.held:
        (device,) = bench.under_way()
        seen.append(device)
        bench.end(device)
        bench.stepping.round()
    assert sorted(seen) == names
    bench.close()


def test_long_dumps_without_a_place_are_not_looked_at_without_rest(tmp_path: Path) -> None:
    """While all places are taken, the scheduler waits for a step to end, and does not look on and on."""
    bench = HeldBench(tmp_path, workers=2)
    bench.free(*(long(bench.dump(1, device=f"long-{number:03}")) for number in range(400)))
    woken: list[bool] = []
    bench.stepping.round()
    bench.stepping.wake = lambda: woken.append(True)  # type: ignore[method-assign]
    bench.stepping.round()
    assert not woken
    bench.close()


def test_a_tenant_with_a_backlog_does_not_hold_up_another(tmp_path: Path) -> None:
    """Tenants take turns, whatever they have waiting and whoever was first."""
    bench = Bench(tmp_path, workers=1)
    for number in range(1, 4):
        bench.free(*(bench.dump(number, device=f"many-{device}", tenant="big") for device in range(40)))
    bench.free(bench.dump(1, device="only", tenant="small"), bench.dump(2, device="only", tenant="small"))
    bench.settle()
    assert not bench.decided
    places = [place for place, (device, _) in enumerate(bench.shown) if device == "only"]
    assert places[0] <= 1
    assert places[1] <= 4
    bench.close()


def test_devices_of_a_tenant_take_turns(tmp_path: Path) -> None:
    """One with a long backlog gets every n-th step."""
    bench = Bench(tmp_path, workers=1)
    bench.free(*(bench.dump(number, device="behind") for number in range(1, 30)))
    for device in ("x", "y"):
        bench.free(*(bench.dump(number, device=device) for number in (1, 2, 3)))
    bench.settle()
    assert not bench.decided
    others = [place for place, (device, _) in enumerate(bench.shown) if device != "behind"]
    assert max(others) <= 9
    bench.close()


def test_a_store_that_can_not_be_used_puts_turns_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody can read which dumps are ready, nothing begins and nothing ends; then all goes on."""
    bench = Bench(tmp_path)
    bench.free(bench.dump(1))
    next_tenant = bench.store.steps.next_tenant

    def unusable(_: str) -> str | None:
        raise StorageUnavailableError("too many open files")

    monkeypatch.setattr(bench.store.steps, "next_tenant", unusable)
    bench.stepping.round()
    assert bench.judged() == []
    monkeypatch.setattr(bench.store.steps, "next_tenant", next_tenant)
    bench.clock.sleep(1.0)
    bench.settle()
    assert bench.judged() == [1]
    bench.close()


def test_workers_follow_the_load() -> None:
    """They start when needed, up to the greatest number, and end after idleness, down to the least."""
    clock = ManualClock()
    made: list[HeldStepper] = []

    def make() -> HeldStepper:
        made.append(HeldStepper([]))
        return made[-1]

    crew = Crew(make, clock, workers_min=1, workers_max=3, idle_s=60)
    crew.keep_to_load()
    assert crew.workers == 1
    lent = [crew.lend("t", f"d{number}", long=False) for number in range(4)]
    assert lent[3] is None
    assert crew.workers == crew.steps == 3
    for place in lent[:3]:
        assert place is not None
        crew.give_back(place)
    crew.keep_to_load()
    assert crew.workers == 3
    clock.sleep(61)
    crew.keep_to_load()
    assert crew.workers == 1
    assert sum(stepper.closed for stepper in made) == 2
    crew.close()
    assert all(stepper.closed for stepper in made)


def test_a_device_gets_the_worker_that_knows_it() -> None:
    """While that is free; else any other, since the state is in the task."""
    crew = Crew(lambda: HeldStepper([]), ManualClock(), workers_min=4, workers_max=4)
    crew.keep_to_load()
    first = crew.lend("t", "pump-7", long=False)
    other = crew.lend("t", "pump-7", long=False)
    assert first is not None
    assert other is not None
    assert first.number != other.number
    crew.give_back(first)
    again = crew.lend("t", "pump-7", long=False)
    assert again is first
