"""Where log lines are cut: laws of the windows, and the cases that they rest on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tocsin.processing.log_windows import DeviceKey, LineFacts, LinesFacts, LogWindows, Window, WindowRules

RULES = WindowRules(length_ms=1_000, bytes_max=60, components_max=2, quiet_ms=500)
ONE: DeviceKey = ("t", "one")
OTHER: DeviceKey = ("t", "other")
Cut = tuple[int, int, int, int]

times = st.one_of(st.none(), st.integers(0, 6_000))
lines = st.tuples(times, st.sampled_from(["a", "b", "c"]), st.integers(0, 40))
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([ONE, OTHER]), lines), st.tuples(st.just(None), st.integers(0, 9_000))
    )
)


def facts(offset: int, time_ms: int | None, component: str = "a", size: int = 1) -> LineFacts:
    arrival_ms = 0 if time_ms is None else time_ms
    return LineFacts(offset, time_ms, arrival_ms, component, size)


def cut(window: Window) -> Cut:
    return window.first, window.below, window.from_ms, window.to_ms


def run(
    found: list[tuple[int, tuple[object, object]]], reached_ms: int | None = None
) -> dict[DeviceKey, list[Cut]]:
    """What is cut of each device by lines and ticks at these offsets, behind a window that ended then."""
    windows, cuts = LogWindows(RULES), dict[DeviceKey, list[Cut]]()
    if reached_ms is not None:
        windows.resume(ONE, reached_ms)
    for offset, (key, given_) in found:
        if isinstance(key, tuple) and isinstance(given_, tuple):
            ended = windows.take(key, facts(offset, *given_))
            for each in [] if ended is None else [ended]:
                cuts.setdefault(key, []).append(cut(each))
        elif isinstance(given_, int):
            for quiet, each in windows.tick(given_, offset):
                cuts.setdefault(quiet, []).append(cut(each))
    return cuts


@given(steps)
def test_a_device_is_cut_as_if_it_were_alone(found: list[tuple[object, object]]) -> None:
    """Other devices' lines move no window."""
    placed = list(enumerate(found))
    together = run(placed)
    for key in (ONE, OTHER):
        own = [(offset, item) for offset, item in placed if item[0] in {key, None}]
        assert run(own).get(key, []) == together.get(key, [])


@given(steps)
def test_windows_are_runs_that_follow_each_other(found: list[tuple[object, object]]) -> None:
    """Each line lies in one window at most; a window lies in the grid and has a length."""
    for cuts in run(list(enumerate(found))).values():
        for first, below, from_ms, to_ms in cuts:
            assert first < below
            assert 0 < to_ms - from_ms <= RULES.length_ms
            assert from_ms // RULES.length_ms == (to_ms - 1) // RULES.length_ms
        for (_, below, *_), (first, *_) in pairwise(cuts):
            assert below <= first


@given(steps, st.integers(0, 30))
def test_who_begins_again_where_a_device_was_cut_cuts_the_same(
    found: list[tuple[object, object]], number: int
) -> None:
    """A restart that passes over the lines of dumps that were made goes on as if there had been none."""
    placed = [(offset, item) for offset, item in enumerate(found) if item[0] in {ONE, None}]
    cuts = run(placed).get(ONE, [])
    if number >= len(cuts):
        return
    _, below, _, reached_ms = cuts[number]
    again = run([(offset, item) for offset, item in placed if offset >= below], reached_ms).get(ONE, [])
    assert again == cuts[number + 1 :]


