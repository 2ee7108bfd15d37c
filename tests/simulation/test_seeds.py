"""The whole system, simulated: whatever a seed does to it, every law holds when the faults are over."""

from __future__ import annotations

import pytest

from proof.simulation.generating import plan_of
from proof.simulation.run import run_plan


def test_the_same_seed_gives_the_same_trace() -> None:
    """A seed decides everything: threads, times, faults and what is written; so it can be replayed."""
    first, second = run_plan(plan_of(1)), run_plan(plan_of(1))
    assert first.trace_hash == second.trace_hash
    assert first.points == second.points > 1000
    assert run_plan(plan_of(3)).trace_hash != first.trace_hash


@pytest.mark.parametrize("seed", range(4))
def test_all_laws_hold(seed: int) -> None:
    """Nothing acknowledged is lost or doubled, digests, counts and episodes are those of the records."""
    outcome = run_plan(plan_of(seed))
    assert outcome.findings == []
    assert outcome.seen.events > 0
