"""Windows of log lines end where the model says, which is told all lines at once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from proof.model.streams import Line, Minute, Windows, cuts
from tocsin.processing.log_windows import LineFacts, LogWindows, Window, WindowRules

KEY = ("acme", "press-1")
START_MS = 1_767_225_600_000


def story_of(rng: random.Random) -> list[Line | Minute]:
    """Lines mostly in order, some late, ahead or misdated, ticks between them, and a clock that jumps."""
    story: list[Line | Minute] = []
    now_ms, offset = START_MS, 0
    while offset < 300:
        now_ms += rng.choice((0, 200, 5_000, 40_000)) + (-30_000 if rng.random() < 0.02 else 0)
        offset += rng.choice((1, 1, 2))
        if rng.random() < 0.2:
            story.append(Minute(offset, now_ms))
            continue
        ts = now_ms + rng.choice((0, 0, 0, -70_000, 20_000))
        wrong = rng.random() < 0.05
        component, text = rng.choice(("door", "belt")), "x" * rng.choice((1, 20, 400))
        story.append(Line(offset, ts, wrong, now_ms, "", "", component, "", text))
    return story


def ends(story: Sequence[Line | Minute], rules: WindowRules) -> list[tuple[int, int, int, int]]:
    """What the product makes of the story, line by line."""
    windows, found = LogWindows(rules), list[Window]()
    for item in story:
        if isinstance(item, Minute):
            found += [window for _, window in windows.tick(item.now_ms, item.offset)]
            continue
        time_ms = None if item.clock_wrong else item.ts
        size_bytes = len(item.text)
        ended = windows.take(
            KEY, LineFacts(item.offset, time_ms, item.arrival_ms, item.component, size_bytes)
        )
        found += [] if ended is None else [ended]
    return [(window.first, window.below, window.from_ms, window.to_ms) for window in found]


@pytest.mark.parametrize("seed", range(60))
def test_windows_are_those_of_the_model(seed: int) -> None:
    """Each begins, ends and lasts as it is told from all lines and ticks at once; none is left out."""
    rng = random.Random(seed)
    length_ms, quiet_ms = rng.choice((20_000, 60_000, 300_000)), rng.choice((0, 60_000, 200_000))
    bytes_max = rng.choice((500, 2_000, 1 << 20))
    story = story_of(rng)
    rules = WindowRules(length_ms=length_ms, bytes_max=bytes_max, quiet_ms=quiet_ms)
    wanted = cuts(story, Windows(length_ms=length_ms, bytes_max=bytes_max, quiet_ms=quiet_ms))
    expected = [(cut.first, cut.below, cut.from_ms, cut.to_ms) for cut in wanted]
    assert ends(story, rules) == expected
    assert expected
