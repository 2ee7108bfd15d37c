"""The detector: takes level and spread of each field, judges them against its line, then learns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from number_fields.fields import Numbers, Read, read_numbers
from number_fields.knowledge import (
    FIELDS,
    LINE,
    STATISTICS,
    WINDOW,
    Field,
    Floats,
    Knowledge,
    from_bytes,
    to_bytes,
)
from number_fields.line import MAD, expected, fitted
from tocsin.dump_detectors.abstract import Device, Dump, DumpDetector, Finding
from tocsin.model import Severity

_DEFAULTS: Final[Mapping[str, float]] = {"ready_dumps": 36, "limit": 6.0}
_VALUES_MIN: Final = (4, 12)
_FIT_EVERY: Final = 6
_RISING: Final = 0.95  # of its steps up or level: a counter, whose spread says how long a dump is
_UNUSED_DUMPS: Final = 100
_DAY_MS: Final = 86_400_000
_LEVEL, _SPREAD = 0, 1


@dataclass(frozen=True, slots=True)
class _Off:
    """A statistic that lies beyond its limit."""

    field: Field
    numbers: Numbers
    statistic: int
    now: float
    expected: float
    deviation: float

    @property
    def deviations(self) -> float:
        return (self.now - self.expected) / self.deviation


class NumberFields(DumpDetector):
    """One device. A field is judged once it was in `ready_dumps` of the last 72 dumps.

    Version 2 also judges the spread. Version 1 did not keep it, so that there is no way from its bytes.
    """

    name = "number-fields"
    version = "2"

    def setup(self, config: Mapping[str, object]) -> None:
        self._settings = dict(_DEFAULTS)
        for key, value in config.items():
            if key not in _DEFAULTS:
                raise ValueError(f"no such key: {key}; there are: {', '.join(_DEFAULTS)}")
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{key} must be a number above 0, not {value!r}")
            self._settings[key] = float(value)

    def start(self, device: Device) -> None:
        self._known = Knowledge()

    def process(self, dump: Dump) -> Iterator[Finding]:
        read = read_numbers(dump)
        day = (read.from_ms + read.to_ms) / 2 / _DAY_MS
        row = self._row(read)
        off: dict[str, list[_Off]] = {}
        for each in self._off(read, row, day):
            off.setdefault(each.field.component, []).append(each)
        for component, found in sorted(off.items()):
            yield self._finding(read, component, found)
        self._learn(row, day)

    def save(self) -> bytes:
        return to_bytes(self._known)

    def load(self, state: bytes, version: str) -> None:
        self._known = from_bytes(state)

    def _row(self, read: Read) -> Floats:
        """The dump's statistics, a column for each field; new fields get a free column, or an unused one."""
        known = self._known
        places = {(each.component, each.shape, each.place): n for n, each in enumerate(known.fields)}
        row = np.full((STATISTICS, FIELDS), np.nan)
        for key, numbers in read.fields.items():
            place = places.get(key)
            if place is None:
                if len(numbers.values) < _VALUES_MIN[_LEVEL]:
                    continue
                place = self._column(Field(*key, numbers.name, known.dumps))
                if place is None:
                    continue
            known.fields[place].last_dump = known.dumps
            row[:, place] = _statistics(numbers.values)
        return row

    def _column(self, new: Field) -> int | None:
        known = self._known
        if len(known.fields) < FIELDS:
            known.fields.append(new)
            return len(known.fields) - 1
        oldest = min(range(FIELDS), key=lambda place: (known.fields[place].last_dump, place))
        if known.fields[oldest].last_dump >= known.dumps - _UNUSED_DUMPS:
            return None
        known.fields[oldest] = new
        known.values[:, :, oldest] = np.nan
        known.lines[:, oldest] = np.nan
        return oldest

    def _off(self, read: Read, row: Floats, day: float) -> Iterator[_Off]:
        known, limit = self._known, self._settings["limit"]
        often = np.sum(~np.isnan(known.values), axis=1) >= self._settings["ready_dumps"]
        for place, known_field in enumerate(known.fields):
            for statistic in (_LEVEL, _SPREAD):
                now, line = row[statistic, place], known.lines[statistic, place]
                if not often[statistic, place] or np.isnan(now) or np.isnan(line[4]):
                    continue
                numbers = read.fields[known_field.component, known_field.shape, known_field.place]
                own = self._own_error(row[_SPREAD, place], place, statistic, numbers.values, day)
                deviation = max(float(line[4]), own)
                if deviation <= 0.0:  # it never varied: a setting, not a measurement
                    continue
                each = _Off(known_field, numbers, statistic, float(now), expected(line, day), deviation)
                if abs(each.deviations) > limit:
                    yield each

    def _own_error(self, spread: float, place: int, statistic: int, values: list[float], day: float) -> float:
        """What these values leave uncertain: of a median 1.2533 σ/√n, of log MAD 1.1664/√n, and half a step.

        A step is that of the numbers as they are written: 0.1 for 61.3.
        """
        widest = np.fmax(spread, expected(self._known.lines[_SPREAD, place], day))
        if np.isnan(widest):
            return 0.0
        sigma, step = math.exp(float(widest)), _step(values)
        if statistic == _SPREAD:
            return math.hypot(1.1664 / math.sqrt(len(values)), step / 2 / sigma)
        return math.hypot(1.2533 * sigma / math.sqrt(len(values)), step / 2)

    def _finding(self, read: Read, component: str, found: list[_Off]) -> Finding:
        worst = max(found, key=lambda each: abs(each.deviations))
        score = abs(worst.deviations) / self._settings["limit"]
        others = f", and {len(found) - 1} other numbers are off" if len(found) > 1 else ""
        return Finding(
            component=component,
            code="number_level" if worst.statistic == _LEVEL else "number_spread",
            severity=Severity.CRITICAL if score > 3.0 else Severity.WARNING,
            score=round(score, 4),
            from_ms=read.from_ms,
            to_ms=read.to_ms,
            reason=_sentence(worst) + others,
            evidence={
                "value": _rounded(worst.now), "expected": _rounded(worst.expected),
                "deviations": round(worst.deviations, 3), "values": len(worst.numbers.values),
            },
            lines=tuple(worst.numbers.lines),
        )  # fmt: skip

    def _learn(self, row: Floats, day: float) -> None:
        """Put the dump into the window; each field is fitted anew after every sixth dump, in turn."""
        known = self._known
        known.dumps += 1
        known.days = np.append(known.days, day)[-WINDOW:]
        known.values = np.concatenate([known.values, row[:, np.newaxis]], axis=1)[:, -WINDOW:]
        for place in range(len(known.fields)):
            if (known.dumps + place) % _FIT_EVERY:
                continue
            for statistic in (_LEVEL, _SPREAD):
                values = np.ascontiguousarray(known.values[statistic, :, place])
                enough = np.sum(~np.isnan(values)) >= self._settings["ready_dumps"]
                line = fitted(known.days, values, day) if enough else np.full(LINE, np.nan)
                known.lines[statistic, place] = line


