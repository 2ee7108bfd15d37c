"""What people do in a simulation: when, and to which of the anomalies that they then see."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import msgspec

from proof.simulation.plan import AT_THE_ANSWER, ActPlan

_OTHER_RUN: Final = 0xAC_7ED
_SAID_RUN: Final = 0xFA_15E
_KIND_RUN: Final = 0xE1_5E
_CUT_RUN: Final = 0xC0_7ED
_SHARE: Final = 0.7
KINDS: Final = (
    *("acknowledge", "acknowledge", "snooze", "resolve", "resolve", "resolve", "reopen", "reopen"),
    *("seen", "comment", "assign", "many", "many", "undo", "undo", "merge", "split"),
)


_SAID: Final = ("false_alarm", "false_alarm", "false_alarm", "withdrawn")
_OTHERS_SAID: Final = ("confirmed", "confirmed", "expected", "expected", "new_normal", "withdrawn")
FEEDBACK: Final = frozenset({*_SAID, *_OTHERS_SAID})


def acts_of(seed: int, span_s: float) -> tuple[ActPlan, ...]:
    """Drawn apart from the rest of a plan, which stays what it was; in some seeds nobody does anything."""
    rng = random.Random(seed ^ _OTHER_RUN)
    if rng.random() >= _SHARE:
        return ()
    acts = [
        ActPlan(
            at_s=rng.uniform(span_s * 0.2, span_s * 1.2),
            person=rng.randrange(2),
            kind=rng.choice(KINDS),
            pick=rng.randrange(1000),
            read_s=rng.choice((0.0, 1.0, 30.0, 200.0)),
            snooze_s=rng.choice((0, 60, 600)),
        )
        for _ in range(rng.randint(3, 25))
    ]
    return tuple(sorted(acts, key=lambda act: act.at_s))


def said_of(seed: int, span_s: float) -> tuple[ActPlan, ...]:
    """Feedback of two more people; drawn apart from all else again."""
    rng = random.Random(seed ^ _SAID_RUN)
    if rng.random() >= _SHARE:
        return ()
    acts = [
        ActPlan(
            at_s=rng.uniform(span_s * 0.1, span_s * 1.1),
            person=2 + rng.randrange(2),
            kind=rng.choice(_SAID),
            pick=rng.randrange(1000),
            read_s=rng.choice((0.0, 0.0, 1.0, 30.0)),
        )
        for _ in range(rng.randint(2, 12))
    ]
    return tuple(sorted(acts, key=lambda act: act.at_s))


def told_of(seed: int, span_s: float) -> tuple[ActPlan, ...]:
    """Feedback of other kinds than a false alarm, by one person more; drawn apart from all else again."""
    rng = random.Random(seed ^ _KIND_RUN)
    if rng.random() >= _SHARE:
        return ()
    acts = [
        ActPlan(
            at_s=rng.uniform(span_s * 0.1, span_s * 1.1),
            person=4,
            kind=rng.choice(_OTHERS_SAID),
            pick=rng.randrange(1000),
            read_s=rng.choice((0.0, 1.0, 30.0)),
        )
        for _ in range(rng.randint(1, 6))
    ]
    return tuple(sorted(acts, key=lambda act: act.at_s))


def with_cuts(seed: int, acts: Sequence[ActPlan]) -> tuple[ActPlan, ...]:
    """The same, but while a few of them are done the power goes."""
    rng = random.Random(seed ^ _CUT_RUN)
    share = rng.choice((0.0, 0.2, 0.4))
    cuts = [rng.choice((AT_THE_ANSWER, rng.randint(1, 30))) if rng.random() < share else 0 for _ in acts]
    return tuple(msgspec.structs.replace(act, cut=cut) for act, cut in zip(acts, cuts, strict=True))
