"""A failing seed becomes a small plan that fails in the same way, and can be kept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proof.simulation.generating import plan_of
from proof.simulation.plan import Plan
from proof.simulation.run import run_plan
from proof.simulation.shrinking import minimal, shrink
from tests.simulation.test_planted_failures import lost_end

KEPT = sorted((Path(__file__).parent / "plans").glob("*.json"))


@given(needed=st.sets(st.integers(0, 60), min_size=1, max_size=4))
def test_nothing_is_left_that_is_not_needed(needed: set[int]) -> None:
    """Of any list the pieces remain without which it would not fail."""
    assert set(minimal(range(61), lambda kept: needed <= set(kept))) == needed


def test_a_planted_failure_is_shrunk() -> None:
    """What has nothing to do with it goes; what is left fails in the same way, also when written down."""
    plan = plan_of(35)  # few bodies, a crash and two faults of the disk
    with lost_end():
        smaller = shrink(plan, runs=10)
        again = msgspec.json.decode(msgspec.json.encode(smaller), type=Plan)
        assert run_plan(again).kinds[:1] == run_plan(plan).kinds[:1] == ("episode differs",)
    assert (smaller.crashes, smaller.disk) == ((), ())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_once_failed_holds_now(path: Path) -> None:
    """Every plan that found a bug is kept and played again."""
    assert run_plan(msgspec.json.decode(path.read_bytes(), type=Plan)).findings == []