def _statistics(values: list[float]) -> tuple[float, float]:
    """Median, and logarithm of the median absolute deviation; NaN for too few values and for counters."""
    numbers = np.array(values)
    level = spread = math.nan
    steps = np.diff(numbers)
    if len(values) >= _VALUES_MIN[_LEVEL] and float(np.mean(steps >= 0.0)) < _RISING:
        level = float(np.median(numbers))
    if len(values) >= _VALUES_MIN[_SPREAD] and not math.isnan(level):
        mad = float(np.median(np.abs(numbers - level)))
        spread = math.log(MAD * mad) if mad > 0.0 else math.nan
    return level, spread


def _step(values: list[float]) -> float:
    """The smallest distance between two different values, 0 if all are equal."""
    return float(np.min(np.diff(np.unique(values)), initial=math.inf)) if len(set(values)) > 1 else 0.0


def _sentence(off: _Off) -> str:
    field_name = f"{off.field.name} in {_quoted(off.field.shape)}"
    count = len(off.numbers.values)
    if off.statistic == _LEVEL:
        return (
            f"{field_name} lies at {_rounded(off.now):g} (median of {count}), where "
            f"{_rounded(off.expected):g} is expected ({off.deviations:+.1f} deviations)"
        )
    times = math.exp(off.now - off.expected)
    return (
        f"{field_name} varies {times:.2f} times as much as expected ({_rounded(math.exp(off.now)):g} over "
        f"{count} values, {off.deviations:+.1f} deviations)"
    )


def _rounded(value: float) -> float:
    """Five digits, which is more than anybody reads."""
    return float(f"{value:.5g}")


def _quoted(shape: str) -> str:
    return json.dumps(shape if len(shape) <= 80 else shape[:79] + "…", ensure_ascii=False)