@given(st.lists(st.lists(lines, min_size=1, max_size=5)))
def test_lines_that_join_together_are_cut_as_one_by_one(
    groups: list[list[tuple[int | None, str, int]]],
) -> None:
    """Where `join` says no, nothing has changed; where it says yes, no line would have ended a window."""
    together, alone = LogWindows(RULES), LogWindows(RULES)
    offset = 0
    for group in groups:
        arrived_ms = max((each[0] or 0 for each in group), default=0)
        several = [
            replace(facts(offset + place, *each), arrival_ms=arrived_ms) for place, each in enumerate(group)
        ]
        offset += len(group)
        times = [each.time_ms for each in several if each.time_ms is not None]
        summed = LinesFacts(
            several[0],
            max(times, default=None),
            frozenset(each.component for each in several),
            sum(each.size_bytes for each in several),
        )
        ended = [alone.take(ONE, each) for each in several]
        if together.join(ONE, summed):
            assert ended == [None] * len(several)
        else:
            assert [together.take(ONE, each) for each in several] == ended
    assert together._open == alone._open


def test_a_line_of_a_later_time_ends_the_window() -> None:
    """It is the first of the next one; one that comes late after it joins it there."""
    windows = LogWindows(RULES)
    assert windows.take(ONE, facts(0, 1_200)) is None
    ended = windows.take(ONE, facts(1, 3_100))
    assert ended is not None
    assert cut(ended) == (0, 1, 1_000, 2_000)
    assert windows.take(ONE, facts(2, 1_900)) is None


def test_a_clock_that_is_wrong_ends_no_window() -> None:
    """Else one line of next year would hold all that come after it."""
    windows = LogWindows(RULES)
    windows.take(ONE, facts(0, 100))
    assert windows.take(ONE, facts(1, None)) is None


def test_a_tick_ends_the_window_of_a_quiet_device() -> None:
    """Once its time is over and nothing has come for a while; no tick cuts history that still comes."""
    windows = LogWindows(RULES)
    windows.take(ONE, facts(0, 100))
    windows.take(OTHER, LineFacts(1, 100, 1_300, "a", 1))
    assert list(windows.tick(1_400, 2)) == []
    assert [key for key, _ in windows.tick(1_500, 3)] == [ONE]
    assert windows.first(otherwise=9) == 1


def test_a_full_window_ends_before_the_line_that_is_too_much() -> None:
    """By bytes or by components; the next one begins where it ended, in time too."""
    windows = LogWindows(RULES)
    windows.take(ONE, facts(0, 100, size=40))
    ended = windows.take(ONE, facts(1, 300, size=40))
    assert ended is not None
    assert cut(ended) == (0, 1, 0, 101)
    windows.take(ONE, facts(2, 350, "b"))
    crowded = windows.take(ONE, facts(3, 400, "c"))
    assert crowded is not None
    assert cut(crowded) == (1, 3, 101, 351)


def test_the_window_behind_one_of_late_lines_begins_in_one_place() -> None:
    """Whether the process went on, or began again where the last one ended, which is not the latest end."""
    windows = LogWindows(RULES)
    windows.take(ONE, facts(0, 2_500))
    (_, first), *_ = windows.tick(9_000, 1)
    windows.take(ONE, facts(2, 900))
    then = facts(3, 2_700)
    late = windows.take(ONE, then)
    assert late is not None
    assert (first.to_ms, late.to_ms) == (3_000, 1_000)
    for reached_ms, from_ms in ((late.to_ms, 2_000), (first.to_ms, 2_700)):
        again = LogWindows(RULES)
        again.resume(ONE, reached_ms)
        again.take(ONE, then)
        assert (again._open == windows._open) == (reached_ms == late.to_ms)
        assert again._open[ONE].from_ms == from_ms


def test_a_line_at_the_end_of_a_window_begins_the_next() -> None:
    """Windows are half open: the first moment beyond belongs to what comes, one by one and together."""
    for time_ms, is_over in ((999, False), (1_000, True)):
        windows = LogWindows(RULES)
        windows.take(ONE, facts(0, 0))
        line = facts(1, time_ms)
        joined = windows.join(ONE, LinesFacts(line, time_ms, frozenset("a"), 1))
        assert joined is not is_over
        ended = windows.take(ONE, line)
        assert (ended is not None) == is_over
