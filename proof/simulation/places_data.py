"""Halls and product lines of a simulation that are in maintenance, and who comes to them and leaves."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from proof.simulation.plan import (
    AT_THE_ANSWER,
    START_MS,
    Body,
    ChangePlan,
    DirectoryPlan,
    MovePlan,
    WindowPlan,
)
from proof.simulation.third_party import place_of

_PLACES_RUN: Final = 0x9_1ACE
_LINES_RUN: Final = 0x11_4E5
_CHANGES_RUN: Final = 0xC4_A46E
_PLACES_SHARE: Final = 0.6
_LINES_SHARE: Final = 0.4
_CHANGES_SHARE: Final = 0.7
NEWCOMERS: Final = 50
"""The first client of them."""

PRODUCT_LINES: Final = ("line-a", "line-b")


def with_places(seed: int, span_s: float, devices: Sequence[str], said: DirectoryPlan) -> DirectoryPlan:
    """The directory with halls between which devices move; drawn apart from the rest, most have some."""
    rng = random.Random(seed ^ _PLACES_RUN)
    if rng.random() >= _PLACES_SHARE:
        return said
    newcomers = tuple(f"late-{number}" for number in range(rng.randint(0, 2)))
    moves = [
        MovePlan(
            at_s=rng.uniform(0, span_s), device=rng.choice((*devices, *newcomers)), place=rng.randrange(2)
        )
        for _ in range(rng.randint(0, 5))
    ]
    return msgspec.structs.replace(
        said,
        places=2,
        newcomers=newcomers,
        moves=tuple(sorted((*said.moves, *moves), key=lambda move: move.at_s)),
    )


def windows_of_places(seed: int, span_s: float, said: DirectoryPlan | None) -> Iterator[WindowPlan]:
    """Of halls, where there are some; the directory has to have heard of one before."""
    rng = random.Random(seed ^ _PLACES_RUN ^ 1)
    for _ in range(rng.randint(1, 4) if said is not None and said.places > 1 else 0):
        yield _window(rng, span_s, "location", place_of(rng.randrange(2)))


def bodies_of_newcomers(seed: int, span_s: float, said: DirectoryPlan | None) -> Iterator[Body]:
    """They send something each minute, from some moment on."""
    rng = random.Random(seed ^ _PLACES_RUN ^ 2)
    for number, device in enumerate(() if said is None else said.newcomers):
        at_s = rng.uniform(0.1, 0.9) * span_s
        for sequence in range(int((span_s - at_s) / 60)):
            ts = START_MS + round(1000 * at_s)
            event = {"device": device, "ts": ts, "temperature": round(rng.gauss(20, 1), 3)}
            yield Body(
                at_s=at_s + rng.uniform(0, 3),
                client=NEWCOMERS + number,
                text=_line(event),
                sequence=f"{sequence}",
            )
            at_s += 60.0


def has_lines(seed: int, windows: Sequence[WindowPlan]) -> bool:
    """Whether devices run applications of two lines: in some of the seeds in which something is worked on."""
    return bool(windows) and random.Random(seed ^ _LINES_RUN).random() < _LINES_SHARE


def windows_of_lines(seed: int, span_s: float) -> Iterator[WindowPlan]:
    """Of applications."""
    rng = random.Random(seed ^ _LINES_RUN ^ 1)
    for _ in range(rng.randint(1, 4)):
        yield _window(rng, span_s, "application", rng.choice(PRODUCT_LINES))


def with_lines(seed: int, span_s: float, bodies: Sequence[Body]) -> Iterator[Body]:
    """The same bodies, but each device runs an application, and perhaps another one from some moment on."""
    rng, runs = random.Random(seed ^ _LINES_RUN ^ 2), dict[str, tuple[str, str, float]]()
    for body in bodies:
        lines = list[str]()
        for line in body.text.splitlines(keepends=True):
            event = _whole(line)
            if event is None:
                lines.append(line)
                continue
            device = str(event["device"])
            if device not in runs:
                before, behind = rng.choice(PRODUCT_LINES), rng.choice(PRODUCT_LINES)
                runs[device] = before, behind, rng.uniform(0, span_s)
            before, behind, changes_s = runs[device]
            lines.append(_line(event | {"application": before if body.at_s < changes_s else behind}))
        yield msgspec.structs.replace(body, text="".join(lines))


def changes_of(seed: int, span_s: float, windows: Sequence[WindowPlan]) -> tuple[ChangePlan, ...]:
    """By two people, often of one window at once; drawn apart from the rest of a plan."""
    rng = random.Random(seed ^ _CHANGES_RUN)
    if not windows or rng.random() >= _CHANGES_SHARE:
        return ()
    share, changes = rng.choice((0.0, 0.2, 0.5)), list[ChangePlan]()
    for _ in range(rng.randint(2, 8)):
        at_s, pick = rng.uniform(0, 1.1 * span_s), rng.randrange(1000)
        both = rng.random() < 0.5
        changes += [
            _change(rng, at_s, person, pick, share) for person in ((7, 8) if both else (rng.choice((7, 8)),))
        ]
    return tuple(sorted(changes, key=lambda each: each.at_s))


def _window(rng: random.Random, span_s: float, covers: str, name: str) -> WindowPlan:
    no_alert, no_learn = rng.choice(((True, False), (True, True), (False, True)))
    weekly = rng.random() < 0.3
    return WindowPlan(
        at_s=rng.uniform(0, 0.6 * span_s),
        person=5 + rng.randrange(2),
        device=name,
        covers=covers,
        from_s=rng.choice((0.0, 0.0, -600.0, 300.0)),
        lasts_s=None if weekly else rng.choice((900.0, 7200.0, 10 * 86_400.0)),
        days=tuple(range(7)) if weekly else (),
        until_minute=1439 if weekly else 0,
        no_alert=no_alert,
        no_learn=no_learn,
        again=rng.random() < 0.2,
        cut=rng.choice((0, 0, 0, AT_THE_ANSWER, rng.randint(1, 30))),
    )


def _change(rng: random.Random, at_s: float, person: int, pick: int, share: float) -> ChangePlan:
    moves, cut = rng.random() < 0.6, rng.choice((AT_THE_ANSWER, rng.randint(1, 30)))
    no_alert, no_learn = rng.choice(((None, None), (True, True), (True, False), (False, True), (None, True)))
    return ChangePlan(
        at_s=at_s,
        person=person,
        pick=pick,
        read_s=rng.choice((0.0, 0.0, 1.0, 30.0)),
        moves=moves,
        lasts_s=rng.choice((60.0, 900.0, 3 * 86_400.0, 3 * 86_400.0, None)) if moves else None,
        why=rng.random() < 0.7 or not moves,
        no_alert=no_alert,
        no_learn=no_learn,
        names=rng.random() < 0.8,
        again=rng.random() < 0.2,
        cut=cut if rng.random() < share else 0,
    )


def _whole(line: str) -> dict[str, object] | None:
    """The event of a line that is one, and not broken on purpose."""
    try:
        event: dict[str, object] = json.loads(line)
    except ValueError:
        return None
    return event if "device" in event and _line(event) == line else None


def _line(event: dict[str, object]) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"
