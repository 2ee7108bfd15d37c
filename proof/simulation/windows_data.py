"""What people of a simulation have in maintenance: which device, when, how often, and until when."""

from __future__ import annotations

import random
from typing import Final

from proof.simulation.plan import AT_THE_ANSWER, WindowPlan

_RUN: Final = 0x1_1F58
_SHARE: Final = 0.4
_ZONES: Final = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tokyo")
_LONG_S: Final = (300.0, 900.0, 7200.0, 7200.0, 10 * 86_400.0)
_DAY_MINUTES: Final = 1440


def windows_of(seed: int, span_s: float, devices: tuple[str, ...]) -> tuple[WindowPlan, ...]:
    """Drawn apart from the rest of a plan, which stays what it was; in most seeds nothing is worked on."""
    rng = random.Random(seed ^ _RUN)
    if rng.random() >= _SHARE:
        return ()
    share = rng.choice((0.2, 0.5, 0.8))
    windows = [_window(rng, span_s, devices, share) for _ in range(rng.randint(3, 12))]
    return tuple(sorted(windows, key=lambda each: each.at_s))


def _window(rng: random.Random, span_s: float, devices: tuple[str, ...], share: float) -> WindowPlan:
    cut = rng.choice((AT_THE_ANSWER, rng.randint(1, 30))) if rng.random() < share else 0
    at_s = rng.uniform(0, span_s * rng.choice((0.3, 0.3, 1.1)))  # mostly before anything happens
    person, pick = 5 + rng.randrange(2), rng.randrange(1000)
    if rng.random() < 0.25:
        return WindowPlan(at_s=at_s, person=person, ends=True, pick=pick, cut=cut)
    weekly = rng.random() < 0.4
    no_alert, no_learn = rng.choice(((True, False), (True, False), (True, True), (False, True)))
    begins, lasts = rng.randrange(_DAY_MINUTES), rng.choice((10, 60, 1439))
    return WindowPlan(
        at_s=at_s,
        person=person,
        device=rng.choice(devices),
        from_s=rng.choice((0.0, 0.0, -600.0, -86_400.0, 120.0, 900.0)),
        lasts_s=rng.choice((*_LONG_S, *((None,) if weekly else ()))),
        days=tuple(sorted(rng.sample(range(7), rng.randint(1, 7)))) if weekly else (),
        from_minute=begins if weekly else 0,
        until_minute=(begins + lasts) % _DAY_MINUTES if weekly else 0,
        zone=rng.choice(_ZONES) if weekly else "UTC",
        no_alert=no_alert,
        no_learn=no_learn,
        pick=pick,
        again=rng.random() < 0.2,
        cut=cut,
    )
