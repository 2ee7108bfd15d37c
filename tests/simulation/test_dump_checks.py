"""The simulation's own look at stops of dump detectors."""

from __future__ import annotations

from collections import Counter

from proof.simulation.dump_checks import tries_of
from tocsin.control import DumpDetectorFailed


def stop(sequence: int, kind: str = "crash") -> DumpDetectorFailed:
    return DumpDetectorFailed(
        tenant="acme",
        device="press-0",
        epoch=0,
        sequence=sequence,
        sha256="0" * 64,
        detector="tally",
        version="1",
        kind=kind,
        detail="",
    )


def test_a_stop_needs_all_tries_of_one_dump() -> None:
    """Three of one and one of another are not four of one, and no failure counts for two stops."""
    left = {("press-0", 0, 1): Counter(crash=3), ("press-0", 0, 2): Counter(crash=3, hang=2)}
    assert tries_of(stop(2), left)
    assert not tries_of(stop(2), left)


def test_a_dump_that_was_shown_again_may_stop_a_later_one() -> None:
    """Another version builds its state from earlier dumps first (seed 500055); later ones it has not seen."""
    left = {("press-0", 0, 1): Counter(crash=4), ("press-0", 0, 9): Counter(crash=4, error=1)}
    assert tries_of(stop(8), left)
    assert not tries_of(stop(8), left)
    assert not tries_of(stop(8, "error"), left)
    assert tries_of(stop(9, "error"), left)
