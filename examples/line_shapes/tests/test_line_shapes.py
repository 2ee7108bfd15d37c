"""What the detector must find and must not, what Tocsin relies on, and the way from older versions."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import line_shapes_1
import line_shapes_2
import line_shapes_3
import pytest

from line_shapes import LineShapes
from line_shapes.knowledge import Distance
from line_shapes.shapes import shape_of
from tocsin.dump_detectors.conformance import CHECKS, Sample, made_sample, made_samples, outcomes, shown
from tocsin.dumps.archive import Archive

HALF_AN_HOUR_MS = 1_800_000
LEARNT = 60
USUAL = {"belt moved, # N": 40, "part # loaded": 25, "part # done": 25, "cooling on": 6}


def dump(sequence: int, change: Callable[[str, float], float] = lambda shape, count: count) -> Sample:
    """Half an hour of one component, busier at some times than at others; `change` is what a fault does."""
    rng = random.Random(sequence)
    work = 0.3 + 0.7 * rng.random()
    lines = []
    for shape, count in USUAL.items():
        wanted = change(shape, count * work)
        drawn = max(0, round(rng.gauss(wanted, wanted**0.5)))
        lines += [shape.replace("#", str(rng.randrange(1, 10_000))) for _ in range(drawn)]
    rng.shuffle(lines)
    from_ms = 1_790_000_000_000 + sequence * HALF_AN_HOUR_MS
    log = "\n".join(f"2026-09-21T10:00:00Z INFO {line}" for line in lines).encode()
    return made_sample(sequence, {"cell/cell.log": log}, from_ms, from_ms + HALF_AN_HOUR_MS)


def normal(count: int = LEARNT) -> list[Sample]:
    return [dump(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("name", CHECKS)
def test_it_keeps_what_tocsin_relies_on(name: str) -> None:
    """Each check of the suite, on the dumps that Tocsin makes."""
    CHECKS[name](LineShapes, made_samples(), {"ready_dumps": 8})


def test_work_that_goes_up_and_down_is_not_found() -> None:
    """All counts rise and fall together by a factor of three: that is what the directions are for."""
    assert not any(shown(LineShapes, normal(200)))


def test_lines_that_come_far_too_often_are_one_finding() -> None:
    """The finding names the shape, how often it came, what was expected, and shows lines."""
    burst = dump(LEARNT + 1, lambda shape, count: 200 if shape == "cooling on" else count)
    *before, found = shown(LineShapes, [*normal(), burst])
    assert not any(before)
    assert [(each.component, each.code) for each in found] == [("cell", "line_rates")]
    assert found[0].reason.startswith('"# INFO cooling on" came 2')
    assert found[0].score > 1
    assert all(line.text.endswith("cooling on") for line in found[0].lines[:3])


def test_a_dump_that_is_a_little_strange_is_found_with_the_next_one_alone() -> None:
    """Lines of one cycle go wrong together by chance: one such dump says little, and a usual one ends it."""
    usual = [dump(LEARNT + n) for n in (1, 2, 3)]
    strange = [
        dump(LEARNT + n, lambda shape, count: count * 2.5 if shape.startswith("part") else count)
        for n in (1, 2, 3)
    ]

    def codes(*samples: Sample) -> list[list[str]]:
        return [[each.code for each in row] for row in shown(LineShapes, [*normal(), *samples])[LEARNT:]]

    assert codes(*strange) == [[], ["line_rates"], ["line_rates"]]
    assert codes(strange[0], usual[1], strange[2]) == [[], [], []]


@pytest.mark.parametrize(
    ("off", "scores"),
    [
        ((9.5,), (1.0,)),
        ((5.5, 5.5), (0.5, 1.0)),
        ((5.5, 1.0, 5.5), (0.5, 0.0, 0.5)),
        ((5.5, 1.2, 5.5), (0.5, 0.0, 0.9625)),
        ((161.5, 1.6), (20.0, 2.0125)),
    ],
    ids=["alone", "two", "ended by a usual one", "not quite usual", "bounded"],
)
def test_how_strange_a_component_is_is_summed_up(off: tuple[float, ...], scores: tuple[float, ...]) -> None:
    """In deviations from its usual distance, as the README says; 1 is just not a finding."""
    detector, distance = LineShapes(), Distance()
    detector.setup({})
    assert tuple(detector._gather(distance, each) for each in off) == pytest.approx(scores)


def test_a_line_that_never_came_is_found() -> None:
    """Three times in a dump are enough; once is not."""
    for times, codes in ((3, ["new_line"]), (1, [])):
        usual = dump(LEARNT + 1)
        log = b"2026-09-21T10:00:00Z ERROR encoder lost\n" * times
        strange = made_sample(LEARNT + 1, {"cell/cell.log": log + whole_log(usual)}, *span(usual))
        found = shown(LineShapes, [*normal(), strange])[-1]
        assert [each.code for each in found] == codes
    assert shape_of("2026-09-21T10:00:00Z ERROR encoder lost") == "# ERROR encoder lost"


def with_lines(sequence: int, times: int, text: str = "ERROR encoder lost") -> Sample:
    """A usual dump that begins with lines of its own."""
    usual = dump(sequence)
    lines = f"2026-09-21T10:00:00Z {text}\n".encode() * times
    return made_sample(sequence, {"cell/cell.log": lines + whole_log(usual)}, *span(usual))


def test_a_new_line_is_found_until_it_has_been_seen_long_enough() -> None:
    """A fault that goes on is a finding in each dump, with one key, for as long as learning took."""
    learn = 20
    faulty = [with_lines(learn + n, 3) for n in range(1, learn + 11)]
    found = shown(LineShapes, [*normal(learn), *faulty], {"ready_dumps": learn})[learn:]
    assert [[each.code for each in row if each.code == "new_line"] for row in found] == (
        [["new_line"]] * learn + [[]] * 10
    )
    first, *again = [each for row in found for each in row if each.code == "new_line"]
    assert first.reason.endswith("and never in 20 dumps before")
    assert again[1].reason.endswith("and never in 20 dumps before, until 2 dumps ago")
    assert {each.key for each in again} == {first.key} == {"# ERROR encoder lost"}


def test_a_line_that_comes_singly_at_first_is_found_when_it_comes_more_often() -> None:
    """The end of a dump may cut off all but the first of them; another new line does not change the key."""
    faulty = [with_lines(LEARNT + 1, 1), with_lines(LEARNT + 2, 4)]
    both = with_lines(LEARNT + 3, 4)
    log = b"2026-09-21T10:00:00Z ERROR brake hot\n" * 9 + whole_log(both)
    more = made_sample(LEARNT + 3, {"cell/cell.log": log}, *span(both))
    found = shown(LineShapes, [*normal(), *faulty, more])[LEARNT:]
    new = [[each for each in row if each.code == "new_line"] for row in found]
    assert [[each.key for each in row] for row in new] == [[], *[["# ERROR encoder lost"]] * 2]
    assert "and 1 other new ones" in new[2][0].reason


def test_a_rare_line_that_comes_no_more_is_found_over_several_dumps() -> None:
    """Four are expected in a dump: one dump without them says little, six say enough."""
    without = [
        dump(LEARNT + n, lambda shape, count: 0 if shape == "cooling on" else count) for n in range(1, 13)
    ]
    found = [{each.code for each in row} for row in shown(LineShapes, [*normal(), *without])[LEARNT:]]
    assert found[0] == set()
    assert {"lacking_line"} in found


def test_a_component_that_writes_nothing_is_found() -> None:
    """Silence is no rest: other components go on as busily as before."""

    def with_other(number: int, silent: bool) -> Sample:
        sample = dump(number)
        logs = {"other/other.log": whole_log(sample)} | (
            {} if silent else {"cell/cell.log": whole_log(sample)}
        )
        return made_sample(number, logs, *span(sample))

    *_, found = shown(LineShapes, [with_other(n, n > LEARNT) for n in range(1, LEARNT + 2)])
    assert [each.component for each in found] == ["cell"]
    assert " came 0 times in 0.5 h" in found[0].reason


@pytest.mark.parametrize(
    ("older", "version"), [(line_shapes_1, "1"), (line_shapes_2, "2"), (line_shapes_3, "3")]
)
def test_a_version_goes_on_from_the_bytes_of_an_older_one(older: ModuleType, version: str) -> None:
    """After the way over, findings and bytes are those of the new version from the first dump on."""
    change = dump(LEARNT + 3, lambda shape, count: 200 if shape == "cooling on" else count)
    samples = [*normal(LEARNT + 2), change, dump(LEARNT + 4)]
    expected = outcomes(LineShapes, samples, {})
    before = outcomes(older.LineShapes, samples[:LEARNT], {})
    new = LineShapes()
    new.setup({})
    state = new.migrate(before[-1].state, version)
    assert state == expected[LEARNT - 1].state != before[-1].state
    assert expected[LEARNT + 2].findings != b"[]"
    with pytest.raises(ValueError, match=r"version 1|line-shapes [23]"):
        new.migrate(b'{"mark":"else"}', version)


@pytest.mark.parametrize("config", [{"limit": 0}, {"limit": "6"}, {"limits": 6}])
def test_a_wrong_configuration_is_refused(config: dict[str, object]) -> None:
    """Whoever configures it hears which key is wrong."""
    with pytest.raises(ValueError, match="limit"):
        LineShapes().setup(config)


def whole_log(sample: Sample) -> bytes:
    """The one log of a dump."""
    return b"".join(Archive(sample.source).members[0].plain()) + b"\n"


def span(sample: Sample) -> tuple[int, int]:
    """When it was collected."""
    facts = sample.facts
    assert facts.collected_from_ms is not None
    assert facts.collected_to_ms is not None
    return facts.collected_from_ms, facts.collected_to_ms
