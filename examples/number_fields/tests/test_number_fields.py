"""What the detector must find and must not, and what Tocsin relies on."""

from __future__ import annotations

import math
import random

import number_fields_1
import pytest

from number_fields import NumberFields
from number_fields.fields import numbers_of
from tocsin.dump_detectors.abstract import UnknownVersionError
from tocsin.dump_detectors.conformance import CHECKS, Sample, made_sample, made_samples, outcomes, shown

HALF_AN_HOUR_MS = 1_800_000
DAY_MS = 86_400_000
LEARNT = 72


def dump(sequence: int, *, shift: float = 0.0, spread: float = 1.0, count: int = 60) -> Sample:
    """Half an hour: a temperature that is higher by day than by night, and a part number that counts up."""
    rng = random.Random(sequence)
    from_ms = 1_790_000_000_000 + sequence * HALF_AN_HOUR_MS
    level = 60.0 + shift + 3.0 * math.sin(2 * math.pi * from_ms / DAY_MS)
    lines = [
        f"part {sequence * count + n} pressed, temp={rng.gauss(level, spread):.2f} C" for n in range(count)
    ]
    log = "\n".join(f"2026-09-21T10:00:00Z INFO {line}" for line in lines).encode()
    return made_sample(sequence, {"press/press.log": log}, from_ms, from_ms + HALF_AN_HOUR_MS)


def normal(count: int = LEARNT) -> list[Sample]:
    return [dump(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("name", CHECKS)
def test_it_keeps_what_tocsin_relies_on(name: str) -> None:
    """Each check of the suite, on the dumps that Tocsin makes."""
    CHECKS[name](NumberFields, made_samples(), {"ready_dumps": 8})


def test_a_daily_wave_and_a_counter_are_not_found() -> None:
    """Nor a dump of six values, whose median is uncertain."""
    assert not any(shown(NumberFields, [*normal(150), dump(151, count=6)]))


def test_a_level_that_moves_is_found_with_numbers() -> None:
    """Three deviations of the single values are many of the median of sixty."""
    *before, found = shown(NumberFields, [*normal(), dump(LEARNT + 1, shift=3.0)])
    assert not any(before)
    assert [(each.component, each.code) for each in found] == [("press", "number_level")]
    assert found[0].reason.startswith('temp in "~ INFO part # pressed, temp=# C" lies at 6')
    assert "(median of 60), where 6" in found[0].reason
    assert len(found[0].lines) == 3


def test_a_coarse_number_is_judged_by_what_its_values_leave_uncertain() -> None:
    """Its medians are nearly all equal and show no deviation of their own; a setting is no measurement."""

    def rail(sequence: int, volts: float, setting: int) -> Sample:
        rng = random.Random(sequence)
        lines = [f"rail {round(rng.gauss(volts, 0.06) * 20) / 20} V of {setting}" for _ in range(60)]
        from_ms = sequence * HALF_AN_HOUR_MS
        return made_sample(
            sequence, {"rail.log": "\n".join(lines).encode()}, from_ms, from_ms + HALF_AN_HOUR_MS
        )

    usual = [rail(n, 24.0, 24) for n in range(1, LEARNT + 1)]
    for volts, setting, count in ((24.0, 24, 0), (24.0, 25, 0), (24.3, 24, 1)):
        found = shown(NumberFields, [*usual, rail(LEARNT + 1, volts, setting)])
        assert [len(each) for each in found] == [0] * LEARNT + [count]


@pytest.mark.parametrize("times", [0.2, 4.0])
def test_a_spread_that_changes_is_found(times: float) -> None:
    """Noise, and a sensor that hardly moves any more; the level is as it was."""
    found = shown(NumberFields, [*normal(), dump(LEARNT + 1, spread=times)])[-1]
    assert [each.code for each in found] == ["number_spread"]


def test_what_is_a_number() -> None:
    """Not stamps, identifiers, versions, addresses and what stands in brackets."""
    line = "<30>Jan  5 07:00:01 cell netd[812]: 10.4.0.7 v1.2 id 3f2a took 12.5 ms, try 2"
    assert [value for _, value in numbers_of(line)[1]] == [12.5, 2.0]


def test_there_is_no_way_from_version_1() -> None:
    """It kept no spread, and that can't be made up: the dumps are run again."""
    state = outcomes(number_fields_1.NumberFields, normal(3), {})[-1].state
    with pytest.raises(UnknownVersionError, match="version 1"):
        NumberFields().migrate(state, "1")
