"""Which states are kept for corrections: few, the nearer the more."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from tocsin.commit.dump_steps import DumpPlace, DumpStepStore
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.dump_detectors.steps import DumpFacts, StepDone, Task
from tocsin.runtimes.embedded.dump_asking import Ask
from tocsin.runtimes.embedded.dump_rerun import run_again
from tocsin.runtimes.embedded.dump_snapshots import BLOCKS, Snapshots, worth_keeping


@given(last=st.integers(1, 5_000), back=st.integers(1, 4_000))
def test_a_late_dump_has_a_snapshot_before_it_that_is_not_much_farther_back(last: int, back: int) -> None:
    """Taken one by one, two of each size are left; a dump within a size finds one within two of it."""
    kept: set[DumpPlace] = set()
    snapshots, before = Snapshots(cast("DumpStepStore", None), ("t", "d", "logs")), None
    for number in range(1, last + 1):
        place = (0, number)
        assert snapshots.due(before, place) == (number == 1 or number % BLOCKS[0] == 0)
        if snapshots.due(before, place):
            kept = worth_keeping([*kept, place], BLOCKS)
        before = place
    assert len(kept) <= 2 * len(BLOCKS)
    late = last + 1 - back
    size = next((size for size in BLOCKS if back <= size), None)
    if late > 1 and size is not None:
        assert max(place[1] for place in kept if place[1] < late) > last - 2 * size - 1


def test_a_long_correction_holds_few_states() -> None:
    """However many dumps are shown again: those worth keeping, each as it was after its dump."""
    snapshots = Snapshots(cast("DumpStepStore", None), ("t", "d", "logs"))
    dumps = [
        DumpReceived(
            tenant="t",
            device="d",
            sequence=number,
            sha256="0" * 64,
            size_bytes=1,
            outcome=DumpOutcome.ACCEPTED,
        )
        for number in range(1, 3_001)
    ]
    facts = DumpFacts(sequence=1, sha256="0" * 64)
    task = Task(tenant="t", device="d", detector="logs", archive=Path("x"), dump=facts)
    going = run_again(dumps, lambda *_: task, lambda: 0.0, snapshots=snapshots)
    asked, number = next(going), 0
    while True:
        assert isinstance(asked, Ask)
        number += 1
        try:
            asked = going.send(done(str(number).encode()))
        except StopIteration as stop:
            rerun = stop.value
            break
    assert set(rerun.states) == worth_keeping([(0, 1), *((0, n) for n in range(16, 3_001, 16))], BLOCKS)
    assert {place[1]: int(state) for place, state in rerun.states.items()} == {
        place[1]: place[1] for place in rerun.states
    }


def done(state: bytes) -> StepDone:
    return StepDone(findings=(), state=state, state_version="1", state_sha256="", cpu_s=0.0, wall_s=0.0)


def test_a_new_epoch_lets_those_of_the_old_one_go() -> None:
    """Two of each size, whatever the epochs are."""
    old = [(0, number) for number in range(16, 4_000, 16)]
    assert worth_keeping([*old, (1, 1), (1, 16)], (16,)) == {(1, 1), (1, 16)}
