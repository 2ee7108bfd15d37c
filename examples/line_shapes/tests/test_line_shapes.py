"""What the detector must find and must not, what Tocsin relies on, and the way from version 1."""

from __future__ import annotations

import random
from collections.abc import Callable

import line_shapes_1
import pytest

from line_shapes import LineShapes
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


def test_a_line_that_never_came_is_found() -> None:
    """Three times in a dump are enough; once is not."""
    for times, codes in ((3, ["new_line"]), (1, [])):
        usual = dump(LEARNT + 1)
        log = b"2026-09-21T10:00:00Z ERROR encoder lost\n" * times
        strange = made_sample(LEARNT + 1, {"cell/cell.log": log + whole_log(usual)}, *span(usual))
        found = shown(LineShapes, [*normal(), strange])[-1]
        assert [each.code for each in found] == codes
    assert shape_of("2026-09-21T10:00:00Z ERROR encoder lost") == "# ERROR encoder lost"


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


def test_version_2_goes_on_from_the_bytes_of_version_1() -> None:
    """After the way over, findings and bytes are those of version 2 from the first dump on."""
    change = dump(LEARNT + 3, lambda shape, count: 200 if shape == "cooling on" else count)
    samples = [*normal(LEARNT + 2), change, dump(LEARNT + 4)]
    expected = outcomes(LineShapes, samples, {})
    before = outcomes(line_shapes_1.LineShapes, samples[:LEARNT], {})
    new = LineShapes()
    new.setup({})
    state = new.migrate(before[-1].state, "1")
    assert state == expected[LEARNT - 1].state
    assert len(state) < len(before[-1].state)
    assert expected[LEARNT + 2].findings != b"[]"
    with pytest.raises(ValueError, match="version 1"):
        new.migrate(b'{"mark":"else"}', "1")


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
