"""What people do in a simulation: when, and to which of the anomalies that they then see."""

from __future__ import annotations

import random
from typing import Final

from proof.simulation.plan import ActPlan

_OTHER_RUN: Final = 0xAC_7ED
_SHARE: Final = 0.7
_KINDS: Final = (
    *("acknowledge", "acknowledge", "snooze", "resolve", "resolve", "resolve", "reopen", "reopen"),
    *("seen", "comment", "assign", "many", "many", "undo", "undo", "merge", "split"),
)


def acts_of(seed: int, span_s: float) -> tuple[ActPlan, ...]:
    """Drawn apart from the rest of a plan, which stays what it was; in some seeds nobody does anything."""
    rng = random.Random(seed ^ _OTHER_RUN)
    if rng.random() >= _SHARE:
        return ()
    acts = [
        ActPlan(
            at_s=rng.uniform(span_s * 0.2, span_s * 1.2),
            person=rng.randrange(2),
            kind=rng.choice(_KINDS),
            pick=rng.randrange(1000),
            read_s=rng.choice((0.0, 1.0, 30.0, 200.0)),
            snooze_s=rng.choice((0, 60, 600)),
        )
        for _ in range(rng.randint(3, 25))
    ]
    return tuple(sorted(acts, key=lambda act: act.at_s))
